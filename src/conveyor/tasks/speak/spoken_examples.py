"""Recordings to learn a voice from, as batches of letters and frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class SpokenBatch(NamedTuple):
    """Frames [T, B, bands], of which ``lengths`` count, numbers of letters [U, B], of which
    ``letter_counts`` count, and the number of each speaker, [B]."""

    frames: Tensor
    lengths: Tensor
    letters: Tensor
    letter_counts: Tensor
    speakers: Tensor


@dataclass(frozen=True, eq=False)
class SpokenExamples(Dataset[SpokenBatch]):
    """Recordings.

    Attributes:
        frames: log-mel frames of each, [T, bands].
        letters: numbers of the letters of each text, and 0 for its end, [U + 1].
        speakers: the number of each speaker, [N].
        texts: of each, as they are spelled.
        names: of each speaker.
        files: of each.
        places: how messages name each.
    """

    frames: list[Tensor]
    letters: list[Tensor]
    speakers: Tensor
    texts: list[str]
    names: list[str]
    files: list[Path]
    places: list[str]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, number: int) -> SpokenBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> SpokenBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        letters = [self.letters[number] for number in numbers]
        return SpokenBatch(
            *padded([self.frames[n] for n in numbers]),
            *padded(letters),
            self.speakers[list(numbers)],
        )

    @property
    def lengths(self) -> list[int]:
        """The frames of each."""
        return [len(frames) for frames in self.frames]

    def chosen(self, numbers: Sequence[int]) -> "SpokenExamples":
        """Return some of them."""
        return SpokenExamples(
            [self.frames[n] for n in numbers],
            [self.letters[n] for n in numbers],
            self.speakers[list(numbers)],
            [self.texts[n] for n in numbers],
            [self.names[n] for n in numbers],
            [self.files[n] for n in numbers],
            [self.places[n] for n in numbers],
        )

    def by_length(self) -> "SpokenExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        lengths = self.lengths
        return self.chosen(sorted(range(len(self)), key=lengths.__getitem__))

    def by_saying(self) -> dict[tuple[str, str], list[int]]:
        """Return which of them say the same by the same speaker, by text and speaker, in order."""
        sayings: dict[tuple[str, str], list[int]] = {}
        for number, saying in enumerate(zip(self.texts, self.names, strict=True)):
            sayings.setdefault(saying, []).append(number)
        return sayings
