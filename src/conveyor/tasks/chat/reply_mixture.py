"""A network that replies, together with the words that were said and with counts of replies.

    P(w | T_<, S) = a P_network(w | T_<, S) + c P_said(w | S),  a + c = 1

P_said, a cache of words (Kuhn & De Mori 1990), repeats a word of what was said, rare ones rather:
people talk on of what was talked of, and a network that has seen a name a few times does not know
that. P_counts, an n-gram model of replies, may stand beside both, as in mixtures of language models
since Jelinek & Mercer (1980); it knows nothing of what was said, and where it is nearly all that
counts, every reply would be the same: so it is scored, and writes nothing. The weights make the
validation set likeliest.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conveyor.data.records import fits, shown
from conveyor.data.token_vocabulary import PAD, UNK
from conveyor.data.turns import TURN
from conveyor.errors import RunError
from conveyor.tasks.chat.reply_counts import ReplyCounts, counted_text
from conveyor.tasks.pairs.pair_reader import PairReader

# Rounds of expectation and maximisation, after which weights move no more that matters.
_ROUNDS = 200


class Weights(NamedTuple):
    """How much each part of a mixture says; they add up to 1."""

    network: float
    counts: float
    said: float


NETWORK_ALONE = Weights(1.0, 0.0, 0.0)


def likeliest_weights(chances: Tensor) -> tuple[float, ...]:
    """Return the weights of a mixture that make what was seen likeliest, by expectation and
    maximisation (Dempster, Laird & Rubin 1977). Each round finds how far each part is likely to be
    the one that drew each symbol; the mean is its next weight.

    Args:
        chances: the probability of each symbol by each part, [parts, N].
    """
    weights = chances.new_full((len(chances),), 1 / len(chances))
    if not chances.shape[1]:
        return tuple(weights.tolist())
    for _ in range(_ROUNDS):
        drew = weights[:, None] * chances
        weights = (drew / drew.sum(0)).mean(1)
    return tuple((weights / weights.sum()).tolist())


def turn_symbols(reader: PairReader) -> tuple[int, ...]:
    """Return the symbol that parts turns, if a reader knows one."""
    known = reader.target
    return tuple(known.numbers([TURN]).tolist()) if TURN in known else ()


class ReplyMixture(nn.Module):
    """What a network is mixed with.

    Args:
        counted: the replies of the training set, see ``counted_text``, int64 [N].
        reader: of the network.
        weights: of the network and what was said, which write.
        with_counts: of these with counts.
    """

    counted: Tensor

    def __init__(
        self,
        counted: Tensor,
        reader: PairReader,
        weights: Weights = NETWORK_ALONE,
        with_counts: Weights = NETWORK_ALONE,
    ) -> None:
        super().__init__()
        self.register_buffer("counted", counted)
        self.reader, self.weights, self.with_counts = reader, weights, with_counts

    @classmethod
    def of(cls, targets: Sequence[Tensor], reader: PairReader) -> "ReplyMixture":
        """Return the mixture of the replies of a training set, not weighted yet.

        Args:
            targets: as the reader encodes them.
            reader: of the network.
        """
        return cls(torch.from_numpy(counted_text(targets, reader.begin)), reader)

    @cached_property
    def counts(self) -> ReplyCounts:
        """The n-gram model of replies."""
        return ReplyCounts(self.counted.cpu().numpy(), self.reader)

    @cached_property
    def _not_said(self) -> Tensor:
        """The symbols that are no word: what is unknown, and what parts turns."""
        return torch.tensor([PAD, UNK, *turn_symbols(self.reader)])

    def said(self, source: Tensor) -> Tensor | None:
        """Return how likely each symbol is as a word of what was said, float64 [symbols]; None
        where no known word was said.

        Args:
            source: the numbers of its tokens, [S].
        """
        words = source[~torch.isin(source, self._not_said)]
        if not len(words):
            return None
        rarity = self.counts.rarity[words]
        chances = rarity.new_zeros(self.reader.symbols).index_add_(0, words, rarity)
        total = float(chances.sum())
        return chances / total if total else None

    def weigh(self, network: Tensor, counts: Tensor, said: Tensor) -> None:
        """Choose the weights.

        Args:
            network, counts, said: the probability of each token of the validation set by each,
                [N].
        """
        own, repeated = likeliest_weights(torch.stack([network, said]))
        self.weights = Weights(own, 0.0, repeated)
        self.with_counts = Weights(*likeliest_weights(torch.stack([network, counts, said])))

    def description(self) -> dict[str, Any]:
        """Return the weights, and how many symbols were counted."""
        return {
            "weights": list(self.weights),
            "with_counts": list(self.with_counts),
            "counted": len(self.counted),
        }

    @classmethod
    def described(cls, described: Any, where: str, reader: PairReader) -> "ReplyMixture":
        """Return the mixture of a description, before its counted symbols are filled in.

        Raises:
            RunError: it is none.
        """
        known = described if isinstance(described, Mapping) else {}
        counted = known.get("counted")
        if not isinstance(counted, int) or not 0 < counted < 1 << 40:
            raise RunError(f"{where}: mixture counts {shown(counted)} symbols; expected 1 or more.")
        weights = [_weights(known.get(name), where, name) for name in ("weights", "with_counts")]
        return cls(torch.empty(counted, dtype=torch.int64), reader, *weights)


def _weights(values: Any, where: str, name: str) -> Weights:
    """Return the weights of a file.

    Raises:
        RunError: they are no three shares of 1.
    """
    if fits(values, tuple[float, ...]) and len(values) == len(Weights._fields):
        weights = Weights(*map(float, values))
        if min(weights) >= 0 and abs(sum(weights) - 1) < 1e-6:
            return weights
    raise RunError(f"{where}: {name} is {shown(values)}; expected three shares of 1.")
