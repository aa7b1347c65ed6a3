"""What a voice has to beat: the mean of the recordings that it learned from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.word_edits import edits

# Recordings of a saying that are compared with those of the test set, at most.
MOST = 5


class KnownSayings:
    """The recordings of a training set by what they say and who speaks.

    Args:
        examples: of the training set.
    """

    def __init__(self, examples: SpokenExamples) -> None:
        self.examples = examples
        self._by_saying = examples.by_saying()
        self._by_text: dict[str, list[int]] = {}
        for number, text in enumerate(examples.texts):
            self._by_text.setdefault(text, []).append(number)

    def same(self, text: str, name: str) -> list[Tensor]:
        """Return the frames of some recordings of a saying, each [T, bands]; none where there is
        none."""
        numbers = self._by_saying.get((text, name), [])
        return [self.examples.frames[n] for n in numbers[:: max(1, -(-len(numbers) // MOST))]]

    def nearest(self, text: str, name: str) -> list[int]:
        """Return the recordings of a saying; where there is none, those of the text by others; else
        those of the speaker whose text the fewest edits of letters make of this one."""
        if (text, name) in self._by_saying:
            return self._by_saying[text, name]
        if text in self._by_text:
            return self._by_text[text]
        texts = [other for other, speaker in self._by_saying if speaker == name]
        best = min(texts, key=lambda other: (_edit_count(text, other), other))
        return self._by_saying[best, name]

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
