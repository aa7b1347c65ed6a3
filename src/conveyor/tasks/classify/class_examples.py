"""Labelled sequences to learn from, as batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class ClassBatch(NamedTuple):
    """Sequences and their classes: ``inputs`` [T, B] or [T, B, features], ``lengths`` [B] and
    ``targets`` [B], or [B, classes] where a sequence may have several."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


@dataclass(frozen=True, eq=False)
class ClassExamples(Dataset[ClassBatch]):
    """Labelled sequences.

    Attributes:
        sequences: as the network reads them, each [T] or [T, features].
        targets: the class of each, [N]; where a sequence may have several, 1 for each that holds,
            [N, classes].
        shown: each as people read it.
        places: how messages name each.
    """

    sequences: list[Tensor]
    targets: Tensor
    shown: list[str]
    places: list[str]

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, number: int) -> ClassBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> ClassBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        inputs, lengths = padded([self.sequences[number] for number in numbers])
        return ClassBatch(inputs, lengths, self.targets[torch.tensor(numbers)])

    @property
    def lengths(self) -> list[int]:
        """The steps of each sequence."""
        return [len(sequence) for sequence in self.sequences]

    def by_length(self) -> "ClassExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        order = sorted(range(len(self)), key=lambda number: len(self.sequences[number]))
        return ClassExamples(
            [self.sequences[number] for number in order],
            self.targets[torch.tensor(order, dtype=torch.long)],
            [self.shown[number] for number in order],
            [self.places[number] for number in order],
        )
