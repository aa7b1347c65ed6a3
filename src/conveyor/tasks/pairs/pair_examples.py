"""Pairs of sequences to learn from, as batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class PairBatch(NamedTuple):
    """Sources [S, B] and targets [T, B] with the symbols that begin and end them, and how many
    steps of each count, [B]."""

    sources: Tensor
    source_lengths: Tensor
    targets: Tensor
    target_lengths: Tensor


@dataclass(frozen=True, eq=False)
class PairExamples(Dataset[PairBatch]):
    """Pairs of sequences.

    Attributes:
        sources: as the network reads them, each [S].
        targets: each [T], with the symbols that begin and end it.
        shown: each source and target as people read them.
        places: how messages name each.
    """

    sources: list[Tensor]
    targets: list[Tensor]
    shown: list[tuple[str, str]]
    places: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, number: int) -> PairBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> PairBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        sources = padded([self.sources[number] for number in numbers])
        return PairBatch(*sources, *padded([self.targets[number] for number in numbers]))

    @property
    def lengths(self) -> list[int]:
        """A number for each pair by which those of similar length are together: first of the
        target, for most of the work is done for its symbols, then of the source."""
        above = max(map(len, self.sources), default=0) + 1
        return [
            len(target) * above + len(source)
            for source, target in zip(self.sources, self.targets, strict=True)
        ]

    def by_length(self) -> "PairExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        lengths = self.lengths
        order = sorted(range(len(self)), key=lengths.__getitem__)
        return PairExamples(
            [self.sources[number] for number in order],
            [self.targets[number] for number in order],
            [self.shown[number] for number in order],
            [self.places[number] for number in order],
        )
