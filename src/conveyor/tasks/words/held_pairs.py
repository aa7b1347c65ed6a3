"""Pairs of neighbours of a text that was held back, each with noise: what all methods are asked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from conveyor.errors import DataError
from conveyor.tasks.bootstrap import Counts, bootstrap_draws
from conveyor.tasks.results import Metric, Row
from conveyor.tasks.words.windows import blocks_of, drawn

# So many pairs are asked, at most.
MOST_PAIRS = 50_000

# A text is sampled in so many stretches, at most.
_MOST_STRETCHES = 500

# The seed of the pairs and their noise.
_SEED = 2

PREFERRED = Metric(
    "auc", "true neighbours found", digits=".1f", percent=True, better="more", apart="difference"
)
NATS = Metric("nats_per_pair", "nats per pair", "nats per pair", ".3f", apart="difference")

# A function that scores pairs of words and neighbours, both int64 [N].
Scorer = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class HeldPairs:
    """Pairs that are asked.

    Args:
        words: the numbers of words, int64 [N].
        contexts: of a true neighbour of each, int64 [N].
        noise: of k noise words for each, int64 [N, k].
        stretches: in which stretch of the text each is, int64 [N], from 0 on; None for each in one
            of its own.
    """

    words: Tensor
    contexts: Tensor
    noise: Tensor
    stretches: Tensor | None = None

    @staticmethod
    def of(
        numbers: Tensor, kept: Tensor, noise: Tensor, *, window: int, negative: int
    ) -> "HeldPairs":
        """Return pairs of a text, drawn as training draws them, the same each time.

        Args:
            numbers: of the words, int64 [N]; V is a boundary.
            kept: the share of each word's places that is kept, float [V].
            noise: the probability of each word as noise, [V].
            window: the largest window.
            negative: k.

        Raises:
            DataError: there is no pair.
        """
        draw = torch.Generator().manual_seed(_SEED)
        blocks = blocks_of(numbers, kept, window=window, draw=draw)
        row, centre, place = blocks.near.nonzero(as_tuple=True)
        if not len(row):
            raise DataError(
                "no two words with a vector are neighbours in the text that is scored. Give a "
                "longer text."
            )
        chosen = torch.randperm(len(row), generator=draw)[:MOST_PAIRS]
        row, centre, place = row[chosen], centre[chosen], place[chosen]
        return HeldPairs(
            blocks.centres[row, centre],
            blocks.numbers[row, place],
            drawn(noise.cumsum(0), (len(row), negative), draw),
            _stretches(row * blocks.centres.shape[1] + centre),
        )

    def __len__(self) -> int:
        return len(self.words)

    def row(self, scores: Scorer, shift: float = 0.0) -> Row:
        """Return how often a true neighbour has a higher score than noise (the area under the ROC
        curve, pair by pair; equal scores count half), and the nats per pair.

        Args:
            scores: scores pairs.
            shift: taken from each score, to make it the logarithm of odds.
        """
        true, false = self._scored(scores)
        nats = softplus(shift - true) + softplus(false - shift).sum(1)
        return float(_higher(true, false).mean()), float(nats.mean())

    def samples(self, scores: Scorer) -> Counts:
        """Return how often a true neighbour has a higher score than noise, of samples of the
        stretches of the text, the same samples for each scorer, [samples].

        Args:
            scores: scores pairs.
        """
        higher = _higher(*self._scored(scores))
        stretches = torch.arange(len(self)) if self.stretches is None else self.stretches
        told = torch.bincount(stretches, higher).numpy()
        pairs = torch.bincount(stretches).numpy()
        draws = bootstrap_draws(len(pairs))
        share: Counts = (draws @ told) / (draws @ pairs)
        return share

    def _scored(self, scores: Scorer) -> tuple[Tensor, Tensor]:
        """Return the scores of true neighbours, [N], and of noise, [N, k]."""
        k = self.noise.shape[1]
        true = scores(self.words, self.contexts).double()
        repeated = self.words.repeat_interleave(k)
        return true, scores(repeated, self.noise.flatten()).double().view(-1, k)


def _higher(true: Tensor, false: Tensor) -> Tensor:
    """Return how often true neighbours have higher scores than their noise, [N]."""
    higher = (true[:, None] > false).double() + 0.5 * (true[:, None] == false).double()
    return higher.mean(1)


def _stretches(places: Tensor) -> Tensor:
    """Return the stretch of each pair: those of a word together, and of a long text those of many
    words in a row, for neighbouring pairs share words.

    Args:
        places: of the word of each pair in the text, int64 [N].
    """
    different, numbers = np.unique(places.numpy(), return_inverse=True)
    return torch.from_numpy(numbers * min(len(different), _MOST_STRETCHES) // len(different))
