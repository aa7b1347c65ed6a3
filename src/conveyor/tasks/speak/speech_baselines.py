"""What a voice has to beat: the mean of the recordings that it learned from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.word_edits import edits

# Recordings of a saying that are compared with those of the test part, at most.
MOST = 5


class KnownSayings:
    """The recordings of a training part by what they say and who speaks.

    Args:
        examples: of the training part.
    """

    def __init__(self, examples: SpokenExamples) -> None:
        self.examples = examples
        self._by_saying = examples.by_saying()
        self._nearest: dict[tuple[str, str], list[int]] = {}

    def nearest(self, text: str, name: str) -> list[int]:
        """Return the recordings of a speaker whose text is nearest to one: the same, where there
        are such; else the one that the fewest edits of letters make."""
        saying = text, name
        if saying in self._by_saying:
            return self._by_saying[saying]
        if saying not in self._nearest:
            texts = [other for other, speaker in self._by_saying if speaker == name]
            best = min(texts, key=lambda other: (_edit_count(text, other), other))
            self._nearest[saying] = self._by_saying[best, name]
        return self._nearest[saying]

    def frames(self, text: str, name: str) -> list[Tensor]:
        """Return the frames of some of them, each [T, bands]."""
        numbers = self.nearest(text, name)
        step = -(-len(numbers) // MOST)
        return [self.examples.frames[number] for number in numbers[::step]]

    def mean(self, text: str, name: str) -> Tensor:
        """Return the mean of the nearest recordings, each made as long as all are on average,
        [T, bands]."""
        frames = [self.examples.frames[number] for number in self.nearest(text, name)]
        length = max(round(sum(map(len, frames)) / len(frames)), 1)
        return torch.stack([stretched(each, length) for each in frames]).mean(0)


def stretched(frames: Tensor, length: int) -> Tensor:
    """Return frames [T, bands] as so many, along straight lines between them."""
    places = torch.linspace(0, len(frames) - 1, length)
    below = places.floor().long()
    above = (below + 1).clamp(max=len(frames) - 1)
    share = (places - below).unsqueeze(1)
    return frames[below] * (1 - share) + frames[above] * share


def _edit_count(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(said != written for said, written in edits(one, other))
