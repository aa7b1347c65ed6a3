"""Which rows of a batch each step has.

Values over time are rows without padding: the rows of step 0, then those of step 1, ... Sequences
are sorted by length, longest first, so step t has the first ``counts[t]`` of them. It is the
layout of torch's PackedSequence; with sequences of one length it is [T, B, width] itself.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """``counts`` [steps], never rising, is None if every step has all ``batch`` rows;
    ``reverse`` goes from the last step to the first."""

    steps: int
    batch: int
    counts: tuple[int, ...] | None = None
    reverse: bool = False

    @staticmethod
    @lru_cache(maxsize=256)
    def dense(steps: int, batch: int) -> "Steps":
        """Return sequences of one length; of the same sizes always the same, with all it has
        worked out. No step at all is one that no sequence has, as for lengths of 0."""
        return Steps(steps, batch) if steps else Steps(1, batch, (0,))

    @staticmethod
    def of_lengths(lengths: Integers) -> "Steps":
        """Sequences of these lengths, the longest first; one step at least."""
        longest = max(1, int(lengths[0]) if len(lengths) else 0)
        at_most = np.searchsorted(lengths[::-1], np.arange(longest), side="right")
        count = len(lengths) - at_most
        found = Steps(longest, len(lengths), tuple(count.tolist()))
        # What would be worked out again of the counts, at each call with new lengths.
        found.__dict__.update(lengths=lengths, in_time=(np.cumsum(count) - count, count))
        return found

    @cached_property
    def reversed(self) -> "Steps":
        """The same from the last step to the first."""
        return replace(self, reverse=True)

    @cached_property
    def rows(self) -> int:
        """Rows of all steps together."""
        return self.steps * self.batch if self.counts is None else sum(self.counts)

    @cached_property
    def in_time(self) -> tuple[Integers, Integers]:
        """The first row and the number of rows of each step, from the first to the last."""
        if self.counts is None:
            count = np.full(self.steps, self.batch, dtype=np.int64)
            return np.arange(self.steps, dtype=np.int64) * self.batch, count
        count = np.asarray(self.counts, dtype=np.int64)
        return np.cumsum(count) - count, count

    def visited(self, *, backwards: bool = False) -> tuple[Integers, Integers]:
        """As ``in_time``, in the order in which steps are done; ``backwards`` undoes them."""
        first, count = self.in_time
        if self.reverse == backwards:
            return first, count
        return np.ascontiguousarray(first[::-1]), np.ascontiguousarray(count[::-1])

    @cached_property
    def sequences(self) -> Tensor:
        """Of which sequence each row is."""
        first, count = self.in_time
        return torch.from_numpy(np.arange(self.rows) - np.repeat(first, count))

    @cached_property
    def rows_before(self) -> Tensor:
        """Where, for each row, the same sequence is in the step that is done before: counted in
        ``batch`` rows of what sequences start with, followed by all rows."""
        first, count = self.in_time
        step = np.repeat(np.arange(self.steps), count)
        sequence = self.sequences.numpy()
        before = step + 1 if self.reverse else step - 1
        starts = before >= self.lengths[sequence] if self.reverse else before < 0
        rows = self.batch + first[np.where(starts, 0, before)]
        return torch.from_numpy(np.where(starts, 0, rows) + sequence)

    @cached_property
    def last_rows(self) -> Tensor:
        """Where each sequence is in the last step that it takes part in, counted as in
        ``rows_before``."""
        first, _ = self.in_time
        last = np.zeros_like(self.lengths) if self.reverse else self.lengths - 1
        rows = np.where(self.lengths > 0, self.batch + first[last], 0)
        return torch.from_numpy(rows + np.arange(self.batch))

    @cached_property
    def turned(self) -> Tensor:
        """The rows with every sequence turned around; doing it twice gives them back."""
        first, count = self.in_time
        step = np.repeat(np.arange(self.steps), count)
        sequence = self.sequences.numpy()
        return torch.from_numpy(first[self.lengths[sequence] - 1 - step] + sequence)

    def visits(self, *, backwards: bool = False) -> Integers:
        """How many steps are done until each sequence's last: rows that join late have all."""
        if self.reverse != backwards:
            return np.full(self.batch, self.steps, dtype=np.int64)
        return self.lengths

    @cached_property
    def lengths(self) -> Integers:
        """How many steps each of the ``batch`` sequences has."""
        if self.counts is None:
            return np.full(self.batch, self.steps, dtype=np.int64)
        _, count = self.in_time
        # Counts never rise: sequence b has as many steps as there are counts above b.
        return np.searchsorted(-count, -np.arange(self.batch), side="left")
