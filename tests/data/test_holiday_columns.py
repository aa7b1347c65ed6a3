"""Columns of holidays: by days that a calendar of Vietnam shows, 2024 and 2025."""

import sys
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from conveyor.data import calendar_columns
from conveyor.data.calendar_columns import Calendar
from conveyor.data.holiday_columns import check_country, holiday_names
from conveyor.data.timeline import Step
from conveyor.errors import SettingError

DAY = Step(seconds=86_400)


def _days(first: datetime, count: int, step: timedelta = timedelta(days=1)) -> list[datetime]:
    return [first + number * step for number in range(count)]


def test_days_around_tet() -> None:
    """The lunar year began on 10 February 2024; offices were closed from the 8th to the 14th."""
    days = _days(datetime(2024, 1, 20), 45)
    columns = Calendar(holidays="VN").columns(days, DAY)
    assert tuple(columns) == holiday_names("VN")

    def of(name: str) -> set[str]:
        return {f"{day:%m-%d}" for day, value in zip(days, columns[name], strict=True) if value}

    assert of("holiday VN") == {f"02-{day:02}" for day in range(8, 15)}
    assert of("day before holiday VN") == {"02-07"}
    assert of("day after holiday VN") == {"02-15"}
    assert of("7 to 1 days before Tết") == {f"02-{day:02}" for day in range(3, 10)}
    assert of("14 to 8 days before Tết") == {"01-27", "01-28", "01-29", "01-30", "01-31"} | {
        "02-01", "02-02"
    }  # fmt: skip
    assert of("Tết and 6 days after") == {f"02-{day:02}" for day in range(10, 17)}
    assert of("7 to 13 days after Tết") == {f"02-{day:02}" for day in range(17, 24)}


def test_hours_are_of_their_local_day() -> None:
    zone = timezone(timedelta(hours=7))
    hours = _days(datetime(2025, 4, 29, 20, tzinfo=zone), 60, timedelta(hours=1))
    holiday = Calendar(holidays="VN").columns(hours, Step(seconds=3_600))["holiday VN"]
    # 30 April, 1 May and the day in place of 26 April.
    assert holiday.tolist() == [0.0] * 4 + [1.0] * 56
    utc = [hour.astimezone(UTC) for hour in hours]
    assert Calendar(holidays="VN").columns(utc, Step(seconds=3_600))["holiday VN"].tolist() == (
        [0.0] * 11 + [1.0] * 49
    )


def test_longer_steps_count_their_holidays() -> None:
    monday = _days(datetime(2025, 4, 21), 3, timedelta(days=7))
    friday = _days(datetime(2025, 4, 25), 3, timedelta(days=7))
    for weeks in (monday, friday):
        counts = Calendar(holidays="VN").columns(weeks, Step(seconds=7 * 86_400))["holiday VN"]
        assert counts.tolist() == [0, 3, 0]
    months = [datetime(2025, month, 28) for month in range(1, 6)]
    counts = Calendar(holidays="VN").columns(months, Step(months=1))["holiday VN"]
    # New Year's Day and 27 to 31 January; 1 February; none; 7 and 30 April; 1 and 2 May.
    assert counts.tolist() == [6, 1, 0, 2, 2]
    quarters = Calendar(holidays="VN").columns([datetime(2025, 4, 1)], Step(months=3))["holiday VN"]
    assert quarters.tolist() == [4]
    workdays = Step(seconds=86_400, weekdays=(0, 1, 2, 3, 4))
    assert Calendar(holidays="VN").columns([datetime(2025, 5, 2)], workdays)[
        "holiday VN"
    ].tolist() == [1]


def test_other_countries_have_no_tet() -> None:
    assert holiday_names("") == ()
    assert len(holiday_names("DE")) == 3
    day = [datetime(2024, 11, 5)]  # the Melbourne Cup
    assert Calendar(holidays="AU-VIC").columns(day, DAY)["holiday AU-VIC"].tolist() == [1]
    assert Calendar(holidays="AU").columns(day, DAY)["holiday AU"].tolist() == [0]
    assert np.isfinite(Calendar(holidays="JP").columns(day, DAY)["holiday JP"]).all()


def test_what_is_no_country_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match=r"holidays is 'vn'; .* Did you mean 'VN'\?"):
        check_country("vn")
    with pytest.raises(SettingError, match=r"holidays is 'XX'; expected .* part of one\.$"):
        check_country("XX")
    with pytest.raises(SettingError, match="AU has no part 'VICT'"):
        check_country("AU-VICT")
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(SettingError, match=r"pip install 'conveyor\[tables\]'"):
        check_country("VN")


def test_many_series_ask_for_the_same_days_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And columns are those of a calendar that has seen nothing yet, years at once or apart."""
    days = [datetime(2023, 12, 1) + timedelta(days=number) for number in range(500)]
    whole = Calendar(("weekday", "payday"), "VN").columns(days, DAY)
    asked: list[int] = []
    known = calendar_columns._holidays_of

    def counting(code: str, year: int) -> tuple[frozenset[date], ...]:
        asked.append(year)
        return known(code, year)

    monkeypatch.setattr(calendar_columns, "_holidays_of", counting)
    for first in (0, 31, 200):
        part = Calendar(("weekday", "payday"), "VN").columns(days[first : first + 60], DAY)
        for name, column in part.items():
            np.testing.assert_array_equal(column, whole[name][first : first + 60])
    assert not asked
    for year in (2023, 2024, 2025):
        of_year = [day for day in days if day.year == year]
        fresh = calendar_columns._Counts(Calendar((), "VN"), DAY)
        assert [fresh[day.date()] for day in of_year] == [
            tuple(float(whole[name][days.index(day)]) for name in holiday_names("VN"))
            for day in of_year
        ]


def test_the_last_day_of_a_year_is_before_a_holiday() -> None:
    days = [datetime(2024, 12, 31), datetime(2025, 1, 2)]
    columns = Calendar(holidays="VN").columns(days, DAY)
    assert columns["day before holiday VN"].tolist() == [1, 0]
    assert columns["day after holiday VN"].tolist() == [0, 1]


def test_a_table_without_rows_has_no_columns_values() -> None:
    columns = Calendar(("weekend",), "VN").columns([], DAY)
    assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(
        ("weekend", *holiday_names("VN")), 0
    )
