"""Tables in workbooks: the same as in CSV, with what only a sheet has."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter

from conveyor.data.grouped_table import read_groups
from conveyor.data.table_source import split_source
from conveyor.errors import DataError
from tests.data.single_table import read_table

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(30)]
VALUES = (np.sin(np.arange(30)) * 10).round(3).tolist()
M3 = Path("../shared/data/m3/M3C.xls")


def _write(path: Path, sheets: dict[str, list[list[Any]]], day_format: str = "yyyy-mm-dd") -> Path:
    book = xlsxwriter.Workbook(str(path))
    form = book.add_format({"num_format": day_format})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, dt.date):
                    sheet.write_datetime(
                        number, column, dt.datetime(value.year, value.month, value.day), form
                    )
                elif value is not None:
                    sheet.write(number, column, value)
    book.close()
    return path


def _rows(head: tuple[str, ...] = ("day", "y")) -> list[list[Any]]:
    return [list(head), *([day, value] for day, value in zip(DAYS, VALUES, strict=True))]


def test_a_sheet_is_read_as_its_csv(tmp_path: Path) -> None:
    csv = tmp_path / "t.csv"
    csv.write_text("day,y\n" + "".join(f"{d},{v}\n" for d, v in zip(DAYS, VALUES, strict=True)))
    want = read_table(csv, ["y"])
    got = read_table(_write(tmp_path / "t.xlsx", {"Sheet1": _rows()}), ["y"])
    assert (got.times, got.step, got.time_format) == (want.times, want.step, want.time_format)
    np.testing.assert_array_equal(got.columns["y"], want.columns["y"])
    assert got.notes == want.notes


def test_a_title_above_and_empty_rows_and_columns_are_left_out(tmp_path: Path) -> None:
    rows = [["Sales of the north"], [], *([None, *row] for row in _rows())]
    rows.insert(10, [])
    path = _write(tmp_path / "t.xlsx", {"Sheet1": rows})
    got = read_table(path, ["y"])
    np.testing.assert_array_equal(got.columns["y"], VALUES)
    assert "the table begins at row 3 of sheet Sheet1" in got.notes
    rows[20][2] = "n. b."
    with pytest.raises(DataError, match=r"t\.xlsx, row 21, column y"):
        read_table(_write(path, {"Sheet1": rows}), ["y"])


def test_a_sheet_is_named_after_the_file(tmp_path: Path) -> None:
    other = [["day", "y"], *([day, -value] for day, value in zip(DAYS, VALUES, strict=True))]
    path = _write(tmp_path / "t.xlsx", {"empty": [], "north": _rows(), "south": other})
    got = read_table(path, ["y"])
    np.testing.assert_array_equal(got.columns["y"], VALUES)
    assert any("sheet north is read, the first of 2 (north, south)" in note for note in got.notes)
    south = read_table(f"{path}#south", ["y"])
    np.testing.assert_array_equal(south.columns["y"], np.negative(VALUES))
    with pytest.raises(DataError, match=r"there is no sheet 'souht'\. Did you mean 'south'"):
        read_table(f"{path}#souht", ["y"])
    with pytest.raises(DataError, match="holds no cells"):
        read_table(f"{path}#empty", ["y"])


def test_days_without_a_format_are_numbers_of_excel(tmp_path: Path) -> None:
    """45292 is the first day of 2024 (Excel, DATE(2024, 1, 1))."""
    path = _write(tmp_path / "t.xlsx", {"Sheet1": _rows(("date", "y"))}, day_format="General")
    got = read_table(path, ["y"])
    assert got.times is not None
    assert got.times[0] == dt.datetime(2024, 1, 1)
    assert any("days of Excel: 45292 is 2024-01-01" in note for note in got.notes)


@pytest.mark.parametrize("head", ["Date", "Order date", "order_date", "OrderDate"])
def test_names_of_days(tmp_path: Path, head: str) -> None:
    path = _write(tmp_path / "t.xlsx", {"Sheet1": _rows((head, "y"))}, day_format="General")
    assert read_table(path, ["y"]).times is not None


@pytest.mark.parametrize(
    "head", ["update", "candidates", "dates known", "Sales to date", "year_to_date"]
)
def test_numbers_of_other_columns_are_no_days(tmp_path: Path, head: str) -> None:
    """Some twenty to sixty thousand, and not dates of 1954 to 2064."""
    rows = [[head, "y"], *([40_000 + n, value] for n, value in enumerate(VALUES))]
    table = read_table(_write(tmp_path / "t.xlsx", {"Sheet1": rows}), ["y"])
    assert table.times is None
    np.testing.assert_array_equal(table.columns[head], 40_000 + np.arange(len(VALUES)))


def test_numbers_beside_dates_are_no_days(tmp_path: Path) -> None:
    rows = [
        ["day", "due date", "y"],
        *(
            [day, 45_000 + n, value]
            for n, (day, value) in enumerate(zip(DAYS, VALUES, strict=True))
        ),
    ]
    table = read_table(_write(tmp_path / "t.xlsx", {"Sheet1": rows}), ["y"])
    assert table.time_column == "day"
    np.testing.assert_array_equal(table.columns["due date"], 45_000 + np.arange(len(VALUES)))


def test_texts_numbers_and_names_of_series(tmp_path: Path) -> None:
    head = ["store", "day", "y", "open"]
    rows = [
        [store, day, f"{1000 * value:,.1f}", value > 0]
        for store in (1, 2)
        for day, value in zip(DAYS, VALUES, strict=True)
    ]
    path = _write(tmp_path / "t.xlsx", {"Sheet1": [head, *rows]})
    groups = read_groups(path, ["y"], ["store"])
    assert groups.names == (("1",), ("2",))
    np.testing.assert_allclose(groups.tables[1].columns["y"], 1000 * np.array(VALUES), atol=0.06)
    np.testing.assert_array_equal(groups.tables[0].columns["open"], np.array(VALUES) > 0)


def test_what_is_no_workbook_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "none.xlsx", ["y"])
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(DataError, match=r"the workbook cannot be read: .*save the table as CSV"):
        read_table(broken, ["y"])
    with pytest.raises(DataError, match="holds no cells"):
        read_table(_write(tmp_path / "empty.xlsx", {"Sheet1": []}), ["y"])
    with pytest.raises(DataError, match="a header and no rows"):
        read_table(_write(tmp_path / "head.xlsx", {"Sheet1": [["day", "y"]]}), ["y"])
    with pytest.raises(DataError, match="columns 1 and 2 of the header are both called 'y'"):
        read_table(_write(tmp_path / "twice.xlsx", {"Sheet1": _rows(("y", "y"))}), ["y"])
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(DataError, match=r"pip install 'conveyor\[tables\]'"):
        read_table(tmp_path / "head.xlsx", ["y"])


def test_the_index_of_a_data_frame_is_left_out(tmp_path: Path) -> None:
    head, *rows = _rows()
    numbered = [[None, *head], *([number, *row] for number, row in enumerate(rows))]
    got = read_table(_write(tmp_path / "t.xlsx", {"Sheet1": numbered}), ["y"])
    assert list(got.columns) == ["y"]
    assert "column 1, which has no name, is taken for row numbers and left out" in got.notes


def test_only_the_name_of_a_workbook_has_a_sheet() -> None:
    assert split_source("a/b#c.csv") == ("a/b#c.csv", "")
    assert split_source("a#1/b.ods#x y") == ("a#1/b.ods", "x y")
    assert split_source("b.XLS") == ("b.XLS", "")
    assert split_source("b.xlsx#2024 #1") == ("b.xlsx", "2024 #1")


@pytest.mark.skipif(not M3.exists(), reason=f"there is no {M3}, the workbook of the M3 competition")
def test_an_old_workbook() -> None:
    """The first of the competition's monthly series has 68 values and begins with 2640."""
    with pytest.raises(DataError, match=r"there is no sheet 'M3Moth'\. Did you mean 'M3Month'"):
        read_table(f"{M3}#M3Moth", ["y"])
    first = read_table(f"{M3}#M3Year", ["N"], time="none", only_targets=True)
    assert len(first) == 645
    assert set(first.columns["N"]) <= set(range(20, 48))
