"""The units in which a forecaster reads and writes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.errors import DataError, SettingError

# The network computes in float32, which holds 1.2e-38 to 3.4e38; its squares need room too.
_SMALLEST = 1e-18


@dataclass(frozen=True)
class Scale:
    """Shifts and factors of each column, fitted on training rows only.

    A column is ``(value - centre) / spread``; a target in a window is measured from its last
    value, in units of ``change``: the root mean square of how far the series moves within the
    horizon.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    change: tuple[float, ...]

    @staticmethod
    @np.errstate(over="ignore")  # what overflows is refused below
    def fit(train: NDArray[np.float64], names: list[str], targets: int, horizon: int) -> "Scale":
        """Fit on [T, K] training rows, whose first ``targets`` columns are forecast.

        Raises:
            DataError: a target does not change there.
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
            # Where no two values lie within a horizon, the series' own spread must do.
            moved = float(np.sqrt(np.mean(np.square(seen)))) if len(seen) else 0.0
            change.append(moved if moved > 0 else float(spread[column]))
        # A covariate that never changes tells nothing: it becomes 0. Its deviation, computed, may
        # be a little above 0.
        varies = np.nanmax(train, 0) > np.nanmin(train, 0)
        spread = np.where(varies, spread, 1.0)
        for name, each in zip(names * 2, (*spread, *change), strict=False):
            if not _SMALLEST < each < LARGEST:
                raise DataError(
                    f"column {name} changes by about {each:g}: beyond what float32 computes with. "
                    "Give it in another unit."
                )
        return Scale(tuple(map(float, centre)), tuple(map(float, spread)), tuple(change))

    def __post_init__(self) -> None:
        usable = all(_SMALLEST < each < LARGEST for each in (*self.spread, *self.change))
        if not usable or not all(abs(each) < LARGEST for each in self.centre):
            raise SettingError("a scale is not finite, or beyond what float32 computes with.")
