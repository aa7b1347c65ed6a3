"""Times of a series: their format, their step, and what comes after them."""

import re
from calendar import monthrange
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from conveyor.errors import DataError, SettingError

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

# What the formats do not read and ISO 8601 does: fractions of seconds, offsets from UTC. Such
# times become UTC and are written in this form.
ISO = "%Y-%m-%d %H:%M:%S"

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


def parse_iso(text: str) -> datetime | None:
    """The time of an ISO 8601 text, in UTC; None if it holds none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


@dataclass(frozen=True)
class Step:
    """From one row to the next: so many calendar months, or so many seconds. ``end`` marks months
    whose rows stand at their last day."""

    months: int = 0
    seconds: float = 0.0
    end: bool = False

    def __post_init__(self) -> None:
        # A thousand years bound what a file can ask for.
        if not (0 <= self.months <= 12_000 and 0 <= self.seconds <= 3.2e10) or not (
            self.months or self.seconds
        ):
            raise SettingError(f"there is no step of {self.months} months, {self.seconds} seconds.")

    def after(self, time: datetime, count: int) -> datetime:
        """The time ``count`` steps later."""
        if not self.months:
            return time + timedelta(seconds=self.seconds * count)
        year, month = divmod(time.year * 12 + time.month - 1 + self.months * count, 12)
        days = monthrange(year, month + 1)[1]
        return time.replace(year=year, month=month + 1, day=days if self.end else time.day)

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


def _is_month_end(time: datetime) -> bool:
    return (time + timedelta(days=1)).month != time.month


def _months_between(first: datetime, second: datetime) -> int | None:
    """Whole calendar months, or None where the days and hours differ; the last day of a month is
    a month after the last day of the one before."""
    same = first.day == second.day <= 28 or (_is_month_end(first) and _is_month_end(second))
    if first.time() != second.time() or not same:
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
        return Step(months=usual_months, end=all(_is_month_end(time) for time in times))
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
