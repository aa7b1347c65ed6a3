"""Sequences to learn from, as batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class SequenceBatch(NamedTuple):
    """Sequences [T, B, width], of which ``lengths`` count."""

    x: Tensor
    lengths: Tensor


@dataclass(frozen=True, eq=False)
class SequenceExamples(Dataset[SequenceBatch]):
    """Sequences, [T, width] each."""

    sequences: list[Tensor]

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, number: int) -> SequenceBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> SequenceBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        return SequenceBatch(*padded([self.sequences[number].float() for number in numbers]))

    @property
    def lengths(self) -> list[int]:
        """The steps of each."""
        return [len(each) for each in self.sequences]

    def by_length(self) -> "SequenceExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        order = sorted(range(len(self)), key=self.lengths.__getitem__)
        return SequenceExamples([self.sequences[number] for number in order])
