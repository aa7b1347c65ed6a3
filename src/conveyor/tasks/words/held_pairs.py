"""Pairs of neighbours of a text that was held back, each with noise: what all methods are asked."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from conveyor.errors import DataError
from conveyor.tasks.results import Metric, Row
from conveyor.tasks.words.windows import blocks_of, drawn

# So many pairs are asked, at most.
MOST_PAIRS = 50_000

# The seed of the pairs and their noise.
_SEED = 2

PREFERRED = Metric(
    "auc", "true neighbours told", digits=".1f", percent=True, better="more", apart="difference"
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
    """

    words: Tensor
    contexts: Tensor
    noise: Tensor

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
        k = self.noise.shape[1]
        true = scores(self.words, self.contexts).double()
        repeated = self.words.repeat_interleave(k)
        false = scores(repeated, self.noise.flatten()).double().view(-1, k)
        higher = (true[:, None] > false).double() + 0.5 * (true[:, None] == false).double()
        nats = softplus(shift - true) + softplus(false - shift).sum(1)
        return float(higher.mean()), float(nats.mean())
