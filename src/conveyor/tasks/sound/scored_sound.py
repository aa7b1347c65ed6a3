"""What a network of samples says of recordings, beside baselines."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.bootstrap import mean_interval
from conveyor.tasks.sound.prepared_sound import SoundPart
from conveyor.tasks.sound.sample_baselines import Histogram, LinearPrediction
from conveyor.tasks.sound.sample_model import SampleModel

Numbers = NDArray[np.float64]

HISTOGRAM, LINEAR, ADAPTED = "histogram", "linear prediction", "linear prediction by loudness"

# So many samples of a part are scored, at most: some minutes of a processor.
MOST_SCORED = 4_000_000


@dataclass(frozen=True)
class SoundBaselines:
    """The methods that a network is measured by.

    Attributes:
        histogram: how often levels are.
        linear: linear prediction.
        adapted: the same with counts for each loudness.
    """

    histogram: Histogram
    linear: LinearPrediction
    adapted: LinearPrediction

    @classmethod
    def of(cls, known: SoundPart) -> "SoundBaselines":
        """Return what the training set teaches."""
        levels = scored_levels(known)
        return cls(
            Histogram.of(levels),
            LinearPrediction.of(levels, by_loudness=False),
            LinearPrediction.of(levels, by_loudness=True),
        )

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads, as JSON holds it."""
        return {
            "histogram": self.histogram.description(),
            "linear": self.linear.description(),
            "adapted": self.adapted.description(),
        }

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> "SoundBaselines":
        """Return the methods of a description.

        Raises:
            RunError: it is none.
        """
        return cls(
            Histogram.described(description.get("histogram")),
            LinearPrediction.described(description.get("linear")),
            LinearPrediction.described(description.get("adapted")),
        )

    def nats(self, part: list[NDArray[np.uint8]]) -> dict[str, list[Numbers]]:
        """Return the nats of each sample of recordings, by method."""
        methods: dict[str, Histogram | LinearPrediction] = {
            ADAPTED: self.adapted,
            LINEAR: self.linear,
            HISTOGRAM: self.histogram,
        }
        return {name: [each.nats(levels) for levels in part] for name, each in methods.items()}


def scored_levels(part: SoundPart) -> list[NDArray[np.uint8]]:
    """Return the levels of recordings, of a large part the first ``MOST_SCORED``."""
    kept, left = [], MOST_SCORED
    for levels in part.levels:
        if left:
            kept.append(levels[:left])
            left -= len(kept[-1])
    return kept


@dataclass(frozen=True)
class ScoredSound:
    """What a network says of recordings, beside baselines.

    Attributes:
        network: the network.
        part: the recordings.
        beside: the baselines.
        leaks: how many of the recordings were learned from.
    """

    network: SampleModel
    part: SoundPart
    beside: SoundBaselines
    leaks: int

    @cached_property
    def levels(self) -> list[NDArray[np.uint8]]:
        """The levels that are scored, of each recording."""
        return scored_levels(self.part)

    @cached_property
    def ours(self) -> list[Numbers]:
        """The nats of each sample, of each recording."""
        return [self.network.nats(levels) for levels in self.levels]

    @cached_property
    def theirs(self) -> dict[str, list[Numbers]]:
        """The same of each baseline, by its name."""
        return self.beside.nats(self.levels)

    @cached_property
    def sample_count(self) -> int:
        """How many samples are scored."""
        return sum(map(len, self.levels))

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """In which range the bits of 95 of 100 samples of these recordings lie; None of one."""
        return self._interval(self.ours)

    def alike(self, baseline: str) -> bool:
        """Return whether the distance of a baseline to the network may be chance."""
        apart = [a - b for a, b in zip(self.ours, self.theirs[baseline], strict=True)]
        interval = self._interval(apart)
        return interval is not None and interval[0] <= 0 <= interval[1]

    def _interval(self, nats: list[Numbers]) -> tuple[float, float] | None:
        if len(nats) < 2:
            return None
        bits = np.array([each.sum() for each in nats]) / math.log(2)
        return mean_interval(bits, np.array([len(each) for each in nats]))
