"""Pictures and captions to learn from, as batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class CaptionBatch(NamedTuple):
    """What is seen of pictures: pixels [B, rows, columns, 3] from 0 to 255, or numbers
    [B, places, features]; captions [T, B] with the symbols that begin and end them, and how many
    symbols of each count, [B]."""

    seen: Tensor
    captions: Tensor
    lengths: Tensor


def seen_of(values: NDArray[Any], numbers: Sequence[int]) -> Tensor:
    """Return what is seen of some pictures, read from where it is stored."""
    chosen = values[np.asarray(numbers, dtype=np.int64)]
    if chosen.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(chosen))
    return torch.from_numpy(np.ascontiguousarray(chosen, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class CaptionExamples(Dataset[CaptionBatch]):
    """Captions, each with its picture.

    Attributes:
        values: what is seen of all pictures, stored.
        pictures: which one each caption is of.
        captions: the symbols of each, int64 [T].
    """

    values: NDArray[Any]
    pictures: list[int]
    captions: list[Tensor]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, number: int) -> CaptionBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> CaptionBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        captions, lengths = padded([self.captions[number] for number in numbers])
        seen = seen_of(self.values, [self.pictures[number] for number in numbers])
        return CaptionBatch(seen, captions, lengths)

    @property
    def lengths(self) -> list[int]:
        """The symbols of each caption."""
        return [len(caption) for caption in self.captions]

    def by_length(self) -> "CaptionExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        order = sorted(range(len(self)), key=self.lengths.__getitem__)
        return CaptionExamples(
            self.values,
            [self.pictures[number] for number in order],
            [self.captions[number] for number in order],
        )


@dataclass(frozen=True, eq=False)
class ShownPictures:
    """Pictures of which captions are asked.

    Attributes:
        values: what is seen of all pictures, stored.
        numbers: which of them these are.
        references: the captions of each, as they are compared; empty where there is none.
        places: how messages name each.
        keys: the same for the same picture.
    """

    values: NDArray[Any]
    numbers: list[int]
    references: list[list[str]]
    places: list[str]
    keys: list[str]

    def __len__(self) -> int:
        return len(self.numbers)

    def seen(self, rows: Sequence[int]) -> Tensor:
        """Return what is seen of some of them."""
        return seen_of(self.values, [self.numbers[row] for row in rows])
