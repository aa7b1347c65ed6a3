"""Tables as people have them: each is read right, or refused with its place and a way out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from conveyor.data.time_text import write_time
from conveyor.data.timeline import DAY, Step
from conveyor.errors import DataError
from tests.data.single_table import read_table

ROWS = 30
COUNT = range(ROWS)
VALUES = [round(10 + 3 * float(np.sin(row)) + row / 100, 2) for row in COUNT]
THOUSANDS = [1000 * value for value in VALUES]
BERLIN = ZoneInfo("Europe/Berlin")
MONTH_ENDS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def table(head: str, *columns: Iterable[object], sep: str = ",") -> str:
    """A file of these columns."""
    lines = (sep.join(map(str, row)) for row in zip(*columns, strict=True))
    return "\n".join([head, *lines]) + "\n"


def texts(form: str, items: Iterable[object]) -> list[str]:
    """Each item in this form."""
    return [form.format(item) for item in items]


def on_working_day(*, last: bool) -> list[datetime]:
    """The last or the first day from Monday to Friday of months, found by going back or on."""
    days = []
    for day in on_day(31) if last else on_day(1):
        near = [day + timedelta(days=-n if last else n) for n in range(3)]
        days.append(next(one for one in near if one.weekday() < 5))
    return days


def european(values: Iterable[float]) -> list[str]:
    """Numbers as half of Europe writes them: 1.234,50."""
    return [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in values]


def on_weekdays(*days: int) -> list[datetime]:
    """The first days of 2021 that are some days of the week."""
    every = (datetime(2021, 1, 3) + timedelta(days=row) for row in range(240))
    return [day for day in every if day.weekday() in days][:ROWS]


def on_day(day: int) -> list[datetime]:
    """That day of each month, or the last where there is none."""
    return [datetime(2021 + n // 12, n % 12 + 1, min(day, MONTH_ENDS[n % 12])) for n in COUNT]


def hours(year: int, month: int, day: int) -> list[datetime]:
    """Hours in Berlin, from noon in UTC."""
    first = datetime(year, month, day, 12, tzinfo=UTC)
    return [(first + timedelta(hours=row)).astimezone(BERLIN) for row in COUNT]


DAYS = [datetime(2021, 1, 1) + timedelta(days=row) for row in COUNT]
DATES = texts("{:%Y-%m-%d}", DAYS)
AUTUMN, SPRING = hours(2021, 10, 30), hours(2021, 3, 27)
MIDNIGHTS = [(datetime(2021, 10, 15) + timedelta(days=row)).replace(tzinfo=BERLIN) for row in COUNT]
UTC_DAYS = [datetime(2021, 10, 15, tzinfo=UTC) + timedelta(days=row) for row in COUNT]
ISO = "{0:%Y-%m-%dT%H:%M:%S%:z}"
PLAIN = table("date,y", DATES, VALUES)
WITHOUT_END = [*VALUES[:-5], *[""] * 5]
LONG = table("id,ds,y", ["A"] * ROWS + ["B"] * ROWS, DATES * 2, VALUES * 2)


def iso(times: Iterable[datetime]) -> list[str]:
    """Times with their offsets."""
    return [time.isoformat() for time in times]


@dataclass(frozen=True)
class Read:
    """What comes of a table: the values of y, its step, the time that follows, a note."""

    content: str | bytes | pl.DataFrame
    y: Sequence[float] | range = tuple(VALUES)
    step: str = ""
    following: str = ""
    note: str = ""
    columns: tuple[str, ...] = ("y",)


FILES = {
    "plain": Read(PLAIN, step="1 day", following="2021-01-31"),
    "a lone CR ends lines": Read(PLAIN.replace("\n", "\r")),
    "utf-16": Read(("\ufeff" + PLAIN).encode("utf-16-le")),
    "utf-16 without a mark": Read(PLAIN.encode("utf-16-be")),
    "bars": Read(table("date|y", DATES, VALUES, sep="|")),
    "a line that names the separator": Read("sep=;\n" + table("date;y", DATES, VALUES, sep=";")),
    "separators in quotes": Read(
        table('date,y,"a;b;c;d"', DATES, VALUES, ['"p;q;r;s"'] * ROWS), note="a;b;c;d holds no num"
    ),
    "quotes and a line end in a header": Read(
        table('date,y,"x, of\n3 ""best"""', DATES, VALUES, COUNT),
        columns=("y", 'x, of\n3 "best"'),
    ),
    "spaces behind separators": Read(table("date, y", DATES, VALUES, sep=", ")),
    "separators at the ends": Read(table("date,y", DATES, VALUES, [""] * ROWS)),
    "comments above": Read('# of "A\n# B\n' + PLAIN, note="2 lines that begin with # are skipped"),
    "a comment between": Read(
        PLAIN.replace("2021-01-05", "# wet\n2021-01-05"),
        note="line 6, that begins with #, is skipped",
    ),
    "a header that is a comment": Read("# " + PLAIN, note="taken from the last line that begins"),
    "a blank line": Read(
        PLAIN.replace("2021-01-05", "\n2021-01-05") + "\n\n",
        note="line 6, that is blank, is skipped",
    ),
    "one column and blank lines": Read(table("y", VALUES) + "\n\n"),
    "lines of separators": Read(PLAIN + ",\n,\n", note="2 lines without a value are skipped"),
    "an index without a name": Read(
        table(",date,y", COUNT, DATES, VALUES), note="column 1, which has no name, is taken for row"
    ),
    "a count of rows": Read(
        table("rownames,date,y", range(1, ROWS + 1), DATES, VALUES), note="column rownames is taken"
    ),
    "a header that is a comment above texts": Read(
        table("# store,date,y", ["A"] * ROWS, DATES, VALUES), note="taken from the last line"
    ),
    "an index of times": Read(table(",y", DATES, VALUES), step="1 day"),
    "numbered columns": Read(table("y,0,1", VALUES, COUNT, COUNT), columns=("y", "0", "1")),
}

NUMBERS = {
    "decimal commas": Read(
        table("date;y", DATES, european(VALUES), sep=";"), note="the comma is the decimal mark"
    ),
    "decimal commas in quotes": Read(table("date,y", DATES, texts('"{}"', european(VALUES)))),
    "decimal commas alone": Read(table("y", european(VALUES))),
    "points between thousands": Read(table("y;x", european(THOUSANDS), COUNT, sep=";"), THOUSANDS),
    "points of thousands beside decimal commas": Read(
        table("y;x", texts("{:.3f}", [1 + n / 1000 for n in COUNT]), ["1,5"] * ROWS, sep=";"),
        range(1000, 1000 + ROWS),
    ),
    "commas between thousands": Read(
        table("y,x", texts('"{:,.2f}"', THOUSANDS), COUNT), THOUSANDS,
        note="the comma stands between thousands",
    ),
    "spaces between thousands": Read(
        table("y", [f"{value:,.2f}".replace(",", "\u00a0") for value in THOUSANDS]), THOUSANDS
    ),
    "a minus of a word processor": Read(
        table("y", texts("\u2212{}", VALUES)), [-value for value in VALUES]
    ),
    "a spreadsheet's missing value": Read(table("y,x", ["#N/A", *VALUES], [1, *VALUES]),
        [np.nan, *VALUES]),
    "truths": Read(table("y", ["True", "FALSE"] * 15), [1.0, 0.0] * 15),
    "a mark of missing values": Read(
        table("y", [*VALUES[:9], -9999, -9999, *VALUES[9:]]),
        [*VALUES[:9], -9999, -9999, *VALUES[9:]], note="column y holds -9999 2 times",
    ),
    "many nines that are no mark": Read(table("y", range(9980, 10010)), range(9980, 10010)),
}  # fmt: skip

TIMES = {
    "day first": Read(
        table("d,y", texts("{:%d/%m/%Y}", DAYS), VALUES),
        following="31/01/2021", note="column d: 13/01/2021 is read as 13 January 2021",
    ),
    "month first": Read(
        table("d,y", texts("{:%m/%d/%Y}", DAYS), VALUES), following="01/31/2021"
    ),
    "day first, by the step": Read(
        table("d,y", texts("{:%d/%m/%Y}", on_day(1)), VALUES),
        step="1 month", following="01/07/2023", note="as only then rows come evenly",
    ),
    "short years": Read(table("d,y", texts("{:%d/%m/%y}", DAYS), VALUES), following="31/01/21"),
    "names of months": Read(
        table("d,y", texts("{:%d-%b-%Y}", DAYS), VALUES), following="31-Jan-2021"
    ),
    "half days": Read(
        table("d,y", texts("{:%Y-%m-%d %I:%M %p}", hours(2021, 1, 1)), VALUES),
        step="1 hour", following="2021-01-02 07:00 PM",
    ),
    "quarters": Read(
        table("d,y", [f"{2000 + n // 4}Q{n % 4 + 1}" for n in COUNT], VALUES),
        step="3 months", following="2007Q3",
    ),
    "first days of quarters": Read(
        table("d,y", [f"{2000 + n // 4}-{n % 4 * 3 + 1:02}-01" for n in COUNT], VALUES),
        step="3 months", following="2007-07-01",
    ),
    "ISO weeks": Read(
        table("d,y", texts("2021-W{:02}", range(1, 31)), VALUES),
        step="1 week", following="2021-W31",
    ),
    "Mondays": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_weekdays(0)), VALUES),
        step="1 week", following="2021-08-02",
    ),
    "working days": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_weekdays(0, 1, 2, 3, 4)), VALUES),
        step="day from Monday to Friday", following="2021-02-15",
    ),
    "Sunday to Thursday": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_weekdays(0, 1, 2, 3, 6)), VALUES),
        step="day from Sunday to Thursday", following="2021-02-14",
    ),
    "three days a week": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_weekdays(0, 2, 4)), VALUES),
        step="Monday and Wednesday and Friday", following="2021-03-15",
    ),
    "the 30th": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_day(30)), VALUES),
        step="1 month", following="2023-07-30",
    ),
    "the 29th": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_day(29)), VALUES),
        step="1 month", following="2023-07-29",
    ),
    "the last working day": Read(
        table("d,y", texts("{:%Y-%m-%d}", on_working_day(last=True)), VALUES),
        step="1 month", following="2023-07-31",
    ),
    "the first working day": Read(
        table("d,y", texts("{:%d/%m/%Y}", on_working_day(last=False)), VALUES),
        step="1 month", following="03/07/2023",
    ),
    "a year and a month": Read(
        table("year,month,y", [2000 + n // 12 for n in COUNT], [n % 12 + 1 for n in COUNT], VALUES),
        step="1 month", following="2002-07", note="time: column year+month",
    ),
    "a year and a quarter": Read(
        table("Year,Quarter,y", [2000 + n // 4 for n in COUNT], [n % 4 + 1 for n in COUNT], VALUES),
        step="3 months", following="2007Q3",
    ),
    "a year and a week": Read(
        table("year,week,y", [2021] * ROWS, [n + 1 for n in COUNT], VALUES),
        step="1 week", following="2021-W31",
    ),
    "a clock and a date": Read(
        table("time,date,y", texts("{:%H:%M}", hours(2021, 1, 1)),
        texts("{:%Y-%m-%d}", hours(2021, 1, 1)), VALUES),
        step="1 hour", following="2021-01-02 19:00",
    ),
    "newest first": Read(table("d,y", DATES[::-1], VALUES[::-1]), note="they are sorted"),
    **{
        f"epoch {unit}": Read(
            table("timestamp,y", [(1_600_000_000 + 60 * n) * many for n in COUNT], VALUES),
            step="1 minute", following=str(1_600_001_800 * many), note="since 1970, in UTC",
        )
        for unit, many in {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.items()
    },
    "a count that is no date": Read(
        table("date,y", range(44197, 44197 + ROWS), VALUES),
        note="column date holds numbers that are no dates", columns=("y", "date"),
    ),
    "epoch seconds under another name": Read(
        table("x,y", [1_600_000_000 + 60 * n for n in reversed(COUNT)], VALUES[::-1]),
        step="1 minute",
    ),
    "epoch seconds with fractions": Read(
        table("t,y", [1_600_000_000 + n / 2 for n in COUNT], VALUES),
        step="0.5 seconds", following="1600000015.0",
    ),
    "halves of seconds": Read(
        table("t,y", texts("2022-09-29 14:39:{:04.1f}", np.arange(ROWS) / 2), VALUES),
        step="0.5 seconds", following="2022-09-29 14:39:15.0",
    ),
    "hundredths of seconds": Read(
        table("t,y", texts("2022-09-29 14:39:00.{:02}5", COUNT), VALUES),
        step="0.01 seconds", following="2022-09-29 14:39:00.305",
    ),
}  # fmt: skip

ZONES = {
    "an offset": Read(
        table("t,y", texts("{:%Y-%m-%d} 00:00+0530", DAYS), VALUES),
        following="2021-01-31 00:00+0530",
    ),
    "UTC as Z": Read(
        table("t,y", texts("{:%Y-%m-%d}T00:00:00.000Z", DAYS), VALUES),
        following="2021-01-31T00:00:00.000Z",
    ),
    "hours over a clock change": Read(
        table("t,y", iso(AUTUMN), VALUES),
        step="1 hour", following="2021-10-31T19:00:00+01:00", note="changes (+01:00, +02:00)",
    ),
    "midnights over a clock change": Read(
        table("t,y", iso(MIDNIGHTS), VALUES),
        step="1 day", following="2021-11-14T00:00:00+01:00", note="the last offset, +01:00",
    ),
    "days of UTC on a local clock": Read(
        table("t,y", iso(day.astimezone(BERLIN) for day in UTC_DAYS), VALUES),
        step="1 day", following="2021-11-14T00:00:00+00:00", note="times are written in UTC",
    ),
    "a zone's name": Read(
        table("t,y", texts("{}[Europe/Berlin]", iso(MIDNIGHTS)), VALUES),
        step="1 day", following="2021-11-14T00:00:00+01:00[Europe/Berlin]",
    ),
}  # fmt: skip

FRAMES = {
    "a frame of milliseconds": Read(
        pl.DataFrame(
            {"t": [DAYS[0] + timedelta(milliseconds=250 * n) for n in COUNT], "y": VALUES}
        ),
        step="0.25 seconds",
        following="2021-01-01 00:00:07.500",
    ),
    "a frame of local days": Read(
        pl.DataFrame(
            {"t": pl.Series(MIDNIGHTS).dt.convert_time_zone("Europe/Berlin"), "y": VALUES}
        ),
        step="1 day",
        following="2021-11-14 00:00:00+01:00",
    ),
    "a frame of truths": Read(pl.DataFrame({"y": [True, False] * 15}), [1.0, 0.0] * 15),
    "a frame's index": Read(pl.DataFrame({"y": VALUES, "__index_level_0__": DAYS}), step="1 day"),
}

READ = FILES | NUMBERS | TIMES | ZONES | FRAMES


def written(content: object, folder: Path) -> Any:
    """What ``read_table`` is given: a file, or the frame."""
    if isinstance(content, pl.DataFrame):
        return content
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return path


@pytest.mark.parametrize("name", READ)
def test_odd_tables_are_read_right(name: str, tmp_path: Path) -> None:
    want = READ[name]
    got = read_table(written(want.content, tmp_path), ["y"])
    np.testing.assert_allclose(got.columns["y"], np.array(want.y, dtype=float), rtol=1e-12)
    assert want.columns in (("y",), tuple(got.columns))
    assert want.step in ("", str(got.step))
    if want.following:
        assert got.step is not None
        assert got.times is not None
        assert write_time(got.step.after(got.times[-1], 1), got.time_format) == want.following
    assert any(want.note in note for note in got.notes), got.notes


def without(text: str, file: str) -> str:
    """A file without the line that holds the text."""
    return "".join(line for line in file.splitlines(keepends=True) if text not in line)


REFUSED: dict[str, tuple[str | pl.DataFrame, tuple[str, ...]]] = {
    "one value too many": (
        PLAIN.replace("2021-01-05,", "2021-01-05,1,"), ("line 6: 3 values", "has 2 columns"),
    ),
    "one value too few": (PLAIN.replace("2021-01-05,", "2021-01-05"), ("line 6: 1 value;",)),
    "a quote that does not end": (
        PLAIN.replace("2021-01-05,", '2021-01-05,"'), ("line 6: its quotes are wrong",),
    ),
    "no header": (without("date", PLAIN), ("line 1", "are values, not names of columns")),
    "one name twice": (table("date,y, y", DATES, VALUES, COUNT), ("columns 2 and 3", "'y'")),
    "a thousand or a little more than one": (
        table("date,y", DATES, texts('"1,{:03}"', COUNT)), ("line 2, column y: '1,000' can be",),
    ),
    "a decimal comma among points": (
        table("date,y", DATES, ['"7,75"', *VALUES[1:]]), ("line 2, column y: '7,75' is not a num",),
    ),
    "a decimal point among commas": (
        table("y;x", [*european(VALUES)[:-1], "1.5"], COUNT, sep=";"),
        ("line 31, column y: '1.5' is not a number",),
    ),
    "a division by zero": (PLAIN + "2021-01-31,#DIV/0!\n", ("line 32", "'#DIV/0!' is not a num")),
    "a target too large": (
        PLAIN + "2021-01-31,3e20\n", ("line 32, column y: 3e20 is beyond 1e+18",),
    ),
    "a covariate too large": (
        table("x,y", [-2e19, *VALUES], [1, *VALUES]), ("t.csv, line 2, column x: -2e+19 is bey",),
    ),
    "dates of two orders": (
        table("d,y", texts("{:%d/%m/%Y}", DAYS), VALUES).replace("20/01/2021", "01/20/2021"),
        ("line 21, column d: '01/20/2021' is not a time of the same form",),
    ),
    "dates that can be either": (
        table("d,y", ["01/02/2021", "02/03/2021", "03/04/2021", "04/05/2021"], range(4)),
        ("'01/02/2021' can be 1 February 2021 or 2 January 2021",),
    ),
    "nanoseconds": (
        table("t,y", texts("2022-09-29 14:39:00.{:09}", COUNT), VALUES), ("of microseconds",),
    ),
    "nanoseconds since 1970": (
        table("t,y", texts("16644587400000{:05}", range(1, 31)), VALUES), ("of microseconds",),
    ),
    "seconds since 1970 with nine digits": (
        table("t,y", texts("1664458740.{:09}", range(1, 31)), VALUES), ("of microseconds",),
    ),
    "some with an offset": (
        table("t,y", texts("{:%Y-%m-%dT%H:%MZ}", DAYS), VALUES).replace("-05T00:00Z", "-05T00:00"),
        ("line 6, column t: '2021-01-05T00:00' is not a time of the same form",),
    ),
    "a time twice": (PLAIN + "2021-01-30,5\n", ("2021-01-30 repeats the time of line 31",)),
    "an hour twice in autumn": (
        table("t,y", texts("{:%Y-%m-%d %H:%M}", AUTUMN), VALUES),
        ("2021-10-31 02:00 repeats the time", "write times with their offset"),
    ),
    "no hour in spring": (
        table("t,y", texts("{:%Y-%m-%d %H:%M}", SPRING), VALUES), ("1 row is missing",),
    ),
    "a holiday": (
        without(
            "2021-01-13", table("d,y", texts("{:%Y-%m-%d}", on_weekdays(0, 1, 2, 3, 4)), VALUES)
        ),
        ("2021-01-14 is not the next day from Monday to Friday", "1 row is missing", "fill_gaps"),
    ),
    "epoch seconds with a gap": (
        without("1600000540", table("t,y", [1_600_000_000 + 60 * n for n in COUNT], VALUES)),
        ("line 11, column t: 1600000600 does not come 1 minute after 1600000480 of line 10",),
    ),
    "a count with a gap": (table("t,y", [0, 1, 2, 4], COUNT[:4]), ("line 5, column t: 4 comes",)),
    "several series": (LONG, ("column id tells 2 series apart (A, B)",)),
    "several series with a number": (
        table("ds,shop,promo,y", DATES * 2, [7] * ROWS + [9] * ROWS, [1] * 60, VALUES * 2),
        ("column shop tells 2 series apart (7, 9)",),
    ),
    "several series with numbers that are floats": (
        table("ds,shop,y", DATES * 2, ["7.0"] * ROWS + ["9.0"] * ROWS, VALUES * 2),
        ("column shop tells 2 series apart (7.0, 9.0)",),
    ),
    "hours beyond the day": (
        table("date,hour,y", [day for day in DATES for _ in range(3)], [23, 24, 25] * ROWS,
        range(3 * ROWS)), ("2021-01-01 repeats the time of line 2", "time='year+month'"),
    ),
    "several series by two columns": (
        table("ds,shop,item,y", *zip(*[
            (day, shop, item, 1) for day in DATES for shop in "AB" for item in "xyz"
        ], strict=True)),
        ("shop and item tell 6 series apart (A x, A y, A z, B x, ...)",),
    ),
    "a frame without a time": (
        pl.DataFrame({"t": [None, *DAYS[1:]], "y": VALUES}), ("row 1, column t: there is no time",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_refused(name: str, tmp_path: Path) -> None:
    content, said = REFUSED[name]
    with pytest.raises(DataError) as refused:
        read_table(written(content, tmp_path), ["y"])
    for text in said:
        assert text in str(refused.value)
    if "series" in name:
        assert "Sort" not in str(refused.value)
        assert "time='none'" not in str(refused.value)


def test_several_series_are_not_read_as_one_by_counting_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column id tells 2 series apart"):
        read_table(written(LONG, tmp_path), ["y"], time="none")


def test_several_series_are_not_read_as_one_where_a_time_is_wrong(tmp_path: Path) -> None:
    wrong = written(LONG.replace("2021-01-07", "2021-01-0x"), tmp_path)
    with pytest.raises(DataError, match="'2021-01-0x' is not a time"):
        read_table(wrong, ["y"])
    with pytest.raises(DataError, match="column id tells 2 series apart"):
        read_table(wrong, ["y"], time="none")


def test_rows_without_a_value_at_the_end_are_left_out(tmp_path: Path) -> None:
    got = read_table(written(table("date,y", DATES, WITHOUT_END), tmp_path), ["y"])
    assert got.last_time == "2021-01-25"
    assert any("the last 5 rows (line 27 to line 31)" in note for note in got.notes)


def test_truths_are_the_same_from_text_and_from_a_frame(tmp_path: Path) -> None:
    truths = [bool(row % 3) for row in COUNT]
    frame = read_table(pl.DataFrame({"y": VALUES, "promo": truths}), ["y"])
    text = read_table(written(table("y,promo", VALUES, truths), tmp_path), ["y"])
    np.testing.assert_array_equal(frame.columns["promo"], text.columns["promo"])


def test_a_zone_is_kept_from_a_parquet_file(tmp_path: Path) -> None:
    times = pl.Series(AUTUMN).dt.convert_time_zone("Europe/Berlin")
    pl.DataFrame({"t": times, "y": VALUES}).write_parquet(tmp_path / "t.parquet")
    got = read_table(tmp_path / "t.parquet", ["y"])
    assert got.zone == "Europe/Berlin"
    assert got.last_time == "2021-10-31 18:00:00+01:00"


def test_a_known_step_is_kept_where_rows_tell_another_of_the_same_length() -> None:
    """A model of an older version knows no days of the week, and reads its table as before."""
    frame = pl.DataFrame({"t": on_weekdays(0, 1, 2, 3, 4), "y": VALUES})
    got = read_table(frame, ["y"], step=Step(seconds=DAY), fill_gaps=True)
    assert got.step == Step(seconds=DAY)
    assert len(got) == 40
    with pytest.raises(DataError, match="every day from Monday to Friday; this model was fitted"):
        read_table(frame, ["y"], step=Step(months=1))


@pytest.mark.parametrize(
    "title",
    ["Sales of 2021\n", "Sales of 2021;;\n\n;;\n", "Sales\n2021\n", "﻿Báo cáo ngày;;\n"],
    ids=["alone", "as wide", "two", "marked"],
)
def test_a_title_above_the_names_is_left_out(tmp_path: Path, title: str) -> None:
    text = table("date;y;promo", DATES, european(VALUES), [row % 2 for row in COUNT], sep=";")
    got = read_table(written(title + text, tmp_path), ["y"])
    np.testing.assert_allclose(got.columns["y"], VALUES)
    assert any("above the names of the columns" in note for note in got.notes)
    if title == "Sales\n2021\n":
        assert any("2 lines above the names of the columns are taken for a title" in note
                   for note in got.notes)  # fmt: skip


def test_a_header_with_one_name_is_no_title(tmp_path: Path) -> None:
    """Of two columns the first may have no name, and the second hold no numbers."""
    got = read_table(written(table(",y", COUNT, VALUES), tmp_path), ["y"], time="none")
    np.testing.assert_allclose(got.columns["y"], VALUES)
    assert not any("title" in note for note in got.notes)
