"""A series of numbers in a few numbers: what a classifier without memory sees of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from conveyor.networks.kept_arrays import array_of
from conveyor.tasks.known_keys import FITTED_ON


@dataclass(frozen=True)
class SummaryOfSeries:
    """The summaries of series, each number scaled by those of the training set.

    Attributes:
        mean: of each number of a summary over the training set, float64 [F].
        deviation: the standard deviation of each; 1 where it is 0.
    """

    reads: ClassVar[str] = "series"
    names: ClassVar[tuple[str, ...]] = ()  # nothing that people could read

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def of(series: Sequence[Tensor]) -> "SummaryOfSeries":
        """Return the scales of the summaries of some series, each [T, columns]."""
        summaries = _summaries(series)
        deviation = summaries.std(0, correction=0)
        return SummaryOfSeries(summaries.mean(0), deviation.where(deviation > 0, 1.0))

    def features(self, examples: Sequence[Tensor]) -> Tensor:
        """Return the scaled summaries of series, float64 [N, F].

        Args:
            examples: the series, each [T, columns].
        """
        return (_summaries(examples) - self.mean) / self.deviation

    @property
    def count(self) -> int:
        """How many numbers a summary has."""
        return len(self.mean)

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads."""
        return {
            "reads": self.reads,
            "mean": self.mean.numpy(),
            "deviation": self.deviation.numpy(),
        }

    @staticmethod
    def described(described: Mapping[str, Any]) -> "SummaryOfSeries":
        """Return the summaries of a description.

        Args:
            described: see ``description``.

        Raises:
            RunError: the description is none.
        """
        mean = array_of(described, "mean", (None,), np.float64, FITTED_ON)
        deviation = array_of(described, "deviation", mean.shape, np.float64, FITTED_ON)
        return SummaryOfSeries(torch.from_numpy(mean), torch.from_numpy(deviation))


def _summaries(series: Sequence[Tensor]) -> Tensor:
    return torch.stack([summary(each) for each in series])


def summary(sequence: Tensor) -> Tensor:
    """Return the mean, the standard deviation, and the first and the last value of each feature of
    a sequence [T, features], side by side, float64."""
    values = sequence.double()
    return torch.cat([values.mean(0), values.std(0, correction=0), values[0], values[-1]])
