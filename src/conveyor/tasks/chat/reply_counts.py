"""How likely replies are by counting runs of tokens in those that were learned from."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.tasks.kneser_ney import KneserNey
from conveyor.tasks.pairs.pair_reader import PairReader

# Tokens of a gram.
ORDER = 5

Numbers = NDArray[np.float64]


def counted_text(targets: Sequence[Tensor], begin: int) -> NDArray[np.int64]:
    """Return replies as one text. Before each stand so many beginnings that no gram holds the reply
    before it.

    Args:
        targets: each with the symbols that begin and end it.
        begin: the symbol that begins a reply.
    """
    before = np.full(ORDER - 2, begin)
    return np.concatenate([part for each in targets for part in (before, each.numpy())])


class ReplyCounts:
    """How likely replies are by an n-gram model of replies alone, with modified Kneser-Ney
    smoothing; on the tokens that the network writes, with the end of each.

    Args:
        text: the replies of the training set, see ``counted_text``.
        reader: of the network.

    Raises:
        DataError: the text holds a symbol that is none.
    """

    def __init__(self, text: NDArray[np.int64], reader: PairReader) -> None:
        self._text, self._reader = text, reader
        self._model = KneserNey(text, ORDER, reader.symbols)

    def probabilities(self, targets: Sequence[Tensor]) -> list[Numbers]:
        """Return the probability of each token of each reply and of its end, [T - 1] for each."""
        if not targets:
            return []
        chances = self._model.probabilities(counted_text(targets, self._reader.begin))
        ends = np.cumsum([ORDER - 2 + len(each) for each in targets])
        return [chances[end - len(each) + 1 : end] for end, each in zip(ends, targets, strict=True)]

    def log_probabilities(self, targets: Sequence[Tensor]) -> Numbers:
        """Return log P of each reply, its end counted, [N]."""
        return np.array([float(np.log(each).sum()) for each in self.probabilities(targets)])

    @cached_property
    def rarity(self) -> Tensor:
        """How rare each symbol is in replies, ln((1 + N) / (1 + n)) where n of all N replies have
        it, float64 [symbols]."""
        replies = np.cumsum(self._text == self._reader.end)
        symbols = self._reader.symbols
        in_one = np.unique(replies * symbols + self._text) % symbols
        holding = np.bincount(in_one, minlength=symbols)
        return torch.from_numpy(np.log((1 + replies[-1]) / (1 + holding)))
