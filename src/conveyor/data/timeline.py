"""The step of a series: what lies between its rows, and what comes after them."""

from calendar import monthrange
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from conveyor.errors import DataError, SettingError, counted, named

DAY = 86400.0

_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# Days of the week without rows must have been skipped twice before they count as a rule.
_TWO_WEEKS = timedelta(days=13)


def wall(time: datetime) -> datetime:
    """The time that a clock on the wall shows where it was taken."""
    return time.replace(tzinfo=None)


def instant(time: datetime) -> datetime:
    """The time in UTC; a time without a zone is taken as it is."""
    return wall(time.astimezone(UTC)) if time.tzinfo else time


@dataclass(frozen=True)
class Step:
    """From one row to the next: so many calendar months, the next of some days of the week, or so
    many seconds. Months, weeks and days are those of the wall clock, whatever clock changes lie
    between; what is shorter is counted in UTC.

    ``end`` marks months whose rows stand at their last day, ``day`` those whose rows stand at this
    day, or at the last where there is no such day; without either, rows stand at a day that every
    month has. ``weekdays`` are the days of the week that have rows (0 is Monday), with a step of
    one day; none where all have.
    """

    months: int = 0
    seconds: float = 0.0
    end: bool = False
    day: int = 0
    weekdays: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # A thousand years bound what a file can ask for.
        if not (0 <= self.months <= 12_000 and 0 <= self.seconds <= 3.2e10) or not (
            self.months or self.seconds >= 1e-6
        ):
            raise SettingError(f"there is no step of {self.months} months, {self.seconds} seconds.")
        days = self.weekdays
        if days and (self.seconds != DAY or sorted(set(days)) != list(days) or days[-1] > 6):
            raise SettingError(f"there is no step of the days {list(days)} of a week.")
        if not 0 <= self.day <= 31 or (days and days[0] < 0):
            raise SettingError(f"there is no day {self.day} of a month, or of a week.")

    @property
    def of_calendar(self) -> bool:
        """Whether it counts days on the wall, not seconds."""
        return bool(self.months) or self.seconds % DAY == 0

    def same_pace(self, other: "Step") -> bool:
        """Whether both are as long, whatever days of a month or week their rows stand at."""
        return (self.months, self.seconds) == (other.months, other.seconds)

    def after(self, time: datetime, count: int) -> datetime:
        """The time ``count`` steps later."""
        zone = time.tzinfo
        if not self.of_calendar:
            moved = instant(time) + timedelta(microseconds=round(self.seconds * 1e6) * count)
            return moved if zone is None else moved.replace(tzinfo=UTC).astimezone(zone)
        moved = self._on_the_wall(wall(time), count)
        if zone is None:
            return moved
        # To UTC and back: an hour that the clocks leave out is the one after it.
        return moved.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)

    def _on_the_wall(self, time: datetime, count: int) -> datetime:
        if self.months:
            year, month = divmod(time.year * 12 + time.month - 1 + self.months * count, 12)
            last = monthrange(year, month + 1)[1]
            day = last if self.end else min(self.day or time.day, last)
            return time.replace(year=year, month=month + 1, day=day)
        if not self.weekdays:
            return time + timedelta(seconds=self.seconds * count)
        today = time.weekday()
        # From a day without rows, the first step is to the next that has them.
        place = sum(day <= today for day in self.weekdays) - 1
        weeks, place = divmod(place + count, len(self.weekdays))
        return time + timedelta(days=7 * weeks + self.weekdays[place] - today)

    def count(self, first: datetime, second: datetime) -> int | None:
        """How many steps the second time lies after the first; None if it lies between steps."""
        if self.months:
            months = (second.year - first.year) * 12 + second.month - first.month
            number = round(months / self.months)
        elif self.weekdays:
            days = (wall(second).date() - wall(first).date()).days
            number = days // 7 * len(self.weekdays)
            number += sum(
                (first.weekday() + n) % 7 in self.weekdays for n in range(1, days % 7 + 1)
            )
        else:
            clock = wall if self.of_calendar else instant
            number = round((clock(second) - clock(first)).total_seconds() / self.seconds)
        try:
            there = self.after(first, number)
        except (OverflowError, ValueError):
            return None
        same = instant(there) == instant(second)
        # A column of changing offsets names no zone: then the wall clock alone knows the day.
        return number if same or (self.of_calendar and wall(there) == wall(second)) else None

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
        """Steps of the usual season: a year of months or weeks, a week of days, a day of hours;
        1 where there is no usual one."""
        if self.weekdays:
            return len(self.weekdays)
        if self.months:
            return 12 // self.months if 12 % self.months == 0 else 1
        usual = {7 * DAY: 52, DAY: 7, 60: 60, 1: 60}
        if self.seconds in usual:
            return usual[int(self.seconds)]
        return int(DAY // self.seconds) if self.seconds >= 300 and DAY % self.seconds == 0 else 1


def _days_in_words(days: tuple[int, ...]) -> str:
    """As "day from Monday to Friday", or the days one by one."""
    for first in days:
        run = [(first + n) % 7 for n in range(len(days))]
        if sorted(run) == list(days) and len(days) > 2:
            return f"day from {_WEEK[run[0]]} to {_WEEK[run[-1]]}"
    return " and ".join(_WEEK[day] for day in days)


def _is_month_end(time: datetime) -> bool:
    return time.day == monthrange(time.year, time.month)[1]


def _months_between(first: datetime, second: datetime) -> int | None:
    """Whole calendar months, or None where the days or hours differ; a day that a month lacks is
    its last."""
    early, late = sorted((first, second), key=lambda time: time.day)
    if first.time() != second.time() or (early.day != late.day and not _is_month_end(early)):
        return None
    return (second.year - first.year) * 12 + second.month - first.month


def days_are_of_utc(times: list[datetime]) -> bool:
    """Whether times with changing offsets come at whole days in UTC rather than on the wall."""
    on_wall = Counter(b - a for a, b in pairwise(map(wall, times)))
    in_utc = Counter(b - a for a, b in pairwise(map(instant, times)))
    if len(times) < 3 or on_wall == in_utc:
        return False
    (usual, often), (_, on_wall_often) = in_utc.most_common(1)[0], on_wall.most_common(1)[0]
    months = Counter(_months_between(a, b) for a, b in pairwise(map(wall, times)))
    months.pop(None, None)
    most = max([on_wall_often, *months.values()])
    return usual % timedelta(days=1) == timedelta(0) and often > most


def infer_step(times: list[datetime], column: str) -> Step:
    """The step that lies between most neighbours of times in order.

    Raises:
        DataError: there are fewer than three times.
    """
    if len(times) < 3:
        raise DataError(f"column {column} has {counted(len(times), 'time')}; expected 3 or more.")
    walls = [wall(time) for time in times]
    months = Counter(_months_between(a, b) for a, b in pairwise(walls))
    usual_months, often = months.most_common(1)[0]
    in_utc = Counter(instant(b) - instant(a) for a, b in pairwise(times))
    gap, often_gap = in_utc.most_common(1)[0]
    if gap >= timedelta(hours=23):  # a day on the wall, at most an hour shorter
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
    if all(map(_is_month_end, times)):
        return Step(months=months, end=True)
    # The shorter months stand at their last day, most at the day that is meant.
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
    places: list[str],
    column: str,
    gaps: bool,
) -> list[int]:
    """How many steps each time lies after the first.

    Args:
        texts: the times as they stand in the table, and ``places`` where: "line 17".
        gaps: whether rows may be missing.

    Raises:
        DataError: a time is not on the step, or rows are missing and must not.
    """
    rows = [0]
    for number in range(1, len(times)):
        count = step.count(times[number - 1], times[number])
        if count is None or (count != 1 and not gaps):
            lack, fill = "", ""
            if count is not None:
                lack = f"; {counted(count - 1, 'row is', 'rows are')} missing"
                fill = f"pass {named('fill_gaps', True)} to treat them as missing values, or "
            raise DataError(
                f"{places[number]}, column {column}: {texts[number]} {_not_next(step)} after "
                f"{texts[number - 1]} of {places[number - 1]}{lack}. Correct the table, or {fill}"
                f"pass {named('time', 'none')} to treat the rows as evenly spaced."
            )
        rows.append(rows[-1] + count)
    return rows
