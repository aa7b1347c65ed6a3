"""Tables of numbers over time, from a file or a data frame. Bad data is refused by its place."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.errors import DataError, did_you_mean
from conveyor.tasks.files import decoded, read_unpacked
from conveyor.tasks.timeline import (
    FORMATS,
    ISO,
    Step,
    infer_step,
    parse,
    parse_iso,
    steps_from_start,
)

Numbers = NDArray[np.float64]

# What people write for "no value", in any case.
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")

# A column of numbers is taken for the time only if it bears one of these names.
TIME_NAMES = ("time", "date", "datetime", "timestamp", "year", "month", "day", "ds", "t")

# A text column with at least this share of numbers is meant as numbers, and its texts as errors.
MOSTLY = 0.5

# Filling gaps may make the table so many times longer; beyond it a time is more likely wrong.
MOST_FILLED = 10


@dataclass(frozen=True)
class Raw:
    """A table as it was read: texts or numbers, and how to name a row's place to a person."""

    name: str
    frame: pl.DataFrame
    lines: list[int] | None = None  # of each row, in a text file

    def place(self, row: int) -> str:
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


@dataclass(frozen=True)
class Table:
    """Numbers over time, one row a step; NaN is a missing value.

    ``times`` are None where rows are only counted. ``notes`` tell the user what was done.
    """

    name: str
    columns: dict[str, Numbers]
    times: list[datetime] | None
    step: Step | None
    time_format: str
    time_column: str = "none"
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def last_time(self) -> str:
        """The time of the last row, as the table writes it; empty where rows are only counted."""
        return self.times[-1].strftime(self.time_format) if self.times else ""


def _read_csv(path: Path) -> Raw:
    text = decoded(path, read_unpacked(path))
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected a header line and rows of values.")
    blank = len(text) - len(text.lstrip("\r\n"))  # lines before the header
    header = text[blank:].splitlines()[0]
    separator = max(",;\t", key=header.count)
    try:
        frame = pl.read_csv(io.StringIO(text[blank:]), infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path}: not a table of comma-separated values: {first}.") from error
    if not len(frame):
        raise DataError(f"{path}: there is a header and no row below it.")
    return Raw(str(path), frame, _lines(text, separator, len(frame)))


def _lines(text: str, separator: str, rows: int) -> list[int]:
    """The line on which each row begins: a quoted value may hold line ends."""
    begins, last = [], 0
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    for record in reader:
        if record:
            begins.append(last + 1)
        last = reader.line_num
    return begins[1:] if len(begins) == rows + 1 else [row + 2 for row in range(rows)]


def read_raw(data: Any) -> Raw:
    """A table from a CSV (also .gz) or Parquet file, any data frame, or an array [T] or [T, K].

    Raises:
        DataError: there is none, or it is empty or cannot be read.
    """
    if isinstance(data, str | Path):
        path = Path(data)
        if path.is_dir():
            raise DataError(f"{path}: this is a folder; expected a CSV or Parquet file.")
        if path.suffix.lower() not in (".parquet", ".pq"):
            return _read_csv(path)
        try:
            return Raw(str(path), pl.read_parquet(path))
        except FileNotFoundError as error:
            raise DataError(f"{path}: there is no such file.") from error
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{path}: not a Parquet file: {error}.") from error
    if isinstance(data, np.ndarray):
        matrix = data.reshape(len(data), -1) if data.ndim in (1, 2) else None
        if matrix is None or not len(matrix):
            raise DataError(f"the array is {list(data.shape)}; expected [T] or [T, K], T above 0.")
        names = ["value"] if data.ndim == 1 else [f"value{n}" for n in range(matrix.shape[1])]
        return Raw("array", pl.DataFrame(matrix, schema=names))
    try:
        frame = nw.from_native(data, eager_only=True).to_polars()
    except TypeError as error:
        raise DataError(
            f"{type(data).__name__} is not a table; expected a file, a data frame or an array."
        ) from error
    if not len(frame):
        raise DataError("the data frame has no rows.")
    return Raw("data frame", frame)


def _missing(column: pl.Series) -> NDArray[np.bool_]:
    if column.dtype == pl.String:
        blank = column.str.strip_chars().str.to_lowercase().is_in(list(MISSING))
        return (blank | column.is_null()).fill_null(True).to_numpy()
    return column.is_null().to_numpy()


def _as_numbers(column: pl.Series) -> tuple[Numbers, NDArray[np.bool_]]:
    """The numbers, NaN where there is none; and where there is text that is no number."""
    missing = _missing(column)
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    elif not column.dtype.is_numeric() and column.dtype != pl.Boolean:
        return np.full(len(column), np.nan), ~missing
    cast = column.cast(pl.Float64, strict=False)
    bad = cast.is_null().to_numpy() & ~missing
    numbers = cast.fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(missing, np.nan, numbers), bad


def _known_column(raw: Raw, name: str) -> pl.Series:
    if name not in raw.frame.columns:
        raise DataError(
            f"{raw.name}: there is no column {name!r}. {did_you_mean(name, raw.frame.columns)}"
        )
    return raw.frame[name]


def _numbers(raw: Raw, name: str) -> Numbers:
    column = _known_column(raw, name)
    numbers, bad = _as_numbers(column)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{raw.name}, {raw.place(row)}, column {name}: {column[row]!r} is not a number. "
            f"Mend it, or leave it empty if the value is missing."
        )
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"{raw.name}, {raw.place(row)}, column {name}: {column[row]} is infinite. Leave it "
            "empty if the value is missing."
        )
    return numbers


def _times(column: pl.Series) -> tuple[list[datetime], str] | tuple[None, int]:
    """The times of a column and their format, or the first row that the best format misreads."""
    if column.dtype in (pl.Date, pl.Datetime):
        times = column.cast(pl.Datetime).dt.replace_time_zone(None).to_list()
        if None in times:
            return None, times.index(None)
        has_hours = any(time.hour or time.minute or time.second for time in times)
        return times, "%Y-%m-%d %H:%M:%S" if has_hours else "%Y-%m-%d"
    texts = [str(text).strip() for text in column.to_list()]
    furthest = -1
    for fmt in FORMATS:
        parsed: list[datetime] = []
        for text in texts:
            time = parse(text, fmt)
            if time is None:
                break
            parsed.append(time)
        if len(parsed) == len(texts):
            return parsed, fmt
        furthest = max(furthest, len(parsed))
    iso = [time for time in map(parse_iso, texts) if time is not None]
    return (iso, ISO) if len(iso) == len(texts) else (None, furthest)


def _looks_like_time(column: pl.Series) -> bool:
    """Whether most of the first values are times, whatever their form."""
    texts = [str(text).strip() for text in column.head(20).to_list()]
    times = [parse_iso(text) or any(parse(text, fmt) for fmt in FORMATS) for text in texts]
    return sum(map(bool, times)) > MOSTLY * len(texts)


def _find_time(raw: Raw, wanted: str | None, targets: Sequence[str]) -> str | None:
    """The name of the time column; None where rows are only counted."""
    if wanted is not None:
        return None if wanted.lower() == "none" else _known_column(raw, wanted).name
    for name in raw.frame.columns:
        column = raw.frame[name]
        _, bad = _as_numbers(column)
        if name in targets:
            continue
        is_text = bad.mean() > MOSTLY or column.dtype in (pl.Date, pl.Datetime)
        named = name.lower() in TIME_NAMES
        # A column of texts that is meant as the time is one even if a value of it is wrong.
        meant = column.dtype in (pl.Date, pl.Datetime) or named or _looks_like_time(column)
        if is_text and meant:
            return name
        if named and _times(column)[0] is not None:
            return name
    return None


def _read_times(raw: Raw, name: str) -> tuple[list[datetime], str]:
    times, found = _times(raw.frame[name])
    if times is None or isinstance(found, int):
        row = int(found)
        like = " of the same form as those before it" if row else " of a known form"
        raise DataError(
            f"{raw.name}, {raw.place(row)}, column {name}: {str(raw.frame[name][row])!r} is not a "
            f"time{like}. Write times as 2024-01-31 or 2024-01-31 13:00, or pass --time none to "
            "treat the rows as evenly spaced."
        )
    return times, found


def read_table(
    data: Any,
    targets: Sequence[str],
    *,
    time: str | None = None,
    only_targets: bool = False,
    fill_gaps: bool = False,
) -> Table:
    """Read the columns that a forecast is made of.

    Args:
        data: see ``read_raw``.
        targets: the columns to forecast; ``["all"]`` is every column of numbers.
        time: the column of times; ``"none"`` counts rows; None infers it.
        only_targets: leave out the other columns of numbers.
        fill_gaps: rows that are missing on the time axis become missing values.

    Raises:
        DataError: with the file, line and column of what is wrong.
    """
    raw = read_raw(data)
    time_column = _find_time(raw, time, targets)
    notes: list[str] = []
    others = [name for name in raw.frame.columns if name not in targets and name != time_column]
    everything = list(targets) == ["all"] and "all" not in raw.frame.columns
    columns = {} if everything else {name: _numbers(raw, name) for name in targets}
    for name in others if everything or not only_targets else []:
        _, bad = _as_numbers(raw.frame[name])
        missing = _missing(raw.frame[name])
        if missing.all() or bad.sum() > MOSTLY * (~missing).sum():
            notes.append(f"column {name} holds no numbers and is left out")
        else:
            columns[name] = _numbers(raw, name)
    if not columns:
        raise DataError(f"{raw.name}: no column holds numbers.")
    places = [raw.place(row) for row in range(len(raw.frame))]
    if time_column is None:
        notes.append("no time column: rows are taken as evenly spaced")
        return Table(raw.name, columns, None, None, "", notes=notes)
    times, fmt = _read_times(raw, time_column)
    try:
        step = infer_step(times, places, time_column)
        index = steps_from_start(times, step, places, time_column, fill_gaps)
    except DataError as error:
        raise DataError(f"{raw.name}, {error}") from error
    notes.append(f"time: column {time_column}, one row every {step}")
    if index[-1] + 1 > MOST_FILLED * len(index):
        raise DataError(
            f"{raw.name}: filling the gaps would make {index[-1] + 1:,} rows of {len(index):,}. "
            "Mend the times, or give rows at a longer step."
        )
    if index[-1] + 1 > len(index):
        notes.append(f"{index[-1] + 1 - len(index)} missing rows became missing values")
        filled = {name: np.full(index[-1] + 1, np.nan) for name in columns}
        for name, numbers in columns.items():
            filled[name][index] = numbers
        times = [step.after(times[0], row) for row in range(index[-1] + 1)]
        columns = filled
    return Table(raw.name, columns, times, step, fmt, time_column, notes)
