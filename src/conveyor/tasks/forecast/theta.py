"""The Theta method: simple exponential smoothing and half the slope, with the season taken out.

Assimakopoulos & Nikolopoulos 2000, The theta model: a decomposition approach to forecasting; in the
form of Hyndman & Billah 2003, Unmasking the Theta method. Whether there is a season is tested as in
the M3 and M4 competitions (Fiorucci et al. 2016, Models for optimising the theta method, section
2). It was the best method of the M3 competition and costs a millisecond.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.forecast.seasons import has_season, seasonal_figure

Numbers = NDArray[np.float64]

# What smoothing forgets: of a weight of 0.01 on new values, a thousandth is left after 700 steps.
# So of a longer past the last rows count, more of them where seasons are long.
MOST_ROWS, MOST_SEASONS = 1000, 10

# The weights on new values that are tried: so many between these, then twice as many between the
# neighbours of the best.
_LEAST, _MOST, _TRIED, _ROUNDS = 0.01, 0.99, 11, 3

# So many pasts are smoothed at once: 16 MB of a thousand rows.
_AT_ONCE = 2048


def theta_forecasts(
    series: Numbers, origins: Sequence[int], *, horizon: int, season: int
) -> Numbers:
    """Return the Theta method's forecasts from several origins, [origins, horizon].

    A season multiplies where all values are above 0, and adds elsewhere.

    Args:
        series: [T], without missing values.
        origins: the row after the past of each forecast, at least 1.
        horizon: how many steps ahead.
        season: in steps; 1 for none.
    """
    return _forecasts([(series, origin) for origin in origins], horizon, season)


def theta_of_several(
    several: Sequence[tuple[Numbers, Sequence[int]]], *, horizon: int, season: int
) -> list[Numbers]:
    """Return the forecasts of several series, as ``theta_forecasts`` does but for rounding:
    smoothed together they take a tenth of the time of each by itself.

    Args:
        several: of each, its values and its origins.
        horizon, season: as there.
    """
    pasts = [(series, origin) for series, origins in several for origin in origins]
    ends = np.cumsum([len(origins) for _, origins in several])
    return np.split(_forecasts(pasts, horizon, season), ends[:-1])


def _forecasts(pasts: Sequence[tuple[Numbers, int]], horizon: int, season: int) -> Numbers:
    parts = [
        _of_some(pasts[first : first + _AT_ONCE], horizon, season)
        for first in range(0, len(pasts), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, horizon))


def _of_some(several: Sequence[tuple[Numbers, int]], horizon: int, season: int) -> Numbers:
    """Return the forecasts after several pasts, [pasts, horizon].

    Args:
        several: of each, a series and the row after its past.
        horizon, season: see ``theta_forecasts``.
    """
    origins = [origin for _, origin in several]
    most = max(MOST_ROWS, MOST_SEASONS * season)
    longest = min(max(origins), most)
    # Each past ends at the last column; before its beginning stands what is not read.
    pasts = np.zeros((len(origins), longest))
    lengths = np.minimum(origins, longest)
    ahead = np.arange(1, horizon + 1)
    add, times = np.zeros((len(origins), horizon)), np.ones((len(origins), horizon))
    for row, ((series, origin), length) in enumerate(zip(several, lengths, strict=True)):
        past = series[origin - length : origin]
        if has_season(past, season):
            multiplies = bool(past.min() > 0)
            figure = seasonal_figure(past, season, times=multiplies)
            if not multiplies or figure.min() > 0:
                phases, next_phases = np.arange(length) % season, (length - 1 + ahead) % season
                past = past / figure[phases] if multiplies else past - figure[phases]
                (times if multiplies else add)[row] = figure[next_phases]
        pasts[row, longest - length :] = past
    weights, levels = _smoothed(pasts, lengths)
    slopes = _slopes(pasts, lengths)
    # How much of the slope the level lags behind, and what comes on with each step.
    lag = (1 - (1 - weights) ** lengths) / weights
    straight = levels[:, None] + slopes[:, None] / 2 * (ahead - 1 + lag[:, None])
    return np.asarray(straight * times + add)


def _slopes(pasts: Numbers, lengths: NDArray[np.int_]) -> Numbers:
    """Return the slope of each past by least squares; 0 of a single row."""
    longest = pasts.shape[1]
    number = np.arange(longest) - (longest - 1)  # 0 at the last row
    read = number > -lengths[:, None]
    centred = np.where(read, number + (lengths[:, None] - 1) / 2, 0.0)
    squares = np.square(centred).sum(1)
    return np.asarray((centred * pasts).sum(1) / np.where(squares > 0, squares, 1.0))


def _smoothed(pasts: Numbers, lengths: NDArray[np.int_]) -> tuple[Numbers, Numbers]:
    """Return, of each past, the weight on new values that forecasts its rows best one step ahead
    (least squares), and the level at its end. A level begins at the first row."""
    rows = np.arange(len(pasts))
    low, high = np.full(len(pasts), _LEAST), np.full(len(pasts), _MOST)
    weights = levels = low
    for _ in range(_ROUNDS):
        tried = np.linspace(low, high, _TRIED, axis=1)
        errors, ends = _levels(pasts, lengths, tried)
        best = errors.argmin(1)
        weights, levels = tried[rows, best], ends[rows, best]
        low = tried[rows, np.maximum(best - 1, 0)]
        high = tried[rows, np.minimum(best + 1, _TRIED - 1)]
    return weights, levels


def _levels(pasts: Numbers, lengths: NDArray[np.int_], weights: Numbers) -> tuple[Numbers, Numbers]:
    """Return the sum of squared errors one step ahead and the last level, both [pasts, weights]."""
    longest = pasts.shape[1]
    begins = longest - lengths
    level, errors = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(longest):
        value = pasts[:, step, None]
        error = value - level
        before, first = (begins > step)[:, None], (begins == step)[:, None]
        error = np.where(before | first, 0.0, error)
        errors += error**2
        level = np.where(first, value, level + weights * error)
    return errors, level
