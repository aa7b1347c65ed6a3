"""Reads large tables of many series at once, where they are written plainly.

What ``read_columns`` does row by row, with the evidence of each text, takes hundreds of bytes and
some microseconds a row. A table of millions of rows mostly says everything in its first ones: then
its columns are read as numbers of a few bytes by polars, a piece of the file at a time. Wherever
one row is not written as the first ones are, nothing is read here, and ``read_columns`` reads the
table, or says what is wrong.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.data.csv_table import table_of_text
from conveyor.data.number_column import (
    COMMA,
    IN_DOUBT,
    MARKS,
    MISSING,
    POINT,
    NumberColumn,
    Numbers,
    decimal_mark,
    note_of_digits,
    note_of_mark,
    read_numbers,
)
from conveyor.data.plain_lines import NotPlain, check_lines, unpacked
from conveyor.data.raw_table import RawTable, is_nameless, is_row_number, label
from conveyor.data.table_reading import TableReading
from conveyor.data.time_column import CLOCKS, find_time, formats_by, note_of_order
from conveyor.data.time_text import Reading, readings, write_time
from conveyor.errors import DataError

# Smaller files are read row by row in a second or two.
LARGE_FILE, LARGE_FRAME = 8_000_000, 300_000

# A packed file has as few as an eighth of the bytes of what is in it.
_PACKED = 8

# The first so many bytes, or rows of a frame, show how the others are written.
_SAMPLE, _SAMPLE_ROWS = 200_000, 2_000

# Times in these forms, with all of their digits, can be read in one way only: the year first; or
# day and month first, where the first rows, or an option, show which.
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y")
_TIMES = {
    *_DATES,
    *(f"{date}{between}%H:%M" for date in _DATES for between in " T"),
    *(f"{date}{between}%H:%M:%S" for date in _DATES for between in " T"),
}

# The day of a date is no month from here on.
_MONTHS = 12

# Between the names of a series in a key; no table holds it.
_BETWEEN = "\x1f"


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
        """Return a table without values, which knows where the rows of a series stand."""
        first, last = map(int, self.bounds[number : number + 2])
        of_series = self.rows[first:last]
        called = f"{self.name}, series {' '.join(self.names[number])}"
        empty = pl.DataFrame({"": pl.repeat(None, last - first, dtype=pl.Null, eager=True)})
        if self.above is None:
            return RawTable(called, empty, numbers=of_series)
        return RawTable(called, empty, lines=of_series + self.above + 1)


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
    if not groups or reading.units or list(targets) == ["all"]:
        return None
    asked = _Asked(
        list(dict.fromkeys([*targets, *known, *(covariates or ())])),
        time,
        covariates is None and not only_targets,
        static,
    )
    try:
        if isinstance(data, pl.DataFrame):
            if len(data) < LARGE_FRAME:
                return None
            source = _Source(RawTable("data frame", data.head(_SAMPLE_ROWS)), data.lazy(), None)
            return _read(source, groups, asked, reading)
        path = Path(data) if isinstance(data, str | Path) else None
        if path is None or not path.is_file():
            return None
        packed = path.suffix.lower() == ".gz"
        if path.stat().st_size < LARGE_FILE / (_PACKED if packed else 1):
            return None
        with unpacked(path) as whole:
            of_file = _source(path, whole)
            return None if of_file is None else _read(of_file, groups, asked, reading)
    except (
        NotPlain, DataError, UnicodeDecodeError, pl.exceptions.PolarsError, OSError, EOFError,
        zlib.error,
    ):  # fmt: skip
        return None


def _source(named: Path, path: Path) -> _Source | None:
    """Return a large table; None for a small one, or one of another kind.

    Args:
        named: the file as the user named it.
        path: where it stands unpacked.

    Raises:
        NotPlain: it is a text file that is not written plainly.
    """
    if path.stat().st_size < LARGE_FILE:
        return None
    if path.suffix.lower() in (".parquet", ".pq"):
        rows = pl.scan_parquet(path, glob=False)
        return _Source(RawTable(str(named), rows.head(_SAMPLE_ROWS).collect()), rows, None)
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return None
    with path.open("rb") as file:
        begin = file.read(_SAMPLE)
    text = begin[: begin.rfind(b"\n") + 1].decode("utf-8-sig")
    table = table_of_text(named, text)
    names, separator = table.names, table.separator
    if table.notes or len(set(names)) < len(names) or not all(names) or len(names) == 1:
        raise NotPlain
    quotes = check_lines(path, separator, len(names))
    sample = pl.DataFrame(dict(zip(names, table.columns, strict=True)))
    rows = pl.scan_csv(
        path,
        separator=separator,
        quote_char='"' if quotes else None,
        schema=dict.fromkeys(names, pl.String),
        glob=False,
    )
    return _Source(RawTable(str(named), sample, separator=separator), rows, 1)


class _Asked(NamedTuple):
    """Which columns of a table are asked for.

    Attributes:
        numbers: the columns of numbers that there must be.
        time: the column of times; None to find it.
        others: whether all other columns of numbers are read, too.
        static: the columns of one text for each series.
    """

    numbers: list[str]
    time: str | None
    others: bool
    static: Sequence[str]


def _read(
    source: _Source, groups: Sequence[str], asked: _Asked, reading: TableReading
) -> LargeTable:
    """Read a large table.

    Args:
        source: the table.
        groups: the columns that name the series.
        asked: the other columns.
        reading: what the user says of the table.

    Raises:
        NotPlain: it is not written plainly.
    """
    sample, rows = source.sample, source.rows
    named = [*asked.numbers, *groups, *asked.static]
    columns = sample.frame.columns
    if not set(named) <= set(columns):
        raise NotPlain
    mark = _Mark(reading.decimal or decimal_mark(sample), bool(reading.decimal))
    time_column = find_time(sample, asked.time, named)
    if time_column is None or time_column not in columns:
        raise NotPlain
    if asked.time is None and any(
        name.lower() in CLOCKS for name in columns if name != time_column
    ):
        raise NotPlain
    instant, time_format = _instant(sample, time_column, reading)
    numbers = list(asked.numbers)
    texts: list[str] = []
    for name in columns if asked.others else ():
        if name in (*named, time_column):
            continue
        if is_nameless(name) or is_row_number(sample.frame[name]):
            raise NotPlain
        of_sample = read_numbers(sample.frame[name], mark.decimal, reading)
        if of_sample.missing.all() or (of_sample.bad.any() and not of_sample.bad.all()):
            raise NotPlain
        (texts if of_sample.bad.all() else numbers).append(name)
    _check_plain(rows, sample, numbers, mark, texts=texts, instant=instant)
    key = pl.concat_str([_name(name, sample) for name in groups], separator=_BETWEEN)
    keys = rows.select(key.alias("key")).unique(maintain_order=True).collect(engine="streaming")
    called = keys["key"].to_list()
    names = [tuple(text.split(_BETWEEN)) for text in called]
    if any(len(parts) != len(groups) or not all(parts) for parts in names):
        raise NotPlain
    frame = rows.select(
        key.cast(pl.Enum(called)).to_physical().cast(pl.UInt32).alias(_BETWEEN),
        instant.alias(_BETWEEN + "t"),
        *(_number(name, sample, mark).alias(name) for name in numbers),
    ).collect(engine="streaming")
    group = frame[_BETWEEN].to_numpy()
    # Where the rows of each series stand together they are in order.
    order = None if bool((group[1:] >= group[:-1]).all()) else np.argsort(group, kind="stable")
    bounds = np.r_[0, np.cumsum(np.bincount(group, minlength=len(names)))]
    del group

    def ordered(name: str) -> NDArray[Any]:
        values = frame.drop_in_place(name).to_numpy()
        return values if order is None else values[order]

    order_of_dates = _note_of_order(frame[_BETWEEN + "t"], time_column, time_format)
    instants = ordered(_BETWEEN + "t")
    values = {}
    for name in numbers:
        column = np.array(ordered(name), dtype=np.float64)
        if reading.missing:
            column[np.isin(column, reading.missing)] = np.nan
        values[name] = column
    notes = [MARKS[mark.decimal]] if mark.decimal else []
    notes += [f"column {label(name)} holds no numbers and is left out" for name in texts]
    for note_of in (note_of_mark, note_of_digits):
        for name, column in values.items():
            note = note_of(name, _as_column(column))
            notes += [note] if note else []
    notes += order_of_dates
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
        static=_static(rows, sample, asked.static, key, called),
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
        NotPlain: its values are neither texts nor whole numbers.
    """
    dtype = sample.frame[name].dtype
    if dtype != pl.String and not dtype.is_integer():
        raise NotPlain
    return _text(name).str.normalize("NFC")


class _Mark(NamedTuple):
    """The decimal mark of a table: "." or ","; empty where numbers are written plainly. And whether
    the user said so; otherwise each column must show it."""

    decimal: str
    said: bool


def _number(name: str, sample: RawTable, mark: _Mark) -> pl.Expr:
    """Return a column as numbers, NaN where a value is missing or no number.

    Raises:
        NotPlain: it holds something else than texts and numbers.
    """
    dtype = sample.frame[name].dtype
    if dtype.is_numeric():
        return pl.col(name).cast(pl.Float64).fill_null(float("nan"))
    if dtype != pl.String:
        raise NotPlain
    text = _text(name)
    if mark.decimal:
        # As ``read_numbers`` does: no text is read with the other mark.
        point = mark.decimal == "."
        bare = text.str.replace_all("[,' ]" if point else "[.' ]", "")
        other = text if point else text.str.replace_all(".", "x", literal=True)
        bare = bare.str.replace_all(",", ".", literal=True)
        text = pl.when(_fits(text, mark.decimal)).then(bare).otherwise(other)
    return text.cast(pl.Float64, strict=False).fill_null(float("nan"))


def _fits(text: pl.Expr, mark: str) -> pl.Expr:
    """Return which texts are numbers with this decimal mark."""
    return text.str.contains(f"^(?i:{POINT if mark == '.' else COMMA})$")


def _instant(sample: RawTable, name: str, reading: TableReading) -> tuple[pl.Expr, str]:
    """Return a column of times as microseconds since 1970, null where there is no time, and how
    the times are written; empty for times that are no texts.

    Args:
        sample: the first rows.
        name: of the column.
        reading: what the user says of the order of dates.

    Raises:
        NotPlain: they can be read in several ways, or name zones.
    """
    dtype = sample.frame[name].dtype
    if dtype == pl.Date or (isinstance(dtype, pl.Datetime) and not dtype.time_zone):
        whole = pl.col(name).cast(pl.Datetime("ns")).dt.nanosecond() % 1000 == 0
        return pl.when(whole).then(pl.col(name).cast(pl.Datetime("us")).dt.epoch("us")), ""
    if dtype != pl.String:
        raise NotPlain
    first = [text.strip() for text in sample.frame[name].fill_null("").to_list()]
    formats = formats_by(reading, [one.fmt for one in readings(first)[0]])
    if len(formats) != 1 or formats[0] not in _TIMES:
        raise NotPlain
    text, fmt = _text(name), formats[0]
    # polars would read a space or a sign for a digit.
    digits = re.sub("%.", "[0-9][0-9]", fmt.replace(".", "[.]").replace("%Y", "%C%y"))
    written = pl.when(text.str.contains(f"^{digits}$")).then(text)
    if "%H" not in fmt:
        return written.str.to_date(fmt, strict=False).cast(pl.Datetime("us")).dt.epoch("us"), fmt
    return written.str.to_datetime(fmt, strict=False, time_unit="us").dt.epoch("us"), fmt


def _note_of_order(instants: pl.Series, name: str, fmt: str) -> list[str]:
    """Return a note on dates that other countries write in another order.

    Args:
        instants: of the rows, in the order of the table.
        name: of their column.
        fmt: how they are written.
    """
    times = instants.cast(pl.Datetime("us"))
    late = (times.dt.day() > _MONTHS).arg_max()  # the first row that shows the order
    time = times[late or 0]
    note = note_of_order(name, [write_time(time, fmt)], Reading([time], fmt), 1) if fmt else None
    return [note] if note else []


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
    mark: _Mark,
    *,
    texts: Sequence[str],
    instant: pl.Expr,
) -> None:
    """Check that all rows of a table are written as plainly as its first ones.

    Args:
        rows: of the table.
        sample: the first of them.
        numbers: columns of numbers: each text is one, with the decimal mark if with any, or stands
            for a missing value.
        mark: of numbers.
        texts: columns without numbers.
        instant: the times.

    Raises:
        NotPlain: a row is written otherwise.
    """
    wrong = [instant.is_null().any()]
    for name in numbers:
        value = _number(name, sample, mark)
        wrong.append((value.is_not_nan() & (value.abs() >= LARGEST)).any())
        if sample.frame[name].dtype == pl.String:
            text = _text(name)
            missing = text.str.to_lowercase().is_in(list(MISSING))
            wrong.append((value.is_nan() & ~missing).any())
            if not mark.said:
                wrong += _doubts(text, missing, mark.decimal)
    for name in texts:
        if sample.frame[name].dtype != pl.String:
            raise NotPlain
        wrong.append(_number(name, sample, mark).is_not_nan().any())
        wrong.append(_text(name).str.contains(r"^[\d(+-]").any())
    is_wrong = rows.select(expr.alias(str(number)) for number, expr in enumerate(wrong))
    if any(is_wrong.collect(engine="streaming").row(0)):
        raise NotPlain


def _doubts(text: pl.Expr, missing: pl.Expr, mark: str) -> list[pl.Expr]:
    """Return whether a column of numbers may be read in another way than with a mark that nobody
    has named.

    Args:
        text: the column.
        missing: where a value is missing.
        mark: the decimal mark that the table shows; empty for plain numbers.
    """
    pointed = text.str.contains(".", literal=True) & ~missing
    # 1.234 alone may be more than a thousand: another number with a point shows that not.
    doubts = [pointed.any() & ~(pointed & ~text.str.contains(IN_DOUBT)).any()]
    if mark:
        # The column shows the mark itself, or has no use for one.
        marked = text.str.contains("[.,]") & ~missing
        other = "," if mark == "." else "."
        doubts.append(marked.any() & ~(marked & ~_fits(text, other)).any())
    return doubts


def _static(
    rows: pl.LazyFrame,
    sample: RawTable,
    static: Sequence[str],
    key: pl.Expr,
    called: Sequence[str],
) -> list[tuple[str, ...]]:
    """Return the one text of each series in each static column; empty where it has none.

    Raises:
        NotPlain: rows of a series have different ones.
    """
    if not static:
        return [()] * len(called)
    texts = [_name(name, sample).alias(f"{_BETWEEN}{number}") for number, name in enumerate(static)]
    pairs = rows.select(key.alias("key"), *texts).unique().collect(engine="streaming")
    features: dict[str, list[str]] = {text: [""] * len(static) for text in called}
    for of_series, *values in pairs.iter_rows():
        for number, text in enumerate(values):
            if text and features[of_series][number] not in {"", text}:
                raise NotPlain
            features[of_series][number] = features[of_series][number] or text
    return [tuple(features[text]) for text in called]
