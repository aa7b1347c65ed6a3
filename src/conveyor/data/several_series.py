"""Recognises tables that hold several series below each other, and the column that names them."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.raw_table import RawTable, is_nameless, label
from conveyor.data.time_column import FOREIGN_TIMES, PARTS_OF_TIME
from conveyor.data.timeline import utc_time
from conveyor.errors import DataError, named

# This many columns, those with the fewest values, are tried in pairs and triples.
_MOST_COMBINED = 8

# An error lists this many names of series.
_MOST_LISTED = 4

# A block of this many rows of one value is long enough to be a series.
_LONG = 10

# Usual names of columns that name series.
_NAMES = re.compile(
    r"(.*[_ ])?(id|key|series|store|shop|item|sku|product|station|sensor|device|meter|machine|"
    r"symbol|ticker|country|region|city|customer)([_ ]?(id|nr|no|number|name|code))?"
)


def check_one_per_time(
    raw: RawTable,
    times: list[datetime] | list[str],
    time_column: str,
    targets: Collection[str],
) -> None:
    """Check that a table with times does not hold several series. It does where times repeat and
    another column distinguishes the rows of each time.

    Args:
        raw: the table.
        times: the times of the rows, as texts where they cannot be read.
        time_column: the column of the times.
        targets: the columns to forecast, which name no series.

    Raises:
        DataError: the table holds several series; the text names the column that
            distinguishes them.
    """
    keys = [time if isinstance(time, str) else utc_time(time).isoformat() for time in times]
    _, when = np.unique(np.array(keys), return_inverse=True)
    rows = len(times)
    if when.max() + 1 == rows:
        return
    # Equal rows are another mistake, which is reported when the series are named.
    distinct = raw.frame.n_unique()
    other_names = set(raw.frame.columns) - set(targets) - {time_column, *time_column.split("+")}
    columns = [
        _SeriesNames.of(raw.frame[name]) for name in raw.frame.columns if name in other_names
    ]
    known = sorted(
        (column for column in columns if column and 1 < column.count <= rows // 2),
        key=lambda column: (not column.is_text, column.count),
    )
    likely = known[:_MOST_COMBINED]
    tried = [*((column,) for column in known), *combinations(likely, 2), *combinations(likely, 3)]
    for together in tried:
        codes = np.zeros(rows, dtype=np.int64)
        for column in together:
            codes = codes * column.count + column.codes
        count = len(np.unique(codes))
        keys_of_rows = when * (codes.max() + 1) + codes
        if count <= rows // 2 and len(np.unique(keys_of_rows)) == distinct:
            raise _error(raw, time_column, [column.name for column in together], codes, count)


def _blocks(raw: RawTable, without: Collection[str]) -> Iterator[tuple["_SeriesNames", list[int]]]:
    """Yield each column that may name series, with the lengths of its blocks of one value."""
    for name in raw.frame.columns:
        column = None if name in without else _SeriesNames.of(raw.frame[name])
        if column and 1 < column.count <= len(column.codes) // 2:
            ends = [*np.flatnonzero(np.diff(column.codes)) + 1, len(column.codes)]
            yield column, [int(length) for length in np.diff([0, *ends])]


def check_one_block(raw: RawTable, targets: Collection[str]) -> list[str]:
    """Check that a table without times does not hold several series below each other.

    Returns:
        Notes about columns that may name series.

    Raises:
        DataError: a column that has a usual name of series, or a column of texts with blocks of
            equal length, has the same value in long blocks of rows.
    """
    notes = []
    for column, lengths in _blocks(raw, targets):
        once = len(lengths) == column.count and min(lengths) >= _LONG
        if once and (column.has_usual_name or (column.is_text and len(set(lengths)) == 1)):
            begins = np.cumsum([0, *lengths])[:_MOST_LISTED]
            values = [str(raw.frame[column.name][int(row)]) for row in begins[: column.count]]
            listed = ", ".join(values) + (", ..." if column.count > _MOST_LISTED else "")
            raise DataError(
                f"{raw.name}: column {label(column.name)} tells {column.count} series below each "
                f"other apart ({listed}). Give their rows a column of times, by which they are in "
                f"order, and pass {named('series', column.name)}. If they are one series, take "
                "the column out of the table."
            )
        if once or column.has_usual_name:
            notes.append(_may_be_series(column))
    return notes


def note_of_names(raw: RawTable, without: Collection[str]) -> list[str]:
    """Return notes about columns that have usual names of series, for tables whose times do not
    repeat."""
    return [_may_be_series(column) for column, _ in _blocks(raw, without) if column.has_usual_name]


def _may_be_series(column: "_SeriesNames") -> str:
    return (
        f"column {label(column.name)} holds {column.count} names or numbers. All rows are read as "
        f"one series: if it tells several apart, pass {named('series', column.name)}"
    )


def _error(
    raw: RawTable, time_column: str, names: list[str], codes: NDArray[np.int64], count: int
) -> DataError:
    _, first = np.unique(codes, return_index=True)
    rows = sorted(first)[:_MOST_LISTED]
    listed = [" ".join(str(raw.frame[name][int(row)]) for name in names) for row in rows]
    more = ", ..." if count > len(listed) else ""
    column = " and ".join(map(label, names))
    which = f"column {column} tells" if len(names) == 1 else f"columns {column} tell"
    return DataError(
        f"{raw.name}: the times of column {label(time_column)} repeat, and {which} {count} series "
        f"apart ({', '.join(listed)}{more}). Pass "
        + " ".join(named("series", name) for name in names)
        + " to forecast them all by one network."
    )


def _can_name(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


class _SeriesNames:
    """A column that may name series: its texts or whole numbers, as codes from 0."""

    def __init__(self, name: str, codes: NDArray[np.int64], is_text: bool) -> None:
        self.name, self.codes, self.is_text = name, codes, is_text
        self.count = int(codes.max()) + 1

    @property
    def has_usual_name(self) -> bool:
        """Whether the column has a usual name of columns that name series."""
        return bool(_NAMES.fullmatch(self.name.lower()))

    @staticmethod
    def of(column: pl.Series) -> "_SeriesNames | None":
        """Return a column as names of series; None for numbers with fractions, and for an index."""
        if is_nameless(column.name) or not _can_name(column.dtype):
            return None
        if column.name.lower() in (*PARTS_OF_TIME, *FOREIGN_TIMES):
            return None  # hours distinguish the rows of a day and name no series
        texts = column.cast(pl.String).fill_null("")
        numbers = texts.str.contains(r"^[+-]?\d+(\.0+)?$").all()
        if not numbers and texts.str.contains(r"^[+-]?\d*[.,]?\d*$").all():
            return None
        _, codes = np.unique(texts.to_numpy(), return_inverse=True)
        return _SeriesNames(column.name, codes.astype(np.int64), not numbers)
