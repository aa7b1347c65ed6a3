"""Reads series of numbers and what they are to be called: a long table, a row a step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.group_names import group_label
from conveyor.data.labelled_texts import as_labels, as_texts, parts_of, plain_label
from conveyor.data.number_column import MOSTLY, checked_numbers, decimal_mark, read_numbers
from conveyor.data.raw_table import RawTable, read_raw
from conveyor.data.raw_table import label as column_name
from conveyor.data.time_column import read_time_column
from conveyor.errors import DataError, named


@dataclass(frozen=True)
class LabelledSeries:
    """Series in the order of their source.

    Attributes:
        name: of the source.
        names: of each series.
        values: of each, float64 [T, columns], NaN where a value is missing.
        labels: of each, empty where there is none; None where nothing names them.
        places: how errors name each, by its first row.
        columns: what the numbers are called.
        parts: the part of each, 0 to 2; None where nothing names parts.
        label: the column of labels; None where there is none.
        notes: for the user.
    """

    name: str
    names: list[str]
    values: list[NDArray[np.float64]]
    labels: list[str] | None
    places: list[str]
    columns: tuple[str, ...]
    parts: list[int] | None = None
    label: str | None = None
    notes: list[str] = field(default_factory=list)


def read_series(
    source: Any,
    by: Sequence[str],
    *,
    order: str | None = None,
    columns: Sequence[str] = (),
    label: str | None = None,
    part: str | None = None,
    labelled: bool = True,
    needs_part: bool = True,
) -> LabelledSeries:
    """Read series of numbers and their labels.

    Args:
        source: any table that ``read_raw`` reads; a row is a step of a series.
        by: the columns that name the series.
        order: the column of numbers or times by which the rows of a series are put in order; None
            takes them as they stand.
        columns: the columns of numbers; none for all that are left.
        label: the column of labels, one for each series; None for the only column that is left
            with one text for each series.
        part: the column that says train, validation or test; None for none.
        labelled: whether there must be labels.
        needs_part: whether the column of parts must be there.

    Raises:
        DataError: the table cannot be used; the text names the line and the column.
    """
    asked = [*by, *([order] if order else []), *columns, *([label] if label else [])]
    wanted = [*asked, *([part] if part and needs_part else [])]
    raw = read_raw(source).with_names(wanted)
    for name in wanted:
        raw.column(name)
    if part not in raw.frame.columns:
        part = None
    notes = list(raw.notes)
    rows = _rows_of(raw, by)
    if label is None and labelled:
        label = _find_label(raw, list(rows.values()), [*asked, part])
        notes.append(f"labels: column {label} (another one: {named('label', 'NAME')})")
    used = {*by, order, label, part}
    numbered = tuple(columns) or numbers_left(raw, used)
    if not numbered:
        raise DataError(f"{raw.name}: no column holds numbers.")
    if not columns:
        notes.append(f"columns: {', '.join(numbered)}")
    decimal = decimal_mark(raw)
    numbers = np.stack([checked_numbers(raw, name, decimal).values for name in numbered], 1)
    ordered = [_in_order(raw, each, order, called) for called, each in rows.items()]
    return LabelledSeries(
        raw.name,
        list(rows),
        [numbers[each] for each in ordered],
        None if label is None else _one_for_each(raw, label, list(rows.values())),
        [raw.position(each[0]) for each in rows.values()],
        numbered,
        None if part is None else _parts(raw, part, list(rows.values())),
        label,
        notes,
    )


def _rows_of(raw: RawTable, by: Sequence[str]) -> dict[str, list[int]]:
    """Return the rows of each series, which need not follow each other."""
    named_by = [list(map(plain_label, as_texts(raw.column(name)))) for name in by]
    rows: dict[str, list[int]] = {}
    for row, names in enumerate(zip(*named_by, strict=True)):
        for name, value in zip(by, names, strict=True):
            if not value:
                raise DataError(
                    f"{raw.name}, {raw.position(row)}, column {column_name(name)}: there is no "
                    "value, so that the row belongs to no series. Give it one, or take the row out."
                )
        rows.setdefault(group_label(names), []).append(row)
    return rows


def _find_label(raw: RawTable, rows: list[list[int]], used: Sequence[str | None]) -> str:
    """Return the only column with one value for each series.

    Raises:
        DataError: there is none, or there are several.
    """
    names = []
    for name in raw.frame.columns:
        if name in used:
            continue
        texts = as_texts(raw.frame[name])
        if len(set(texts)) > 1 and all(len({texts[row] for row in each}) == 1 for each in rows):
            names.append(name)
    if len(names) == 1 and any(len(each) > 1 for each in rows):
        return names[0]
    which = (
        f"several columns may be the label: {', '.join(names)}"
        if names
        else "no column has one value for each series"
    )
    raise DataError(f"{raw.name}: {which}. Name the column of labels with {named('label')}.")


def numbers_left(raw: RawTable, used: set[str | None]) -> tuple[str, ...]:
    """Return the columns of a table that hold mostly numbers, but for those that are used."""
    return tuple(
        name
        for name in raw.frame.columns
        if name not in used
        and (raw.frame[name].dtype.is_numeric() or raw.frame[name].dtype in (pl.String, pl.Boolean))
        and read_numbers(raw.frame[name], signs=False).bad.mean() <= MOSTLY
    )


def _in_order(raw: RawTable, rows: list[int], order: str | None, called: str) -> list[int]:
    """Return the rows of a series in the order of a column.

    Raises:
        DataError: two rows have the same place.
    """
    if order is None:
        return rows
    part = raw.rows(rows, raw.name)
    numbers = read_numbers(part.column(order), signs=False)
    if not numbers.bad.any() and not numbers.missing.any():
        keys: list[Any] = numbers.values.tolist()
    else:
        keys = list(read_time_column(part, order, needed=True).times)
    places = sorted(range(len(rows)), key=lambda place: keys[place])
    for before, after in pairwise(places):
        if keys[before] == keys[after]:
            value = part.column(order)[after]
            raise DataError(
                f"{raw.name}, {part.position(after)}, column {column_name(order)}: series "
                f"{called} has {value!r} twice, also on {part.position(before)}. Give each row of "
                "a series a place of its own."
            )
    return [rows[place] for place in places]


def _one_for_each(raw: RawTable, name: str, series: list[list[int]]) -> list[str]:
    """Return the label of each series.

    Raises:
        DataError: two rows of one have different ones.
    """
    labels = as_labels(raw, name)
    for rows in series:
        first = rows[0]
        for row in rows:
            if labels[row] != labels[first]:
                raise DataError(
                    f"{raw.name}, {raw.position(row)}, column {column_name(name)}: "
                    f"{labels[row]!r} differs from {labels[first]!r} of {raw.position(first)}, a "
                    "row of the same series; a series has one label."
                )
    return [labels[rows[0]] for rows in series]


def _parts(raw: RawTable, name: str, rows: list[list[int]]) -> list[int]:
    """Return the part of each series.

    Raises:
        DataError: a series is in two parts.
    """
    parts = parts_of(raw, name)
    for each in rows:
        other = next((row for row in each if parts[row] != parts[each[0]]), None)
        if other is not None:
            raise DataError(
                f"{raw.name}, {raw.position(other)}, column {column_name(name)}: the series is in "
                f"another part on {raw.position(each[0])}; a series is in one part."
            )
    return [parts[each[0]] for each in rows]
