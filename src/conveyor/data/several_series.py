"""Several series below each other in one table: which column tells them apart."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.raw_table import RawTable, is_nameless, shown
from conveyor.data.time_column import FOREIGN_TIMES, PARTS_OF_TIME
from conveyor.data.timeline import instant
from conveyor.errors import DataError

# Of the columns with the fewest values, so many are tried together.
_MOST_TOGETHER = 8

# So many names of series are told.
_MOST_TOLD = 4

# A block of so many rows of one value is long enough to be a series.
_LONG = 10

# What columns are called that tell series apart.
_NAMES = re.compile(
    r"(.*[_ ])?(id|key|series|store|shop|item|sku|product|station|sensor|device|meter|machine|"
    r"symbol|ticker|country|region|city|customer)([_ ]?(id|nr|no|number|name|code))?"
)


def refuse_several(
    raw: RawTable,
    times: list[datetime] | list[str],
    time_column: str,
    targets: Collection[str],
) -> None:
    """Where times repeat and another column tells the rows of a time apart, that column names
    series.

    Args:
        times: of the rows; as texts where they cannot be read.

    Raises:
        DataError: so it is; the column is named.
    """
    keys = [time if isinstance(time, str) else instant(time).isoformat() for time in times]
    _, when = np.unique(np.array(keys), return_inverse=True)
    rows = len(times)
    if when.max() + 1 == rows:
        return
    others = set(raw.frame.columns) - set(targets) - {time_column, *time_column.split("+")}
    labels = [_Label.of(raw.frame[name]) for name in raw.frame.columns if name in others]
    known = sorted(
        (each for each in labels if each and 1 < each.count <= rows // 2),
        key=lambda each: (not each.is_text, each.count),
    )
    likely = known[:_MOST_TOGETHER]
    several = [*((each,) for each in known), *combinations(likely, 2), *combinations(likely, 3)]
    for chosen in several:
        codes = np.zeros(rows, dtype=np.int64)
        for each in chosen:
            codes = codes * each.count + each.codes
        count = len(np.unique(codes))
        if count <= rows // 2 and len(np.unique(when * (codes.max() + 1) + codes)) == rows:
            raise _error(raw, time_column, [each.name for each in chosen], codes, count)


def _blocks(raw: RawTable, without: Collection[str]) -> Iterator[tuple["_Label", list[int]]]:
    """The labels of a table, and how long each of their blocks of one value is."""
    for name in raw.frame.columns:
        label = None if name in without else _Label.of(raw.frame[name])
        if label and 1 < label.count <= len(label.codes) // 2:
            ends = [*np.flatnonzero(np.diff(label.codes)) + 1, len(label.codes)]
            yield label, [int(length) for length in np.diff([0, *ends])]


def refuse_blocks(raw: RawTable, targets: Collection[str]) -> list[str]:
    """Where rows are only counted, see that they are not series below each other, and say of
    columns that may tell series apart.

    Raises:
        DataError: a column that is called as series are, or a column of texts with blocks of one
            length, is the same in long blocks of rows.
    """
    notes = []
    for label, lengths in _blocks(raw, targets):
        once = len(lengths) == label.count and min(lengths) >= _LONG
        if once and (label.is_named or (label.is_text and len(set(lengths)) == 1)):
            begins = np.cumsum([0, *lengths])[:_MOST_TOLD]
            told = ", ".join(str(raw.frame[label.name][int(row)]) for row in begins[: label.count])
            raise DataError(
                f"{raw.name}: column {shown(label.name)} tells {label.count} series below each "
                f"other apart ({told}{', ...' if label.count > _MOST_TOLD else ''}). One series is "
                "forecast at a time: keep the rows of one of them, or give each a column of its "
                "own. If they are one series, take the column out of the table."
            )
        if once or label.is_named:
            notes.append(_may_be_series(label))
    return notes


def note_of_names(raw: RawTable, without: Collection[str]) -> list[str]:
    """What to say of columns that are called as series are, where no time repeats."""
    return [_may_be_series(label) for label, _ in _blocks(raw, without) if label.is_named]


def _may_be_series(label: "_Label") -> str:
    return (
        f"column {shown(label.name)} holds {label.count} names or numbers. All rows are read as "
        "one series: if it tells several apart, keep the rows of one of them"
    )


def _error(
    raw: RawTable, time_column: str, names: list[str], codes: NDArray[np.int64], count: int
) -> DataError:
    _, first = np.unique(codes, return_index=True)
    rows = sorted(first)[:_MOST_TOLD]
    told = [" ".join(str(raw.frame[name][int(row)]) for name in names) for row in rows]
    more = ", ..." if count > len(told) else ""
    column = " and ".join(map(shown, names))
    which = f"column {column} tells" if len(names) == 1 else f"columns {column} tell"
    return DataError(
        f"{raw.name}: the times of column {shown(time_column)} repeat, and {which} {count} series "
        f"apart ({', '.join(told)}{more}). One series is forecast at a time: keep the rows of one "
        "of them, or give each a column of its own, with one row for each time."
    )


def _names_things(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


class _Label:
    """A column that may name series: texts or whole numbers, as codes from 0."""

    def __init__(self, name: str, codes: NDArray[np.int64], is_text: bool) -> None:
        self.name, self.codes, self.is_text = name, codes, is_text
        self.count = int(codes.max()) + 1

    @property
    def is_named(self) -> bool:
        """Whether it is called as columns are that tell series apart."""
        return bool(_NAMES.fullmatch(self.name.lower()))

    @staticmethod
    def of(column: pl.Series) -> "_Label | None":
        """The label that a column is; None for numbers with fractions, and for an index."""
        if is_nameless(column.name) or not _names_things(column.dtype):
            return None
        if column.name.lower() in (*PARTS_OF_TIME, *FOREIGN_TIMES):
            return None  # hours tell the rows of a day apart, and are no series
        texts = column.cast(pl.String).fill_null("")
        numbers = texts.str.contains(r"^[+-]?\d+(\.0+)?$").all()
        if not numbers and texts.str.contains(r"^[+-]?\d*[.,]?\d*$").all():
            return None
        _, codes = np.unique(texts.to_numpy(), return_inverse=True)
        return _Label(column.name, codes.astype(np.int64), not numbers)
