"""Columns that the calendar gives, known ahead: parts of dates, and public holidays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from conveyor.data.calendar_parts import CALENDAR_PARTS, DAYS_OF_PARTS
from conveyor.data.holiday_columns import check_country, days_of, holiday_names, holidays_of
from conveyor.data.timeline import DAY, Step, wall_time
from conveyor.errors import SettingError, did_you_mean, named

Numbers = NDArray[np.float64]

_HOURS = tuple(f"{hour}:00" for hour in range(24))


@dataclass(frozen=True)
class Calendar:
    """Which columns the calendar gives.

    Attributes:
        parts: of ``CALENDAR_PARTS``. ``weekday`` and ``month`` have a column for each day of the
            week and each month; ``payday`` is the 1st, the 15th and the last day of a month;
            ``days`` is how many days a step has.
        holidays: a country, see ``check_country``; empty for no holidays.
    """

    parts: tuple[str, ...] = ()
    holidays: str = ""

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in CALENDAR_PARTS:
                raise SettingError(
                    f"there is no part of the calendar {part!r}. "
                    f"{did_you_mean(part, CALENDAR_PARTS)}"
                )
        if len(set(self.parts)) < len(self.parts):
            raise SettingError(f"{named('calendar')} is given twice: {', '.join(self.parts)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        of_parts = [_HOURS if part == "hour" else tuple(DAYS_OF_PARTS[part]) for part in self.parts]
        return (*(name for names in of_parts for name in names), *holiday_names(self.holidays))

    def check(self) -> None:
        """Check that the holidays are known.

        Raises:
            SettingError: they are not, or the library of holidays is not installed.
        """
        if self.holidays:
            check_country(self.holidays)

    def columns(self, times: Sequence[datetime], step: Step) -> dict[str, Numbers]:
        """Return the columns, [T] each: of days and shorter steps 1 where it is such a day, of
        longer steps how many of their days are.

        Args:
            times: at which the steps begin; of weeks that end on them, from Friday on, at which
                they end.
            step: from one to the next.
        """
        if "hour" in self.parts and (step.of_calendar or step.seconds > DAY):
            raise SettingError(
                f"{named('calendar', 'hour')} is of rows that are less than a day apart; these "
                f"come every {step}. Leave it out."
            )
        columns: dict[str, Numbers] = {}
        if "hour" in self.parts:
            hours = np.array([time.hour for time in times])
            columns |= {name: (hours == hour) * 1.0 for hour, name in enumerate(_HOURS)}
        of_days = replace(self, parts=tuple(part for part in self.parts if part != "hour"))
        if of_days.names:
            counts_of = _counts_of(of_days, step)
            counts = [counts_of[wall_time(time).date()] for time in times]
            by_name = np.array(counts).reshape(len(times), len(of_days.names)).T.copy()
            columns |= zip(of_days.names, by_name, strict=True)
        return {name: columns[name] for name in self.names}


class _Counts(dict[date, tuple[float, ...]]):
    """How many days of a step are in each column of a calendar, by the day at which the step
    begins or ends (see ``Calendar.columns``). Counts are kept: many series have the same days.

    Args:
        calendar: without hours.
        step: how long a step is.
    """

    def __init__(self, calendar: Calendar, step: Step) -> None:
        super().__init__()
        self._is_one = [
            is_one for part in calendar.parts for is_one in DAYS_OF_PARTS[part].values()
        ]
        self._calendar, self._step = calendar, step

    def __missing__(self, day: date) -> tuple[float, ...]:
        span = days_of(day, self._step)
        counts = [sum(map(is_one, span)) for is_one in self._is_one]
        code = self._calendar.holidays
        if code:
            counts += map(sum, zip(*(_are_holidays(code, one) for one in span), strict=True))
        self[day] = tuple(map(float, counts))
        return self[day]


def _are_holidays(code: str, day: date) -> list[bool]:
    """Return whether a day is in each of the columns of holidays."""
    return [day in among for among in _holidays_of(code, day.year)]


_counts_of = lru_cache(16)(_Counts)
_holidays_of = lru_cache(256)(holidays_of)

NO_CALENDAR = Calendar()
