"""Recordings to learn from, as batches of frames and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class RecordingBatch(NamedTuple):
    """Frames [T, B, bands] and labels [U, B], and how many of each count, [B]."""

    frames: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor


@dataclass(frozen=True, eq=False)
class RecordingExamples(Dataset[RecordingBatch]):
    """Recordings.

    Attributes:
        frames: log-mel frames of each, [T, bands].
        labels: of each, [U].
        texts: what is said in each, as it is scored.
        files: of each.
        places: how messages name each.
        speakers: of each; empty where nothing names them.
    """

    frames: list[Tensor]
    labels: list[Tensor]
    texts: list[str]
    files: list[Path]
    places: list[str]
    speakers: list[str]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, number: int) -> RecordingBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> RecordingBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        labels = [self.labels[number] for number in numbers]
        return RecordingBatch(*padded([self.frames[n] for n in numbers]), *padded(labels))

    @property
    def lengths(self) -> list[int]:
        """The frames of each."""
        return [len(frames) for frames in self.frames]

    @property
    def label_count(self) -> int:
        """The labels of all."""
        return sum(map(len, self.labels))

    def chosen(self, numbers: Sequence[int]) -> "RecordingExamples":
        """Return some of them."""
        return RecordingExamples(
            [self.frames[n] for n in numbers],
            [self.labels[n] for n in numbers],
            [self.texts[n] for n in numbers],
            [self.files[n] for n in numbers],
            [self.places[n] for n in numbers],
            [self.speakers[n] for n in numbers] if self.speakers else [],
        )

    def by_length(self) -> "RecordingExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        lengths = self.lengths
        return self.chosen(sorted(range(len(self)), key=lengths.__getitem__))
