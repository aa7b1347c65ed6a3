"""Texts as bags of words and of pairs of words: what a classifier without memory sees."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from conveyor.data.records import shown
from conveyor.errors import RunError
from conveyor.networks.kept_arrays import array_of
from conveyor.tasks.known_keys import FITTED_ON, long_hash

# The commonest of them are looked at, at most.
MOST_FEATURES = 500_000


def _grams(tokens: Sequence[str], longest: int) -> Iterator[tuple[str, ...]]:
    for size in range(1, longest + 1):
        for first in range(len(tokens) - size + 1):
            yield tuple(tokens[first : first + size])


def _hash(gram: tuple[str, ...]) -> int:
    """Return what a saved run knows a run of tokens by, so that it holds none of its texts."""
    return long_hash("\0".join(gram))


@dataclass(frozen=True)
class BagOfWords:
    """The runs of tokens that the training set holds, and how much each weighs: tf-idf with the
    smoothing of scikit-learn, each text of length 1 (Manning, Raghavan & Schütze 2008, Introduction
    to information retrieval, section 6.4.3).

    Attributes:
        longest: tokens of a run, at most.
        places: the place of each run among the features, by its hash.
        weights: the inverse document frequency of each, [F].
        names: what the runs are called, in order; nothing where only their hashes are known.
    """

    reads: ClassVar[str] = "words"

    longest: int
    places: Mapping[int, int]
    weights: Tensor
    names: tuple[str, ...] = ()

    @staticmethod
    def of(texts: Sequence[Sequence[str]], longest: int) -> "BagOfWords":
        """Return the bag of the runs of some texts' tokens."""
        counts: Counter[tuple[str, ...]] = Counter()
        for tokens in texts:
            counts.update(set(_grams(tokens, longest)))
        ordered = sorted(counts, key=lambda gram: (-counts[gram], gram))[:MOST_FEATURES]
        weights = [math.log((1 + len(texts)) / (1 + counts[gram])) + 1 for gram in ordered]
        places = {_hash(gram): place for place, gram in enumerate(ordered)}
        names = tuple(map(" ".join, ordered))
        return BagOfWords(longest, places, torch.tensor(weights, dtype=torch.float64), names)

    def features(self, examples: Sequence[Sequence[str]]) -> Tensor:
        """Return the features of texts, a sparse float64 tensor [N, F].

        Args:
            examples: the tokens of each text.
        """
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        for row, tokens in enumerate(examples):
            keys = map(_hash, _grams(tokens, self.longest))
            known = Counter(self.places[key] for key in keys if key in self.places)
            rows += [row] * len(known)
            columns += known
            counts += known.values()
        at = torch.tensor([rows, columns], dtype=torch.long).view(2, -1)
        values = torch.tensor(counts, dtype=torch.float64) * self.weights[at[1]]
        norms = torch.zeros(len(examples), dtype=torch.float64).index_add_(
            0, at[0], values.square()
        )
        values = values / norms.sqrt()[at[0]]
        size = (len(examples), len(self.places))
        return torch.sparse_coo_tensor(at, values, size, check_invariants=True).coalesce()

    @property
    def count(self) -> int:
        """How many features there are."""
        return len(self.places)

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads: numbers, arrays, and no text."""
        return {
            "reads": self.reads,
            "longest": self.longest,
            "runs": np.fromiter(self.places, np.int64, len(self.places)),
            "weights": self.weights.numpy(),
        }

    @staticmethod
    def described(described: Mapping[str, Any]) -> "BagOfWords":
        """Return the bag of a description.

        Args:
            described: see ``description``.

        Raises:
            RunError: the description is none.
        """
        runs = array_of(described, "runs", (None,), np.int64, FITTED_ON)
        weights = array_of(described, "weights", runs.shape, np.float64, FITTED_ON)
        places = {key: place for place, key in enumerate(runs.tolist())}
        longest = described.get("longest")
        if not isinstance(longest, int) or longest < 1:
            raise RunError(f"{FITTED_ON}: longest is {shown(longest)}; expected 1 or more.")
        return BagOfWords(longest, places, torch.from_numpy(weights))
