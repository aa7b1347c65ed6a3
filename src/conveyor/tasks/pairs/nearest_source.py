"""The target of the training source that is most like a source: what retrieval would answer."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np


class NearestSource:
    """Finds the training source with the largest cosine of TF-IDF weights; of equal ones the first.

    Args:
        sources: the tokens of each training source, one or more.
    """

    def __init__(self, sources: Sequence[Sequence[str]]) -> None:
        documents = Counter(token for tokens in sources for token in set(tokens))
        self._number = len(sources)
        self._weights = {
            token: math.log((1 + self._number) / (1 + count)) + 1
            for token, count in documents.items()
        }
        numbers: dict[str, list[int]] = defaultdict(list)
        weights: dict[str, list[float]] = defaultdict(list)
        for number, tokens in enumerate(sources):
            for token, weight in self._vector(tokens).items():
                numbers[token].append(number)
                weights[token].append(weight)
        # For each token the sources that hold it, and how much it weighs there.
        self._entries = {
            token: (np.array(numbers[token]), np.array(weights[token])) for token in numbers
        }

    def _vector(self, tokens: Sequence[str]) -> dict[str, float]:
        counts = Counter(token for token in tokens if token in self._weights)
        vector = {token: count * self._weights[token] for token, count in counts.items()}
        norm = math.sqrt(sum(weight * weight for weight in vector.values())) or 1.0
        return {token: weight / norm for token, weight in vector.items()}

    def find(self, tokens: Sequence[str]) -> int:
        """Return the number of the training source that is most like a source."""
        scores = np.zeros(self._number)
        for token, weight in self._vector(tokens).items():
            numbers, weights = self._entries[token]
            scores[numbers] += weight * weights
        # Rounding must not put a later one of equal ones first.
        return int(np.argmax(scores.round(9)))
