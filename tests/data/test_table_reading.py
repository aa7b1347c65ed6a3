"""What a user says about a table settles what its texts leave open."""

from pathlib import Path

import numpy as np
import pytest

from conveyor.data.table_reading import TableReading
from conveyor.errors import DataError, SettingError
from tests.data.single_table import read_table

NAN = float("nan")


def _write(folder: Path, lines: list[str]) -> Path:
    path = folder / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("mark", "values"), [(".", [1234, 2345, 3456]), (",", [1.234, 2.345, 3.456])]
)
def test_a_comma_that_can_be_both_is_what_is_said(
    mark: str, values: list[float], tmp_path: Path
) -> None:
    path = _write(tmp_path, ["y", '"1,234"', '"2,345"', '"3,456"'])
    with pytest.raises(DataError, match=r"can be a thousand or a decimal fraction.*decimal=','"):
        read_table(path, ["y"])
    table = read_table(path, ["y"], reading=TableReading(decimal=mark))
    np.testing.assert_allclose(table.columns["y"], values)


def test_a_mark_that_does_not_fit_is_an_error_of_its_line(tmp_path: Path) -> None:
    path = _write(tmp_path, ["y", "1.5", "2.25", "3.5"])
    with pytest.raises(DataError, match=r"line 2, column y: '1.5' is not a number"):
        read_table(path, ["y"], reading=TableReading(decimal=","))
    with pytest.raises(SettingError, match="expected a point or a comma"):
        TableReading(decimal=";")


@pytest.mark.parametrize("mark", ["x", "Yes", "có"])
def test_a_mark_of_yes_is_asked_for_as_a_number(mark: str, tmp_path: Path) -> None:
    path = _write(tmp_path, ["y", "1", "2", mark])
    with pytest.raises(DataError, match=f"line 4, column y: '{mark}' is not a number. Write 1 in"):
        read_table(path, ["y"])


def test_a_number_that_stands_for_a_missing_value_is_missing(tmp_path: Path) -> None:
    path = _write(tmp_path, ["y,z", "1,7", "-9999,7", "3,-1", "5,8", "6,9"])
    table = read_table(path, ["y"], reading=TableReading(missing=(-9999.0, -1.0)))
    np.testing.assert_array_equal(table.columns["y"], [1, NAN, 3, 5, 6])
    np.testing.assert_array_equal(table.columns["z"], [7, 7, NAN, 8, 9])


def test_the_warning_about_such_a_number_names_the_option(tmp_path: Path) -> None:
    rows = [str(n % 7) for n in range(30)]
    rows[4] = rows[9] = "-9999"
    notes = read_table(_write(tmp_path, ["y", *rows]), ["y"]).notes
    assert any("missing_as=-9999" in note for note in notes)


def test_dates_that_can_begin_with_day_or_month_are_as_is_said(tmp_path: Path) -> None:
    """The first days of months, and the first of months: both come evenly."""
    apart = ["01/02/2024,1", "02/02/2024,2", "03/02/2024,3"]
    path = _write(tmp_path, ["date,y", *apart])
    with pytest.raises(DataError, match="day_first=True if dates begin with the day"):
        read_table(path, ["y"])
    table = read_table(path, ["y"], reading=TableReading(day_first=True))
    assert table.times is not None
    assert [time.isoformat()[:10] for time in table.times] == [
        "2024-02-01", "2024-02-02", "2024-02-03",
    ]  # fmt: skip


def test_dates_that_begin_with_the_year_are_read_as_they_are(tmp_path: Path) -> None:
    path = _write(tmp_path, ["date,y", "2024-01-02,1", "2024-01-03,2", "2024-01-04,3"])
    table = read_table(path, ["y"], reading=TableReading(day_first=True))
    assert table.times is not None
    assert table.times[0].isoformat()[:10] == "2024-01-02"
