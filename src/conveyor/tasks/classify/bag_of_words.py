"""Texts as bags of words and of pairs of words: what a classifier without memory sees."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# The commonest of them are looked at, at most.
MOST_FEATURES = 500_000


def _grams(tokens: Sequence[str], longest: int) -> Iterator[tuple[str, ...]]:
    for size in range(1, longest + 1):
        for first in range(len(tokens) - size + 1):
            yield tuple(tokens[first : first + size])


@dataclass(frozen=True)
class BagOfWords:
    """The runs of tokens that the training set holds, and how much each weighs: tf-idf with the
    smoothing of scikit-learn, each text of length 1 (Manning, Raghavan & Schütze 2008, Introduction
    to information retrieval, section 6.4.3).

    Attributes:
        longest: tokens of a run, at most.
        places: the place of each run among the features.
        weights: the inverse document frequency of each, [F].
    """

    longest: int
    places: dict[tuple[str, ...], int]
    weights: Tensor

    @staticmethod
    def of(texts: Sequence[Sequence[str]], longest: int) -> "BagOfWords":
        """Return the bag of the runs of some texts' tokens."""
        found: Counter[tuple[str, ...]] = Counter()
        for tokens in texts:
            found.update(set(_grams(tokens, longest)))
        ordered = sorted(found, key=lambda gram: (-found[gram], gram))[:MOST_FEATURES]
        weights = [math.log((1 + len(texts)) / (1 + found[gram])) + 1 for gram in ordered]
        places = {gram: place for place, gram in enumerate(ordered)}
        return BagOfWords(longest, places, torch.tensor(weights, dtype=torch.float64))

    def features(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Return the features of texts, a sparse float64 tensor [N, F]."""
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        for row, tokens in enumerate(texts):
            known = Counter(gram for gram in _grams(tokens, self.longest) if gram in self.places)
            rows += [row] * len(known)
            columns += [self.places[gram] for gram in known]
            counts += known.values()
        at = torch.tensor([rows, columns], dtype=torch.long).view(2, -1)
        values = torch.tensor(counts, dtype=torch.float64) * self.weights[at[1]]
        norms = torch.zeros(len(texts), dtype=torch.float64).index_add_(0, at[0], values.square())
        values = values / norms.sqrt()[at[0]]
        size = (len(texts), len(self.places))
        return torch.sparse_coo_tensor(at, values, size, check_invariants=True).coalesce()

    def names(self) -> list[str]:
        """Return what the features are called, in order."""
        return [" ".join(gram) for gram in self.places]
