"""How the errors of the steps of a forecast go together, so that whole futures can be drawn.

Bands say what each step may be, not whether a future that is high tomorrow is high the day after,
too. That is what the errors of past forecasts show: of each forecast all steps together (the
copula of Schefzik, Thorarinsdottir & Gneiting 2013, Uncertainty quantification in complex
simulation models using ensemble copula coupling, in its Gaussian form).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.errors import SettingError

Numbers = NDArray[np.float64]

# Correlations are kept to so many decimals: those of 168 steps are 28,000 numbers.
_DECIMALS = 4


@dataclass(frozen=True)
class Dependence:
    """How errors of steps ahead go together.

    Attributes:
        correlations: of the normal scores of the errors, [horizon, horizon].
        windows: of how many forecasts that do not overlap.
    """

    correlations: tuple[tuple[float, ...], ...]
    windows: float

    def __post_init__(self) -> None:
        size = len(self.correlations)
        numbers = [number for row in self.correlations for number in row]
        square = {len(row) for row in self.correlations} == {size}
        if not square or not all(abs(number) <= 1 for number in numbers) or not self.windows >= 0:
            raise SettingError("the correlations of the steps ahead are none.")

    def __deepcopy__(self, memo: object) -> "Dependence":
        """Return the record itself, which never changes."""
        return self

    def scores(self, count: int, draw: np.random.Generator) -> Numbers:
        """Return normal scores of errors, [count, horizon], correlated as these were.

        Args:
            count: how many futures.
            draw: where random numbers come from.
        """
        values, vectors = np.linalg.eigh(np.array(self.correlations))
        # Rounding leaves numbers a little below 0, and a diagonal that is a little off.
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
        factor /= np.sqrt(np.square(factor).sum(1, keepdims=True))
        return np.asarray(draw.standard_normal((count, len(values))) @ factor.T)


def dependence_of(deviations: Sequence[Numbers]) -> Dependence | None:
    """Return how errors of steps ahead go together; None without two whole forecasts.

    Few forecasts say little about many pairs of steps. So the correlations of the normal scores are
    drawn towards their mean, with the weight of horizon / (horizon + n) where n forecasts do not
    overlap (a constant correlation as target: Ledoit & Wolf 2004, Honey, I shrunk the sample
    covariance matrix): the sum over all steps varies as much as it did.

    Args:
        deviations: of each series, how far truths were from the middle of their forecasts, in units
            of the band, [windows, horizon]; NaN where a truth is missing.
    """
    whole = [rows[~np.isnan(rows).any(1)] for rows in deviations]
    together = np.concatenate(whole)
    count, horizon = together.shape
    if count < 2:
        return None
    apart = sum(max(len(rows) / horizon, 1.0) for rows in whole if len(rows))
    scores = np.stack([_normal_scores(column) for column in together.T], 1)
    sizes = np.sqrt(np.square(scores).sum(0))
    scaled = scores / np.where(sizes > 0, sizes, 1.0)
    correlation = scaled.T @ scaled
    between = ~np.eye(horizon, dtype=bool)
    mean = correlation[between].mean() if horizon > 1 else 0.0
    weight = horizon / (horizon + apart)
    shrunk = np.where(between, (1 - weight) * correlation + weight * mean, 1.0)
    rounded = np.round(shrunk.clip(-1, 1), _DECIMALS)
    return Dependence(tuple(map(tuple, rounded.tolist())), float(apart))


def _normal_scores(values: Numbers) -> Numbers:
    """Return the normal scores of the ranks of values, [n]; equal values have their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return normal_quantiles((ranks[place] - 0.5) / len(values))


def normal_quantiles(shares: Numbers) -> Numbers:
    """Return the quantiles of the standard normal distribution, [...]."""
    return np.asarray(torch.special.ndtri(torch.as_tensor(shares, dtype=torch.float64)).numpy())
