"""Formats, steps, seasons and the times that come next."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conveyor.data.grouped_table import read_groups
from conveyor.data.table_reading import TableReading
from conveyor.data.time_text import read_time, write_time, zone_of
from conveyor.data.timeline import Step, infer_step, step_of, step_of_frequency
from conveyor.errors import DataError, SettingError
from tests.data.single_table import read_table

HOUR, DAY = 3600.0, 86400.0

SERIES = {
    "days": ("2024-02-27", "2024-02-28", "2024-02-29", Step(seconds=DAY), 7, "2024-03-01"),
    "weeks": ("2024-02-05", "2024-02-12", "2024-02-19", Step(seconds=7 * DAY), 52, "2024-02-26"),
    "months": ("2023-11", "2023-12", "2024-01", Step(months=1), 12, "2024-02"),
    "firsts": ("2023-11-01", "2023-12-01", "2024-01-01", Step(months=1), 12, "2024-02-01"),
    "month ends": (
        "2023-12-31", "2024-01-31", "2024-02-29", Step(months=1, end=True), 12, "2024-03-31",
    ),
    "month ends and one more day": (
        "2024-01-28", "2024-02-28", "2024-03-28", Step(months=1), 12, "2024-04-28",
    ),
    "offsets": (
        "2024-01-01 00:00:00+01:00", "2024-01-01 01:00:00+01:00", "2024-01-01 02:00:00+01:00",
        Step(seconds=HOUR), 24, "2024-01-01 03:00:00+01:00",
    ),
    "quarters": ("2023-04-01", "2023-07-01", "2023-10-01", Step(months=3), 4, "2024-01-01"),
    "years": ("1997", "1998", "1999", Step(months=12), 1, "2000"),
    "hours": (
        "2024-01-01 22:00", "2024-01-01 23:00", "2024-01-02 00:00",
        Step(seconds=HOUR), 24, "2024-01-02 01:00",
    ),
    "quarter hours": (
        "2024/01/01 00:00", "2024/01/01 00:15", "2024/01/01 00:30",
        Step(seconds=HOUR / 4), 96, "2024/01/01 00:45",
    ),
    "seconds": (
        "2024-01-01T00:00:00", "2024-01-01T00:00:01", "2024-01-01T00:00:02",
        Step(seconds=1), 60, "2024-01-01T00:00:03",
    ),
    "compact": ("20240229", "20240301", "20240302", Step(seconds=DAY), 7, "20240303"),
}  # fmt: skip


@pytest.mark.parametrize("name", SERIES)
def test_step_season_and_next_time(name: str, tmp_path: Path) -> None:
    *times, step, season, following = SERIES[name]
    path = tmp_path / "t.csv"
    path.write_text("date,y\n" + "\n".join(f"{time},{n}" for n, time in enumerate(times)))
    table = read_table(path, ["y"])
    assert table.step == step
    assert table.step is not None
    assert table.times is not None
    assert table.step.season == season
    assert write_time(table.step.after(table.times[-1], 1), table.time_format) == following


def test_the_step_says_itself_in_words() -> None:
    assert str(Step(seconds=7 * DAY)) == "1 week"
    assert str(Step(seconds=900)) == "15 minutes"
    assert str(Step(months=12)) == "1 year"
    assert str(Step(months=3)) == "3 months"
    assert str(Step(seconds=1)) == "1 second"
    assert str(Step(seconds=0.5)) == "0.5 seconds"
    assert str(Step(seconds=DAY, weekdays=(0, 1, 2, 3, 4))) == "day from Monday to Friday"


def test_months_that_pass_one_month_end_keep_their_day() -> None:
    """The 28th of February is the end of a month, and the 28th of the others is none."""
    times = [datetime(2021, month, 28) for month in range(1, 8)]
    step = infer_step(times, "date")
    assert step == Step(months=1)
    assert step.after(times[-1], 1) == datetime(2021, 8, 28)
    assert [step.count(times[0], time) for time in times] == list(range(7))


@pytest.mark.parametrize(
    "step",
    [
        Step(months=1),
        Step(months=3, end=True),
        Step(months=1, day=30),
        Step(months=1, working="last"),
        Step(months=3, working="first"),
        Step(seconds=DAY),
        Step(seconds=DAY, weekdays=(0, 1, 2, 3, 4)),
        Step(seconds=DAY, weekdays=(0, 3, 6)),
        Step(seconds=7 * DAY),
        Step(seconds=HOUR),
        Step(seconds=0.1),
    ],
    ids=str,
)
@pytest.mark.parametrize("zone", [None, "+07:00", "Europe/Berlin", "America/Santiago"])
def test_counting_steps_undoes_going_on(step: Step, zone: str | None) -> None:
    begin = step.after(datetime(2021, 1, 28, 0, 0, tzinfo=zone_of(zone or "")), 1)
    for number in (1, 2, 13, 60, 400, 5000):
        assert step.count(begin, step.after(begin, number)) == number


def test_a_day_is_one_of_the_clock_on_the_wall_and_an_hour_is_not() -> None:
    """Clocks in Berlin go back at 3 in the morning of 2021-10-31."""
    begin = datetime(2021, 10, 30, 12, tzinfo=zone_of("Europe/Berlin"))
    day, hour = Step(seconds=DAY).after(begin, 1), Step(seconds=HOUR).after(begin, 24)
    assert write_time(day, "%Y-%m-%d %H:%M%:z") == "2021-10-31 12:00+01:00"
    assert write_time(hour, "%Y-%m-%d %H:%M%:z") == "2021-10-31 11:00+01:00"


def test_an_hour_that_clocks_leave_out_is_the_one_after_it() -> None:
    begin = datetime(2021, 3, 27, 2, 30, tzinfo=zone_of("Europe/Berlin"))
    times = [Step(seconds=DAY).after(begin, number) for number in (1, 2)]
    assert [time.hour for time in times] == [3, 2]


@pytest.mark.parametrize(
    ("text", "fmt", "zone"),
    [
        ("2024-02-29", "%Y-%m-%d", ""),
        ("29/02/2024", "%d/%m/%Y", ""),
        ("2024-02-29T00:00:00Z", "%Y-%m-%dT%H:%M:%SZ", ""),  # as older versions kept it
        ("2024-02-29T00:00:00Z", "%Y-%m-%dT%H:%M:%SZ", "+00:00"),
        ("2024-02-29 12:30:00.250", "%Y-%m-%d %H:%M:%S.%3f", ""),
        ("2024-02-29 12:30:00+0530", "%Y-%m-%d %H:%M:%S%z", "+05:30"),
        ("2024-02-29 12:30-03", "%Y-%m-%d %H:%M%-z", "-03:00"),
        ("2024-07-01T00:00:00+02:00", "%Y-%m-%dT%H:%M:%S%:z", "Europe/Berlin"),
        ("2024Q3", "%YQ%q", ""),
        ("2024-W09", "%G-W%V", ""),
        ("1709164800500", "epoch ms", "+00:00"),
        ("1709164800.5", "epoch s", "+00:00"),
        ("1709164800.50", "epoch s.2", "+00:00"),
        ("4/9/2024 1:05", "%-m/%-d/%Y %-H:%M", ""),
        ("9-APR-24", "%-d-%^b-%y", ""),
        ("09 april 2024 01:05 pm", "%d %_B %Y %0I:%M %P", ""),
        ("2024-04-09 00:00:59,5", "%Y-%m-%d %H:%M:%S,%1f", ""),
    ],
)
def test_a_time_is_read_as_it_was_written(text: str, fmt: str, zone: str) -> None:
    time = read_time(text, fmt, zone)
    assert write_time(time, fmt) == text
    assert (time.tzinfo is None) == (not zone)


@pytest.mark.parametrize(
    ("text", "fmt", "zone", "error"),
    [
        ("2024-02-30", "%Y-%m-%d", "", DataError),
        ("2024-02-29", "%d/%m/%Y", "", DataError),
        ("2024-02-29", "%Y-%m-%d %H", "", DataError),
        ("2024-02-29", "%Y-%m-%d%c", "", DataError),
        ("2024-02-29", "", "", DataError),
        ("1709164800", "epoch x", "", DataError),
        ("1709164800", "epoch s.x", "", DataError),
        ("04/09/2024", "%-m/%-d/%Y", "", DataError),
        ("2024-02-29", "%Y-%m-%d", "Mars/Olympus", SettingError),
        ("2024-02-29", "%Y-%m-%d", "../../etc/passwd", SettingError),
        ("2024-02-29", "%Y-%m-%d", "+99:00", SettingError),
    ],
)
def test_times_of_a_damaged_file_are_refused(
    text: str, fmt: str, zone: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read_time(text, fmt, zone)


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (("4/27/2020", "4/28/2020", "4/29/2020"), "4/30/2020"),
        (("4/29/2020", "4/30/2020", "5/1/2020"), "5/2/2020"),
        (("04/29/2020", "04/30/2020", "05/01/2020"), "05/02/2020"),
        (("12/29/2020", "12/30/2020", "12/31/2020"), "01/01/2021"),
        (("2020-1-1", "2020-1-2", "2020-1-3"), "2020-1-4"),
        (("27-APR-20", "28-APR-20", "29-APR-20"), "30-APR-20"),
        (("27 april 2020", "28 april 2020", "29 april 2020"), "30 april 2020"),
        (("2/17/2020 9:00 AM", "2/17/2020 10:00 AM", "2/17/2020 11:00 AM"), "2/17/2020 12:00 PM"),
        (("2020-02-07 09:00 am", "2020-02-07 10:00 am", "2020-02-07 11:00 am"),
         "2020-02-07 12:00 pm"),
        (("14/01/2020 7:00", "14/01/2020 8:00", "14/01/2020 9:00"), "14/01/2020 10:00"),
        (("2020-01-01 00:00:58,5", "2020-01-01 00:00:59,0", "2020-01-01 00:00:59,5"),
         "2020-01-01 00:01:00,0"),
        (("1577836811.7", "1577836811.8", "1577836811.9"), "1577836812.0"),
    ],
)  # fmt: skip
def test_the_next_time_has_the_form_of_those_before(
    times: tuple[str, ...], following: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("date;y\n" + "\n".join(f"{time};{n}" for n, time in enumerate(times)))
    table = read_table(path, ["y"])
    assert table.last_time == times[-1]
    assert table.step is not None
    assert table.times is not None
    assert write_time(table.step.after(table.times[-1], 1), table.time_format) == following


def test_dates_before_1970_and_leap_years_are_times_too() -> None:
    assert Step(months=12).after(datetime(1749, 1, 1), 275) == datetime(2024, 1, 1)


def test_data_frames_and_arrays_are_tables(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 5), eager=True)}
    )
    frame = frame.with_columns(
        y=pl.Series([1.0, None, 3.0, 4.0, 5.0]), word=pl.Series(list("abcde"))
    )
    table = read_table(frame, ["y"])
    assert table.step == Step(seconds=DAY)
    np.testing.assert_array_equal(table.columns["y"], [1, np.nan, 3, 4, 5])
    assert list(table.columns) == ["y"]
    assert "column word holds no numbers and is left out" in table.notes
    array = read_table(np.arange(10.0).reshape(5, 2), ["value1"])
    assert list(array.columns) == ["value1", "value0"]
    with pytest.raises(DataError, match="is not a table"):
        read_table(object(), ["y"])


def test_dates_are_no_numbers() -> None:
    """A second column of dates must not become a covariate of days since 1970."""
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 5), eager=True)
    frame = pl.DataFrame({"day": days, "due": days, "y": [1.0, 2, 3, 4, 5]})
    assert list(read_table(frame, ["y"]).columns) == ["y"]


@pytest.mark.parametrize("line", [2, 4, 30])
def test_a_wrong_time_is_refused_wherever_it_stands(line: int, tmp_path: Path) -> None:
    rows = ["date,y", *(f"2020-01-{day:02},{day}" for day in range(1, 32))]
    rows[line - 1] = "2020-01-0x,1"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(rows))
    with pytest.raises(DataError, match=f"line {line}, column date: '2020-01-0x' is not a time"):
        read_table(path, ["y"])


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('\n\nword,y\n"two\nlines",1\nb,2\nc,three\n')
    with pytest.raises(DataError, match="line 7, column y: 'three' is not a number"):
        read_table(path, ["y"])


def test_semicolons_and_marks_of_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("month;y\n2024-01;1\n2024-02;NA\n2024-03; 3 \n2024-04;?\n2024-05;5\n")
    table = read_table(path, ["y"])
    np.testing.assert_array_equal(table.columns["y"], [1, np.nan, 3, np.nan, 5])


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("D", Step(seconds=DAY)),
        ("30D", Step(seconds=30 * DAY)),
        ("B", Step(seconds=DAY, weekdays=(0, 1, 2, 3, 4))),
        ("W-SUN", Step(seconds=7 * DAY)),
        ("15min", Step(seconds=900)),
        ("2h", Step(seconds=7200)),
        ("MS", Step(months=1)),
        ("ME", Step(months=1)),
        ("QS-JAN", Step(months=3)),
        ("YE", Step(months=12)),
        ("1mo", Step(months=1)),
        ("", None),
    ],
)
def test_frequencies_are_those_of_pandas_and_polars(text: str, step: Step | None) -> None:
    assert step_of_frequency(text) == step


@pytest.mark.parametrize("text", ["X", "0D", "-1D", "2B", "D5", "1.5h", "W-SUNDAY", "1234567D"])
def test_what_is_no_frequency_is_an_error(text: str) -> None:
    with pytest.raises(SettingError, match=r"there is no (frequency|step)"):
        step_of_frequency(text)


def test_a_frequency_that_is_given_is_not_inferred() -> None:
    """Every second day, but for one: inferred it is two days."""
    times = [datetime(2024, 1, 1) + timedelta(days=day) for day in (0, 2, 4, 5, 7, 9)]
    assert str(infer_step(times, "day")) == "2 days"
    assert str(step_of(times, "day", "D")) == "1 day"
    ends = [datetime(2024, month, last) for month, last in ((1, 31), (2, 29), (3, 31))]
    assert step_of(ends, "day", "M") == Step(months=1, end=True)
    frame = pl.DataFrame({"day": times, "y": [1.0, 2, 3, 4, 5, 6]})
    daily = TableReading(frequency="D")
    with pytest.raises(DataError, match="1 row is missing"):
        read_table(frame, ["y"], reading=daily)
    filled = read_table(frame, ["y"], fill_gaps=True, reading=daily).columns["y"]
    np.testing.assert_array_equal(filled, [1, np.nan, 2, np.nan, 3, 4, np.nan, 5, np.nan, 6])
    long = pl.concat([frame.with_columns(shop=pl.lit(name)) for name in "ab"])
    groups = read_groups(long, ["y"], ["shop"], fill_gaps=True, reading=daily)
    np.testing.assert_array_equal(groups.tables[1].columns["y"], filled)
