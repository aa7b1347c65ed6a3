"""Reads the columns of a table as panels, and tables for a fitted model."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from conveyor.data.calendar_columns import Calendar
from conveyor.data.group_names import group_label, listed
from conveyor.data.grouped_table import Groups, read_groups, shared_notes
from conveyor.data.table import FEWEST_ROWS, Table
from conveyor.data.time_text import read_time
from conveyor.data.timeline import utc_time, wall_time
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.series_panel import Panel


def panel_of(
    table: Table, targets: Sequence[str], past: Sequence[str], known: Sequence[str]
) -> tuple[Panel, list[str]]:
    """Return the columns of a table as a panel, from the first row on in which every column has had
    a value, and notes for the user.

    Raises:
        DataError: a column has no value at all.
    """
    names = [*targets, *past, *known]
    columns = np.stack([table.columns[name] for name in names], axis=1)
    notes = []
    for column, name in enumerate(names):
        missing = int(np.isnan(columns[:, column]).sum())
        if missing == len(columns):
            out = f" Leave it out of the table, or pass {named('only_target', True)}."
            raise DataError(
                f"{table.name}: column {name} has no value at all.{out if name in past else ''}"
            )
        if missing:
            notes.append(
                f"{counted(missing, 'missing value')} of {name}: what is read is filled with the "
                "value before; what is missing is neither trained on nor scored"
            )
    first = (~np.isnan(columns)).argmax(0)
    begins = int(first.max())
    if begins:
        late = names[int(first.argmax())]
        are = "is" if begins == 1 else "are"
        rows = counted(begins, "row")
        notes.append(f"the first {rows} {are} left out: {late} has no value yet")
    cut = columns[begins:].copy()
    cut[0] = fill_forward(columns)[begins]  # keeps the last values of the rows that are dropped
    beside, ends = len(targets), len(targets) + len(past)
    ahead = np.stack([table.ahead[name] for name in known], 1) if known else np.zeros((0, 0))
    panel = Panel(
        cut[:, :beside], cut[:, beside:ends], np.concatenate([cut[:, ends:], ahead]), begins
    )
    return panel, notes


def unobserved_target(panel: Panel, frame: ForecastFrame) -> str | None:
    """Return the first target without a value in the last ``history`` rows; None if all targets
    have one."""
    missing = np.isnan(panel.targets[-frame.history :]).all(0)
    return frame.targets[int(missing.argmax())] if missing.any() else None


class ModelRows(NamedTuple):
    """A table that was read for a fitted model.

    Attributes:
        name: of the table.
        groups: the rows of each group, as they were read, and as a panel whose steps are counted as
            those of the run's table.
        notes: for the user.
    """

    name: str
    groups: list[tuple[Table, Panel]]
    notes: list[str]


def groups_for(
    frame: ForecastFrame, data: Any, *, time: str | None, fill_gaps: bool, later: int | None = None
) -> ModelRows:
    """Read a table for a fitted model.

    Args:
        frame: the model's frame.
        data: a file, a data frame or an array.
        time: the column of times; None for that of the run.
        fill_gaps: whether rows that are missing become missing values.
        later: of a table whose rows are only counted, how many rows it ends after the run's table;
            None for one that begins with the same row.

    Raises:
        DataError: columns are missing, rows come at another step, there are too few rows, or no
            group is one that the run learned.
    """
    groups, left_out = _read(frame, data, time=time, fill_gaps=fill_gaps, fewest=FEWEST_ROWS)
    rows, notes_of = [], []
    for names, table in zip(groups.names, groups.tables, strict=True):
        whole = with_calendar(table, frame.calendar, frame.horizon)
        panel, notes = _panel_for(frame, whole, later)
        rows.append((whole, replace(panel, group=frame.number_of[names])))
        notes_of.append(notes)
    labels = [group_label(names) for names in groups.names]
    return ModelRows(groups.name, rows, [*groups.notes, *left_out, *shared_notes(labels, notes_of)])


def new_rows(frame: ForecastFrame, data: Any, *, time: str | None, fill_gaps: bool) -> ModelRows:
    """Read a table whose rows come after those of a fitted model. It may have a single one, and
    columns without a value: the rows before them are known.

    Args:
        frame, data, time, fill_gaps: see ``groups_for``.

    Raises:
        DataError: columns are missing, rows have no times or come at another step, or no group is
            one that the run learned.
    """
    if (time or "").lower() == "none":
        raise DataError(
            f"new rows are put behind those of the run by their times, and {named('time')} is "
            "none. Leave it out, or name the column of times."
        )
    groups, left_out = _read(frame, data, time=time, fill_gaps=fill_gaps, fewest=1)
    origin = read_time(frame.origin, frame.time_format, frame.zone)
    rows = []
    for names, table in zip(groups.names, groups.tables, strict=True):
        whole = with_calendar(table, frame.calendar, frame.horizon)
        columns = [
            np.stack([whole.columns[name] for name in chosen], 1)
            if chosen
            else np.zeros((len(whole), 0))
            for chosen in (frame.targets, frame.past, frame.known)
        ]
        ahead = [np.stack([whole.ahead[name] for name in frame.known], 1)] if frame.known else []
        known = np.concatenate([columns[2], *ahead])
        first = steps_from(origin, whole)
        rows.append((whole, Panel(columns[0], columns[1], known, first, frame.number_of[names])))
    return ModelRows(groups.name, rows, [*groups.notes, *left_out])


def _read(
    frame: ForecastFrame, data: Any, *, time: str | None, fill_gaps: bool, fewest: int
) -> tuple[Groups, list[str]]:
    """Return the groups of a table that the run has learned, and a note on others."""
    groups = read_groups(
        data,
        frame.targets,
        frame.group_columns,
        time=frame.time if time is None else time,
        covariates=frame.past,
        known=frame.known_of_table,
        fill_gaps=fill_gaps or frame.fill_gaps,
        step=frame.step,
        fewest=fewest,
        reading=replace(frame.reading, time_format=frame.time_format),
    )
    unknown = [group_label(names) for names in groups.names if names not in frame.number_of]
    left_out = (
        f"{counted(len(unknown), 'series', 'series')} that the run has not learned "
        f"{'is' if len(unknown) == 1 else 'are'} left out: {listed(unknown)}"
    )
    if len(unknown) == len(groups.names):
        raise DataError(
            f"{groups.name}: the run has learned none of its series: {listed(unknown)}. It knows "
            f"{listed([group_label(names) for names in frame.groups])}. Fit it on this table."
        )
    pairs = zip(groups.names, groups.tables, strict=True)
    known = [pair for pair in pairs if pair[0] in frame.number_of]
    kept = replace(
        groups,
        names=tuple(names for names, _ in known),
        tables=tuple(table for _, table in known),
    )
    return kept, [left_out] if unknown else []


def _panel_for(frame: ForecastFrame, table: Table, later: int | None) -> tuple[Panel, list[str]]:
    panel, notes = panel_of(table, frame.targets, frame.past, frame.known)
    # A short one of several series was fitted, too.
    if len(panel) < frame.history and not frame.group_columns:
        raise DataError(
            f"{table.name} has {counted(len(panel), 'row')}; this model reads "
            f"{counted(frame.history, 'step')} of history. Give at least so many."
        )
    first = panel.first
    if frame.origin and frame.step and table.times:
        first += steps_from(read_time(frame.origin, frame.time_format, frame.zone), table)
    elif later is not None:
        first = frame.rows + later - len(panel)
    return replace(panel, first=first), notes


def with_calendar(table: Table, calendar: Calendar, horizon: int) -> Table:
    """Return a table with the columns of a calendar, over its rows and as many steps after them as
    are forecast.

    Args:
        table: the rows.
        calendar: which columns; none for a table as it is.
        horizon: how many steps are forecast.

    Raises:
        DataError: rows have no times.
    """
    if not calendar.names:
        return table
    if not table.times or table.step is None:
        option = "holidays" if calendar.holidays else "calendar"
        what = "holidays need" if calendar.holidays else "a calendar needs"
        raise DataError(
            f"{table.name}: {what} times, and rows are only counted. Name the column of times with "
            f"{named('time')}, or leave out {named(option)}."
        )
    twice = [name for name in calendar.names if name in table.columns]
    if twice:
        raise DataError(
            f"{table.name}: column {twice[0]} is called as one of the calendar. Rename it."
        )
    rows, ahead = len(table), max(horizon, *map(len, table.ahead.values()), 0)
    later: list[datetime] = []
    with contextlib.suppress(ValueError, OverflowError):  # the calendar ends in 9999
        for number in range(1, ahead + 1):
            later.append(table.step.after(table.times[-1], number))
    columns = calendar.columns([*table.times, *later], table.step)
    padded = {
        name: np.concatenate([values, np.full(max(len(later) - len(values), 0), np.nan)])
        for name, values in table.ahead.items()
    }
    return replace(
        table,
        columns={**table.columns, **{name: values[:rows] for name, values in columns.items()}},
        ahead={**padded, **{name: values[rows:] for name, values in columns.items()}},
    )


def steps_from(origin: datetime, table: Table) -> int:
    """Return how many steps after a time a table with times begins. Where its rows stand between
    such steps, it is the next whole number."""
    step = table.step
    assert step is not None
    assert table.times is not None
    begin = table.times[0]
    if origin.tzinfo is None or begin.tzinfo is None:
        origin, begin = wall_time(origin), wall_time(begin)
    whole = step.count(origin, begin)
    if whole is not None:
        return whole
    if step.months:
        months = (begin.year - origin.year) * 12 + begin.month - origin.month
        return months // step.months
    if step.weekdays:
        # Counted by days, whatever the time of the day; a day without rows is the next one's.
        at_once = wall_time(begin).replace(
            hour=origin.hour, minute=origin.minute, second=origin.second,
            microsecond=origin.microsecond,
        )  # fmt: skip
        while at_once.weekday() not in step.weekdays:
            at_once += timedelta(days=1)
        return step.count(wall_time(origin), at_once) or 0
    elapsed = (utc_time(begin) - utc_time(origin)).total_seconds()
    return ceil(elapsed / step.seconds)
