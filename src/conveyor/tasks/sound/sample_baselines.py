"""What a network that predicts samples is measured by: how often levels are, and linear prediction.

Both give every level a probability, so that their bits can be compared with a network's. They are
small, and a run keeps them for other recordings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from conveyor.data.mu_law import LEVELS, mu_law_levels, mu_law_samples
from conveyor.errors import RunError

Levels = NDArray[np.uint8]
Numbers = NDArray[np.float64]

# Samples that a sample is predicted from: as many as speech codecs take at 8 kHz.
ORDER = 16
# How loud the last samples' errors were, in so many classes, and how many samples that are.
_CLASSES, _RECENT = 16, 16
# What every difference was seen besides, so that none is impossible.
_SEEN = 0.5
# A share of the energy, added to it: silence has equations that cannot be solved.
_RIDGE = 1e-6
# Samples of a recording that are looked at at once.
_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Histogram:
    """Predicts a level by how often it was in the training set.

    Attributes:
        counts: of each level, [256].
    """

    counts: Numbers

    @classmethod
    def of(cls, recordings: Sequence[Levels]) -> "Histogram":
        """Return the histogram of recordings."""
        counts = sum(np.bincount(levels, minlength=LEVELS) for levels in recordings)
        return cls(np.asarray(counts, np.float64))

    def nats(self, levels: Levels) -> Numbers:
        """Return the nats of each sample of a recording, [N]."""
        shares = (self.counts + _SEEN) / (self.counts.sum() + _SEEN * LEVELS)
        nats: Numbers = -np.log(shares)[levels]
        return nats

    def description(self) -> list[int]:
        """Return what ``described`` reads."""
        return [int(count) for count in self.counts]

    @classmethod
    def described(cls, counts: Any) -> "Histogram":
        """Return the histogram of a description.

        Raises:
            RunError: it is none.
        """
        return cls(_array(counts, (LEVELS,)))


@dataclass(frozen=True)
class LinearPrediction:
    """Predicts a sample as a weighted sum of the 16 before it, and its level by how far levels were
    from those predictions in the training set (as lossless coders of sound do).

        p_t = Σ_k a_k x_{t-k}        P(q_t) ∝ count(q_t - level(p_t))

    The weights make the squared error least over the training set (linear predictive coding,
    Atal & Hanauer 1971). The counts may be of each class of how large the last 16 differences were:
    soft and loud stretches then have their own, as codecs that adapt.

    Attributes:
        weights: a_1 to a_16.
        bounds: between classes of the mean of the last differences, rising; empty for one class.
        counts: of each difference from -255 to 255 in each class, [classes, 511].
    """

    weights: Numbers
    bounds: Numbers
    counts: Numbers

    @classmethod
    def of(cls, recordings: Sequence[Levels], *, by_loudness: bool) -> "LinearPrediction":
        """Return the prediction that recordings teach.

        Args:
            recordings: the levels of each.
            by_loudness: whether stretches of other loudness have counts of their own.
        """
        products, right = np.zeros((ORDER, ORDER)), np.zeros(ORDER)
        for levels in recordings:
            for past, now in _stretches(levels):
                products += past.T @ past
                right += past.T @ now
        products += np.eye(ORDER) * (_RIDGE * np.trace(products) / ORDER + 1e-12)
        weights: Numbers = np.linalg.solve(products, right).astype(np.float64)
        plain = cls(weights, np.empty(0), np.zeros((1, 2 * LEVELS - 1)))
        differences = [plain._differences(levels) for levels in recordings]
        bounds = np.empty(0)
        if by_loudness:
            recent = np.concatenate([_recent(each) for each in differences])
            bounds = np.unique(np.quantile(recent, np.arange(1, _CLASSES) / _CLASSES))
        counts = np.zeros((len(bounds) + 1, 2 * LEVELS - 1))
        for each in differences:
            classes = np.searchsorted(bounds, _recent(each), side="right")
            np.add.at(counts, (classes, each + LEVELS - 1), 1)
        return cls(weights, bounds, counts)

    def _predicted(self, levels: Levels) -> NDArray[np.int64]:
        """Return the level of each prediction, [N]."""
        parts = [mu_law_levels(past @ self.weights) for past, _ in _stretches(levels)]
        return np.concatenate(parts).astype(np.int64)

    def _differences(self, levels: Levels) -> NDArray[np.int64]:
        """Return how far each level is from its prediction, [N]."""
        difference: NDArray[np.int64] = levels.astype(np.int64) - self._predicted(levels)
        return difference

    @cached_property
    def _sums(self) -> Numbers:
        """The counts up to each difference, in each class, [classes, 512]."""
        seen = np.cumsum(self.counts + _SEEN, 1)
        return np.concatenate([np.zeros((len(seen), 1)), seen], 1)

    def nats(self, levels: Levels) -> Numbers:
        """Return the nats of each sample of a recording, [N]."""
        predicted = self._predicted(levels)
        differences = levels.astype(np.int64) - predicted
        classes = np.searchsorted(self.bounds, _recent(differences), side="right")
        # Of 511 differences those that lead to a level count: from -predicted on, 256 of them.
        first = LEVELS - 1 - predicted
        of_levels = self._sums[classes, first + LEVELS] - self._sums[classes, first]
        seen = self.counts[classes, differences + LEVELS - 1] + _SEEN
        nats: Numbers = np.log(of_levels) - np.log(seen)
        return nats

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads."""
        return {
            "weights": self.weights.tolist(),
            "bounds": self.bounds.tolist(),
            "counts": [[int(count) for count in row] for row in self.counts],
        }

    @classmethod
    def described(cls, description: Any) -> "LinearPrediction":
        """Return the prediction of a description.

        Raises:
            RunError: it is none.
        """
        if not isinstance(description, Mapping):
            raise RunError("the linear prediction that a run keeps is corrupt.")
        bounds = _array(description.get("bounds"), None)
        counts = _array(description.get("counts"), (len(bounds) + 1, 2 * LEVELS - 1))
        return cls(_array(description.get("weights"), (ORDER,)), bounds, counts)


def _array(values: Any, shape: tuple[int, ...] | None) -> Numbers:
    """Return numbers of a shape; of any length where that is None.

    Raises:
        RunError: they are none.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise RunError(f"what a run keeps of its recordings is corrupt: {error}.") from error
    if array.shape != shape if shape is not None else array.ndim != 1:
        raise RunError("what a run keeps of its recordings is corrupt.")
    return array


def _recent(differences: NDArray[np.int64]) -> Numbers:
    """Return the mean size of the 16 differences before each, 0 for those before the first."""
    sums = np.cumsum(np.concatenate([[0], np.abs(differences)]))
    ends = np.arange(len(differences))
    recent: Numbers = (sums[ends] - sums[np.maximum(ends - _RECENT, 0)]) / _RECENT
    return recent


def _stretches(levels: Levels) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield, of each stretch of a recording, the 16 samples before each, the last first, [n, 16],
    and the samples, [n]. Before the recording it is silent."""
    wave = np.concatenate([np.zeros(ORDER), mu_law_samples(levels).astype(np.float64)])
    for begin in range(0, len(levels), _AT_ONCE):
        stretch = wave[begin : begin + _AT_ONCE + ORDER]
        yield sliding_window_view(stretch, ORDER)[:-1, ::-1], stretch[ORDER:]
