"""Reads the columns of a table that a forecast is made of, before its rows are put in order."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from conveyor.data.number_column import (
    MARKS,
    MOSTLY,
    NumberColumn,
    Numbers,
    checked_numbers,
    decimal_mark,
    note_of_digits,
    note_of_doubt,
    note_of_mark,
    note_of_signs,
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
    on_clocks,
    read_time_column,
    texts_of_time,
)
from conveyor.errors import DataError, named


@dataclass(frozen=True)
class TableColumns:
    """Columns of a table, its rows as they stand there.

    Attributes:
        raw: the table.
        numbers: the columns of numbers by name; NaN is a missing value.
        clock: the times of the rows; None if rows are only counted.
        targets: the columns to forecast.
        known: the columns that are known ahead.
        notes: for the user.
        reading: what the user says of the table.
        units: what the numbers of columns are of, as far as their texts say it.
    """

    raw: RawTable
    numbers: dict[str, Numbers]
    clock: TimeColumn | None
    targets: tuple[str, ...]
    known: tuple[str, ...]
    notes: list[str]
    reading: TableReading = BY_EVIDENCE
    units: tuple[tuple[str, str], ...] = ()

    def rows(self, rows: Sequence[int], name: str) -> "TableColumns":
        """Return some of the rows, as a table of that name without notes."""
        chosen = list(rows)
        clock = None if self.clock is None else self.clock.rows(chosen)
        numbers = {column: values[chosen] for column, values in self.numbers.items()}
        raw = self.raw.rows(chosen, name)
        return replace(self, raw=raw, numbers=numbers, clock=clock, notes=[])


def _find_times(
    raw: RawTable,
    asked: str | None,
    targets: Sequence[str],
    reading: TableReading,
    groups: Sequence[str],
) -> TimeColumn | None:
    """Return the times of the rows, None if rows are only counted.

    Raises:
        DataError: a value is no time, or the table holds several series.
    """
    name: str | None = None
    if groups and (asked or "").lower() == "none":
        raise DataError(
            f"{raw.name}: rows of several series are put in order by their times, and "
            f"{named('time')} is none. Name the column of times."
        )
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
    clock = read_time_column(raw, name, reading, needed=bool(groups))
    if groups:
        return clock
    clock = on_clocks(clock, reading.timezone, repeating=bool(reading.duplicates))
    if not reading.duplicates:
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


def read_columns(
    data: Any,
    targets: Sequence[str],
    *,
    groups: Sequence[str] = (),
    time: str | None = None,
    only_targets: bool = False,
    covariates: Sequence[str] | None = None,
    known: Sequence[str] = (),
    static: Sequence[str] = (),
    reading: TableReading = BY_EVIDENCE,
) -> TableColumns:
    """Read columns; see ``read_groups`` for the arguments and errors."""
    spelled = [*targets, *known, *(covariates or ()), *([time, *time.split("+")] if time else [])]
    raw = read_raw(data).with_names([*spelled, *groups, *static])
    for name in (*groups, *static):
        raw.column(name)
    decimal = reading.decimal or decimal_mark(raw)
    everything = list(targets) == ["all"] and "all" not in raw.frame.columns
    asked = [] if everything else list(targets)
    numbers = {name: checked_numbers(raw, name, decimal, reading) for name in asked}
    clock = _find_times(raw, time, [*asked, *groups, *static], reading, groups)
    notes = list(raw.notes)
    if decimal:
        notes.append(MARKS[decimal])
    numbers |= {name: checked_numbers(raw, name, decimal, reading) for name in known}
    if covariates is not None:
        numbers |= {name: checked_numbers(raw, name, decimal, reading) for name in covariates}
    if everything or (covariates is None and not only_targets):
        named_already = [*asked, *known, *groups, *static, *(covariates or ())]
        covariate_numbers, left_out = _other_numbers(raw, clock, named_already, decimal, reading)
        numbers |= covariate_numbers
        notes += left_out
    if not numbers:
        raise DataError(f"{raw.name}: no column holds numbers.")
    for note_of in (note_of_signs, note_of_doubt, note_of_mark, note_of_digits):
        column_notes = [note_of(name, column) for name, column in numbers.items()]
        notes += [note for note in column_notes if note]
    if clock is None and groups:
        raise DataError(
            f"{raw.name}: no column holds times, by which the rows of each series are in order. "
            f"Name it with {named('time')}."
        )
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
        if not groups:
            notes += note_of_names(raw, [*asked, clock.name, *clock.name.split("+")])
    helpers = {*known, *(covariates or ())}
    forecast = [name for name in numbers if name not in helpers] if everything else asked
    values = {name: column.values for name, column in numbers.items()}
    for name, unit in reading.units:
        here = numbers[name].unit if name in numbers else ""
        if here and here != unit:
            raise DataError(
                f"{raw.name}: column {label(name)} is in {here}; the run learned it in {unit}. "
                f"Give it in {unit}."
            )
    units = tuple((name, column.unit) for name, column in numbers.items() if column.unit)
    return TableColumns(raw, values, clock, tuple(forecast), tuple(known), notes, reading, units)
