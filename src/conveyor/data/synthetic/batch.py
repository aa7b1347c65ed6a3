"""A batch of sequences with their targets, which every generator returns."""

from typing import NamedTuple

import torch
from torch import Tensor

from conveyor.errors import SettingError


class Batch(NamedTuple):
    """Sequences with their targets.

    ``inputs`` are [T, B, features]. ``targets`` are [B, width] or [B] if there is one target at the
    end of each sequence, and [T, B, width] or [T, B] if there is one at each step; classes are
    whole numbers. ``lengths`` [B] are the numbers of steps before the padding.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor

    @property
    def counted(self) -> Tensor:
        """Which steps are no padding, as bool [T, B]."""
        return steps_that_count(len(self.inputs), self.lengths)

    @property
    def at_end(self) -> bool:
        """Whether there is a target at the end of each sequence only."""
        return self.targets.dim() == (2 if self.targets.is_floating_point() else 1)

    def taken(self, indices: Tensor) -> "Batch":
        """Return the sequences of these indices, at least one, cut to the longest of them."""
        lengths = self.lengths[indices]
        longest = int(lengths.max())
        targets = self.targets[indices] if self.at_end else self.targets[:longest, indices]
        return Batch(self.inputs[:longest, indices], targets, lengths)


def steps_that_count(longest: int, lengths: Tensor) -> Tensor:
    """Return which of ``longest`` steps are no padding, as bool [T, B]."""
    return torch.arange(longest, device=lengths.device)[:, None] < lengths


def check_sizes(steps: int, least: int, batch: int) -> None:
    """Check that there are ``least`` steps or more, and that ``batch`` is not negative.

    Raises:
        SettingError: a number is too small, or no whole number.
    """
    if not isinstance(steps, int) or steps < least:
        raise SettingError(f"steps is {steps!r}; expected a whole number from {least}.")
    if not isinstance(batch, int) or batch < 0:
        raise SettingError(f"batch is {batch!r}; expected a whole number from 0.")


def one_hot(symbols: Tensor, count: int) -> Tensor:
    """Return symbols, given as numbers, as vectors of ``count`` features of which one is 1."""
    return torch.nn.functional.one_hot(symbols, count).float()


def equal_lengths(steps: int, batch: int) -> Tensor:
    """Return the lengths [B] of sequences that all have ``steps`` steps."""
    return torch.full((batch,), steps)


def draw_between(
    low: Tensor | int, high: Tensor | int, batch: int, draw: torch.Generator
) -> Tensor:
    """Draw a whole number from ``low`` to below ``high`` for each sequence, [B]."""
    part = torch.rand(batch, generator=draw, dtype=torch.float64)
    return (low + part * (high - low)).floor().long()
