"""The nearest neighbours of words, and of sums of words."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from conveyor.tasks.words.word_list import WordList


@dataclass(frozen=True)
class Answer:
    """What is near what was asked.

    Args:
        neighbours: words, the nearest first.
        cosines: of the angles between their vectors and what was asked.
        unknown: the words that have no vector; None without any.
    """

    neighbours: list[str]
    cosines: list[float]
    unknown: list[str] | None = None

    def line(self) -> str:
        """Return the answer as a line; what is not known is said instead."""
        if self.unknown:
            return f"not known: {', '.join(self.unknown)}"
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

        The vectors of words, each of length 1, are added; those behind a ``-`` that stands alone
        are subtracted: ``paris - france + italy``. None of the words is an answer.

        Args:
            line: words, with ``+`` and ``-`` between spaces.
            most: how many answers there are.
        """
        total = torch.zeros(self.directions.shape[1])
        unknown, asked, sign = list[str](), set[int](), 1.0
        for part in line.split():
            if part in ("+", "-"):
                sign = 1.0 if part == "+" else -1.0
                continue
            tokens = self.words.tokenizer.tokens(part)
            for token in tokens:
                number = self.words.numbers.get(token)
                if number is None:
                    unknown.append(token)
                else:
                    asked.add(number)
                    total = total + sign * self.directions[number]
        if unknown or not asked:
            return Answer([], [], unknown or None)
        cosines = self.directions @ normalize(total, dim=0)
        cosines[list(asked)] = -2
        near = self._best(cosines, most, len(asked))
        return Answer([word for word, _ in near], [cosine for _, cosine in near])

    def _best(self, cosines: Tensor, most: int, asked: int) -> list[tuple[str, float]]:
        values, numbers = cosines.topk(max(min(most, len(cosines) - asked), 0))
        return [
            (self.words.words[number], value)
            for number, value in zip(numbers.tolist(), values.tolist(), strict=True)
        ]
