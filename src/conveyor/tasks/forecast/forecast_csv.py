"""Forecasts as a table: a row for each step, columns for the median and bands of each target."""

import re
from collections.abc import Sequence
from math import floor, log10
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.errors import visible
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.results import free_name

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


# Whole numbers as Python writes them, of 18 digits at most, which fit into 64 bits.
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


class GroupForecast(NamedTuple):
    """The forecast of a group of series.

    Attributes:
        group: which group of the frame.
        times: of the steps, [horizon].
        quantiles: [horizon, targets, quantiles].
    """

    group: int
    times: Sequence[str]
    quantiles: NDArray[np.float64]


class GroupPaths(NamedTuple):
    """Futures of a group of series.

    Attributes:
        group: which group of the frame.
        times: of the steps, [steps].
        paths: [steps, targets, count].
    """

    group: int
    times: Sequence[str]
    paths: NDArray[np.float64]


def path_table(frame: ForecastFrame, time: str, futures: Sequence[GroupPaths]) -> pl.DataFrame:
    """Return futures as a table, a row for each step of each path: the columns that name the
    series, "path" with its number from 1 on, the column of times, and each target's values.

    Args:
        frame: the model's frame.
        time: the name of the table's column of times; "none" without one.
        futures: of each group.
    """
    called = [*frame.group_columns, time_name(time, (*frame.targets, *frame.group_columns))]
    name = free_name([*called, *frame.targets], "path")
    counts = [one.paths.shape[-1] for one in futures]
    columns: dict[str, Sequence[object]] = {}
    for number, column in enumerate(frame.group_columns):
        names = [
            frame.groups[one.group][number]
            for one, count in zip(futures, counts, strict=True)
            for _ in range(count * len(one.times))
        ]
        columns[no_formula(visible(column))] = _as_numbers(names)
    columns[name] = [
        path
        for one, count in zip(futures, counts, strict=True)
        for path in range(1, count + 1)
        for _ in one.times
    ]
    columns[called[-1]] = [
        text for one, count in zip(futures, counts, strict=True) for text in [*one.times] * count
    ]
    for target, of_target in enumerate(frame.targets):
        values: list[float] = []
        for one in futures:
            paths = one.paths[:, target]
            digits = decimals(_unit(frame.of_group(one.group)[target], paths))
            values += [round(float(value), digits) for value in paths.T.ravel()]
        columns[no_formula(visible(of_target))] = values
    return pl.DataFrame(columns)


def forecast_table(
    frame: ForecastFrame, time: str, forecasts: Sequence[GroupForecast]
) -> pl.DataFrame:
    """Return forecasts as a table: the columns that name the series and the column of times, called
    as in the table, and for each target its median under its own name, and the ends of its bands,
    ``sold-lo-80``, ``sold-hi-80``, the narrowest first. The number of decimals of a target depends
    on how much it changes, not on how large it is.

    Args:
        frame: the model's frame.
        time: the name of the table's column of times; "none" without one.
        forecasts: of each group.
    """
    columns: dict[str, Sequence[object]] = {}
    for number, column in enumerate(frame.group_columns):
        names = [frame.groups[one.group][number] for one in forecasts for _ in one.times]
        columns[no_formula(visible(column))] = _as_numbers(names)
    times = [text for one in forecasts for text in one.times]
    columns[time_name(time, (*frame.targets, *frame.group_columns))] = times
    middle = len(frame.levels)
    for target, called in enumerate(frame.targets):
        ends = {"": middle}
        for place, level in reversed(list(enumerate(frame.levels))):
            ends |= {f"-lo-{level}": place, f"-hi-{level}": 2 * middle - place}
        digits = [
            decimals(_unit(frame.of_group(one.group)[target], one.quantiles[:, target]))
            for one in forecasts
        ]
        for end, place in ends.items():
            columns[no_formula(visible(f"{called}{end}"))] = [
                round(float(value), to)
                for one, to in zip(forecasts, digits, strict=True)
                for value in one.quantiles[:, target, place]
            ]
    return pl.DataFrame(columns)


def _as_numbers(names: Sequence[str]) -> Sequence[object]:
    """Return names of series as whole numbers, where all of them are: a table is joined by them."""
    if all(_WHOLE.fullmatch(name) for name in names):
        return [int(name) for name in names]
    return [no_formula(visible(name)) for name in names]


def time_name(column: str, others: Sequence[str]) -> str:
    """Return the name of the column of times: "time" where it is made of several, or where another
    column has its name; "step" where rows are counted."""
    name = "step" if column == "none" else "time" if "+" in column else column
    return "time" if name in others else no_formula(visible(name))
