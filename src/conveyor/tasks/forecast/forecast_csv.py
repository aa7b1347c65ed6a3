"""Forecasts as a table: a row for each step, columns for the quantiles of each target."""

from collections.abc import Sequence
from math import floor, log10

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.errors import visible
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.forecast_frame import ForecastFrame

# A spreadsheet takes a cell that begins with one of these for a formula, and may run it.
_FORMULA = ("=", "+", "-", "@", "|", "%")

# Significant digits of float32, in which the network computes.
_DIGITS = 7


def no_formula(text: str) -> str:
    """Return the text of a cell, after an apostrophe if a spreadsheet would run it."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def decimals(change: float) -> int:
    """Return the number of decimals that the forecasts of a series need that changes by ``change``
    within a horizon."""
    return _DIGITS - 1 - floor(log10(change))


def rounded(value: float, series: Decomposition) -> str:
    """Return a forecast of a series as a sentence gives it: to a tenth of what it moves by from one
    step to the next."""
    unit = series.change * (abs(value) if series.logarithm else 1.0)
    digits = 1 - floor(log10(unit)) if unit > 0 else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def _unit(series: Decomposition, forecasts: NDArray[np.float64]) -> float:
    """Return by how much a series moves from one step to the next, in its own unit."""
    if not series.logarithm:
        return series.change
    return series.change * max(float(np.median(np.abs(forecasts))), 1e-300)


def forecast_table(
    frame: ForecastFrame, times: Sequence[str], quantiles: NDArray[np.float64]
) -> pl.DataFrame:
    """Return forecasts as a table. The number of decimals of a target depends on the scale of its
    changes, not on the size of its values.

    Args:
        frame: the model's frame.
        times: the times of the steps, [horizon].
        quantiles: the forecasts, [horizon, targets, quantiles].
    """
    columns: dict[str, Sequence[object]] = {"time": times}
    for number, target in enumerate(frame.targets):
        digits = decimals(_unit(frame.series[number], quantiles[:, number]))
        for column, level in enumerate(frame.quantiles):
            name = no_formula(visible(f"{target}_q{100 * level:g}"))
            columns[name] = [round(float(value), digits) for value in quantiles[:, number, column]]
    return pl.DataFrame(columns)
