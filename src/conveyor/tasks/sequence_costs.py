"""What each sequence of a test set adds to a score, and how surely the score is known."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from conveyor.tasks.bootstrap import mean_interval


@dataclass(frozen=True)
class SequenceCosts:
    """What answers to some sequences cost.

    Attributes:
        costs: of each sequence, the sum over its steps, [N], float64.
        counts: its steps, or 1 where there is one answer to a sequence, [N].
    """

    costs: Tensor
    counts: Tensor

    @property
    def mean(self) -> float:
        """The score: the mean cost of an answer; less is better."""
        return float(self.costs.sum() / self.counts.sum())

    @property
    def of_each(self) -> Tensor:
        """The mean cost of the answers to each sequence, [N]."""
        return self.costs / self.counts

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """In which range the score lies in 95 of 100 samples of the sequences; None of one."""
        return None if len(self.costs) < 2 else self._interval(self.costs)

    def may_be_chance(self, others: "SequenceCosts") -> bool:
        """Return whether neither these answers nor others to the same sequences are the better
        ones in 95 of 100 samples of the sequences."""
        if len(self.costs) < 2:
            return False  # nothing is drawn: the sequence is the whole task
        low, high = self._interval(self.costs - others.costs)
        return low <= 0 <= high

    def _interval(self, costs: Tensor) -> tuple[float, float]:
        return mean_interval(costs.numpy(), self.counts.numpy())
