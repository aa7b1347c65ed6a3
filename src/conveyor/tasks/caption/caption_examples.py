"""Pictures or videos and captions to learn from, as batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class Seen(NamedTuple):
    """What is seen of pictures or videos.

    Attributes:
        values: pixels from 0 to 255 of pictures, [B, rows, columns, 3], or of videos,
            [B, frames, rows, columns, 3]; or numbers, [B, places, features].
        frames: how many frames each has, [B]; 1 where these are pictures or numbers.
    """

    values: Tensor
    frames: Tensor


class CaptionBatch(NamedTuple):
    """What is seen; captions [T, B] with the symbols that begin and end them, and how many symbols
    of each count, [B]."""

    seen: Seen
    captions: Tensor
    lengths: Tensor


@dataclass(frozen=True, eq=False)
class StoredSights:
    """What is seen of all pictures or videos of a source, stored.

    Attributes:
        array: pixels [N, rows, columns, 3] or [N, frames, rows, columns, 3], or numbers
            [N, places, features].
        frames: how many frames each has, [N]; None where these are pictures or numbers.
    """

    array: NDArray[Any]
    frames: NDArray[np.int64] | None = None

    def seen(self, numbers: Sequence[int]) -> Seen:
        """Return what is seen of some, read from where it is stored."""
        rows = np.asarray(numbers, dtype=np.int64)
        if self.frames is None:
            counts, chosen = np.ones(len(rows), dtype=np.int64), self.array[rows]
        else:
            counts = self.frames[rows]
            chosen = self.array[rows, : counts.max(initial=1)]
        kind = np.uint8 if chosen.dtype == np.uint8 else np.float32
        values = torch.from_numpy(np.ascontiguousarray(chosen, dtype=kind))
        return Seen(values, torch.from_numpy(counts))


@dataclass(frozen=True, eq=False)
class CaptionExamples(Dataset[CaptionBatch]):
    """Captions, each with its picture.

    Attributes:
        values: what is seen of all.
        pictures: which one each caption is of.
        captions: the symbols of each, int64 [T].
    """

    values: StoredSights
    pictures: list[int]
    captions: list[Tensor]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, number: int) -> CaptionBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> CaptionBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        captions, lengths = padded([self.captions[number] for number in numbers])
        seen = self.values.seen([self.pictures[number] for number in numbers])
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
        values: what is seen of all.
        numbers: which of them these are.
        references: the captions of each, as they are compared; empty where there is none.
        places: how messages name each.
        keys: the same for the same picture.
        shuffled: whether the frames of videos are seen in an order that is drawn.
    """

    values: StoredSights
    numbers: list[int]
    references: list[list[str]]
    places: list[str]
    keys: list[str]
    shuffled: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def seen(self, rows: Sequence[int]) -> Seen:
        """Return what is seen of some of them."""
        seen = self.values.seen([self.numbers[row] for row in rows])
        if self.shuffled:
            for row, values, count in zip(rows, seen.values, seen.frames.tolist(), strict=True):
                # The same order for a video, whatever is asked with it.
                order = np.random.default_rng(row).permutation(count)
                values[:count] = values[:count][torch.from_numpy(order)]
        return seen
