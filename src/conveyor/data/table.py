"""Puts the rows of a table of numbers in steps of time. Errors name the line and column."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from conveyor.data.number_column import Numbers
from conveyor.data.raw_table import RawTable, label
from conveyor.data.table_columns import TableColumns
from conveyor.data.time_column import TimeColumn
from conveyor.data.time_text import write_time, zone_name
from conveyor.data.timeline import Step, step_of, steps_from_start, utc_time, wall_time
from conveyor.errors import DataError, counted, named

# Filling gaps may make the table this many times longer; beyond that a time is more likely wrong.
MOST_FILLED = 10

# A step cannot be inferred from fewer rows.
FEWEST_ROWS = 3


@dataclass(frozen=True)
class Table:
    """Numbers over time, with one row for each step; NaN is a missing value.

    ``times`` and ``step`` are None if rows are only counted. ``notes`` say how the table
    was read. ``ahead`` holds the columns that are known ahead in the rows after the last one.
    """

    name: str
    columns: dict[str, Numbers]
    times: Sequence[datetime] | None
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


class EvenClock(NamedTuple):
    """Times that come in order, one at each step.

    Attributes:
        name: of their column.
        times: the times.
        fmt: how they are written.
    """

    name: str
    times: Sequence[datetime]
    fmt: str


def _in_order(
    raw: RawTable, clock: TimeColumn, columns: dict[str, Numbers]
) -> tuple[list[int], str | None]:
    """Return the indices of the rows in order of time, and a note if the rows are not in it.

    Args:
        raw: the table.
        clock: the times of its rows.
        columns: its numbers.

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
                " If it is the hour that clocks go through twice in autumn, name their zone "
                f"({named('timezone', 'Europe/Berlin')}), or write times with their offset from "
                "UTC, as 2024-10-27 02:00+01:00."
            )
            equal = all(
                values[row] == values[before] or np.isnan(values[[row, before]]).all()
                for values in columns.values()
            )
            alike = (
                ", and both rows have the same numbers. If one of them is a mistake, pass "
                f"{named('duplicates', 'last')}, which keeps one"
            )
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {label(clock.name)}: {clock.texts[row]} "
                f"repeats the time of {raw.position(before)}{alike if equal else ''}. Keep one row "
                f"for each time, let "
                f"conveyor do so ({named('duplicates', 'sum')}, mean or last), or, where the time "
                f"stands in several columns, join their names: {named('time', 'year+month')}."
                + (hint if twice and len({other.hour for other in clock.times}) > 1 else "")
            )
    back = next((row for row in range(1, len(order)) if instants[row] < instants[row - 1]), None)
    if back is None:
        return order, None
    return order, (
        f"rows are not in order of time ({clock.texts[back]} of {raw.position(back)} goes back): "
        "they are sorted"
    )


def _without_duplicates(columns: TableColumns) -> tuple[TableColumns, str | None]:
    """Return columns with one row for each time, and a note if times repeat; see ``DUPLICATES``."""
    assert columns.clock is not None
    instants = [utc_time(time) for time in columns.clock.times]
    first: dict[datetime, int] = {}
    last: dict[datetime, int] = {}
    for row, instant in enumerate(instants):
        first.setdefault(instant, row)
        last[instant] = row
    repeated = len(instants) - len(first)
    if not repeated:
        return columns, None
    how = columns.reading.duplicates
    if how == "last":
        what = "the last of each is kept"
        numbers = {name: values[list(last.values())] for name, values in columns.numbers.items()}
    else:
        place = {instant: number for number, instant in enumerate(first)}
        number_of = np.array([place[instant] for instant in instants])
        numbers = {
            name: _together(values, number_of, len(first), summed=how == "sum" and name in summing)
            for summing in [columns.targets]
            for name, values in columns.numbers.items()
        }
        others = " and their other numbers averaged" if len(numbers) > len(columns.targets) else ""
        what = f"their {', '.join(columns.targets)} summed{others}" if how == "sum" else "averaged"
        what = f"rows of the same time are one, {what}"
    chosen = replace(columns.rows(list(first.values()), columns.raw.name), numbers=numbers)
    return chosen, (
        f"{counted(repeated, 'row repeats', 'rows repeat')} the time of another: {what}"
    )


def _together(values: Numbers, number_of: Numbers, count: int, *, summed: bool) -> Numbers:
    """Return the sum or the mean of the observed values of each number; NaN without any."""
    seen = ~np.isnan(values)
    total = np.bincount(number_of[seen], values[seen], minlength=count)
    often = np.bincount(number_of[seen], minlength=count)
    together = total if summed else total / np.maximum(often, 1)
    return np.where(often > 0, together, np.nan)


def _end_of_history(
    raw: RawTable,
    columns: dict[str, Numbers],
    targets: Sequence[str],
    rows: Sequence[int],
    known: Sequence[str],
    *,
    fewest: int,
    clock: TimeColumn | None = None,
) -> tuple[int, list[str]]:
    """Return the number of rows up to the last one that holds a target, and notes if more follow.

    Args:
        raw: the table.
        columns: the columns in order of time.
        targets: the columns to forecast.
        rows: for each row in order of time, its index in the table.
        known: the columns that are known ahead.
        fewest: how many rows there must be.
        clock: the times of the rows, in the order of the table; None names rows by their lines.

    Raises:
        DataError: too few rows are left.
    """
    seen = ~np.isnan(np.stack([columns[name] for name in targets], axis=1)).all(axis=1)
    seen = np.asarray(seen, dtype=bool)
    if not seen.any() or seen[-1]:
        return len(seen), []
    last = int(np.flatnonzero(seen)[-1])
    rest = range(last + 1, len(seen))
    ends = [rows[last], rows[rest[0]], rows[rest[-1]]]
    # The lines of rows that are not in order of time would say nothing.
    follow = [*rows[last:]] == [*range(rows[last], rows[last] + len(rest) + 1)]
    texts = None if clock is None or follow else clock.texts
    places = [raw.position(row) if texts is None else texts[row] for row in ends]
    where = places[1] + (f" to {places[2]}" if len(rest) > 1 else "")
    have = "has" if len(rest) == 1 else "have"
    finding = f"the last {counted(len(rest), 'row')} ({where}) {have} no value of " + ", ".join(
        targets
    )
    if last + 1 < fewest:
        raise DataError(
            f"{raw.name}: {finding}: {counted(last + 1, 'row')} up to the last value; expected "
            f"{fewest} or more. Give more values of {', '.join(targets)}."
        )
    filled = [name for name in columns if not np.isnan(columns[name][last + 1 :]).all()]
    unused = [name for name in filled if name not in known]
    are = "is" if len(rest) == 1 else "are"
    start = f"forecasts begin after {places[0]}"
    what = "the future" if filled else "left out"
    notes = [f"{finding} and {are} {what}: {start}"]
    if unused:
        options = " ".join(named("future", name) for name in unused)
        notes.append(
            f"{', '.join(unused)}: the future of this table is not used. If it is known when a "
            f"forecast is made, pass {options}"
        )
    return last + 1, notes


def chosen_step(
    name: str, column: str, times: list[datetime], step: Step | None, frequency: str
) -> Step:
    """Return the step of times in order, or ``step``, which they must follow, if it is given.

    Args:
        name: of the table.
        column: of the times.
        times: in order.
        step: of the rows that a model was fitted on; None infers it.
        frequency: what the user says of it.

    Raises:
        DataError: there are too few times, or they come at another step.
    """
    try:
        inferred = step_of(times, column, frequency)
    except DataError as error:
        raise DataError(f"{name}, {error}") from error
    return checked_step(name, inferred, step)


def checked_step(name: str, inferred: Step, step: Step | None) -> Step:
    """Return ``step``, or the inferred one where it is None.

    Raises:
        DataError: the inferred one is another.
    """
    if step is None:
        return inferred
    if not step.same_pace(inferred):
        raise DataError(
            f"{name}: rows come every {inferred}; this model was fitted on one row every {step}. "
            "Give a table with such rows."
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
    needed: bool,
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
            needed=needed,
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


def in_steps(
    columns: TableColumns,
    *,
    fill_gaps: bool = False,
    step: Step | None = None,
    certain: bool = False,
    fewest: int = FEWEST_ROWS,
) -> Table:
    """Return columns with one row for each step, in order of time, up to the last row with a
    target.

    Args:
        columns: as they stand in the table.
        fill_gaps: whether rows that are missing on the time axis become missing values.
        step: the step that rows must follow; None infers it.
        certain: whether ``step`` is that of these rows, even if most of them come at another one.
        fewest: how many rows with a target there must be.

    Raises:
        DataError: times repeat or follow no step, or there are too few rows.
    """
    notes = list(columns.notes)
    if columns.clock is not None and columns.reading.duplicates:
        columns, note = _without_duplicates(columns)
        notes += [note] if note else []
    raw, clock, known = columns.raw, columns.clock, columns.known
    order = list(range(len(raw.frame)))
    if clock is not None:
        order, note = _in_order(raw, clock, columns.numbers)
        notes += [note] if note else []
    numbers = {name: values[order] for name, values in columns.numbers.items()}
    rows, end_notes = _end_of_history(
        raw, numbers, columns.targets, order, known, fewest=fewest, clock=clock
    )
    notes += end_notes
    if not known:
        order = order[:rows]
        numbers = {name: values[:rows] for name, values in numbers.items()}
    if clock is None:
        return _cut(Table(raw.name, numbers, None, None, "", notes=notes), rows, known)
    clock = clock.rows(order)
    if step is None or not certain:
        step = chosen_step(
            raw.name, label(clock.name), clock.times, step, columns.reading.frequency
        )
    positions = [raw.position(row) for row in order]
    times, numbers, index, note = _on_steps(
        raw, clock, numbers, step=step, positions=positions, gaps=fill_gaps, needed=certain
    )
    notes.append(_note_of_time(clock.name, step))
    notes += [note] if note else []
    table = Table(raw.name, numbers, times, step, clock.fmt, clock.name, notes)
    return _cut(table, index[rows - 1] + 1, known)


def in_even_steps(columns: TableColumns, clock: EvenClock, *, step: Step, fewest: int) -> Table:
    """Return what ``in_steps`` does of rows that are known to come in order, one at each step.

    Args:
        columns: as they stand in the table, without a clock.
        clock: the times of the rows.
        step: from one to the next.
        fewest: how many rows with a target there must be.

    Raises:
        DataError: there are too few rows.
    """
    raw, numbers, known = columns.raw, columns.numbers, columns.known
    times, order = clock.times, range(len(clock.times))
    rows, notes = _end_of_history(raw, numbers, columns.targets, order, known, fewest=fewest)
    if not known:
        numbers = {name: values[:rows] for name, values in numbers.items()}
        times = times[:rows]
    notes.append(_note_of_time(clock.name, step))
    table = Table(raw.name, numbers, times, step, clock.fmt, clock.name, notes)
    return _cut(table, rows, known)


def _note_of_time(column: str, step: Step) -> str:
    return f"time: column {label(column)}, one row every {step}"


def _cut(table: Table, rows: int, known: Sequence[str]) -> Table:
    """Return the first rows of a table, with the later rows of columns known ahead in ``ahead``."""
    return replace(
        table,
        columns={name: values[:rows] for name, values in table.columns.items()},
        times=table.times[:rows] if table.times else None,
        ahead={name: table.columns[name][rows:] for name in known},
    )
