"""Tables that can be read in more than one way: the likelier is taken and said, or none is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from conveyor.data.time_text import write_time
from conveyor.errors import DataError
from tests.data.single_table import read_table
from tests.data.test_odd_tables import COUNT, DATES, ROWS, VALUES, Read, table, texts, written

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
    "a name that other files begin with": Read(table("PAR1,y", COUNT, VALUES)),
    "a column that is called #": Read(table("#,t,y", COUNT, DATES, VALUES), following="2021-01-31"),
    "comments beside separators": Read("#,,\n# | a |\n" + table("t,y", DATES, VALUES)),
    "digits beyond float64": Read(
        table("y", [2**53 + 1, 2**53 + 2, 5]), [2**53, 2**53 + 2, 5], note="last digits are rounded"
    ),
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
        table("Năm,Tháng,y", YEARS, MONTHS, VALUES), note="pass time='Năm+Tháng'"
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
    "hours up to 24": Read(
        table("t,y", [f"2021-01-{1 + n // 24:02} {n % 24 + 1:02}:00" for n in COUNT], VALUES),
        step="1 hour", following="2021-01-02 07:00",
    ),
    "the hour twice in autumn of a zone": Read(
        table("t,y", texts("{}[Europe/Berlin]", [
            "2021-10-31T01:00+02:00", "2021-10-31T02:00+02:00", "2021-10-31T02:00+01:00",
        ]), VALUES[:3]), VALUES[:3], step="1 hour",
        following="2021-10-31T03:00+01:00[Europe/Berlin]",
    ),
    "spaces alone between thousands": Read(
        table("y", ["1\u00a0200", "900", "1\u00a0300"]), [1200, 900, 1300]
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
    "a first day that is the same in both orders": (
        table("d,y", ["01/01/2010", "02/01/2010", "04/03/2010", "09/05/2010"], range(4)), ["y"],
        "'02/01/2010' can be 2 January 2010 or 1 February 2010",
    ),
    "a week that a year has not": (
        table("d,y", ["2021-W51", "2021-W52", "2021-W53"], range(3)), ["y"],
        "'2021-W53' is not a time: there is no such day",
    ),
    "a day that a month has not": (
        table("d,y", ["2020-02-28", "2020-02-29", "2020-02-30"], range(3)), ["y"],
        "'2020-02-30' is not a time: there is no such day",
    ),
    "a total below": (
        table("d,y", [*DATES, "Total"], [*VALUES, 1000]), ["y"],
        "If this last row is a total or a remark, take it out of the table.",
    ),
    "one value and no more": (
        table("d,y", DATES, [1, *[""] * 29]), ["y"], "1 row up to the last value; expected 3",
    ),
    "a holiday among working days": (
        table("d,y", [day for day, time in zip(DATES, DAYS, strict=True)
        if time.weekday() < 5 and time.day != 13], range(20)), ["y"],
        "2021-01-14 is not the next day from Monday to Friday after 2021-01-12",
    ),
    "a header that ends with a separator": (
        table("d,y,", DATES, VALUES), ["y"], "line 1: the header ends with a comma, and line 2",
    ),
    "another separator": (
        table("d^y", DATES, VALUES, sep="^"), ["y"], "Values are separated by commas, semicolons",
    ),
    **{
        f"a number as {text}": (
            table("y;x", [text, 1, 2, 3], range(4), sep=";"), ["y"],
            f"line 2, column y: {text!r} is not a number: {why}",
        ) for text, why in {
            "0.5%": "take out the percent", "12 kWh": "take out the unit",
        }.items()
    },
    **{
        f"a file that is {what}, {begins[:4]!r}": (
            begins, ["y"], f"this file is {what}, not a CSV file. "
        )
        for begins, what in {
            b"PK\x03\x04\x14\0\xff": "a workbook or a zip archive",
            b"\x1f\x8b\x08\0": "packed with gzip",
            b"PAR1\x15\0": "a Parquet file",
            b"ARROW1\0\0": "a Feather (Arrow) file",
            b"<!DOCTYPE html>\n<p>no": "a web page (HTML)",
            b'[{"t": 1, "y": 2}]': "JSON",
            b'{"t": 1, "y": 2}\n{"t": 2, "y": 3}\n': "JSON",
        }.items()
    },
    "a value without an end": (
        table("t,y", DATES, [*VALUES[:-1], "1" * 200_000]), ["y"],
        "line 31: a value has more than 131,072 characters",
    ),
    "a binary file": (b"y\n\x00\x01\xff\xfe", ["y"], "this file is binary, not text"),
    "an array without columns": (np.zeros((3, 0)), ["y"], "the array is [3, 0]; expected"),
    "an array without rows": (np.zeros((0, 2)), ["y"], "the array is [0, 2]; expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_nothing_tells_is_refused(name: str, tmp_path: Path) -> None:
    content, targets, said = REFUSED[name]
    with pytest.raises(DataError) as refused:
        read_table(
            content if isinstance(content, np.ndarray) else written(content, tmp_path), targets
        )
    assert said in str(refused.value)


def test_a_column_called_0_is_read(tmp_path: Path) -> None:
    """A library that writes a series without a name calls it so."""
    got = read_table(written("0\n5\n2\n3\n", tmp_path), ["0"])
    np.testing.assert_array_equal(got.columns["0"], [5, 2, 3])
    assert "line 1, 0, is taken for the name of the column" in got.notes


def test_periods_and_an_index_of_pandas(tmp_path: Path) -> None:
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


def test_a_name_is_found_however_it_was_typed(tmp_path: Path) -> None:
    path = written(table("Ze\u0301it,gro\u0308\u00dfe", DATES, VALUES), tmp_path)
    got = read_table(path, ["gr\u00f6\u00dfe"], time="Z\u00e9it")
    assert list(got.columns) == ["gr\u00f6\u00dfe"]
    assert got.time_column == "Z\u00e9it"
    assert list(read_table(path, ["gro\u0308\u00dfe"]).columns) == ["gro\u0308\u00dfe"]
