"""Forecasts as a table: a row for each step, columns for the quantiles of each target."""

from collections.abc import Sequence
from math import floor, log10

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.errors import visible
from conveyor.tasks.forecast.forecaster import QUANTILES, ForecastFrame

# A spreadsheet takes a cell that begins so for a formula, and may run it.
_FORMULA = ("=", "+", "-", "@", "|", "%")

# Digits of a change that the network, which computes in float32, tells apart.
_DIGITS = 7


def no_formula(text: str) -> str:
    """Return the text of a cell, behind an apostrophe if a spreadsheet would run it."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def decimals(change: float) -> int:
    """How many decimals tell apart what a series that changes by so much can be."""
    return _DIGITS - 1 - floor(log10(change))


def forecast_table(
    frame: ForecastFrame, times: Sequence[str], quantiles: NDArray[np.float64]
) -> pl.DataFrame:
    """Return forecasts [horizon, targets, quantiles] as a table, each target in as many decimals as
    the scale of its changes needs, however large its values are."""
    columns: dict[str, Sequence[object]] = {"time": times}
    for number, target in enumerate(frame.targets):
        places = decimals(frame.scale.change[number])
        for column, level in enumerate(QUANTILES):
            name = no_formula(visible(f"{target}_q{round(100 * level)}"))
            columns[name] = [round(float(value), places) for value in quantiles[:, number, column]]
    return pl.DataFrame(columns)
