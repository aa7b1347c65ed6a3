"""Columns that the calendar gives, known ahead: parts of dates, and public holidays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from conveyor.data.calendar_parts import CALENDAR_PARTS, DAYS_OF_PARTS
from conveyor.data.holiday_columns import check_country, days_of, holiday_columns, holiday_names
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
        days = [wall_time(time).date() for time in times]
        spans = [days_of(day, step) for day in days]
        columns: dict[str, Numbers] = {}
        for part in self.parts:
            if part == "hour":
                hours = np.array([time.hour for time in times])
                columns |= {name: (hours == hour) * 1.0 for hour, name in enumerate(_HOURS)}
            else:
                columns |= {
                    name: np.array([float(sum(map(is_one, span))) for span in spans])
                    for name, is_one in DAYS_OF_PARTS[part].items()
                }
        if self.holidays:
            columns |= holiday_columns(self.holidays, times, step)
        return columns


NO_CALENDAR = Calendar()
