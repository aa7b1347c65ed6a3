"""What says how good answers are: the contract between a task on pairs and its report."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from conveyor.tasks.bootstrap import Counts, bootstrap_draws, interval_of
from conveyor.tasks.results import Metric, Row

PERPLEXITY = Metric("perplexity", "perplexity", digits=".2f")


class Judge(ABC):
    """Says how good answers are beside what they should be.

    Attributes:
        metrics: the first decides who wins; perplexity comes after them.
    """

    metrics: ClassVar[tuple[Metric, ...]]

    @abstractmethod
    def counts(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return what the first metric is made of, for each answer, [N, K].

        Args:
            answers: N texts.
            references: of each, one or more.
        """

    @abstractmethod
    def of_counts(self, sums: Counts) -> Counts:
        """Return the first metric of sums of ``counts``, [..., K]."""

    @abstractmethod
    def row(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Row:
        """Return the values of ``metrics``."""

    @abstractmethod
    def quality(self, answer: str, references: Sequence[str]) -> float:
        """Return how good one answer is, by which the best and the worst are shown; more is
        better."""

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The metrics with perplexity."""
        return (*self.metrics, PERPLEXITY)

    def interval(
        self, answers: Sequence[str], references: Sequence[Sequence[str]]
    ) -> tuple[float, float]:
        """Return in which range the first metric lies in 95 of 100 samples of what was asked (Koehn
        2004, Statistical significance tests for machine translation evaluation)."""
        counts = self.counts(answers, references)
        return interval_of(self.of_counts(bootstrap_draws(len(counts)) @ counts))
