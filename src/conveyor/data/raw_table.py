"""Reads a table from a file, a data frame or an array, before its columns are interpreted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.data.csv_table import SEPARATORS_IN_WORDS, read_csv
from conveyor.data.table_source import is_workbook
from conveyor.data.workbook import read_sheet
from conveyor.errors import DataError, did_you_mean

# Libraries give these names to the column that was a data frame's index.
_INDEX = ("__index_level_0__", "Unnamed: 0")

# A column of one of these names may only count the rows.
_COUNTS = ("index", "level_0", "rownames", "row")


@dataclass(frozen=True)
class RawTable:
    """Columns of texts, numbers or times, before they are interpreted, with notes for the user.
    ``separator`` is what separates the values of a text file; ``numbers`` are the numbers of the
    rows, from 0, where they are a part of another table's."""

    name: str
    frame: pl.DataFrame
    # The line number of each row of a text file.
    lines: Sequence[int] | NDArray[np.int64] | None = None
    separator: str = ""
    notes: list[str] = field(default_factory=list)
    numbers: Sequence[int] | NDArray[np.int64] | None = None

    def rows(self, rows: Sequence[int], name: str) -> "RawTable":
        """Return some of the rows, as a table of that name without notes."""
        numbers = range(len(self.frame)) if self.numbers is None else self.numbers
        return replace(
            self,
            name=name,
            frame=self.frame[list(rows)],
            lines=None if self.lines is None else [self.lines[row] for row in rows],
            notes=[],
            numbers=[numbers[row] for row in rows],
        )

    def position(self, row: int) -> str:
        """Return how errors name a row: by its line in a text file, otherwise by its number."""
        if self.lines is not None:
            return f"line {self.lines[row]}"
        return f"row {(row if self.numbers is None else self.numbers[row]) + 1}"

    def with_names(self, asked: Sequence[str]) -> "RawTable":
        """Return the table with its columns named exactly as those that are asked for. In Unicode é
        is one character or two, which look the same."""
        names = self.frame.columns
        by_form = {normalize("NFC", name): name for name in names}
        pairs = {by_form.get(normalize("NFC", name), name): name for name in asked}
        new = {old: name for old, name in pairs.items() if old in names and name not in names}
        return replace(self, frame=self.frame.rename(new)) if new else self

    def column(self, name: str) -> pl.Series:
        """Return the column of that name.

        Raises:
            DataError: there is no such column; the text gives the nearest name.
        """
        if name not in self.frame.columns:
            known = [column for column in self.frame.columns if column]
            is_only = self.separator and len(known) == 1  # perhaps the separator was not recognised
            raise DataError(
                f"{self.name}: there is no column {name!r}. {did_you_mean(name, known)}"
                + f" Values are separated by {SEPARATORS_IN_WORDS}." * bool(is_only)
            )
        return self.frame[name]


def is_nameless(name: str) -> bool:
    """Return whether a column has no name that a person gave."""
    return not name or name in _INDEX


def is_row_number(column: pl.Series) -> bool:
    """Return whether a column only counts the rows, from 0 or 1."""
    if column.name.lower() not in _COUNTS:
        return False
    numbers = column.cast(pl.Float64, strict=False).to_list()
    return any(numbers == list(range(first, first + len(numbers))) for first in (0, 1))


def label(name: str) -> str:
    """Return a column's name for messages, which may be empty."""
    return name or "without a name"


def _from_workbook(source: str) -> RawTable:
    names, columns, numbers, notes = read_sheet(source)
    names = _different(source, names)
    # By a dictionary: of a list polars would name the column without a name.
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
    return RawTable(source, frame, notes=notes, numbers=numbers)


def _different(source: Path | str, names: list[str]) -> list[str]:
    """Return the names of columns, where all after the first without one have a number.

    Raises:
        DataError: two columns have the same name.
    """
    nameless = [number for number, name in enumerate(names) if not name]
    for number in nameless[1:]:
        names[number] = f"column {number + 1}"
    for name, times in Counter(names).items():
        if times > 1:
            numbers = " and ".join(str(n + 1) for n, other in enumerate(names) if other == name)
            raise DataError(
                f"{source}: columns {numbers} of the header are both called {name!r}. Give each "
                "column a name of its own."
            )
    return names


def _from_csv(path: Path, prose: bool) -> RawTable:
    table = read_csv(path, prose=prose)
    names = list(table.names)
    # A separator at the end of every line makes an empty last column, which is dropped.
    while (
        len(names) > 1 and not names[-1] and not any(map(str.strip, table.columns[len(names) - 1]))
    ):
        names.pop()
    names = _different(path, names)
    columns = dict(zip(names, table.columns, strict=False))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))
    return RawTable(str(path), frame, table.lines, table.separator, table.notes)


def _from_array(data: np.ndarray[Any, Any]) -> RawTable:
    if data.ndim not in (1, 2) or not data.size:
        raise DataError(
            f"the array is {list(data.shape)}; expected [T] or [T, K], T and K above 0."
        )
    matrix = data.reshape(len(data), -1)
    names = ["value"] if data.ndim == 1 else [f"value{n}" for n in range(matrix.shape[1])]
    return RawTable("array", pl.DataFrame(matrix, schema=names))


def _of_pandas(data: Any, index_kind: str) -> Any:
    """Return a pandas frame whose index is a column, unless it only counts rows, and whose periods
    are times."""
    if index_kind not in "iu":
        data = data.reset_index()
    periods = [name for name, dtype in data.dtypes.items() if str(dtype).startswith("period")]
    for name in periods:
        data = data.assign(**{str(name): data[name].dt.to_timestamp()})
    return data


def _from_frame(data: Any) -> RawTable:
    try:
        frame = nw.from_native(data, eager_only=True)
        index = nw.maybe_get_index(frame)
        if index is not None:
            frame = nw.from_native(_of_pandas(data, np.asarray(index).dtype.kind), eager_only=True)
        table = frame.to_polars()
    except TypeError as error:
        raise DataError(
            f"{type(data).__name__} is not a table; expected a file, a data frame or an array."
        ) from error
    except ImportError as error:
        raise DataError(
            "a column of the data frame can only be read with pyarrow, which is not installed. "
            "Install it with: pip install pyarrow"
        ) from error
    except (ValueError, NotImplementedError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"the data frame cannot be read: {reason}. Give each column a name of its own and "
            "values of one type: numbers, texts or times."
        ) from error
    if not len(table):
        raise DataError("the data frame has no rows.")
    return RawTable("data frame", table)


def read_raw(data: Any, *, prose: bool = False) -> RawTable:
    """Read a table from a CSV (also .gz) or Parquet file, a workbook (``sales.xlsx#Sheet``), any
    data frame, or an array [T] or [T, K].

    Args:
        data: any of these.
        prose: whether the values of a CSV file are what people write, see ``read_csv``.

    Raises:
        DataError: there is no such file, or the table is empty or cannot be read.
    """
    if isinstance(data, np.ndarray):
        return _from_array(data)
    if not isinstance(data, str | Path):
        return _from_frame(data)
    path = Path(data)
    if path.is_dir():
        raise DataError(f"{path}: this is a folder; expected a CSV or Parquet file, or a workbook.")
    if is_workbook(str(data)):
        return _from_workbook(str(data))
    if path.suffix.lower() not in (".parquet", ".pq"):
        return _from_csv(path, prose)
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file: {error}.") from error
    if not len(frame):
        raise DataError(f"{path}: the table has no rows.")
    return RawTable(str(path), frame)
