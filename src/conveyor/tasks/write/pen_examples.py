"""Handwriting to learn from, as batches of movements of the pen and characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class PenBatch(NamedTuple):
    """Movements [T, B, 3], of which ``lengths`` count, and numbers of characters [U, B], of which
    ``character_counts`` count."""

    movements: Tensor
    lengths: Tensor
    characters: Tensor
    character_counts: Tensor


@dataclass(frozen=True, eq=False)
class PenExamples(Dataset[PenBatch]):
    """Texts that were written with a pen.

    Attributes:
        movements: of each, [T, 3]: how far the pen goes in both directions, as a share of their
            deviation, and 1 where it is lifted then.
        characters: numbers of its characters, and 0 for the end, [U + 1].
        texts: of each.
        places: how messages name each.
    """

    movements: list[Tensor]
    characters: list[Tensor]
    texts: list[str]
    places: list[str]

    def __len__(self) -> int:
        return len(self.movements)

    def __getitem__(self, number: int) -> PenBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> PenBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        characters = [self.characters[number] for number in numbers]
        return PenBatch(*padded([self.movements[n] for n in numbers]), *padded(characters))

    @property
    def lengths(self) -> list[int]:
        """The movements of each."""
        return [len(movements) for movements in self.movements]

    def by_length(self) -> "PenExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        order = sorted(range(len(self)), key=self.lengths.__getitem__)
        return PenExamples(
            [self.movements[n] for n in order],
            [self.characters[n] for n in order],
            [self.texts[n] for n in order],
            [self.places[n] for n in order],
        )
