"""What a network wrote of sources whose targets are known, and how good that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from conveyor.data.token_vocabulary import unknown_counts
from conveyor.tasks.pairs.judge import Judge
from conveyor.tasks.pairs.pair_examples import PairExamples
from conveyor.tasks.pairs.prepared_pairs import Asked, Sides
from conveyor.tasks.pairs.translator import Copying, Translator, Written

# A run of so many tokens that an answer holds twice is a repetition.
REPEATED = 4


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """What a network wrote.

    Attributes:
        network: the network.
        sides: what the two sides are.
        judge: says how good answers are.
        asked: the sources, with all their targets.
        pairs: all pairs of these.
        beam: targets that were kept in mind.
        leaks: how many of the sources were learned from.
        copying: what stands for unknown tokens; None where none is written.
    """

    network: Translator
    sides: Sides
    judge: Judge
    asked: Asked
    pairs: PairExamples
    beam: int
    leaks: int = 0
    copying: Copying | None = None

    def _write(self, beam: int) -> list[Written]:
        best = self.network.write(self.asked.sources, beam=beam, copying=self.copying)
        return [each[0] for each in best]

    @property
    def copied(self) -> int:
        """How many tokens are copies, for the network does not know them."""
        return sum(each.copied for each in self.written)

    @cached_property
    def written(self) -> list[Written]:
        """What the search found for each source."""
        return self._write(self.beam)

    @cached_property
    def greedy(self) -> list[Written]:
        """What was found with one target kept in mind."""
        if self.beam == 1:
            return self.written
        return self._write(1)

    @property
    def texts(self) -> list[str]:
        """The texts of ``written``."""
        return [each.text for each in self.written]

    @cached_property
    def perplexity(self) -> float:
        """exp of the mean nats of a true token, the end counted, and not smoothed."""
        tokens = sum(len(target) - 1 for target in self.pairs.targets)
        nats = -self.network.log_probabilities(self.pairs).sum() / max(tokens, 1)
        return float(torch.exp(nats))

    @cached_property
    def _may_repeat(self) -> list[bool]:
        """Whether any right answer to each source repeats itself."""
        tokens = self.network.reader.target.tokenizer.tokens
        return [any(_repeats(tokens(text)) for text in right) for right in self.asked.references]

    def repeated_share(self, written: Sequence[Written]) -> float:
        """Return the share of answers that hold a run of ``REPEATED`` tokens twice, where no right
        one does."""
        pairs = zip(written, self._may_repeat, strict=True)
        repeated = sum(_repeats(each.tokens) and not may for each, may in pairs)
        return repeated / max(len(written), 1)

    @property
    def unknown(self) -> float:
        """The share of the sources' tokens that the network does not know."""
        tokens = sum(map(len, self.asked.sources))
        return int(unknown_counts(self.asked.sources).sum()) / max(tokens, 1)


def cut_share(written: Sequence[Written]) -> float:
    """Return the share of answers that were cut off at the greatest length."""
    return sum(not each.finished for each in written) / max(len(written), 1)


def _repeats(tokens: Sequence[str]) -> bool:
    runs = [tuple(tokens[place : place + REPEATED]) for place in range(len(tokens) - REPEATED + 1)]
    return len(set(runs)) < len(runs)
