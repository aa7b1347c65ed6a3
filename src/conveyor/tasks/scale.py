"""The units in which a forecaster reads and writes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.errors import DataError


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
    def fit(train: NDArray[np.float64], names: list[str], targets: int, horizon: int) -> "Scale":
        """Fit on [T, K] training rows, whose first ``targets`` columns are forecast.

        Raises:
            DataError: a target does not change there.
        """
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
            squares = [np.nanmean(np.square(series[k:] - series[:-k])) for k in steps]
            change.append(float(np.sqrt(np.nanmean(squares))))
        # A covariate that never changes tells nothing: it becomes 0.
        return Scale(
            tuple(float(each) for each in centre),
            tuple(float(each) if each > 0 else 1.0 for each in spread),
            tuple(change),
        )
