"""What every generator gives: sequences, what is wanted of them, and where."""

from typing import NamedTuple

import torch
from torch import Tensor

from conveyor.errors import SettingError


class Batch(NamedTuple):
    """``inputs`` [T, B, features]. ``targets`` is [B, width] or [B] where something is wanted at
    the end of each sequence only, else [T, B, width] or [T, B]; of whole numbers if they are
    classes. ``lengths`` [B] says how many steps of each sequence count."""

    inputs: Tensor
    targets: Tensor
    lengths: Tensor


def check_sizes(steps: int, least: int, batch: int) -> None:
    """Refuse too few steps, and fewer than no sequences.

    Raises:
        SettingError: they are.
    """
    if not isinstance(steps, int) or steps < least:
        raise SettingError(f"steps is {steps!r}; expected a whole number from {least}.")
    if not isinstance(batch, int) or batch < 0:
        raise SettingError(f"batch is {batch!r}; expected a whole number from 0.")


def one_hot(symbols: Tensor, count: int) -> Tensor:
    """Numbers of symbols as vectors of ``count`` features, one of which is 1."""
    return torch.nn.functional.one_hot(symbols, count).float()


def whole(steps: int, batch: int) -> Tensor:
    """Lengths where all sequences are equally long."""
    return torch.full((batch,), steps)


def between(low: Tensor | int, high: Tensor | int, batch: int, draw: torch.Generator) -> Tensor:
    """Whole numbers from ``low`` to below ``high``, one for each sequence."""
    part = torch.rand(batch, generator=draw, dtype=torch.float64)
    return (low + part * (high - low)).floor().long()
