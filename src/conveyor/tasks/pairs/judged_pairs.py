"""What tasks have in common whose answers are judged by what they should be."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from conveyor.tasks.drawn_parts import TEST
from conveyor.tasks.pairs.judge import Judge
from conveyor.tasks.pairs.pair_reading import BEAM
from conveyor.tasks.pairs.pair_results import results_of
from conveyor.tasks.pairs.pair_task import PairTask
from conveyor.tasks.pairs.prepared_pairs import Asked, PairRow, Sides, asked_of, examples_of
from conveyor.tasks.pairs.scored_pairs import ScoredPairs
from conveyor.tasks.pairs.translator import Copying, Translator
from conveyor.tasks.results import Results


class JudgedPairs(PairTask):
    """A task on pairs whose score is the first metric of a judge.

    Attributes:
        judge: says how good answers are.
    """

    judge: ClassVar[Judge]

    @abstractmethod
    def baseline_answers(self) -> dict[str, list[str]]:
        """Return what each simple method answers on the test set."""

    @classmethod
    @abstractmethod
    def kept_answers(
        cls, asked: Asked, sides: Sides, fitted: Mapping[str, Any]
    ) -> dict[str, list[str]]:
        """Return what simple methods answer that learn nothing, or that a run keeps.

        Args:
            asked: what they are asked.
            sides: what the two sides of the run's pairs are.
            fitted: the result of ``fitted_on`` when the run was fitted.
        """

    @cached_property
    def _baselines(self) -> dict[str, list[str]]:
        return self.baseline_answers()

    def baselines(self) -> Mapping[str, float]:
        """Return the first metric of the baselines."""
        references = self.prepared.asked.references
        return {
            name: float(self.judge.row(answers, references)[0] or 0)
            for name, answers in self._baselines.items()
        }

    def _scored(
        self, network: Translator, beam: int, copying: Copying | None = None
    ) -> ScoredPairs:
        prepared = self.prepared
        return ScoredPairs(
            network=network,
            sides=prepared.sides,
            judge=self.judge,
            asked=prepared.asked,
            pairs=prepared.parts[TEST],
            beam=beam,
            leaks=prepared.leaks,
            copying=copying,
        )

    def score(self, network: Translator) -> float:
        """Return the first metric on the test set."""
        scored = self._scored(network, BEAM)
        return float(self.judge.row(scored.texts, scored.asked.references)[0] or 0)

    def results(self, network: Translator) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(self._scored(network, BEAM), self._baselines)

    def results_with(self, network: Translator, options: Any) -> Results:
        """Return the scores on the test set beside the baselines."""
        copying = self.copying(self.prepared.asked.shown, options, self.fitted_on())
        return results_of(self._scored(network, options.beam, copying), self._baselines)

    @classmethod
    def results_on(
        cls,
        network: Translator,
        rows: list[PairRow],
        leaks: int,
        options: Any,
        fitted_on: Mapping[str, Any] | None,
    ) -> Results:
        """Return the scores on pairs of other data."""
        asked = asked_of(rows, network.reader)
        scored = ScoredPairs(
            network=network,
            sides=cls.sides(network),
            judge=cls.judge,
            asked=asked,
            pairs=examples_of(rows, network.reader),
            beam=options.beam,
            leaks=leaks,
            copying=cls.copying(asked.shown, options, fitted_on),
        )
        return results_of(scored, cls.kept_answers(asked, cls.sides(network), fitted_on or {}))
