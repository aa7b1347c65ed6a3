"""How likely a writer finds the strokes of texts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from conveyor.tasks.bootstrap import mean_interval
from conveyor.tasks.write.pen_examples import PenExamples
from conveyor.tasks.write.writer import Writer


@dataclass(frozen=True, eq=False)
class ScoredStrokes:
    """Texts as a network finds them.

    Attributes:
        network: the network.
        examples: the texts.
    """

    network: Writer
    examples: PenExamples

    @cached_property
    def nats(self) -> list[Tensor]:
        """The nats of each movement of each text, [T]."""
        return self.network.nats(self.examples)

    @property
    def mean(self) -> float:
        """The nats of a movement, the mean over all movements."""
        total = sum(float(each.double().sum()) for each in self.nats)
        return total / sum(self.examples.lengths)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """In which range the mean lies in 95 of 100 samples of the texts; None of one text."""
        if len(self.examples) < 2:
            return None
        sums = np.array([float(each.double().sum()) for each in self.nats])
        return mean_interval(sums, np.array([len(each) for each in self.nats]))
