"""Reads a sheet of a workbook: of Excel, old or new, or of LibreOffice."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from conveyor.data.table_source import SHEET_MARK, split_source
from conveyor.errors import DataError, did_you_mean

# Days since then are what Excel stores of a date, where a cell is not marked as one. These are the
# numbers of 1954 to 2064.
_FIRST_DAY, _SERIALS = datetime(1899, 12, 30), (20_000, 60_000)

# Names of columns of days: "date", "Order date", "order_date", "OrderDate"; not "update", and not
# "sales to date".
_DATE = re.compile(r"(?<![Tt]o[ _-])(?:(?:^|(?<=[\W_]))(?:date|DATE|ds)|Date)$")

# A title above a table of two columns fills one cell, as a header with a nameless column would.
_FEW = 2

Cells = Sequence[Sequence[Any]]


def read_sheet(source: str) -> tuple[list[str], list[pl.Series], list[int], list[str]]:
    """Read a sheet of a workbook.

    Args:
        source: the file, with ``#SHEET`` after it for another sheet than the first that holds
            cells.

    Returns:
        The names of the columns, the columns, the number of the sheet's row that each row is, from
        0, and notes for the user.

    Raises:
        DataError: there is no such file or sheet, it cannot be read, or it holds no table.
    """
    path, asked = split_source(source)
    sheets = _sheets(Path(path), asked)
    filled = [name for name, cells in sheets.items() if any(map(_is_filled, cells))]
    if not filled:
        raise DataError(f"{source}: the sheet holds no cells.")
    sheet = filled[0]
    notes = []
    if not asked and len(filled) > 1:
        notes.append(
            f"sheet {sheet} is read, the first of {len(filled)} ({', '.join(filled)}): add "
            f"{SHEET_MARK}{filled[1]} to the file's name for another one"
        )
    cells = sheets[sheet]
    head = _head(cells)
    if head:
        notes.append(f"the table begins at row {head + 1} of sheet {sheet}")
    rows = [number for number in range(head + 1, len(cells)) if _is_filled(cells[number])]
    if not rows:
        raise DataError(f"{source}: sheet {sheet} has a header and no rows.")
    used = [
        column
        for column in range(max(map(len, cells)))
        if any(not _is_empty(_cell(cells[row], column)) for row in (head, *rows))
    ]
    names = [_text(_cell(cells[head], column)) for column in used]
    values = [[_cell(cells[row], column) for row in rows] for column in used]
    # Where cells are marked as dates, numbers are none.
    dated = any(map(_are_dates, values))
    columns = []
    for name, of_column in zip(names, values, strict=True):
        days, note = (None, None) if dated else _as_days(name, of_column)
        columns.append(_typed(name, of_column) if days is None else days)
        notes += [note] if note else []
    return names, columns, rows, notes


def _sheets(path: Path, asked: str) -> dict[str, Cells]:
    """Return the cells of the sheet that is asked for, or of each sheet of a workbook, by its
    name."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415
    except ImportError as error:
        raise DataError(
            f"{path}: workbooks are read by python-calamine, which is not installed. Install it "
            "with: pip install 'conveyor[tables]', or save the table as CSV."
        ) from error
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
        if asked and asked not in names:
            raise DataError(f"{path}: there is no sheet {asked!r}. {did_you_mean(asked, names)}")
        # Rows before the first filled one count, so that row 5 is that of the program.
        return {
            name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
            for name in ([asked] if asked else names)
        }
    except (CalamineError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"{path}: the workbook cannot be read: {reason}. Open it, and save the table as CSV."
        ) from error


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_filled(row: Sequence[Any]) -> bool:
    return not all(map(_is_empty, row))


def _cell(row: Sequence[Any], column: int) -> Any:
    return row[column] if column < len(row) else None


def _head(cells: Cells) -> int:
    """Return the row of the header: the first one with as many filled cells as most rows have, or
    of three and more one fewer, for a column without a name. What stands above is a title or a
    remark."""
    counts = [sum(not _is_empty(value) for value in row) for row in cells]
    filled = sorted(count for count in counts if count)
    usual = filled[len(filled) // 2]
    least = usual - 1 if usual > _FEW else usual
    return next(number for number, count in enumerate(counts) if count >= least)


def _text(value: Any) -> str:
    """Return a cell as text: a number as a person writes it, a date as ISO 8601 does."""
    if _is_empty(value):
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value == round(value) and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        midnight = value.time() == time(0)
        return value.date().isoformat() if midnight else value.isoformat(" ")
    return str(value).strip()


def _are_dates(values: Sequence[Any]) -> bool:
    filled = [value for value in values if not _is_empty(value)]
    return bool(filled) and all(isinstance(value, date) for value in filled)  # or a datetime


def _are_numbers(values: Sequence[Any]) -> bool:
    filled = [value for value in values if not _is_empty(value)]
    return bool(filled) and all(map(_is_number, filled))


def _as_days(name: str, values: Sequence[Any]) -> tuple[pl.Series | None, str | None]:
    """Return a column of numbers as the days that Excel stores, and a note, where its name ends
    with the word date and its numbers are such days; None where not."""
    filled = [value for value in values if not _is_empty(value)]
    if not _DATE.search(name) or not _are_numbers(values):
        return None, None
    if not all(_SERIALS[0] < value < _SERIALS[1] for value in filled):
        return None, None
    days = [None if _is_empty(value) else _of_serial(value) for value in values]
    note = f"the numbers of column {name} are read as days of Excel: {filled[0]:g} is " + (
        f"{_of_serial(filled[0]):%Y-%m-%d}"
    )
    return pl.Series(name, days, pl.Datetime("us")), note


def _typed(name: str, values: Sequence[Any]) -> pl.Series:
    """Return a column with the type of its cells, texts where they differ."""
    kept = [None if _is_empty(value) else value for value in values]
    if _are_dates(values):
        return pl.Series(name, [_moment(value) for value in kept], pl.Datetime("us"))
    if _are_numbers(values):
        return pl.Series(name, [None if v is None else float(v) for v in kept], pl.Float64)
    return pl.Series(name, [_text(value) for value in values], pl.String)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_serial(days: float) -> datetime:
    # To the second: a day's fraction is a float.
    return _FIRST_DAY + timedelta(seconds=round(days * 86_400))


def _moment(value: date | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day)
