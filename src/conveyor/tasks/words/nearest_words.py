"""The nearest neighbours of words, and of sums of words."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from conveyor.tasks.words.word_list import WordList

_SIGNS = ("+", "-")

# A sum shorter than this, of vectors of length 1, is what rounding leaves of 0.
_NOTHING = 1e-5


@dataclass(frozen=True)
class Answer:
    """What is near what was asked.

    Args:
        neighbours: words, the nearest first.
        cosines: of the angles between their vectors and what was asked.
        unknown: the words that have no vector; None without any.
        note: why there is no answer though all words are known; None where there is one.
    """

    neighbours: list[str]
    cosines: list[float]
    unknown: list[str] | None = None
    note: str | None = None

    def line(self) -> str:
        """Return the answer as a line; why there is none is said instead."""
        if self.unknown:
            return f"not known: {', '.join(self.unknown)}"
        if self.note:
            return self.note
        near = zip(self.neighbours, self.cosines, strict=True)
        return "\t".join(f"{word}={cosine:.4f}" for word, cosine in near)


class NearestWords:
    """Words by the direction of their vectors.

    Args:
        words: the words.
        vectors: of each, float32 [V, dim].
    """

    def __init__(self, words: WordList, vectors: Tensor) -> None:
        self.words, self.directions = words, normalize(vectors, dim=-1)

    def of_numbers(self, numbers: Iterable[int], most: int) -> list[list[tuple[str, float]]]:
        """Return the nearest neighbours of words, given by their numbers."""
        asked = list(numbers)
        if not asked:
            return []
        cosines = self.directions[asked] @ self.directions.T
        cosines[torch.arange(len(asked)), asked] = -2  # a word is not its own neighbour
        return [self._best(row, most, 1) for row in cosines]

    def answer(self, line: str, most: int) -> Answer:
        """Return what is nearest to a line's words.

        The vectors of words, each of length 1, are added; one behind a ``-`` is subtracted:
        ``paris - france + italy``. None of the words is an answer.

        Args:
            line: words, with ``+`` and ``-`` before them, between spaces or not.
            most: how many answers there are.
        """
        total = torch.zeros(self.directions.shape[1])
        unknown, asked = list[str](), set[int]()
        sign = ""
        for part in line.split():
            tokens = self._whole(part)
            if tokens is None:
                if sign:
                    return _nothing_behind(sign)
                sign, rest = part[0], part[1:]
                if not rest:
                    continue
                tokens = self.words.tokenizer.tokens(rest)
            for token in tokens:
                number = self.words.numbers.get(token)
                if number is None:
                    unknown.append(token)
                else:
                    asked.add(number)
                    direction = self.directions[number]
                    total = total - direction if sign == "-" else total + direction
            sign = ""
        if unknown:
            return Answer([], [], unknown)
        if sign:
            return _nothing_behind(sign)
        if not asked:
            return Answer([], [])
        if total.norm() < _NOTHING:
            return Answer([], [], note="the sum is nothing: it has no direction, and no neighbours")
        cosines = self.directions @ normalize(total, dim=0)
        cosines[list(asked)] = -2
        near = self._best(cosines, most, len(asked))
        return Answer([word for word, _ in near], [cosine for _, cosine in near])

    def _whole(self, part: str) -> list[str] | None:
        """Return the tokens of what stands between spaces; None if it begins with a sign, and is no
        word that is known."""
        tokens = self.words.tokenizer.tokens(part)
        signed = part[0] in _SIGNS
        known = len(part) > 1 and len(tokens) == 1 and tokens[0] in self.words.numbers
        return None if signed and not known else tokens

    def _best(self, cosines: Tensor, most: int, asked: int) -> list[tuple[str, float]]:
        values, numbers = cosines.topk(max(min(most, len(cosines) - asked), 0))
        return [
            (self.words.words[number], value)
            for number, value in zip(numbers.tolist(), values.tolist(), strict=True)
        ]


def _nothing_behind(sign: str) -> Answer:
    return Answer([], [], note=f"no word stands behind the {sign}")
