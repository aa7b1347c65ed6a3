"""The step of a series: the time from one row to the next."""

import re
from calendar import monthrange
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from conveyor.errors import DataError, SettingError, counted, named

DAY = 86400.0

# The mean year of the Gregorian calendar, in days.
DAYS_IN_YEAR = 365.2425

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_SATURDAY = 5

# Rows must cover two weeks before days of the week without rows count as a rule.
_TWO_WEEKS = timedelta(days=13)


def wall_time(time: datetime) -> datetime:
    """Return the time that a clock on the wall shows in its zone."""
    return time.replace(tzinfo=None)


def utc_time(time: datetime) -> datetime:
    """Return the time in UTC; a time without a zone is returned as it is."""
    return wall_time(time.astimezone(UTC)) if time.tzinfo else time


@dataclass(frozen=True)
class Step:
    """The time from one row to the next: a number of calendar months, a number of seconds, or the
    way to the next of some days of the week. Months, weeks and days are counted on the wall clock,
    across any clock change; shorter steps are counted in UTC.

    Attributes:
        months: the calendar months of a step, 0 for steps of days or shorter.
        seconds: the seconds of a step, 0 for steps of months.
        end: whether rows stand at the last day of their month.
        day: the day of the month of the rows; a month without that day has its row at its last
            day. 0 if every month has the day.
        weekdays: the days of the week that have rows (0 is Monday), for a step of one day; empty if
            all days have rows.
        working: "first" or "last" where rows stand at the first or last day from Monday to Friday
            of their month; else empty.
    """

    months: int = 0
    seconds: float = 0.0
    end: bool = False
    day: int = 0
    weekdays: tuple[int, ...] = ()
    working: str = ""

    def __post_init__(self) -> None:
        # A step of more than a thousand years in a file is an error.
        if not (0 <= self.months <= 12_000 and 0 <= self.seconds <= 3.2e10) or not (
            self.months or self.seconds >= 1e-6
        ):
            raise SettingError(f"there is no step of {self.months} months, {self.seconds} seconds.")
        days = self.weekdays
        if days and (self.seconds != DAY or sorted(set(days)) != list(days) or days[-1] > 6):
            raise SettingError(f"there is no step of the days {list(days)} of a week.")
        if not 0 <= self.day <= 31 or (days and days[0] < 0):
            raise SettingError(f"there is no day {self.day} of a month, or of a week.")
        if self.working not in {"", "first", "last"} or (self.working and not self.months):
            raise SettingError(f"there is no {self.working!r} working day of a month.")

    @property
    def of_calendar(self) -> bool:
        """Whether the step is counted in days of the wall clock, not in seconds."""
        return bool(self.months) or self.seconds % DAY == 0

    def same_pace(self, other: "Step") -> bool:
        """Return whether both steps are equally long, whatever days of a month or week they use."""
        return (self.months, self.seconds) == (other.months, other.seconds)

    def after(self, time: datetime, count: int) -> datetime:
        """Return the time ``count`` steps later."""
        zone = time.tzinfo
        if not self.of_calendar:
            moved = utc_time(time) + timedelta(microseconds=round(self.seconds * 1e6) * count)
            return moved if zone is None else moved.replace(tzinfo=UTC).astimezone(zone)
        moved = self._after_on_wall(wall_time(time), count)
        if zone is None:
            return moved
        # Converting to UTC and back replaces an hour that the clocks skip by the hour after it.
        return moved.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)

    def _after_on_wall(self, time: datetime, count: int) -> datetime:
        if self.months:
            year, month = divmod(time.year * 12 + time.month - 1 + self.months * count, 12)
            if self.working:
                day = working_day(year, month + 1, self.working)
                return time.replace(year=year, month=month + 1, day=day)
            last = monthrange(year, month + 1)[1]
            day = last if self.end else min(self.day or time.day, last)
            return time.replace(year=year, month=month + 1, day=day)
        if not self.weekdays:
            return time + timedelta(seconds=self.seconds * count)
        today = time.weekday()
        # From a day without rows, the first step leads to the next day that has rows.
        index = sum(day <= today for day in self.weekdays) - 1
        weeks, index = divmod(index + count, len(self.weekdays))
        return time + timedelta(days=7 * weeks + self.weekdays[index] - today)

    def count(self, first: datetime, second: datetime) -> int | None:
        """Return the number of steps from the first time to the second, None if it is not whole."""
        # Series of a long table have many times in common. Times with zones can be equal and stand
        # at other hours of the wall, so that they are no keys.
        if first.tzinfo is None and second.tzinfo is None:
            return _count(self, first, second)
        return self.count_afresh(first, second)

    def count_afresh(self, first: datetime, second: datetime) -> int | None:
        """Return what ``count`` does, without looking whether it is known."""
        if self.months:
            months = (second.year - first.year) * 12 + second.month - first.month
            number = round(months / self.months)
        elif self.weekdays:
            days = (wall_time(second).date() - wall_time(first).date()).days
            number = days // 7 * len(self.weekdays)
            number += sum(
                (first.weekday() + n) % 7 in self.weekdays for n in range(1, days % 7 + 1)
            )
        else:
            clock = wall_time if self.of_calendar else utc_time
            number = round((clock(second) - clock(first)).total_seconds() / self.seconds)
        try:
            reached = self.after(first, number)
        except (OverflowError, ValueError):
            return None
        same = utc_time(reached) == utc_time(second)
        # A column whose offsets change names no zone. Its days can be compared on the wall only.
        same_on_wall = self.of_calendar and wall_time(reached) == wall_time(second)
        return number if same or same_on_wall else None

    def __str__(self) -> str:
        if self.weekdays:
            return _days_in_words(self.weekdays)
        if self.months:
            years, months = divmod(self.months, 12)
            return counted(years, "year") if not months else counted(self.months, "month")
        for unit, size in (("week", 7 * DAY), ("day", DAY), ("hour", 3600), ("minute", 60)):
            if self.seconds % size == 0:
                return counted(int(self.seconds // size), unit)
        return counted(self.seconds, "second")

    @property
    def season(self) -> int:
        """The number of steps in the usual season: a year of months or weeks, a week of days, a day
        of hours; 1 for a step without a usual season."""
        if self.weekdays:
            return len(self.weekdays)
        if self.months:
            return 12 // self.months if 12 % self.months == 0 else 1
        usual = {7 * DAY: 52, DAY: 7, 60: 60, 1: 60}
        if self.seconds in usual:
            return usual[int(self.seconds)]
        return int(DAY // self.seconds) if self.seconds >= 300 and DAY % self.seconds == 0 else 1

    @property
    def cycles(self) -> tuple[float, ...]:
        """The numbers of steps in the day, the week and the year, the shortest first, of those that
        are two steps or longer. Those of weeks in a year are broken: 52.18."""
        if self.months:
            return (12 / self.months,) if self.months <= 6 else ()
        if self.weekdays:
            return tuple(len(self.weekdays) * days / 7 for days in (7, DAYS_IN_YEAR))
        return tuple(
            days * DAY / self.seconds
            for days in (1, 7, DAYS_IN_YEAR)
            if days * DAY >= 2 * self.seconds
        )


@lru_cache(1 << 16)
def _count(step: Step, first: datetime, second: datetime) -> int | None:
    return step.count_afresh(first, second)


def _days_in_words(days: tuple[int, ...]) -> str:
    """Return days of the week as "day from Monday to Friday", or as a list of their names."""
    for first in days:
        run = [(first + n) % 7 for n in range(len(days))]
        if sorted(run) == list(days) and len(days) > 2:
            return f"day from {WEEK[run[0]]} to {WEEK[run[-1]]}"
    return " and ".join(WEEK[day] for day in days)


def is_month_end(time: date) -> bool:
    """Return whether a day is the last one of its month."""
    return time.day == monthrange(time.year, time.month)[1]


def working_day(year: int, month: int, which: str) -> int:
    """Return the first or the last day of a month from Monday to Friday.

    Args:
        year, month: which month.
        which: "first" or "last".
    """
    weekday, length = monthrange(year, month)
    if which == "first":
        return 1 if weekday < _SATURDAY else 8 - weekday
    return length - max((weekday + length - 1) % 7 - _SATURDAY + 1, 0)


def _working_days(times: list[datetime]) -> str:
    """Return whether all times stand at the "first" or the "last" working day of their month, at
    one time of the day; "" if they do not, or stand at one day of the month."""
    if len({time.time() for time in times}) > 1 or len({time.day for time in times}) == 1:
        return ""
    for which in ("first", "last"):
        if all(time.day == working_day(time.year, time.month, which) for time in times):
            return which
    return ""


def _months_between(first: datetime, second: datetime) -> int | None:
    """Return the whole calendar months between two times, None if their days or hours differ. In a
    month that lacks a day, the last day stands for it."""
    early, late = sorted((first, second), key=lambda time: time.day)
    if first.time() != second.time() or (early.day != late.day and not is_month_end(early)):
        return None
    return (second.year - first.year) * 12 + second.month - first.month


def days_are_of_utc(times: list[datetime]) -> bool:
    """Return whether times whose offsets change are whole days apart in UTC, not on the wall."""
    on_wall = Counter(b - a for a, b in pairwise(map(wall_time, times)))
    in_utc = Counter(b - a for a, b in pairwise(map(utc_time, times)))
    if len(times) < 3 or on_wall == in_utc:
        return False
    (usual, often), (_, on_wall_often) = in_utc.most_common(1)[0], on_wall.most_common(1)[0]
    months = Counter(_months_between(a, b) for a, b in pairwise(map(wall_time, times)))
    months.pop(None, None)
    most = max([on_wall_often, *months.values()])
    return usual % timedelta(days=1) == timedelta(0) and often > most


# Frequencies as pandas and polars call them. Where a month's rows stand is seen from the rows.
_FREQUENCY = re.compile(r"(\d{0,6})([a-zA-Z]+)(?:-[A-Z]{3})?")
_SECONDS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "S": 1.0, "min": 60.0, "m": 60.0, "T": 60.0, "h": 3600.0,
    "H": 3600.0, "D": DAY, "d": DAY, "W": 7 * DAY, "w": 7 * DAY,
}  # fmt: skip
_MONTHS = {
    **dict.fromkeys(("M", "MS", "ME", "BM", "BME", "BMS", "mo"), 1),
    **dict.fromkeys(("Q", "QS", "QE", "q"), 3),
    **dict.fromkeys(("Y", "YS", "YE", "A", "AS", "y"), 12),
}


def step_of_frequency(text: str) -> Step | None:
    """Return the step of a frequency as pandas and polars write it: ``D``, ``B``, ``W-SUN``,
    ``MS``, ``QS``, ``YE``, ``2h``, ``15min``; None for an empty text.

    Raises:
        SettingError: there is no such frequency.
    """
    if not text:
        return None
    match = _FREQUENCY.fullmatch(text)
    number, unit = (int(match[1] or 1), match[2]) if match else (0, "")
    if number and unit == "B" and number == 1:
        return Step(seconds=DAY, weekdays=tuple(range(5)))
    with suppress(SettingError):  # there is no step of a thousand years
        if number and unit in _SECONDS:
            return Step(seconds=number * _SECONDS[unit])
        if number and unit in _MONTHS:
            return Step(months=number * _MONTHS[unit])
    raise SettingError(
        f"there is no frequency {text!r}; expected one as D, B, W, MS, QS, YS, h, 15min or 2W."
    )


def step_of(times: list[datetime], column: str, frequency: str = "") -> Step:
    """Return the step between neighbours of times that are in order.

    Args:
        times: at least three.
        column: of the times, for errors.
        frequency: what the user says, see ``step_of_frequency``; empty to infer it.

    Raises:
        DataError: there are fewer than three times.
    """
    step = step_of_frequency(frequency)
    if step is None:
        return infer_step(times, column)
    return _step_of_months(list(map(wall_time, times)), step.months) if step.months else step


def infer_step(times: list[datetime], column: str) -> Step:
    """Return the step between most neighbours of times that are in order.

    Raises:
        DataError: there are fewer than three times.
    """
    if len(times) < 3:
        raise DataError(f"column {column} has {counted(len(times), 'time')}; expected 3 or more.")
    walls = [wall_time(time) for time in times]
    working = "" if all(map(is_month_end, walls)) else _working_days(walls)
    if working:
        numbers = [time.year * 12 + time.month for time in walls]
        usual, _ = Counter(b - a for a, b in pairwise(numbers)).most_common(1)[0]
        if usual:
            return Step(months=usual, working=working)
    months = Counter(_months_between(a, b) for a, b in pairwise(walls))
    usual_months, often = months.most_common(1)[0]
    in_utc = Counter(utc_time(b) - utc_time(a) for a, b in pairwise(times))
    gap, often_gap = in_utc.most_common(1)[0]
    if gap >= timedelta(hours=23):  # a day on the wall can be an hour shorter in UTC
        gap, often_gap = Counter(b - a for a, b in pairwise(walls)).most_common(1)[0]
    if usual_months and often >= often_gap:
        return _step_of_months(walls, usual_months)
    step = Step(seconds=gap.total_seconds())
    days = tuple(sorted({time.weekday() for time in walls}))
    if step.of_calendar and 2 <= len(days) < 7 and walls[-1] - walls[0] >= _TWO_WEEKS:
        week = Step(seconds=DAY, weekdays=days)
        if sum(week.count(a, b) == 1 for a, b in pairwise(times)) > often_gap:
            return week
    return step


def _step_of_months(times: list[datetime], months: int) -> Step:
    if all(map(is_month_end, times)):
        return Step(months=months, end=True)
    if working := _working_days(times):
        return Step(months=months, working=working)
    # Shorter months have their row at their last day. The commonest day is the day of the others.
    day, _ = Counter(time.day for time in times).most_common(1)[0]
    return Step(months=months, day=day) if day > 28 else Step(months=months)


def _not_next(step: Step) -> str:
    if step.weekdays:
        return f"is not the next {str(step).replace(' and ', ' or ')}"
    return f"does not come {step}"


def steps_from_start(
    times: list[datetime],
    step: Step,
    *,
    texts: list[str],
    positions: list[str],
    column: str,
    gaps: bool,
    needed: bool = False,
) -> list[int]:
    """Return, for each time, the number of steps from the first time to it.

    Args:
        times: the times, in order.
        step: the step that they must follow.
        texts: the times as the table writes them.
        positions: how errors name their rows: "line 17".
        column: how errors name their column.
        gaps: whether rows may be missing.
        needed: whether rows cannot be counted instead, so that errors do not offer it.

    Raises:
        DataError: a time is not on the step, or rows are missing and ``gaps`` is False.
    """
    rows = [0]
    for number in range(1, len(times)):
        count = step.count(times[number - 1], times[number])
        if count is None or (count != 1 and not gaps):
            lack, ways = "", ["Correct the table"]
            if count is not None:
                lack = f"; {counted(count - 1, 'row is', 'rows are')} missing"
                ways.append(f"pass {named('fill_gaps', True)} to treat them as missing values")
            if not needed:
                ways.append(f"pass {named('time', 'none')} to treat the rows as evenly spaced")
            raise DataError(
                f"{positions[number]}, column {column}: {texts[number]} {_not_next(step)} after "
                f"{texts[number - 1]} of {positions[number - 1]}{lack}. {', or '.join(ways)}."
            )
        rows.append(rows[-1] + count)
    return rows
