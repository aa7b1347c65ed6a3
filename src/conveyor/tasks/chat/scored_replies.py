"""What a network replies where true replies are known, and how likely it finds those."""

import math
import random
from dataclasses import dataclass
from functools import cached_property

from conveyor.data.token_vocabulary import UNK
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.chat.chat_reading import ChatReading
from conveyor.tasks.chat.replier import Replier, reply_score
from conveyor.tasks.chat.reply_baselines import ReplyBaselines
from conveyor.tasks.chat.true_among import Numbers, Trial, drawn_trials, found_among
from conveyor.tasks.kneser_ney import bits_per_character
from conveyor.tasks.pairs.pair_examples import PairExamples
from conveyor.tasks.pairs.prepared_pairs import Asked, Sides
from conveyor.tasks.pairs.translator import Written

# So many contexts are answered, at most.
ANSWERED = 500

# What true replies are ranked by: λ of ``reply_score``, and whether length is divided by.
RANKINGS = {
    "log P(T|S)": (0.0, False),
    "log P(T|S) / |T|": (0.0, True),
    "(log P(T|S) - ½ log P(T)) / |T|": (0.5, True),
    "(log P(T|S) - log P(T)) / |T|": (1.0, True),
    "log P(T|S) - log P(T)": (1.0, False),
}
# By this the network is scored: how much likelier a reply is for what was said.
RANKED_BY = "log P(T|S) - log P(T)"


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
    def log_probabilities(self) -> Numbers:
        """log P of each true reply given what was said, [N]."""
        return self.network.log_probabilities(self.pairs).numpy()

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
    def _likelihoods(self) -> dict[tuple[int, int], tuple[float, float, int]]:
        """log P(T|S), log P(T) and |T| of each candidate of the trials."""
        pairs = self.pairs
        asked = [(trial[0], one) for trial in self.trials for one in trial]
        both = PairExamples(
            [pairs.sources[first] for first, _ in asked],
            [pairs.targets[second] for _, second in asked],
            [pairs.shown[second] for _, second in asked],
            [pairs.places[second] for _, second in asked],
        )
        given = self.network.log_probabilities(both).tolist()
        different = sorted({second for _, second in asked})
        alone = dict(
            zip(
                different,
                self.network.alone([pairs.targets[number] for number in different]).tolist(),
                strict=True,
            )
        )
        return {
            (first, second): (value, alone[second], len(pairs.targets[second]) - 1)
            for (first, second), value in zip(asked, given, strict=True)
        }

    def found_by(self, ranking: str) -> Numbers:
        """Return whether each true reply is found, 1 or 0, by one of ``RANKINGS``, [N]."""
        generic, by_length = RANKINGS[ranking]

        def score(first: int, second: int) -> float:
            given, alone, length = self._likelihoods[first, second]
            return reply_score(given, alone, length if by_length else 1, generic)

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
