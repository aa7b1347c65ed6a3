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

    @property
    def counted(self) -> Tensor:
        """Which steps are no padding, [T, B]."""
        return steps_that_count(len(self.inputs), self.lengths)

    @property
    def at_end(self) -> bool:
        """Whether something is wanted at the end of each sequence only."""
        return self.targets.dim() == (2 if self.targets.is_floating_point() else 1)

    def taken(self, chosen: Tensor) -> "Batch":
        """Some of the sequences, as long as the longest of them; one at least."""
        lengths = self.lengths[chosen]
        longest = int(lengths.max())
        targets = self.targets[chosen] if self.at_end else self.targets[:longest, chosen]
        return Batch(self.inputs[:longest, chosen], targets, lengths)


def steps_that_count(longest: int, lengths: Tensor) -> Tensor:
    """Which of so many steps are no padding, [T, B]."""
    return torch.arange(longest)[:, None] < lengths


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
