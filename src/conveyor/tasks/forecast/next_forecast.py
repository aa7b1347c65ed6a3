"""The forecast of the steps after the end of a group's rows."""

import numpy as np

from conveyor.data.group_names import group_label
from conveyor.errors import DataError
from conveyor.tasks.forecast.forecast_csv import GroupForecast
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.series_panel import Panel


def next_forecast(
    network: Forecaster, panel: Panel, last: str, frame: ForecastFrame, name: str
) -> GroupForecast:
    """Return the forecast of the steps after the end of a panel.

    Args:
        network: the forecaster.
        panel: the rows of a group.
        last: the time of the last one, as ``frame`` writes times; empty without times.
        frame: of the table that the rows are of, which may write times otherwise than the model's.
        name: of the table, for errors.

    Raises:
        DataError: there are no such times, or a column that is known ahead lacks a value there.
    """
    times = network.future_times(last, frame.horizon, frame)
    lacking = lacking_ahead(frame, panel)
    if lacking:
        group = group_label(frame.groups[panel.group])
        of_group = f"of {group} " if group and not name.endswith(f", series {group}") else ""
        missing = ", ".join(f"{column} is missing at {times[step]}" for column, step in lacking)
        raise DataError(
            f"{name}: the forecast {of_group}needs {', '.join(column for column, _ in lacking)} "
            f"from {times[0]} to {times[-1]}, in rows after the last value of "
            f"{', '.join(frame.targets)}; {missing}. Give a table with these values."
        )
    return GroupForecast(panel.group, times, network.forecasts(panel, [len(panel)])[0])


def lacking_ahead(frame: ForecastFrame, panel: Panel) -> list[tuple[str, int]]:
    """Return the columns known ahead that lack a value in the horizon, each with its first step
    without one."""
    ahead = np.full((frame.horizon, len(frame.known)), np.nan)
    rows = panel.known[len(panel) : len(panel) + frame.horizon]
    ahead[: len(rows)] = rows
    missing = np.isnan(ahead)
    return [
        (name, int(missing[:, number].argmax()))
        for number, name in enumerate(frame.known)
        if missing[:, number].any()
    ]
