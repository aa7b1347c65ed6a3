"""Texts compared by their words: cosines of TF-IDF weights, and the target of the training source
that is most like a source, which is what retrieval would answer."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np


def words_and_pairs(tokens: Sequence[str]) -> list[str]:
    """Return what sources are compared by: their tokens in small letters, and pairs of neighbours.
    With pairs the nearest is a better answer (docs/evidence.md)."""
    small = [token.lower() for token in tokens]
    return [*small, *map(" ".join, pairwise(small))]


class TfIdf:
    """Weighs the tokens of a text: the more, the fewer texts hold them (Salton & Buckley 1988). A
    token's weight is how often it stands there times ln((1 + N) / (1 + n)) + 1, where n of N texts
    hold it, and weights are scaled so that their squares add up to 1. Tokens that no text held
    weigh nothing.

    Args:
        texts: the tokens of each text.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        held, number = Counter[str](), 0
        for tokens in texts:
            held.update(set(tokens))
            number += 1
        self._weights = {
            token: math.log((1 + number) / (1 + count)) + 1 for token, count in held.items()
        }

    def weights(self, tokens: Sequence[str]) -> dict[str, float]:
        """Return the weights of a text's tokens."""
        counts = Counter(token for token in tokens if token in self._weights)
        vector = {token: count * self._weights[token] for token, count in counts.items()}
        norm = math.sqrt(sum(weight * weight for weight in vector.values())) or 1.0
        return {token: weight / norm for token, weight in vector.items()}


def cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return the cosine of two texts' weights, see ``TfIdf``."""
    return sum(weight * other.get(token, 0.0) for token, weight in one.items())


class NearestSource:
    """Finds the training source with the largest cosine of TF-IDF weights; of equal ones the first.

    Args:
        sources: the tokens of each training source, one or more.
    """

    def __init__(self, sources: Sequence[Sequence[str]]) -> None:
        self._tf_idf, self._number = TfIdf(sources), len(sources)
        numbers: dict[str, list[int]] = defaultdict(list)
        weights: dict[str, list[float]] = defaultdict(list)
        for number, tokens in enumerate(sources):
            for token, weight in self._tf_idf.weights(tokens).items():
                numbers[token].append(number)
                weights[token].append(weight)
        # For each token the sources that hold it, and how much it weighs there.
        self._entries = {
            token: (np.array(numbers[token]), np.array(weights[token])) for token in numbers
        }

    def find(self, tokens: Sequence[str]) -> int:
        """Return the number of the training source that is most like a source."""
        scores = np.zeros(self._number)
        for token, weight in self._tf_idf.weights(tokens).items():
            numbers, weights = self._entries[token]
            scores[numbers] += weight * weights
        # Rounding must not put a later one of equal ones first.
        return int(np.argmax(scores.round(9)))
