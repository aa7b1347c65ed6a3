"""Forecasts without a network, which a model has to beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.forecast.theta import theta_forecasts, theta_of_several

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Pasts:
    """What is known at each origin: all rows before it.

    Attributes:
        columns: the targets, [T, targets], without missing values.
        origins: the row after the past of each forecast, at least one season.
        horizon: how many steps ahead.
        season: in steps; 1 for none.
    """

    columns: Numbers
    origins: Sequence[int]
    horizon: int
    season: int

    def rows(self, first: int, last: int) -> Numbers:
        """Return rows of every past, counted from its origin: [origins, last - first, targets]."""
        rows = np.array(self.origins, dtype=int)[:, None] + np.arange(first, last)
        return np.asarray(self.columns[rows])


def naive(pasts: Pasts) -> Numbers:
    """Return the last value, for every step ahead."""
    return np.repeat(pasts.rows(-1, 0), pasts.horizon, axis=1)


def seasonal_naive(pasts: Pasts) -> Numbers:
    """Return, for every step ahead, the value of the same step in the last season."""
    past = pasts.rows(-pasts.season, 0)
    return past[:, np.arange(pasts.horizon) % pasts.season]


def drift(pasts: Pasts) -> Numbers:
    """Return the line through the first and the last value, continued (Hyndman & Athanasopoulos,
    Forecasting: principles and practice, 3rd ed., section 5.2)."""
    last, steps = pasts.rows(-1, 0), np.array(pasts.origins) - 1
    slope = (last - pasts.columns[0]) / np.maximum(steps, 1)[:, None, None]
    return np.asarray(last + slope * np.arange(1, pasts.horizon + 1)[:, None])


def theta(pasts: Pasts) -> Numbers:
    """Return the Theta method's forecasts, see ``theta_forecasts``."""
    columns = [
        theta_forecasts(column, pasts.origins, horizon=pasts.horizon, season=pasts.season)
        for column in pasts.columns.T
    ]
    return np.stack(columns, axis=-1)


def theta_of_groups(pasts_of: Sequence[Pasts]) -> list[Numbers]:
    """Return the Theta method's forecasts of several groups, all of their series together, see
    ``theta_of_several``."""
    first = pasts_of[0]
    several = [(column, pasts.origins) for pasts in pasts_of for column in pasts.columns.T]
    answers = theta_of_several(several, horizon=first.horizon, season=first.season)
    count = first.columns.shape[1]
    return [
        np.stack(answers[number : number + count], axis=-1)
        for number in range(0, len(answers), count)
    ]


NAIVE, SEASONAL, DRIFT, THETA = "naive", "seasonal naive", "drift", "Theta"

# By the names that tables give them; each returns [origins, horizon, targets].
BASELINES: dict[str, Callable[[Pasts], Numbers]] = {
    NAIVE: naive,
    SEASONAL: seasonal_naive,
    DRIFT: drift,
    THETA: theta,
}
