"""Reads tables of numbers over time: of one series, or of several below each other, which columns
of names tell apart. Errors name the line and column."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.clock import Clock
from conveyor.data.group_names import MOST_LISTED, group_label, listed
from conveyor.data.large_table import LargeTable, read_large
from conveyor.data.raw_table import RawTable, label
from conveyor.data.table import (
    FEWEST_ROWS,
    EvenClock,
    Table,
    checked_step,
    in_even_steps,
    in_steps,
)
from conveyor.data.table_columns import TableColumns, read_columns
from conveyor.data.table_reading import BY_EVIDENCE, TableReading
from conveyor.data.time_column import TimeColumn, on_clocks
from conveyor.data.time_text import write_time, zone_of
from conveyor.data.timeline import DAY, Step, step_of, utc_time, wall_time
from conveyor.errors import DataError, counted, named


@dataclass(frozen=True)
class Groups:
    """The rows of each series of a table.

    Attributes:
        name: of the table.
        columns: the columns that name the series.
        names: of each series, its value in each of these columns.
        tables: the rows of each series.
        notes: for the user.
        static: of each series, its one text in each static column; empty where it has none.
        units: see ``TableColumns``.
    """

    name: str
    columns: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    tables: tuple[Table, ...]
    notes: list[str]
    static: tuple[tuple[str, ...], ...] = ()
    units: tuple[tuple[str, str], ...] = ()


def read_groups(
    data: Any,
    targets: Sequence[str],
    groups: Sequence[str],
    *,
    time: str | None = None,
    only_targets: bool = False,
    covariates: Sequence[str] | None = None,
    known: Sequence[str] = (),
    static: Sequence[str] = (),
    fill_gaps: bool = False,
    step: Step | None = None,
    fewest: int = FEWEST_ROWS,
    reading: TableReading = BY_EVIDENCE,
) -> Groups:
    """Read a table of one series or of several.

    Args:
        data: a file, a data frame or an array, see ``read_raw``.
        targets: the columns to forecast; ``["all"]`` stands for every column of numbers.
        groups: the columns that name the series; none for a table of one.
        time: the column of times, or several joined by a plus; None infers it. ``"none"``, for
            rows that are counted, is only of a table of one series.
        only_targets: whether to leave out the other columns of numbers.
        covariates: the other columns to read; None for all columns of numbers.
        known: columns that are known ahead, in the rows after the last one of a target.
        static: columns that have one value for each series.
        fill_gaps: whether rows that are missing on the time axis become missing values.
        step: the step that rows must follow; None infers it from all series.
        fewest: how many values a series must have; with fewer than show a step it is ``step``.
        reading: what the user says of the table.

    Raises:
        DataError: the table cannot be used; the text names the file, the line and the column.
    """
    large = read_large(
        data,
        targets,
        groups,
        time=time,
        only_targets=only_targets,
        covariates=covariates,
        known=known,
        static=static,
        reading=reading,
    )
    if large is not None:
        return _large_groups(
            large,
            _Asked(tuple(groups), tuple(targets), tuple(known), reading),
            fill_gaps=fill_gaps,
            step=step,
            fewest=fewest,
        )
    columns = read_columns(
        data,
        targets,
        groups=groups,
        time=time,
        only_targets=only_targets,
        covariates=covariates,
        known=known,
        static=static,
        reading=reading,
    )
    if not groups:
        certain = fewest < FEWEST_ROWS
        table = in_steps(columns, fill_gaps=fill_gaps, step=step, certain=certain, fewest=fewest)
        return Groups(table.name, (), ((),), (table,), table.notes, units=columns.units)
    members = [
        (name, _of_group(columns, rows, group_label(name)))
        for name, rows in _rows_of_groups(columns.raw, groups)
    ]
    if step is None or fewest >= FEWEST_ROWS:
        clocks = [clock for _, (_, clock) in members]
        times = [clock.times for clock in clocks]
        common = _common_step(columns.raw.name, clocks[0].name, times, reading)
        step = checked_step(columns.raw.name, common, step)
    names: list[tuple[str, ...]] = []
    tables: list[Table] = []
    texts: list[tuple[str, ...]] = []
    notes, short = list(columns.notes), []
    for name, (part, clock) in members:
        if _observed(part, clock) < fewest:
            short.append(group_label(name))
            continue
        names.append(name)
        texts.append(tuple(_only_text(part.raw, column) for column in static))
        tables.append(in_steps(part, fill_gaps=fill_gaps, step=step, certain=True, fewest=fewest))
    rows = _SeriesRows(names, tables, texts, short, columns.units)
    asked = _Asked(tuple(groups), columns.targets, tuple(known), reading)
    return _groups_of(columns.raw.name, asked, rows, notes, fewest)


class _SeriesRows(NamedTuple):
    """The rows of the series of a table.

    Attributes:
        names: of each series.
        tables: the rows of each.
        texts: of each, its text in each static column.
        short: what series are called that have too few values.
        units: see ``TableColumns``.
    """

    names: list[tuple[str, ...]]
    tables: list[Table]
    texts: list[tuple[str, ...]]
    short: list[str]
    units: tuple[tuple[str, str], ...] = ()


def _groups_of(
    name: str,
    asked: "_Asked",
    rows: _SeriesRows,
    notes: list[str],
    fewest: int,
) -> Groups:
    """Return the series of a table with all notes.

    Args:
        name: of the table.
        asked: which columns were.
        rows: of the series.
        notes: on the table.
        fewest: how many values a series must have.

    Raises:
        DataError: no series has so many.
    """
    names, tables, short, groups = rows.names, rows.tables, rows.short, asked.groups
    if not tables:
        raise DataError(
            f"{name}: none of {counted(len(short), 'series', 'series')} has "
            f"{counted(fewest, 'value')} of {', '.join(asked.targets)} or more. Are "
            f"{', '.join(map(label, groups))} the columns that name the series?"
        )
    labels = [group_label(names_of) for names_of in names]
    every = [
        *notes,
        f"{counted(len(tables), 'series', 'series')} by {', '.join(map(label, groups))}: "
        f"{listed(labels)}",
    ]
    if short:
        every.append(
            f"{counted(len(short), 'series', 'series')} with fewer than {counted(fewest, 'value')} "
            f"{'is' if len(short) == 1 else 'are'} left out: {listed(short)}"
        )
    every += shared_notes(labels, [table.notes for table in tables])
    every += _note_of_ends(names, tables)
    return Groups(name, groups, tuple(names), tuple(tables), every, tuple(rows.texts), rows.units)


class _Asked(NamedTuple):
    """Which columns of a table are asked for.

    Attributes:
        groups: the columns that name the series.
        targets: the columns to forecast.
        known: the columns that are known ahead.
        reading: what the user says of the table.
    """

    groups: tuple[str, ...]
    targets: tuple[str, ...]
    known: tuple[str, ...]
    reading: TableReading


def _large_groups(
    large: LargeTable, asked: _Asked, *, fill_gaps: bool, step: Step | None, fewest: int
) -> Groups:
    """Return the rows of each series of a large table, as ``read_groups`` does of a small one."""
    targets, reading = asked.targets, asked.reading
    instants = [
        large.instants[first:last] for first, last in pairwise(map(int, large.bounds.tolist()))
    ]
    clocks = _clocks(instants, large, reading)
    if step is None or fewest >= FEWEST_ROWS:
        common = _common_step(large.name, large.time_column, clocks, reading)
        step = checked_step(large.name, common, step)
    rows = _SeriesRows([], [], [], [])
    # Whether times are known to follow the step; series mostly have those of another one.
    even: dict[int, bool] = {}
    for number, name in enumerate(large.names):
        part = slice(*map(int, large.bounds[number : number + 2]))
        numbers = {column: values[part] for column, values in large.numbers.items()}
        seen = ~np.isnan(np.stack([numbers[target] for target in targets], 1)).all(1)
        clock = clocks[number]
        if id(clock) not in even:
            even[id(clock)] = _is_even(clock, step)
        raw = large.raw(number)
        count = int(seen.sum()) if even[id(clock)] else len(np.unique(clock.instants[seen]))
        if count < fewest:
            rows.short.append(group_label(name))
            continue
        columns = TableColumns(raw, numbers, None, targets, asked.known, [], reading)
        if even[id(clock)]:
            times = EvenClock(large.time_column, clock, large.time_format)
            table = in_even_steps(columns, times, step=step, fewest=fewest)
        else:
            texts = [write_time(time, large.time_format) for time in clock]
            column = TimeColumn(large.time_column, list(clock), texts, large.time_format)
            table = in_steps(
                replace(columns, clock=column),
                fill_gaps=fill_gaps,
                step=step,
                certain=True,
                fewest=fewest,
            )
        rows.names.append(name)
        rows.texts.append(large.static[number])
        rows.tables.append(table)
    return _groups_of(large.name, asked, rows, list(large.notes), fewest)


def _clocks(
    instants: Sequence[NDArray[np.int64]], large: LargeTable, reading: TableReading
) -> list[Clock]:
    """Return the times of each series; series with the same times have one clock.

    Args:
        instants: of each series, as the table writes them.
        large: the table.
        reading: what the user says of it.

    Raises:
        DataError: times are none of the zone that the user names.
    """
    known: dict[bytes, Clock] = {}
    clocks = []
    for of_series in instants:
        digest = hashlib.blake2b(of_series.tobytes(), digest_size=16).digest()
        if digest not in known:
            # A copy: the times of all rows need not be kept.
            clock = Clock(of_series.copy())
            known[digest] = _in_zone(clock, large, reading) if reading.timezone else clock
        clocks.append(known[digest])
    return clocks


def _in_zone(clock: Clock, large: LargeTable, reading: TableReading) -> Clock:
    """Return times of one series on the clocks of the zone that the user names.

    Raises:
        DataError: they are none of these clocks.
    """
    zone = zone_of(reading.timezone)
    try:
        walls = pl.Series(clock.instants).cast(pl.Datetime("us"))
        placed = walls.dt.replace_time_zone(reading.timezone, ambiguous="null", non_existent="null")
        simple = not placed.null_count()
    except pl.exceptions.PolarsError:  # an offset from UTC, which is no name of a zone
        simple = False
    if simple:
        return Clock(placed.dt.epoch("us").to_numpy(), zone)
    # Clocks go back or forward within these times.
    texts = [write_time(time, large.time_format) for time in clock]
    column = TimeColumn(large.time_column, list(clock), texts, large.time_format)
    try:
        column = on_clocks(column, reading.timezone, repeating=bool(reading.duplicates))
    except DataError as error:
        raise DataError(f"{large.name}: {error}") from error
    utc = pl.Series([utc_time(time) for time in column.times], dtype=pl.Datetime("us"))
    instants = utc.dt.epoch("us").to_numpy()
    skipped = {
        instant: time
        for instant, time in zip(instants.tolist(), column.times, strict=True)
        if wall_time(time.astimezone(UTC).astimezone(zone)) != wall_time(time)
    }
    return Clock(instants, zone, skipped)


def _is_even(clock: Clock, step: Step) -> bool:
    """Return whether times come in order, one at each step."""
    if step.months or step.weekdays or (clock.zone and step.of_calendar):
        return all(step.count_afresh(one, other) == 1 for one, other in pairwise(clock))
    return bool((np.diff(clock.instants) == round(step.seconds * 1e6)).all())


def _only_text(raw: RawTable, column: str) -> str:
    """Return the text that all rows of a series have in a column; empty where none has any.

    Raises:
        DataError: two rows have different ones.
    """
    texts = _as_names(raw.frame[column]).fill_null("").to_list()
    filled = [row for row, text in enumerate(texts) if text]
    for row in filled:
        if texts[row] != texts[filled[0]]:
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {label(column)}: {texts[row]!r} differs "
                f"from {texts[filled[0]]!r} of {raw.position(filled[0])}; a static column has one "
                f"value for each series. Correct it, or leave it out of {named('static')}."
            )
    return texts[filled[0]] if filled else ""


def _of_group(
    columns: TableColumns, rows: Sequence[int], called: str
) -> tuple[TableColumns, TimeColumn]:
    """Return the rows of a series, and their times, which are on the clocks of its place."""
    part = columns.rows(rows, f"{columns.raw.name}, series {called}")
    assert part.clock is not None
    reading = columns.reading
    try:
        clock = on_clocks(part.clock, reading.timezone, repeating=bool(reading.duplicates))
    except DataError as error:
        raise DataError(f"{columns.raw.name}: {error}") from error
    return replace(part, clock=clock, notes=clock.notes), clock


def _observed(columns: TableColumns, clock: TimeColumn) -> int:
    """Return how many times have a target."""
    values = np.stack([columns.numbers[name] for name in columns.targets], 1)
    seen = (~np.isnan(values)).any(1)
    return len({utc_time(clock.times[row]) for row in np.flatnonzero(seen)})


def _rows_of_groups(
    raw: RawTable, groups: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """Yield the names of each series in the order of the table, with its rows.

    Raises:
        DataError: a row has no name.
    """
    frame = raw.frame.select(
        [_as_names(raw.frame[name]).alias(str(number)) for number, name in enumerate(groups)]
    )
    for number, name in enumerate(groups):
        nameless = (frame[str(number)].fill_null("") == "").to_numpy()
        if nameless.any():
            raise DataError(
                f"{raw.name}, {raw.position(int(nameless.argmax()))}, column {label(name)}: there "
                "is no value, so that the row belongs to no series. Give it one, or take the row "
                "out of the table."
            )
    together = frame.with_row_index("row").group_by(frame.columns, maintain_order=True)
    for names, rows in together:
        yield tuple(map(str, names)), rows["row"].to_list()


def _as_names(column: pl.Series) -> pl.Series:
    """Return a column as names: 3.0 is the store 3, and é one character, however it is stored."""
    if column.dtype.is_float():
        # Each by itself, so that a store has one name in every table.
        column = column.fill_nan(None).cast(pl.String).str.replace(r"\.0$", "")
    return column.cast(pl.String).str.strip_chars().str.normalize("NFC")


def _common_step(
    name: str, column: str, clocks: Sequence[Sequence[datetime]], reading: TableReading
) -> Step:
    """Return the step between the rows of most series, each counted by its rows. Where days of the
    week without rows are a rule, it goes to the next day on which any series has one.

    Args:
        name: of the table.
        column: of the times.
        clocks: the times of each series.
        reading: what the user says of the table.

    Raises:
        DataError: no series shows one.
    """
    steps: Counter[Step] = Counter()
    weekdays: set[int] = set()
    # Many series have the same times. Those with zones can be equal and stand at other hours.
    known: dict[tuple[datetime, ...], Step] = {}
    # Series of a large table share the clock itself.
    shown: dict[int, tuple[Step, int] | None] = {}
    for clock in clocks:
        if id(clock) not in shown:
            # Times that occur twice are reported, or merged, later.
            by_instant = {utc_time(time): time for time in clock}
            times = [by_instant[instant] for instant in sorted(by_instant)]
            shown[id(clock)] = None
            if len(times) >= FEWEST_ROWS:
                same = tuple(times)
                step = known.get(same) or step_of(times, column, reading.frequency)
                if times[0].tzinfo is None:
                    known[same] = step
                shown[id(clock)] = step, len(times)
                if step.seconds == DAY:
                    weekdays |= {time.weekday() for time in times}
        of_clock = shown[id(clock)]
        if of_clock is not None:
            steps[of_clock[0]] += of_clock[1]
    if not steps:
        raise DataError(
            f"{name}: none of {counted(len(clocks), 'series', 'series')} has "
            f"{FEWEST_ROWS} rows, which show how far apart rows are. Are the columns of "
            f"{named('series')} those that name the series?"
        )
    usual = steps.most_common(1)[0][0]
    if any(step.weekdays and step.same_pace(usual) for step in steps):
        return Step(seconds=DAY, weekdays=tuple(sorted(weekdays)) if len(weekdays) < 7 else ())
    return usual


def shared_notes(labels: Sequence[str], notes_of: Sequence[Sequence[str]]) -> list[str]:
    """Return the notes on several series: those on all once, of the others the first ones with the
    series they are on."""
    first: dict[str, tuple[str, int]] = {}
    for label_of, notes in zip(labels, notes_of, strict=True):
        for note in notes:
            series, times = first.get(note, (label_of, 0))
            first[note] = series, times + 1
    every = [note for note, (_, times) in first.items() if times == len(labels)]
    some = [(note, *of) for note, of in first.items() if of[1] < len(labels)]
    shown = [f"{series}: {note}" for note, series, _ in some[:MOST_LISTED]]
    more = len(some) - len(shown)
    also = [f"{counted(more, 'note', 'notes')} on other series of these kinds"] if more else []
    return [*every, *shown, *also]


def _note_of_ends(names: Sequence[tuple[str, ...]], tables: Sequence[Table]) -> list[str]:
    """Return a note on series that end before the others: each is forecast from its last row."""
    # A day ends at another instant in each zone.
    clock = wall_time if tables[0].step and tables[0].step.of_calendar else utc_time
    ends = [clock(table.times[-1]) if table.times else None for table in tables]
    latest = max(end for end in ends if end is not None)
    early = [
        f"{group_label(name)} ({table.last_time})"
        for name, table, end in zip(names, tables, ends, strict=True)
        if end != latest
    ]
    if not early:
        return []
    last = tables[ends.index(latest)].last_time
    return [
        f"{counted(len(early), 'series', 'series')} of {len(tables):,} "
        f"{'ends' if len(early) == 1 else 'end'} before {last}, and "
        f"{'is' if len(early) == 1 else 'are'} forecast from there: {listed(early)}"
    ]
