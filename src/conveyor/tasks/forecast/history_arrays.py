"""Forecasts of an array of histories."""

import numpy as np

from conveyor.data.bounds import LARGEST
from conveyor.errors import DataError
from conveyor.tasks.forecast.baselines import Numbers
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.series_panel import Panel


def forecasts_of_histories(network: Forecaster, histories: Numbers, later: int | None) -> Numbers:
    """Return quantiles [N, horizon, targets, quantiles] of histories [N, rows, columns].

    Args:
        network: the forecaster.
        histories: the targets, then the past columns.
        later: how many rows they end after the run's table; None for none.

    Raises:
        DataError: the histories have another shape, or hold what is no usable number.
    """
    frame = network.frame
    if frame.group_columns:
        raise DataError("an array of histories has no names of series. Give a table.")
    if frame.known:
        raise DataError(
            f"an array of histories has no future of {', '.join(frame.known)}. Give a table."
        )
    width = len(frame.columns)
    if histories.shape[1] < frame.history or histories.shape[2] != width:
        raise DataError(
            f"histories are {list(histories.shape)}; expected [N, {frame.history} or more, "
            f"{width}]: steps, and the columns {', '.join(frame.columns)}."
        )
    unusable = ~(np.abs(histories) < LARGEST)
    if unusable.any():
        number, step, column = map(int, np.argwhere(unusable)[0])
        value = float(histories[number, step, column])
        what = "missing" if np.isnan(value) else f"{value:g}"
        raise DataError(
            f"histories[{number}, {step}], column {frame.columns[column]}, is {what}; "
            f"expected numbers below {LARGEST:g}."
        )
    rows, count = histories.shape[1], len(frame.targets)
    first = frame.rows + (later or 0) - rows
    panels = [
        Panel(history[:, :count], history[:, count:], np.zeros((rows, 0)), first)
        for history in histories
    ]
    return np.concatenate([network.forecasts(panel, [rows]) for panel in panels])
