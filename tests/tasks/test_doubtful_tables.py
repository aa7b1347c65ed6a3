"""Tables that can be read in more than one way: the likelier is taken and said, or none is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conveyor.errors import DataError
from conveyor.tasks.table import read_table
from conveyor.tasks.time_text import write_time
from tests.tasks.test_odd_tables import COUNT, DATES, ROWS, VALUES, Read, table, texts, written

DAYS = [datetime(2021, 1, 1) + timedelta(days=row) for row in COUNT]
YEARS, MONTHS = [2000 + n // 12 for n in COUNT], [n % 12 + 1 for n in COUNT]
QUARTERS = [n % 4 + 1 for n in COUNT]
OF_QUARTERS = [2000 + n // 4 for n in COUNT]
BLOCKS = ["A"] * 15 + ["B"] * 15
NAN = float("nan")

READ = {
    # 1.234 is a thousand or a fraction.
    "thousands with points": Read(
        table("d;y", texts("{:%d.%m.%Y}", DAYS), [f"{100 + n}.000" for n in COUNT], sep=";"),
        [1000.0 * (100 + n) for n in COUNT],
        note="column y: 100.000 is read as 100000, as the point stands between thousands",
    ),
    "thousands beside plain hundreds": Read(
        table("d,y", DATES[:4], [900, "1.007", 902, "1.021"]), [900, 1007, 902, 1021],
        note="1.007 is read as 1007",
    ),
    "thousands beside a negative": Read(table("y", [-800, "1.007", "1.014"]), [-800, 1007, 1014]),
    "fractions beside hundreds as large": Read(
        table("y", [100, "100.125", "99.875", 101]), [100, 100.125, 99.875, 101],
        note="100.125 is read as a decimal fraction",
    ),
    "fractions beside a mark of missing values": Read(
        table("y", ["1.234", "1.345", 999, "1.456"]), [1.234, 1.345, 999, 1.456]
    ),
    "fractions of three digits": Read(
        table("y", ["1.200", "1.207", "1.214"]), [1.2, 1.207, 1.214],
        note="column y: 1.200 is read as a decimal fraction",
    ),
    "fractions below one": Read(table("y;x", ["0.123", "1.234"], [1, 2], sep=";"), [0.123, 1.234]),
    "fractions beside fractions": Read(
        table("y;x", ["5.123", "1.234"], ["1.5", 2], sep=";"), [5.123, 1.234]
    ),
    "texts of a frame": Read(pl.DataFrame({"y": ["1.000", "1.001"]}), [1, 1.001], note="1.000 is"),
    # One column.
    "blanks between values": Read(
        'y\n1\n\n""\n4\n5\n\n', [1, NAN, NAN, 4, 5],
        note="line 3, that is blank, is taken for a missing value",
    ),
    "blanks between all values": Read("y\n\n1\n\n2\n\n3\n\n", [1, 2, 3], note="are skipped"),
    # Times.
    "years and Qtr": Read(
        table("Year,Qtr,y", OF_QUARTERS, QUARTERS, VALUES), step="3 months", following="2007Q3"
    ),
    "years and Q1": Read(
        table("Year,Quarter,y", OF_QUARTERS, texts("Q{}", QUARTERS), VALUES),
        step="3 months", following="2007Q3",
    ),
    "months without a separator": Read(
        table("month,y", [f"{y}{m:02}" for y, m in zip(YEARS, MONTHS, strict=True)], VALUES),
        step="1 month", following="200207",
    ),
    "hours without a separator": Read(
        table("MESS_DATUM,y", [f"20200101{n:02}" for n in range(24)], VALUES[:24]), VALUES[:24],
        step="1 hour", following="2020010200",
    ),
    "years as floats": Read(
        table("year,y", [f"{1950 + n}.0" for n in COUNT], VALUES), following="1980"
    ),
    "years in German": Read(
        table("Jahr,Monat,y", YEARS, MONTHS, VALUES),
        note="columns Jahr, Monat look like a time and are not used as one",
    ),
    "years in Vietnamese": Read(
        table("Năm,Tháng,y", YEARS, MONTHS, VALUES), note="pass --time Năm+Tháng"
    ),
    "years with fractions": Read(
        table("decimal_date,y", [f"{1950 + n / 12:.4f}" for n in COUNT], VALUES),
        note="column decimal_date looks like a time",
    ),
    "durations": Read(
        pl.DataFrame({"t": [timedelta(hours=n) for n in COUNT], "y": VALUES}),
        note="column t looks like a time",
    ),
    "times of the day": Read(
        pl.DataFrame({"t": [day.time() for day in DAYS], "y": VALUES}),
        note="column t looks like a time",
    ),
    # Several series, perhaps.
    "two ids at different hours": Read(
        table("t,id,y", [f"2020-01-{n // 2 + 1:02} {n % 2 * 12:02}:00" for n in COUNT],
        [n % 2 for n in COUNT], VALUES), note="column id holds 2 names or numbers",
    ),
    "blocks under another name": Read(
        table("phase,y", [0] * 10 + [1] * 20, VALUES), note="column phase holds 2 names or numbers"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_the_likelier_reading_is_taken_and_said(name: str, tmp_path: Path) -> None:
    want = READ[name]
    got = read_table(written(want.content, tmp_path), ["y"])
    np.testing.assert_allclose(got.columns["y"], np.array(want.y, dtype=float), rtol=1e-12)
    assert want.step in ("", str(got.step))
    if want.following:
        assert got.step is not None
        assert got.times is not None
        assert write_time(got.step.after(got.times[-1], 1), got.time_format) == want.following
    assert any(want.note in note for note in got.notes), got.notes


REFUSED: dict[str, tuple[object, Sequence[str], str]] = {
    "two texts below each other": (
        table("id,y", BLOCKS, VALUES), ["y"], "column id tells 2 series below each other apart (A"
    ),
    "two numbers below each other": (
        table("store,y", [1] * 10 + [2] * 20, VALUES), ["y"], "column store tells 2 series",
    ),
    "two blocks of one length": (table("x,y", BLOCKS, VALUES), ["y"], "column x tells 2 series"),
    "one column without a header": ("0\n1\n2\n3\n", ["0"], "'0' are values, not names of columns"),
    "an array without columns": (np.zeros((3, 0)), ["y"], "the array is [3, 0]; expected"),
    "an array without rows": (np.zeros((0, 2)), ["y"], "the array is [0, 2]; expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_nothing_tells_is_refused(name: str, tmp_path: Path) -> None:
    content, targets, said = REFUSED[name]
    with pytest.raises(DataError) as refused:
        read_table(content if not isinstance(content, str) else written(content, tmp_path), targets)
    assert said in str(refused.value)


def test_a_column_called_0_is_read(tmp_path: Path) -> None:
    """A library that writes a series without a name calls it so."""
    got = read_table(written("0\n5\n2\n3\n", tmp_path), ["0"])
    np.testing.assert_array_equal(got.columns["0"], [5, 2, 3])
    assert "line 1, 0, is taken for the name of the column" in got.notes


def test_periods_and_an_index_of_pandas(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    months = pd.period_range("2020-01", periods=ROWS, freq="M")
    for frame in (
        pd.DataFrame({"y": VALUES}, index=months),
        pd.DataFrame({"t": months, "y": VALUES}),
    ):
        assert str(read_table(frame, ["y"]).step) == "1 month"
    hours = pd.DataFrame({"y": VALUES}, index=pd.timedelta_range("1h", periods=ROWS, freq="h"))
    assert any("index looks like a time" in note for note in read_table(hours, ["y"]).notes)
    twice = pd.DataFrame([[1, 2], [3, 4]], columns=["y", "y"])
    with pytest.raises(
        DataError, match="the data frame cannot be read: Expected unique column names"
    ):
        read_table(twice, ["y"])
    for values in ([1, "a", 2.5], [1j, 2, 3]):
        with pytest.raises(DataError, match="the data frame cannot be read"):
            read_table(pd.DataFrame({"y": values}), ["y"])
