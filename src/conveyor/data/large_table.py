"""Reads large tables of many series at once, where they are written plainly.

What ``read_columns`` does row by row, with the evidence of each text, takes hundreds of bytes and
some microseconds a row. A table of millions of rows mostly says everything in its first ones: then
its columns are read as numbers of a few bytes by polars, a piece of the file at a time. Wherever
one row is not written as the first ones are, nothing is read here, and ``read_columns`` reads the
table, or says what is wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.data.csv_table import table_of_text
from conveyor.data.number_column import (
    IN_DOUBT,
    MISSING,
    NumberColumn,
    Numbers,
    decimal_mark,
    note_of_digits,
    note_of_mark,
    read_numbers,
)
from conveyor.data.raw_table import RawTable, is_nameless, is_row_number, label
from conveyor.data.table_reading import TableReading
from conveyor.data.time_column import CLOCKS, find_time
from conveyor.data.time_text import readings
from conveyor.errors import DataError

# Smaller files are read row by row in a second or two.
LARGE_FILE, LARGE_FRAME = 8_000_000, 300_000

# The first so many bytes, or rows of a frame, show how the others are written.
_SAMPLE, _SAMPLE_ROWS = 200_000, 2_000

# A file is looked through in pieces of so many bytes.
_PIECE = 1 << 24

# Times that are written with so many characters, the year first, can be read in one way only.
_TIMES = {
    "%Y-%m-%d": 10,
    "%Y/%m/%d": 10,
    **{f"%Y-%m-%d{between}%H:%M": 16 for between in " T"},
    **{f"%Y-%m-%d{between}%H:%M:%S": 19 for between in " T"},
}

# Between the names of a series in a key; no table holds it.
_BETWEEN = "\x1f"

_EPOCH = datetime(1970, 1, 1)


class Clock(Sequence[datetime]):
    """Times without a zone, held as microseconds since 1970: a sixth of what a list of them takes.

    Args:
        instants: in order.
    """

    def __init__(self, instants: NDArray[np.int64]) -> None:
        self.instants = instants

    def __len__(self) -> int:
        return len(self.instants)

    @overload
    def __getitem__(self, index: int) -> datetime: ...

    @overload
    def __getitem__(self, index: slice) -> "Clock": ...

    def __getitem__(self, index: int | slice) -> "datetime | Clock":
        if isinstance(index, slice):
            return Clock(self.instants[index])
        return _EPOCH + timedelta(microseconds=int(self.instants[index]))

    def __iter__(self) -> Iterator[datetime]:
        for instant in self.instants.tolist():
            yield _EPOCH + timedelta(microseconds=instant)


@dataclass(frozen=True)
class LargeTable:
    """The columns of a table of many series, the rows of each series together, in the order of the
    table.

    Attributes:
        name: of the table.
        names: of each series, its value in each column that names series.
        bounds: the first row of each series, and the end of the last one.
        rows: of each row, its number in the table, from 0.
        above: how many lines of a text file stand above the first row; None without lines.
        instants: the times of the rows, in microseconds since 1970.
        time_column, time_format: of these.
        numbers: the columns of numbers by name; NaN is a missing value.
        static: of each series, its one text in each static column; empty where it has none.
        notes: for the user.
    """

    name: str
    names: list[tuple[str, ...]]
    bounds: NDArray[np.int64]
    rows: NDArray[np.int64]
    above: int | None
    instants: NDArray[np.int64]
    time_column: str
    time_format: str
    numbers: dict[str, Numbers]
    static: list[tuple[str, ...]]
    notes: list[str] = field(default_factory=list)

    def raw(self, number: int) -> RawTable:
        """Return a table without columns, which knows where the rows of a series stand."""
        first, last = self.bounds[number], self.bounds[number + 1]
        of_series = self.rows[first:last]
        called = f"{self.name}, series {' '.join(self.names[number])}"
        if self.above is None:
            return RawTable(called, pl.DataFrame(), numbers=of_series)
        return RawTable(called, pl.DataFrame(), lines=of_series + self.above + 1)


class _NotPlain(Exception):  # noqa: N818  (no error: the table is read in another way)
    """Raised where a table cannot be read at once."""


@dataclass(frozen=True)
class _Source:
    """A large table that is not read yet: its first rows, and how all of them are read."""

    sample: RawTable
    rows: pl.LazyFrame
    above: int | None


def read_large(
    data: Any,
    targets: Sequence[str],
    groups: Sequence[str],
    *,
    time: str | None,
    only_targets: bool,
    covariates: Sequence[str] | None,
    known: Sequence[str],
    static: Sequence[str],
    reading: TableReading,
) -> LargeTable | None:
    """Return a large table of many series, or None if it is small, or not written plainly: then
    ``read_columns`` reads it. The arguments are those of ``read_groups``.
    """
    plain = not (reading.decimal or reading.timezone or reading.day_first or reading.units)
    everything = list(targets) == ["all"]
    if not groups or not plain or everything:
        return None
    try:
        source = _source(data)
        if source is None:
            return None
        asked = [*targets, *known, *(covariates or ())]
        return _read(
            source,
            list(dict.fromkeys(asked)),
            groups,
            time=time,
            others=covariates is None and not only_targets,
            static=static,
            reading=reading,
        )
    except (_NotPlain, DataError, UnicodeDecodeError, pl.exceptions.PolarsError):
        return None


def _source(data: Any) -> _Source | None:
    """Return a large table; None for a small one, or one of another kind.

    Raises:
        _NotPlain: it is a text file that is not written plainly.
    """
    if isinstance(data, pl.DataFrame):
        if len(data) < LARGE_FRAME:
            return None
        return _Source(RawTable("data frame", data.head(_SAMPLE_ROWS)), data.lazy(), None)
    path = Path(data) if isinstance(data, str | Path) else None
    if path is None or not path.is_file() or path.stat().st_size < LARGE_FILE:
        return None
    if path.suffix.lower() in (".parquet", ".pq"):
        rows = pl.scan_parquet(path, glob=False)
        return _Source(RawTable(str(path), rows.head(_SAMPLE_ROWS).collect()), rows, None)
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return None
    with path.open("rb") as file:
        begin = file.read(_SAMPLE)
    text = begin[: begin.rfind(b"\n") + 1].decode("utf-8-sig")
    table = table_of_text(path, text)
    names, separator = table.names, table.separator
    if table.notes or len(set(names)) < len(names) or not all(names) or len(names) == 1:
        raise _NotPlain
    _check_lines(path, separator.encode(), len(names) - 1)
    sample = pl.DataFrame(dict(zip(names, table.columns, strict=True)))
    rows = pl.scan_csv(
        path,
        separator=separator,
        quote_char=None,
        schema=dict.fromkeys(names, pl.String),
        glob=False,
    )
    return _Source(RawTable(str(path), sample, separator=separator), rows, 1)


def _check_lines(path: Path, separator: bytes, between: int) -> None:
    """Check that a file holds nothing but lines of values: no quotes, comments and blank lines, and
    as many separators as lines need. A line with too many is an error of polars, so that none has
    too few.

    Raises:
        _NotPlain: it holds something else.
    """
    lines = separators = 0
    last = b"\n"
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            joined = last + piece
            if any(mark in joined for mark in (b'"', b"\n#", b"\n\n", b"\n\r", b"\0")):
                raise _NotPlain
            lines += piece.count(b"\n")
            separators += piece.count(separator)
            last = piece[-1:]
    lines += last != b"\n"
    if separators != lines * between:
        raise _NotPlain


def _read(
    source: _Source,
    asked: list[str],
    groups: Sequence[str],
    *,
    time: str | None,
    others: bool,
    static: Sequence[str],
    reading: TableReading,
) -> LargeTable:
    """Read a large table.

    Args:
        source: the table.
        asked: the columns of numbers that there must be.
        groups: the columns that name the series.
        time: the column of times; None to find it.
        others: whether all other columns of numbers are read, too.
        static: the columns of one text for each series.
        reading: what the user says of the table.

    Raises:
        _NotPlain: it is not written plainly.
    """
    sample, rows = source.sample, source.rows
    named = [*asked, *groups, *static]
    columns = sample.frame.columns
    if not set(named) <= set(columns) or decimal_mark(sample):
        raise _NotPlain
    time_column = find_time(sample, time, named)
    if time_column is None or time_column not in columns:
        raise _NotPlain
    if time is None and any(name.lower() in CLOCKS for name in columns if name != time_column):
        raise _NotPlain
    instant, time_format = _instant(sample, time_column)
    numbers = list(asked)
    texts: list[str] = []
    for name in columns if others else ():
        if name in (*named, time_column):
            continue
        if is_nameless(name) or is_row_number(sample.frame[name]):
            raise _NotPlain
        of_sample = read_numbers(sample.frame[name], "", reading)
        if of_sample.missing.all() or (of_sample.bad.any() and not of_sample.bad.all()):
            raise _NotPlain
        (texts if of_sample.bad.all() else numbers).append(name)
    _check_plain(rows, sample, numbers, texts, instant)
    key = pl.concat_str([_name(name, sample) for name in groups], separator=_BETWEEN)
    keys = rows.select(key.alias("key")).unique(maintain_order=True).collect(engine="streaming")
    called = keys["key"].to_list()
    names = [tuple(text.split(_BETWEEN)) for text in called]
    if any(len(parts) != len(groups) or not all(parts) for parts in names):
        raise _NotPlain
    frame = rows.select(
        key.cast(pl.Enum(called)).to_physical().cast(pl.UInt32).alias(_BETWEEN),
        instant.alias(_BETWEEN + "t"),
        *(_number(name, sample).alias(name) for name in numbers),
    ).collect(engine="streaming")
    group = frame[_BETWEEN].to_numpy()
    # Where the rows of each series stand together they are in order.
    order = None if bool((group[1:] >= group[:-1]).all()) else np.argsort(group, kind="stable")
    bounds = np.r_[0, np.cumsum(np.bincount(group, minlength=len(names)))]
    del group

    def ordered(name: str) -> NDArray[Any]:
        values = frame.drop_in_place(name).to_numpy()
        return values if order is None else values[order]

    instants = ordered(_BETWEEN + "t")
    values = {}
    for name in numbers:
        column = np.array(ordered(name), dtype=np.float64)
        if reading.missing:
            column[np.isin(column, reading.missing)] = np.nan
        values[name] = column
    notes = [f"column {label(name)} holds no numbers and is left out" for name in texts]
    for note_of in (note_of_mark, note_of_digits):
        for name, column in values.items():
            note = note_of(name, _as_column(column))
            notes += [note] if note else []
    return LargeTable(
        name=sample.name,
        names=names,
        bounds=bounds,
        rows=np.arange(len(instants)) if order is None else order,
        above=source.above,
        instants=instants,
        time_column=time_column,
        time_format=time_format or format_of(instants),
        numbers=values,
        static=_static(rows, sample, static, key, called),
        notes=notes,
    )


def _as_column(values: Numbers) -> NumberColumn:
    missing = np.isnan(values)
    return NumberColumn(values, missing, np.zeros_like(missing))


def _text(name: str) -> pl.Expr:
    """Return a column as texts without spaces around; empty where a value is missing."""
    return pl.col(name).cast(pl.String).fill_null("").str.strip_chars()


def _name(name: str, sample: RawTable) -> pl.Expr:
    """Return a column as names of series.

    Raises:
        _NotPlain: its values are neither texts nor whole numbers.
    """
    dtype = sample.frame[name].dtype
    if dtype != pl.String and not dtype.is_integer():
        raise _NotPlain
    return _text(name).str.normalize("NFC")


def _number(name: str, sample: RawTable) -> pl.Expr:
    """Return a column as numbers, null where a value is missing or no number.

    Raises:
        _NotPlain: it holds something else than texts and numbers.
    """
    dtype = sample.frame[name].dtype
    if dtype.is_numeric():
        return pl.col(name).cast(pl.Float64).fill_null(float("nan"))
    if dtype != pl.String:
        raise _NotPlain
    return _text(name).cast(pl.Float64, strict=False).fill_null(float("nan"))


def _instant(sample: RawTable, name: str) -> tuple[pl.Expr, str]:
    """Return a column of times as microseconds since 1970, null where there is no time, and how
    the times are written; empty for times that are no texts.

    Raises:
        _NotPlain: they can be read in several ways, or name zones.
    """
    dtype = sample.frame[name].dtype
    if dtype == pl.Date or (isinstance(dtype, pl.Datetime) and not dtype.time_zone):
        whole = pl.col(name).cast(pl.Datetime("ns")).dt.nanosecond() % 1000 == 0
        return pl.when(whole).then(pl.col(name).cast(pl.Datetime("us")).dt.epoch("us")), ""
    if dtype != pl.String:
        raise _NotPlain
    first = [text.strip() for text in sample.frame[name].fill_null("").to_list()]
    formats = [one.fmt for one in readings(first)[0]]
    if len(formats) != 1 or formats[0] not in _TIMES:
        raise _NotPlain
    text, fmt = _text(name), formats[0]
    written = pl.when(text.str.len_bytes() == _TIMES[fmt]).then(text)
    if "%H" not in fmt:
        return written.str.to_date(fmt, strict=False).cast(pl.Datetime("us")).dt.epoch("us"), fmt
    return written.str.to_datetime(fmt, strict=False, time_unit="us").dt.epoch("us"), fmt


def format_of(instants: NDArray[np.int64]) -> str:
    """Return how times that are no texts are written: as days, or with as much of the time of the
    day as they need."""
    if not (instants % 86_400_000_000).any():
        return "%Y-%m-%d"
    micros = instants % 1_000_000
    digits = 6 if (micros % 1000).any() else 3
    return "%Y-%m-%d %H:%M:%S" + f".%{digits}f" * bool(micros.any())


def _check_plain(
    rows: pl.LazyFrame,
    sample: RawTable,
    numbers: Sequence[str],
    texts: Sequence[str],
    instant: pl.Expr,
) -> None:
    """Check that all rows of a table are written as plainly as its first ones.

    Args:
        rows: of the table.
        sample: the first of them.
        numbers: columns of numbers: each text is one, with a decimal point if with any, or stands
            for a missing value.
        texts: columns without numbers.
        instant: the times.

    Raises:
        _NotPlain: a row is written otherwise.
    """
    wrong = [instant.is_null().any()]
    for name in numbers:
        value = _number(name, sample)
        wrong.append((value.is_not_nan() & (value.abs() >= LARGEST)).any())
        if sample.frame[name].dtype == pl.String:
            text = _text(name)
            missing = text.str.to_lowercase().is_in(list(MISSING))
            wrong.append((value.is_nan() & ~missing).any())
            # 1.234 alone may be more than a thousand: another number with a point shows that not.
            pointed = text.str.contains(".", literal=True) & ~missing
            wrong.append(pointed.any() & ~(pointed & ~text.str.contains(IN_DOUBT)).any())
    for name in texts:
        if sample.frame[name].dtype != pl.String:
            raise _NotPlain
        wrong.append(_number(name, sample).is_not_nan().any())
        wrong.append(_text(name).str.contains(r"^[\d(+-]").any())
    found = rows.select(expr.alias(str(number)) for number, expr in enumerate(wrong))
    if any(found.collect(engine="streaming").row(0)):
        raise _NotPlain


def _static(
    rows: pl.LazyFrame,
    sample: RawTable,
    static: Sequence[str],
    key: pl.Expr,
    called: Sequence[str],
) -> list[tuple[str, ...]]:
    """Return the one text of each series in each static column; empty where it has none.

    Raises:
        _NotPlain: rows of a series have different ones.
    """
    if not static:
        return [()] * len(called)
    texts = [_name(name, sample).alias(f"{_BETWEEN}{number}") for number, name in enumerate(static)]
    pairs = rows.select(key.alias("key"), *texts).unique().collect(engine="streaming")
    found: dict[str, list[str]] = {text: [""] * len(static) for text in called}
    for of_series, *values in pairs.iter_rows():
        for number, text in enumerate(values):
            if text and found[of_series][number] not in {"", text}:
                raise _NotPlain
            found[of_series][number] = found[of_series][number] or text
    return [tuple(found[text]) for text in called]
