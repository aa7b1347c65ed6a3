"""Columns of the calendar: by days that a calendar shows."""

from calendar import monthrange
from datetime import datetime, timedelta

import numpy as np
import pytest

from conveyor.data.calendar_columns import NO_CALENDAR, Calendar
from conveyor.data.calendar_parts import CALENDAR_PARTS
from conveyor.data.timeline import DAY, Step
from conveyor.errors import SettingError

DAYS = [datetime(2024, 1, 1) + timedelta(days=number) for number in range(400)]
OF_DAYS = Step(seconds=DAY)


def _days_of(column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> set[str]:
    return {f"{day:%Y-%m-%d}" for day, value in zip(DAYS, column, strict=True) if value}


def test_days_are_marked() -> None:
    columns = Calendar(("weekday", "weekend", "month", "month-end", "payday")).columns(
        DAYS, OF_DAYS
    )
    # 29 February 2024 was a Thursday, and the last day of its month.
    assert "2024-02-29" in _days_of(columns["Thursday"]) & _days_of(columns["last day of a month"])
    assert "2024-02-28" not in _days_of(columns["last day of a month"])
    np.testing.assert_array_equal(columns["Saturday"] + columns["Sunday"], columns["weekend"])
    february = {f"2024-02-{day:02}" for day in range(1, 30)}
    assert _days_of(columns["February"]) == february | {f"2025-02-0{day}" for day in range(1, 4)}
    assert {day for day in _days_of(columns["payday"]) if day < "2024-03"} == {
        "2024-01-01", "2024-01-15", "2024-01-31", "2024-02-01", "2024-02-15", "2024-02-29",
    }  # fmt: skip
    # Each day is one day of the week and of one month.
    week = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    np.testing.assert_array_equal(np.sum([columns[name] for name in week], 0), np.ones(len(DAYS)))


def test_months_count_their_days() -> None:
    """Trading days: of each month how many Mondays, Tuesdays, ... it has."""
    months = [datetime(2024, month, 1) for month in range(1, 13)]
    columns = Calendar(("weekday", "days")).columns(months, Step(months=1))
    assert columns["days of the step"].tolist() == [monthrange(2024, m)[1] for m in range(1, 13)]
    # September 2024 began on a Sunday: five Sundays and Mondays, four of the others.
    september = {name: values[8] for name, values in columns.items()}
    assert september.pop("days of the step") == 30
    assert september == {
        "Monday": 5, "Tuesday": 4, "Wednesday": 4, "Thursday": 4, "Friday": 4, "Saturday": 4,
        "Sunday": 5,
    }  # fmt: skip


def test_a_quarter_or_a_year_is_the_same_whichever_end_names_it() -> None:
    calendar = Calendar(("days", "weekday"), "VN")
    for months, begins, ends in (
        (3, ["2024-01-01", "2024-04-01"], ["2024-03-31", "2024-06-30"]),
        (12, ["2023-01-01", "2024-01-01"], ["2023-12-31", "2024-12-31"]),
        (1, ["2024-01-01", "2024-02-01"], ["2024-01-31", "2024-02-29"]),
    ):
        first, last = (list(map(datetime.fromisoformat, texts)) for texts in (begins, ends))
        want = calendar.columns(first, Step(months=months))
        got = calendar.columns(last, Step(months=months, end=True))
        for name, values in want.items():
            np.testing.assert_array_equal(got[name], values)
    assert want["days of the step"].tolist() == [31, 29]


def test_hours_are_marked() -> None:
    hours = [datetime(2024, 1, 1, 22) + timedelta(hours=number) for number in range(5)]
    columns = Calendar(("hour", "weekend")).columns(hours, Step(seconds=3600))
    assert [name for row in range(5) for name in columns if columns[name][row]] == [
        "22:00", "23:00", "0:00", "1:00", "2:00",
    ]  # fmt: skip


def test_names_are_those_of_the_columns() -> None:
    for part in CALENDAR_PARTS:
        calendar, step = Calendar((part,)), Step(seconds=3600) if part == "hour" else OF_DAYS
        assert tuple(calendar.columns(DAYS[:3], step)) == calendar.names
    assert NO_CALENDAR.names == ()
    both = Calendar(("weekend",), "VN")
    assert tuple(both.columns(DAYS[:3], OF_DAYS)) == both.names


def test_what_is_no_part_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"no part of the calendar 'weekdays'\. Did you mean"):
        Calendar(("weekdays",))
    with pytest.raises(SettingError, match="calendar is given twice: month, month"):
        Calendar(("month", "month"))
    with pytest.raises(SettingError, match="of rows that are less than a day apart"):
        Calendar(("hour",)).columns(DAYS, OF_DAYS)
    with pytest.raises(SettingError, match="expected a country"):
        Calendar((), "XX").check()
