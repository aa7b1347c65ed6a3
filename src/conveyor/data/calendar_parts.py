"""Parts of the calendar that can be columns, and of which days they are."""

from collections.abc import Callable
from datetime import date

from conveyor.data.timeline import WEEK, is_month_end

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


# The columns of each part of the calendar: a name, and whether a day is such a day.
DAYS_OF_PARTS: dict[str, dict[str, Callable[[date], bool]]] = {
    "weekday": {
        name: lambda day, number=number: day.weekday() == number  # type: ignore[misc]
        for number, name in enumerate(WEEK)
    },
    "weekend": {"weekend": lambda day: day.weekday() >= 5},
    "month": {
        name: lambda day, number=number: day.month == number  # type: ignore[misc]
        for number, name in enumerate(_MONTHS, 1)
    },
    "month-end": {
        "first day of a month": lambda day: day.day == 1,
        "last day of a month": is_month_end,
    },
    "payday": {"payday": lambda day: day.day in {1, 15} or is_month_end(day)},
    "days": {"days of the step": lambda day: True},
}

# What can be asked for: parts of days, and the hour of steps that are shorter than a day.
CALENDAR_PARTS = (*DAYS_OF_PARTS, "hour")
