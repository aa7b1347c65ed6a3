"""What a network replies where true replies are known, and how likely it finds those."""

import math
import random
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from conveyor.data.token_vocabulary import UNK
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.chat.chat_reading import ChatReading
from conveyor.tasks.chat.replier import Chances, Replier, reply_score, unasked
from conveyor.tasks.chat.reply_baselines import ReplyBaselines
from conveyor.tasks.chat.reply_mixture import NETWORK_ALONE, Weights
from conveyor.tasks.chat.true_among import Numbers, Trial, drawn_trials, found_among
from conveyor.tasks.kneser_ney import bits_per_character
from conveyor.tasks.pairs.pair_examples import PairExamples
from conveyor.tasks.pairs.prepared_pairs import Asked, Sides
from conveyor.tasks.pairs.translator import Written

# So many contexts are answered, at most.
ANSWERED = 500


class Ranking(NamedTuple):
    """What true replies are ranked by: λ of ``reply_score``, whether length is divided by, and by
    what the probabilities are: the "network" alone, what was "said" with it, or "all" with counts,
    too."""

    generic: float
    by_length: bool = False
    parts: str = "said"


RANKINGS = {
    "log P(T|S)": Ranking(0.0),
    "log P(T|S) / |T|": Ranking(0.0, by_length=True),
    "(log P(T|S) - ½ log P(T)) / |T|": Ranking(0.5, by_length=True),
    "(log P(T|S) - log P(T)) / |T|": Ranking(1.0, by_length=True),
    "log P(T|S) - log P(T)": Ranking(1.0),
    "log P(T|S) - log P(T), network alone": Ranking(1.0, parts="network"),
    "log P(T|S) - log P(T), with counts": Ranking(1.0, parts="all"),
}
# By this replies are scored: how much likelier a reply is for what was said.
RANKED_BY = "log P(T|S) - log P(T)"
ALONE, COUNTED = f"{RANKED_BY}, network alone", f"{RANKED_BY}, with counts"


@dataclass(frozen=True, eq=False)
class ScoredReplies:
    """What a network replied.

    Attributes:
        network: the network.
        sides: what the two sides are.
        asked: what was said before replies, with all that was replied.
        pairs: all replies and what was said before.
        how: replies are found.
        leaks: how many of the contexts were learned from.
        simple: the baselines; None where there is nothing to learn them from.
    """

    network: Replier
    sides: Sides
    asked: Asked
    pairs: PairExamples
    how: ChatReading
    leaks: int = 0
    simple: ReplyBaselines | None = None

    @cached_property
    def _chances(self) -> list[Chances]:
        return self.network.chances(self.pairs)

    def _logs(self, weights: Weights) -> Numbers:
        return np.array([each.log_probability(weights) for each in self._chances])

    @cached_property
    def log_probabilities(self) -> Numbers:
        """log P of each true reply given what was said, [N]."""
        return self._logs(self.network.weights)

    @cached_property
    def with_counts(self) -> Numbers:
        """The same with counts of replies, [N]."""
        mixture = self.network.mixture
        return self.log_probabilities if mixture is None else self._logs(mixture.with_counts)

    @cached_property
    def by_network_alone(self) -> Numbers:
        """The same by the network without what it is mixed with, [N]."""
        return self._logs(NETWORK_ALONE)

    @property
    def is_mixed(self) -> bool:
        """Whether the network is mixed with what was said, and with counts for scores."""
        return self.network.mixture is not None

    @property
    def rankings(self) -> list[str]:
        """The names of ``RANKINGS`` that differ for this network."""
        kinds = {"said", "network", "all"} if self.is_mixed else {"said"}
        return [name for name, each in RANKINGS.items() if each.parts in kinds]

    @property
    def tokens(self) -> int:
        """The tokens of true replies, their ends counted."""
        return sum(len(target) - 1 for target in self.pairs.targets)

    @property
    def characters(self) -> int:
        """The characters of true replies, and one for the end of each."""
        return sum(len(target) + 1 for _, target in self.pairs.shown)

    def per_token(self, log_probabilities: Numbers) -> tuple[float, float]:
        """Return the perplexity of true replies, and bits per character.

        Args:
            log_probabilities: of each.
        """
        nats = -float(log_probabilities.sum()) / max(self.tokens, 1)
        return math.exp(nats), bits_per_character(nats, self.tokens, self.characters)

    @cached_property
    def trials(self) -> list[Trial]:
        """The candidates for true replies."""
        return drawn_trials(self.pairs.shown)

    @cached_property
    def _likelihoods(self) -> dict[str, dict[tuple[int, int], tuple[float, float, int]]]:
        """log P(T|S), log P(T) and |T| of each candidate of the trials, by what ``Ranking.parts``
        may be."""
        pairs, network = self.pairs, self.network
        asked = [(trial[0], one) for trial in self.trials for one in trial]
        both = PairExamples(
            [pairs.sources[first] for first, _ in asked],
            [pairs.targets[second] for _, second in asked],
            [pairs.shown[second] for _, second in asked],
            [pairs.places[second] for _, second in asked],
        )
        given = network.chances(both)
        different = sorted({second for _, second in asked})
        blind = network.chances(unasked([pairs.targets[number] for number in different]))
        alone = dict(zip(different, blind, strict=True))
        weights = {"network": NETWORK_ALONE, "said": network.weights}
        if network.mixture is not None:
            weights["all"] = network.mixture.with_counts
        return {
            name: {
                (first, second): (
                    chances.log_probability(each),
                    alone[second].log_probability(each),
                    len(pairs.targets[second]) - 1,
                )
                for (first, second), chances in zip(asked, given, strict=True)
            }
            for name, each in weights.items()
        }

    def found_by(self, name: str) -> Numbers:
        """Return whether each true reply is found, 1 or 0, by one of ``RANKINGS``, [N]."""
        ranking = RANKINGS[name]
        likelihoods = self._likelihoods[ranking.parts]

        def score(first: int, second: int) -> float:
            given, alone, length = likelihoods[first, second]
            return reply_score(given, alone, length if ranking.by_length else 1, ranking.generic)

        return found_among(self.trials, score)

    @cached_property
    def found(self) -> Numbers:
        """Whether each true reply is found by ``RANKED_BY``, [N]."""
        return self.found_by(RANKED_BY)

    @cached_property
    def answered(self) -> list[int]:
        """The numbers of the contexts that are answered."""
        count = len(self.asked)
        return sorted(random.Random(0).sample(range(count), min(ANSWERED, count)))

    @cached_property
    def written(self) -> list[Written]:
        """What was replied to each of ``answered``."""
        return [
            self.network.replies(self.asked.sources[number], self.how)[0]
            for number in self.answered
        ]

    @cached_property
    def retrieved(self) -> list[str] | None:
        """What retrieval replies to each of ``answered``."""
        if self.simple is None:
            return None
        return [self.simple.retrieved(self.asked.shown[number]) for number in self.answered]

    @property
    def unknown(self) -> float:
        """The share of true replies' tokens that the network does not know."""
        unknown = sum(int((target == UNK).sum()) for target in self.pairs.targets)
        return unknown / max(self.tokens, 1)


def found_interval(found: Numbers) -> tuple[float, float]:
    """Return in which range the share of found ones lies in 95 of 100 samples."""
    return interval_of(bootstrap_draws(len(found)) @ found / len(found))


def cut_share(written: list[Written]) -> float:
    """Return the share of replies that were cut off."""
    return sum(not each.finished for each in written) / max(len(written), 1)
