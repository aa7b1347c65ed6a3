"""The baseline of Holt and Winters: exponential smoothing with a damped trend and a season.

It is the cell ``holt_winters_with``, a unit for each series, so that the smoothing weights and the
beginnings of all series are fitted at once by gradient descent; then it goes on row by row.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.cells.holt_winters import LONGEST_SEASON, holt_winters_with
from conveyor.layers.recurrent import Recurrent
from conveyor.tasks.forecast.baselines import Pasts
from conveyor.tasks.forecast.decomposition import grows_with_its_level
from conveyor.tasks.forecast.seasons import has_season, seasonal_figure

Numbers = NDArray[np.float64]

# The last rows before the first forecast that weights are fitted on, of long seasons more.
_MOST_ROWS, _MOST_SEASONS = 500, 10

# On series of 100 rows the squared error changes by less than a hundredth from here on.
_STEPS, _RATE = 200, 0.05


class _Series(NamedTuple):
    """A series that is smoothed.

    Attributes:
        group, target: whose it is.
        values: from the first row that is read to the last one before a forecast, in standard
            deviations, of the logarithm where it grows with its level.
        fitted: how many of these rows come before the first forecast.
        centre, spread: of ``values`` before they were standardised.
        logarithm: whether it was taken.
        figure: the season, from the first row on; none without one.
    """

    group: int
    target: int
    values: Numbers
    fitted: int
    centre: float
    spread: float
    logarithm: bool
    figure: Numbers


def holt_winters_forecasts(pasts_of: Sequence[Pasts]) -> list[Numbers]:
    """Return forecasts of all groups, each [origins, horizon, targets]. Weights are fitted once, to
    the rows before the first forecast of each series; level, trend and season move with every row.

    A season is read where a test says that there is one. Where a series grows with its level, its
    logarithm is smoothed, so that its season multiplies.

    Args:
        pasts_of: of each group.
    """
    answers = [
        np.zeros((len(pasts.origins), pasts.horizon, pasts.columns.shape[1])) for pasts in pasts_of
    ]
    alike: dict[tuple[int, int, int], list[_Series]] = defaultdict(list)
    for group, pasts in enumerate(pasts_of):
        for target in range(pasts.columns.shape[1]):
            series = _series(pasts, group, target)
            alike[len(series.figure), series.fitted, len(series.values)].append(series)
    for several in alike.values():
        level, trend, season, damping = _smoothed(several)
        for number, series in enumerate(several):
            pasts = pasts_of[series.group]
            rows = np.array(pasts.origins) - max(pasts.origins) + len(series.values) - 1
            ahead = np.arange(1, pasts.horizon + 1)
            faded = np.cumsum(damping[number] ** ahead)
            forecast = level[rows, number, None] + trend[rows, number, None] * faded
            length = len(series.figure)
            if length:
                back = rows[:, None] - length + 1 + (ahead - 1) % length
                forecast = forecast + season[back, number]
            forecast = forecast * series.spread + series.centre
            with np.errstate(over="ignore"):
                answers[series.group][..., series.target] = (
                    np.exp(forecast) if series.logarithm else forecast
                )
    return answers


def _series(pasts: Pasts, group: int, target: int) -> _Series:
    """Return what is smoothed of a target."""
    season, first = pasts.season, min(pasts.origins)
    most = max(_MOST_ROWS, _MOST_SEASONS * season)
    fitted = min(first, most)
    # Series of about the same length are fitted together.
    fitted -= fitted % season if fitted > 3 * season else 0
    values = pasts.columns[first - fitted : max(pasts.origins), target]
    logarithm = bool(values.min() > 0) and grows_with_its_level(values[:fitted], season)
    level = np.log(values) if logarithm else values
    past = level[:fitted]
    centre, spread = float(past.mean()), float(past.std()) or 1.0
    scaled = (level - centre) / spread
    seasonal = season <= LONGEST_SEASON and has_season(scaled[:fitted], season)
    figure = seasonal_figure(scaled[:fitted], season, times=False) if seasonal else np.zeros(0)
    return _Series(group, target, scaled, fitted, centre, spread, logarithm, figure)


def _smoothed(several: Sequence[_Series]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return level, trend and season after each row, [T, series], and how much of the trend is left
    at each step, [series].

    Args:
        several: series of one season and length.
    """
    season, fitted = len(several[0].figure), several[0].fitted
    cell = holt_winters_with(max(season, 1), damped=True)
    count = len(several)
    layer = Recurrent(cell, count, count, learn_start=True, dtype=torch.float64)
    values = torch.from_numpy(np.stack([series.values for series in several], 1))[:, None]
    _begin(layer, several)
    optimiser = torch.optim.Adam(layer.parameters(), lr=_RATE)
    past = values[:fitted]
    for _ in range(_STEPS if fitted > 1 else 0):
        optimiser.zero_grad()
        ahead, _ = layer(past)
        # No two series share parameters: the gradient of the sum is that of each.
        (ahead[:-1] - past[1:]).square().mean(0).sum().backward()
        optimiser.step()
    with torch.no_grad():
        *_, trace = layer(values, trace=True)
        level, trend = (trace[name][:, 0].numpy() for name in "lb")
        of_season = trace["s"][:, 0].numpy() if season else np.zeros_like(level)
        damping = dict(layer.named_parameters())["l0.v.d"].sigmoid().numpy()
    return level, trend, of_season, damping


def _begin(layer: Recurrent, several: Sequence[_Series]) -> None:
    """Let level, trend and season begin at those of the first rows."""
    parameters = dict(layer.named_parameters())
    for number, series in enumerate(several):
        length = len(series.figure)
        figure = np.resize(series.figure, series.fitted) if length else 0.0
        rest = series.values[: series.fitted] - figure
        block = min(max(length, 4), len(rest) // 2) or 1
        level, later = rest[:block].mean(), rest[block : 2 * block].mean() if block > 1 else rest[0]
        slope = (later - level) / block
        with torch.no_grad():
            parameters["start_l"][0, number] = level - slope * (block + 1) / 2
            parameters["start_b"][0, number] = slope
            # The value of the first row is the one that is a season back.
            for back in range(1, length + 1):
                name = "start_s" if back == 1 else f"start_s_{back}"
                parameters[name][0, number] = series.figure[length - back]
