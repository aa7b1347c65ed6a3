"""Reads tables of numbers over time from files or data frames. Errors name the line and column."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from conveyor.data.number_column import (
    MOSTLY,
    NumberColumn,
    Numbers,
    checked_numbers,
    decimal_mark,
    note_of_digits,
    note_of_doubt,
    note_of_mark,
    read_numbers,
)
from conveyor.data.raw_table import RawTable, is_nameless, is_row_number, label, read_raw
from conveyor.data.several_series import check_one_block, check_one_per_time, note_of_names
from conveyor.data.table_reading import BY_EVIDENCE, TableReading
from conveyor.data.time_column import (
    COUNT_NAMES,
    TimeColumn,
    find_time,
    like_times,
    read_time_column,
    texts_of_time,
)
from conveyor.data.time_text import write_time, zone_name
from conveyor.data.timeline import Step, infer_step, steps_from_start, utc_time, wall_time
from conveyor.errors import DataError, counted, named

# Filling gaps may make the table this many times longer; beyond that a time is more likely wrong.
MOST_FILLED = 10

# A step cannot be inferred from fewer rows.
FEWEST_ROWS = 3

# The note on the decimal mark of numbers that are not written plainly.
_MARKS = {
    ",": "the comma is the decimal mark: 1.234,5 is 1234.5",
    ".": "the comma stands between thousands: 1,234.5 is 1234.5",
}


@dataclass(frozen=True)
class Table:
    """Numbers over time, with one row for each step; NaN is a missing value.

    ``times`` and ``step`` are None if rows are only counted. ``notes`` tell the user how the table
    was read. ``ahead`` holds the columns that are known ahead in the rows after the last one.
    """

    name: str
    columns: dict[str, Numbers]
    times: list[datetime] | None
    step: Step | None
    time_format: str
    time_column: str = "none"
    notes: list[str] = field(default_factory=list)
    ahead: dict[str, Numbers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def last_time(self) -> str:
        """The time of the last row, as the table writes it; empty if rows are only counted."""
        return write_time(self.times[-1], self.time_format) if self.times else ""

    @property
    def zone(self) -> str:
        """The zone of the last row's time, see ``zone_of``; empty if the table has none."""
        return zone_name(self.times[-1]) if self.times else ""


def _find_times(
    raw: RawTable, asked: str | None, targets: Sequence[str], reading: TableReading
) -> TimeColumn | None:
    """Return the times of the rows, None if rows are only counted.

    Raises:
        DataError: a value is no time, or the table holds several series.
    """
    name: str | None = None
    counts = asked is not None and asked.lower() == "none"
    if counts:
        # A user who asks to count rows may still have several series in the table.
        with contextlib.suppress(DataError):
            name = find_time(raw, None, targets)
        if name is not None:
            check_one_per_time(raw, texts_of_time(raw, name), name, targets)
        return None
    name = find_time(raw, asked, targets)
    if name is None:
        return None
    clock = read_time_column(raw, name, reading)
    check_one_per_time(raw, clock.times, clock.name, targets)
    return clock


def _unused(names: Sequence[str]) -> str:
    """Return a note on columns that look like a time, for a table whose rows are only counted."""
    one = len(names) == 1
    which = f"column {names[0]} looks" if one else f"columns {', '.join(names)} look"
    return (
        f"{which} like a time and {'is' if one else 'are'} not used as one, so that rows that are "
        f"missing are not seen. If it is the time, pass {named('time', '+'.join(names))}"
    )


def _other_numbers(
    raw: RawTable,
    clock: TimeColumn | None,
    targets: Sequence[str],
    decimal: str,
    reading: TableReading,
) -> tuple[dict[str, NumberColumn], list[str]]:
    """Return the columns of numbers that are neither targets nor the time, and notes about columns
    that are left out."""
    columns, notes = {}, []
    of_time = {clock.name, *clock.name.split("+")} if clock else set()
    for name in raw.frame.columns:
        if name in targets or name in of_time:
            continue
        numbers = read_numbers(raw.frame[name], decimal, reading)
        bad = numbers.bad.sum() > MOSTLY * (~numbers.missing).sum()
        if numbers.missing.all() or bad:
            notes.append(f"column {label(name)} holds no numbers and is left out")
        elif is_nameless(name) or is_row_number(raw.frame[name]):
            notes.append(
                f"column {name or '1, which has no name,'} is taken for row numbers and left out"
            )
        else:
            columns[name] = checked_numbers(raw, name, decimal, reading)
    return columns, notes


def _in_order(raw: RawTable, clock: TimeColumn) -> tuple[list[int], str | None]:
    """Return the indices of the rows in order of time, and a note if the rows are not in it.

    Raises:
        DataError: a time repeats.
    """
    instants = [utc_time(time) for time in clock.times]
    order = sorted(range(len(instants)), key=instants.__getitem__)
    for before, row in pairwise(order):
        if instants[before] == instants[row]:
            time = wall_time(clock.times[row])
            twice = clock.times[row].tzinfo is None and time.hour <= 3 and time.weekday() == 6
            hint = (
                " If it is the hour that clocks go through twice in autumn, write times with their "
                "offset from UTC, as 2024-10-27 02:00+01:00."
            )
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {label(clock.name)}: {clock.texts[row]} "
                f"repeats the time of {raw.position(before)}. Keep one row for each time, or, "
                "where the time stands in several columns, join their names: "
                f"{named('time', 'year+month')}."
                + (hint if twice and len({other.hour for other in clock.times}) > 1 else "")
            )
    back = next((row for row in range(1, len(order)) if instants[row] < instants[row - 1]), None)
    if back is None:
        return order, None
    return order, (
        f"rows are not in order of time ({clock.texts[back]} of {raw.position(back)} goes back): "
        "they are sorted"
    )


def _end_of_history(
    raw: RawTable,
    columns: dict[str, Numbers],
    targets: Sequence[str],
    rows: Sequence[int],
    known: Sequence[str],
) -> tuple[int, list[str]]:
    """Return the number of rows up to the last one that holds a target, and notes if more follow.

    Args:
        raw: the table.
        columns: the columns in order of time.
        targets: the columns to forecast.
        rows: for each row in order of time, its index in the table.
        known: the columns that are known ahead.

    Raises:
        DataError: too few rows are left.
    """
    seen = ~np.isnan(np.stack([columns[name] for name in targets], axis=1)).all(axis=1)
    seen = np.asarray(seen, dtype=bool)
    if not seen.any() or seen[-1]:
        return len(seen), []
    last = int(np.flatnonzero(seen)[-1])
    rest = range(last + 1, len(seen))
    where = raw.position(rows[rest[0]])
    where += f" to {raw.position(rows[rest[-1]])}" if len(rest) > 1 else ""
    have = "has" if len(rest) == 1 else "have"
    finding = f"the last {counted(len(rest), 'row')} ({where}) {have} no value of " + ", ".join(
        targets
    )
    if last + 1 < FEWEST_ROWS:
        raise DataError(
            f"{raw.name}: {finding}: {counted(last + 1, 'row')} up to the last value; expected "
            f"{FEWEST_ROWS} or more. Give more values of {', '.join(targets)}."
        )
    filled = [name for name in columns if not np.isnan(columns[name][last + 1 :]).all()]
    unused = [name for name in filled if name not in known]
    are = "is" if len(rest) == 1 else "are"
    start = f"forecasts begin after {raw.position(rows[last])}"
    what = "the future" if filled else "left out"
    notes = [f"{finding} and {are} {what}: {start}"]
    if unused:
        options = " ".join(named("future", name) for name in unused)
        notes.append(
            f"{', '.join(unused)}: the future of this table is not used. If it is known when a "
            f"forecast is made, pass {options}"
        )
    return last + 1, notes


def _chosen_step(raw: RawTable, clock: TimeColumn, step: Step | None) -> Step:
    """Return the step of the times, or ``step``, which they must follow, if it is given.

    Raises:
        DataError: there are too few times, or they come at another step.
    """
    try:
        inferred = infer_step(clock.times, label(clock.name))
    except DataError as error:
        raise DataError(f"{raw.name}, {error}") from error
    if step is None:
        return inferred
    if not step.same_pace(inferred):
        raise DataError(
            f"{raw.name}: rows come every {inferred}; this model was fitted on one row every "
            f"{step}. Give a table with such rows."
        )
    return step


def _on_steps(
    raw: RawTable,
    clock: TimeColumn,
    columns: dict[str, Numbers],
    *,
    step: Step,
    positions: list[str],
    gaps: bool,
) -> tuple[list[datetime], dict[str, Numbers], list[int], str | None]:
    """Return times and columns with one row for each step, the new row of each old one, and a note
    if rows were added. A row that is missing becomes a row of missing values.

    Raises:
        DataError: a time is not on the step, or rows are missing and ``gaps`` is False.
    """
    try:
        index = steps_from_start(
            clock.times,
            step,
            texts=clock.texts,
            positions=positions,
            column=label(clock.name),
            gaps=gaps,
        )
    except DataError as error:
        raise DataError(f"{raw.name}, {error}") from error
    rows = index[-1] + 1
    missing = rows - len(index)
    if not missing:
        return clock.times, columns, index, None
    if rows > MOST_FILLED * len(index):
        raise DataError(
            f"{raw.name}: filling the gaps would make {rows:,} rows of {len(index):,}. Correct the "
            "times, or give rows at a longer step."
        )
    times: list[datetime] = []
    for time, row in zip(clock.times, index, strict=True):
        while len(times) < row:
            times.append(step.after(times[-1], 1))
        times.append(time)
    filled = {name: np.full(rows, np.nan) for name in columns}
    for name, numbers in columns.items():
        filled[name][index] = numbers
    became = "became missing values" if missing > 1 else "became a row of missing values"
    return times, filled, index, f"{counted(missing, 'missing row')} {became}"


def read_table(
    data: Any,
    targets: Sequence[str],
    *,
    time: str | None = None,
    only_targets: bool = False,
    covariates: Sequence[str] | None = None,
    known: Sequence[str] = (),
    fill_gaps: bool = False,
    step: Step | None = None,
    reading: TableReading = BY_EVIDENCE,
) -> Table:
    """Read the columns that a forecast is made of.

    Args:
        data: a file, a data frame or an array, see ``read_raw``.
        targets: the columns to forecast; ``["all"]`` stands for every column of numbers.
        time: the column of times, or several joined by a plus (``"year+month"``); ``"none"``
            counts rows; None infers the column.
        only_targets: whether to leave out the other columns of numbers.
        covariates: the other columns to read; None for all columns of numbers.
        known: columns that are known ahead, in the rows after the last one of a target.
        fill_gaps: whether rows that are missing on the time axis become missing values.
        step: the step that rows must follow; None infers it.
        reading: what the user says of the table.

    Raises:
        DataError: the table cannot be used; the text names the file, the line and the column.
    """
    spelled = [*targets, *known, *(covariates or ()), *([time, *time.split("+")] if time else [])]
    raw = read_raw(data).with_names(spelled)
    decimal = reading.decimal or decimal_mark(raw)
    everything = list(targets) == ["all"] and "all" not in raw.frame.columns
    asked = [] if everything else list(targets)
    numbers = {name: checked_numbers(raw, name, decimal, reading) for name in asked}
    clock = _find_times(raw, time, asked, reading)
    notes = list(raw.notes)
    if decimal:
        notes.append(_MARKS[decimal])
    numbers |= {name: checked_numbers(raw, name, decimal, reading) for name in known}
    if covariates is not None:
        numbers |= {name: checked_numbers(raw, name, decimal, reading) for name in covariates}
    elif everything or not only_targets:
        covariate_numbers, left_out = _other_numbers(raw, clock, [*asked, *known], decimal, reading)
        numbers |= covariate_numbers
        notes += left_out
    if not numbers:
        raise DataError(f"{raw.name}: no column holds numbers.")
    for note_of in (note_of_doubt, note_of_mark, note_of_digits):
        column_notes = [note_of(name, column) for name, column in numbers.items()]
        notes += [note for note in column_notes if note]
    order = list(range(len(raw.frame)))
    if clock is None:
        notes.append("no time column: rows are taken as evenly spaced")
        notes += [
            f"column {name} holds numbers that are no dates: it is read as any other column"
            for name in numbers
            if name.lower() in COUNT_NAMES and name not in asked
        ]
        likely = like_times(raw, asked) if time is None else []
        notes += [_unused(likely)] if likely else []
        notes += check_one_block(raw, [*asked, *likely])
    else:
        notes += clock.notes
        notes += note_of_names(raw, [*asked, clock.name, *clock.name.split("+")])
        order, note = _in_order(raw, clock)
        notes += [note] if note else []
    columns = {name: column.values[order] for name, column in numbers.items()}
    forecast = [name for name in numbers if name not in known] if everything else asked
    rows, end_notes = _end_of_history(raw, columns, forecast, order, known)
    notes += end_notes
    if not known:
        order = order[:rows]
        columns = {name: values[:rows] for name, values in columns.items()}
    if clock is None:
        return _cut(Table(raw.name, columns, None, None, "", notes=notes), rows, known)
    clock = replace(
        clock,
        times=[clock.times[row] for row in order],
        texts=[clock.texts[row] for row in order],
    )
    step = _chosen_step(raw, clock, step)
    positions = [raw.position(row) for row in order]
    times, columns, index, note = _on_steps(
        raw, clock, columns, step=step, positions=positions, gaps=fill_gaps
    )
    notes.append(f"time: column {label(clock.name)}, one row every {step}")
    notes += [note] if note else []
    table = Table(raw.name, columns, times, step, clock.fmt, clock.name, notes)
    return _cut(table, index[rows - 1] + 1, known)


def _cut(table: Table, rows: int, known: Sequence[str]) -> Table:
    """Return the first rows of a table, with the later rows of columns known ahead in ``ahead``."""
    return replace(
        table,
        columns={name: values[:rows] for name, values in table.columns.items()},
        times=table.times[:rows] if table.times else None,
        ahead={name: table.columns[name][rows:] for name in known},
    )
