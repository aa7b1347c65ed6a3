"""The scales of a forecaster's inputs and outputs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.errors import DataError, SettingError

# The network computes in float32, whose smallest normal number is 1.2e-38. The square of this
# number, 1e-36, is still above it.
_SMALLEST = 1e-18


@dataclass(frozen=True)
class Scale:
    """The shift and the factor of each column, fitted on training rows only.

    The network reads a column as ``(value - centre) / spread``. It predicts a target as the
    difference from the last value of the window, in units of ``change``: the root mean square of
    the differences of values that are at most a horizon apart.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    change: tuple[float, ...]

    @staticmethod
    @np.errstate(over="ignore")  # a scale that overflows raises an error below
    def fit(train: NDArray[np.float64], names: list[str], targets: int, horizon: int) -> "Scale":
        """Fit the scales on training rows.

        Args:
            train: the rows, [T, K], whose first ``targets`` columns are forecast.
            names: the names of the columns.
            targets: the number of targets.
            horizon: the number of steps ahead.

        Raises:
            DataError: a column has no value, a target is constant, or a column's changes are too
                large or too small for float32.
        """
        for column, name in enumerate(names):
            if np.isnan(train[:, column]).all():
                raise DataError(f"column {name} has no value in the training part.")
        centre, spread = np.nanmean(train, 0), np.nanstd(train, 0)
        change = []
        for column in range(targets):
            series = train[:, column]
            if not np.nanmax(series) > np.nanmin(series):
                raise DataError(
                    f"column {names[column]} is {series[~np.isnan(series)][0]:g} in the whole "
                    "training part: a constant series cannot be learned from."
                )
            steps = range(1, min(horizon, len(series) - 1) + 1)
            moves = np.concatenate([series[k:] - series[:-k] for k in steps])
            seen = moves[~np.isnan(moves)]
            # If no two values are within a horizon of each other, the spread takes its place.
            moved = float(np.sqrt(np.mean(np.square(seen)))) if len(seen) else 0.0
            change.append(moved if moved > 0 else float(spread[column]))
        # A covariate that never changes carries no information and becomes 0. Because of rounding
        # its standard deviation may be a little above 0, so that it must not divide.
        varies = np.nanmax(train, 0) > np.nanmin(train, 0)
        spread = np.where(varies, spread, 1.0)
        for name, factor in zip(names * 2, (*spread, *change), strict=False):
            if not _SMALLEST < factor < LARGEST:
                raise DataError(
                    f"column {name} changes by about {factor:g}: beyond what float32 computes "
                    "with. Give it in another unit."
                )
        return Scale(tuple(map(float, centre)), tuple(map(float, spread)), tuple(change))

    def __post_init__(self) -> None:
        usable = all(_SMALLEST < factor < LARGEST for factor in (*self.spread, *self.change))
        if not usable or not all(abs(centre) < LARGEST for centre in self.centre):
            raise SettingError("a scale is not finite, or beyond what float32 computes with.")
