"""Times of a series: their format, their step, and what comes after them."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from conveyor.errors import DataError

# Tried in this order; the first that reads every value of a column is taken.
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m",
    "%Y%m%d",
    "%Y",
)

# strptime reads "1958-3-1" with %m too; only the written form below is taken for a time.
_SHAPES = {
    fmt: re.compile(
        re.escape(fmt)
        .replace("%Y", r"\d{4}")
        .replace("%m", r"\d{1,2}" if "-%m" in fmt or "/%m" in fmt else r"\d{2}")
        .replace("%d", r"\d{1,2}" if "-%d" in fmt or "/%d" in fmt else r"\d{2}")
        .replace("%H", r"\d{1,2}")
        .replace("%M", r"\d{2}")
        .replace("%S", r"\d{2}")
    )
    for fmt in FORMATS
}


def parse(text: str, fmt: str) -> datetime | None:
    """The time that a text holds in this format; None if it holds none."""
    if not _SHAPES[fmt].fullmatch(text):
        return None
    try:
        return datetime.strptime(text, fmt)
    except ValueError:
        return None


@dataclass(frozen=True)
class Step:
    """From one row to the next: so many calendar months, or so many seconds."""

    months: int = 0
    seconds: float = 0.0

    def after(self, time: datetime, count: int) -> datetime:
        """The time ``count`` steps later."""
        if not self.months:
            return time + timedelta(seconds=self.seconds * count)
        month = time.year * 12 + time.month - 1 + self.months * count
        return time.replace(year=month // 12, month=month % 12 + 1)

    def __str__(self) -> str:
        if self.months:
            years, months = divmod(self.months, 12)
            return _counted(years, "year") if not months else _counted(self.months, "month")
        for unit, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60)):
            if self.seconds % size == 0:
                return _counted(int(self.seconds // size), unit)
        return f"{self.seconds:g} seconds"

    @property
    def season(self) -> int:
        """Steps of the usual season: a year of months or weeks, a week of days, a day of hours;
        1 where there is no usual one."""
        if self.months:
            return 12 // self.months if 12 % self.months == 0 else 1
        day = 86400
        usual = {7 * day: 52, day: 7, 60: 60, 1: 60}
        if self.seconds in usual:
            return usual[int(self.seconds)]
        return int(day // self.seconds) if day % self.seconds == 0 and self.seconds >= 300 else 1


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"


def _months_between(first: datetime, second: datetime) -> int | None:
    """Whole calendar months, or None where the days and hours differ."""
    if (first.day, first.time()) != (second.day, second.time()) or first.day > 28:
        return None
    return (second.year - first.year) * 12 + second.month - first.month


def infer_step(times: list[datetime], places: list[str], column: str) -> Step:
    """The step that lies between most neighbours.

    Args:
        places: where each time stands, for errors: "line 17".

    Raises:
        DataError: times repeat or go back, or there are fewer than three.
    """
    if len(times) < 3:
        raise DataError(f"column {column} has {len(times)} times; expected 3 or more.")
    for number in range(1, len(times)):
        gap = times[number] - times[number - 1]
        if gap <= timedelta(0):
            what = "repeats the time" if not gap else "goes back behind"
            raise DataError(
                f"{places[number]}, column {column}: {times[number]} {what} {times[number - 1]} of "
                f"{places[number - 1]}. Sort the rows by time and keep one row a time."
            )
    months = Counter(_months_between(a, b) for a, b in pairwise(times))
    usual_months, often = months.most_common(1)[0]
    seconds = Counter((b - a).total_seconds() for a, b in pairwise(times))
    usual_seconds, often_seconds = seconds.most_common(1)[0]
    if usual_months and often >= often_seconds:
        return Step(months=usual_months)
    return Step(seconds=usual_seconds)


def steps_from_start(
    times: list[datetime], step: Step, places: list[str], column: str, gaps: bool
) -> list[int]:
    """How many steps each time lies after the first.

    Args:
        gaps: whether rows may be missing.

    Raises:
        DataError: a time is not on the step, or rows are missing and must not.
    """
    found = [0]
    for number in range(1, len(times)):
        before, now = times[number - 1], times[number]
        if step.months:
            between = _months_between(before, now)
            count = between / step.months if between is not None else 0.5
        else:
            count = (now - before).total_seconds() / step.seconds
        if count != int(count) or (count != 1 and not gaps):
            missing = f"; {int(count) - 1} row(s) are missing" if count == int(count) else ""
            mend = "pass --fill-gaps to treat them as missing values, or " if missing else ""
            raise DataError(
                f"{places[number]}, column {column}: {now} does not come {step} after {before} of "
                f"{places[number - 1]}{missing}. Mend the table, or {mend}pass --time none to "
                "treat the rows as evenly spaced."
            )
        found.append(found[-1] + int(count))
    return found
