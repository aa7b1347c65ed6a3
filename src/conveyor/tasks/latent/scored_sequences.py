"""How well sequences are known to a network with latent values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from conveyor.networks.latent_sequences import Drawn
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.sequence_costs import SequenceCosts

# Steps that fewer of the sequences have are not told about: their means are of too few.
_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class ScoredSequences:
    """Sequences as a network finds them.

    Attributes:
        network: the network.
        examples: the sequences.
        draws: of the latent values of each, for the estimate.
    """

    network: LatentModel
    examples: SequenceExamples
    draws: int

    @cached_property
    def _scored(self) -> list[tuple[Drawn, float]]:
        return self.network.scored(self.examples, self.draws)

    @property
    def drawn(self) -> list[Drawn]:
        """The first draw of each sequence."""
        return [drawn for drawn, _ in self._scored]

    @property
    def nats(self) -> list[float]:
        """The estimated nats of each sequence."""
        return [-log_density for _, log_density in self._scored]

    @cached_property
    def _counts(self) -> list[int]:
        per_sequence = self.network.kind.per_sequence
        return [1 if per_sequence else length for length in self.examples.lengths]

    def _mean(self, sums: list[float]) -> float:
        return sum(sums) / sum(self._counts)

    @property
    def estimate(self) -> float:
        """The estimated nats of a step or a sequence."""
        return self._mean(self.nats)

    @property
    def bound(self) -> float:
        """The bound on the nats of a step or a sequence, of one draw."""
        return self._mean([float(each.bound.double().sum()) for each in self.drawn])

    @property
    def divergence(self) -> float:
        """The part of the bound that is the divergence."""
        return self._mean([float(each.divergence.double().sum()) for each in self.drawn])

    def _costs(self, nats: Sequence[float]) -> SequenceCosts:
        return SequenceCosts(
            torch.tensor(nats, dtype=torch.float64),
            torch.tensor(self._counts, dtype=torch.float64),
        )

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """In which range the estimate lies in 95 of 100 samples of the sequences; None of one."""
        return self._costs(self.nats).interval

    def may_be_chance(self, others: Sequence[float]) -> bool:
        """Return whether neither the network nor another method is the better one in 95 of 100
        samples of the sequences.

        Args:
            others: the nats of the other method, of all steps of each sequence.
        """
        if len(self.examples) < 2:
            return True
        return self._costs(self.nats).may_be_chance(self._costs(others))

    @property
    def divergence_by_step(self) -> Tensor:
        """The divergence at each step, the mean over the sequences that have it, [T]; of steps that
        a quarter of all sequences have, or more."""
        return self._by_step([each.divergence for each in self.drawn])

    @property
    def losses_by_step(self) -> Tensor:
        """The nats of each step given its latent values, as ``divergence_by_step`` has them."""
        return self._by_step([each.losses for each in self.drawn])

    def _by_step(self, values: list[Tensor]) -> Tensor:
        steps = max(map(len, values))
        total, count = torch.zeros(2, steps).double()
        for each in values:
            total[: len(each)] += each.double()
            count[: len(each)] += 1
        often = count >= _SHARE * len(values)
        mean: Tensor = total[often] / count[often]
        return mean
