"""Finds the column of times in a table, and reads it."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise, takewhile

import numpy as np
import polars as pl

from conveyor.data.number_column import MOSTLY, read_numbers
from conveyor.data.raw_table import RawTable, label
from conveyor.data.repeated_hours import second_passes
from conveyor.data.table_reading import BY_EVIDENCE, TableReading
from conveyor.data.time_text import (
    Reading,
    is_no_such_time,
    looks_like_time,
    order_of_date,
    plain_format,
    readings,
    write_time,
    zone_name,
    zone_of,
)
from conveyor.data.timeline import Step, days_are_of_utc, infer_step, utc_time
from conveyor.errors import DataError, named

# A column of numbers is taken for the time if its name is one of the first, or contains one of the
# second, and its numbers are years, dates or counted from 1970.
TIME_NAMES = ("time", "date", "datetime", "timestamp", "year", "month", "day", "ds", "t", "ts")
_PARTS_OF_NAMES = ("time", "date", "stamp", "epoch", "unix", "datum", "fecha", "ngày")

# Columns of these names must at least count the rows if their numbers are no dates.
COUNT_NAMES = ("time", "date", "datetime", "timestamp", "ds", "t", "ts")

# Names of columns that together make a time.
_QUARTERS = ("quarter", "qtr", "quartal", "q")
_TOGETHER = (
    ("year", "month", "day", "hour"),
    *(("year", quarter) for quarter in _QUARTERS),
    ("year", "week"),
)
CLOCKS = ("time", "hour", "clock")
PARTS_OF_TIME = (
    "year", "month", "week", "weekday", "day", "minute", *_QUARTERS, *CLOCKS
)  # fmt: skip

# Names of times and their parts in other languages. A note names columns of numbers that have one.
FOREIGN_TIMES = (
    "jahr", "monat", "woche", "tag", "stunde", "zeit", "datum", "année", "annee", "mois", "jour",
    "heure", "año", "mes", "día", "dia", "hora", "fecha", "ano", "mês", "năm", "tháng", "ngày",
    "giờ", "anno", "mese", "giorno", "rok", "miesiąc", "год", "месяц", "день", "年", "月", "日",
)  # fmt: skip

# Numbers that may be years, with or without fractions, or dates without separators.
_LIKE_DATES = r"^(1[5-9]|20)\d\d(\.\d+|(0[1-9]|1[0-2])(([0-2]\d|3[01])([01]\d|2[0-3])?)?)?$"

# Beginnings of dates that other countries write in another order.
_ORDERS = ("%d/%m", "%m/%d", "%d-%m", "%m-%d", "%y/", "%y-")

# The first values of a column, this many, show whether it holds times.
_FIRST = 20

# Times finer than a microsecond: fractions of the seconds of a clock or of the seconds since 1970,
# and nanoseconds since 1970.
_FINER = re.compile(r":\d{2}[.,]\d{7,}|^-?\d{9,10}[.,]\d{7,}$|^-?\d{18,19}$")
_REMEDY = "Write times as 2024-01-31 or 2024-01-31 13:00"


@dataclass(frozen=True)
class TimeColumn:
    """The times of the rows, the texts that the table has for them, the format of these texts, and
    notes for the user."""

    name: str
    times: list[datetime]
    texts: list[str]
    fmt: str
    notes: list[str] = field(default_factory=list)

    def rows(self, rows: Sequence[int]) -> "TimeColumn":
        """Return the times of some of the rows, without notes."""
        times, texts = [self.times[row] for row in rows], [self.texts[row] for row in rows]
        return replace(self, times=times, texts=texts, notes=[])


def _is_time_type(column: pl.Series) -> bool:
    return column.dtype in (pl.Date, pl.Datetime)


def texts_of_time(raw: RawTable, name: str) -> list[str]:
    """Return the values of a column as texts. The values of several columns are joined if the name
    joins their names with a plus."""
    if name in raw.frame.columns or "+" not in name:
        column = raw.column(name)
        if column.dtype.is_float() and (column == column.round()).all():
            column = column.cast(pl.Int64)  # 2024.0 is a year as well
        elif column.dtype == pl.String and column.str.contains(r"^\s*\d{1,4}\.0\s*$").all():
            column = column.str.strip_chars().str.strip_suffix(".0")
        return [str(value).strip() for value in column.to_list()]
    names = name.split("+")
    parts = [texts_of_time(raw, part) for part in names]
    return [_joined(values, names[1].lower()) for values in zip(*parts, strict=True)]


def _joined(values: Sequence[str], second: str) -> str:
    """Join a year, a month and a day as ISO 8601 does, or a date and a time of the day."""
    if second in _QUARTERS:
        return f"{values[0]}Q{values[1].upper().removeprefix('Q')}"
    if second == "week":
        return f"{values[0]}-W{values[1]:0>2}"
    if all(re.fullmatch(r"\d{1,4}", value) for value in values):
        text = "-".join(f"{value:0>2}" for value in values[:3])
        return text + (f" {values[3]:0>2}:00" if len(values) > 3 else "")
    clock = f"{values[1]:0>2}:00" if re.fullmatch(r"\d{1,2}", values[1]) else values[1]
    return f"{values[0]} {clock}"


def _looks_like_time(column: pl.Series) -> bool:
    """Return whether most of the first values are times, whatever their form."""
    texts = [str(text).strip() for text in column.head(_FIRST).to_list()]
    return sum(map(looks_like_time, texts)) > MOSTLY * len(texts)


def _is_named(name: str) -> bool:
    return name.lower() in TIME_NAMES or any(part in name.lower() for part in _PARTS_OF_NAMES)


def _are_times(raw: RawTable, name: str) -> bool:
    return bool(readings(texts_of_time(raw, name))[0])


def _are_too_fine(raw: RawTable, name: str) -> bool:
    return all(map(_FINER.search, texts_of_time(raw, name)))


def _with_clock(raw: RawTable, name: str) -> str:
    """Return the name of a column of dates, joined with the name of the column that holds the time
    of the day if there is one and the dates repeat."""
    column = raw.frame[name]
    if column.n_unique() == len(column) or _is_time_type(column):
        return name
    for other in raw.frame.columns:
        if other != name and other.lower() in CLOCKS and _are_times(raw, f"{name}+{other}"):
            return f"{name}+{other}"
    return name


def find_time(raw: RawTable, asked: str | None, targets: Sequence[str]) -> str | None:
    """Return the name of the time column, None if rows are only counted.

    Raises:
        DataError: there is no column of the name that is asked for, or a column with the name of a
            time holds numbers that are neither times nor evenly spaced.
    """
    if asked is not None:
        if asked.lower() == "none":
            return None
        for part in [asked] if asked in raw.frame.columns else asked.split("+"):
            raw.column(part)
        return asked
    names = [name for name in raw.frame.columns if name not in targets]
    texts = []
    for name in names:
        column = raw.frame[name]
        if _is_time_type(column):
            return name
        if column.dtype == pl.String and read_numbers(column, signs=False).bad.mean() > MOSTLY:
            texts.append(name)
    for name in texts:
        if _looks_like_time(raw.frame[name]):
            return _with_clock(raw, name)
    for name in texts:
        # The user means it as the time. If its values are no times, the error names the first.
        if name.lower() in TIME_NAMES:
            return name
    quarters = [name for name in texts if name.lower() in _QUARTERS]  # Q1, Q2
    return _numbers_as_time(raw, [name for name in names if name not in texts], quarters)


def like_times(raw: RawTable, used: Collection[str]) -> list[str]:
    """Return the columns that look like a time or a part of one, without those of ``used``."""
    names = []
    for name in raw.frame.columns:
        column = raw.frame[name]
        if name in used or column.dtype.is_nested():
            continue
        if column.dtype in (pl.Duration, pl.Time) or name.lower() in FOREIGN_TIMES:
            names.append(name)
        elif column.dtype == pl.String or column.dtype.is_numeric():
            texts = column.cast(pl.String).fill_null("").str.strip_chars()
            numbers = read_numbers(column, signs=False).values
            rising = len(numbers) > 2 and bool((np.diff(numbers) >= 0).all())
            if rising and numbers[-1] > numbers[0] and texts.str.contains(_LIKE_DATES).all():
                names.append(name)
    return names


def _numbers_as_time(raw: RawTable, names: list[str], quarters: list[str]) -> str | None:
    """Return the column of numbers that is the time, None if there is none. It holds dates or
    numbers counted from 1970; several columns with the parts of a date are joined by a plus."""
    by_lower_name = {name.lower(): name for name in [*names, *quarters]}
    for together in _TOGETHER:
        known = takewhile(by_lower_name.__contains__, together)
        parts = [by_lower_name[part] for part in known]
        if len(parts) > 1 and _are_times(raw, "+".join(parts)):
            return "+".join(parts)
    for name in names:
        # Times that are too fine to be read are matched too, so that an error says so.
        if _is_named(name) and (_are_times(raw, name) or _are_too_fine(raw, name)):
            return name
    for name in names:
        numbers = read_numbers(raw.frame[name], signs=False).values
        if np.isnan(numbers).any() or len(numbers) < 3:
            continue
        even = np.ptp(np.diff(np.sort(numbers))) == 0 and numbers[0] != numbers[1]
        if even and np.min(numbers) >= 1e9 and _are_times(raw, name):
            return name
        if name.lower() in COUNT_NAMES and len(np.unique(numbers)) == len(numbers):
            _check_count(raw, name, numbers)
    return None


def _check_count(
    raw: RawTable, name: str, numbers: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    """Check that numbers in a column with the name of a time, which are no times, are at least
    evenly spaced and rising.

    Raises:
        DataError: they are not.
    """
    gaps = np.diff(numbers)
    uneven = ~np.isclose(gaps, gaps[0], rtol=1e-6, atol=0) | (gaps <= 0)
    if uneven.any():
        row = int(uneven.argmax()) + 1
        raise DataError(
            f"{raw.name}, {raw.position(row)}, column {name}: {numbers[row]:.15g} comes after "
            f"{numbers[row - 1]:.15g}. These numbers are no dates, and not evenly spaced. "
            f"{_REMEDY}, or pass {named('time', 'none')} to treat the rows as evenly spaced."
        )


def read_time_column(
    raw: RawTable,
    name: str,
    reading: TableReading = BY_EVIDENCE,
    *,
    needed: bool = False,
) -> TimeColumn:
    """Read the times of a column, each on the clock that its row names.

    Args:
        raw: the table.
        name: of the column.
        reading: what the user says of the table.
        needed: whether rows cannot be counted instead, so that errors do not offer it.

    Raises:
        DataError: a value is no time, or the column can be read in several ways.
    """
    column = raw.frame[name] if name in raw.frame.columns else None
    if column is not None and _is_time_type(column):
        return _from_times(raw, name, column, _remedy(needed))
    texts = texts_of_time(raw, name)
    possible, furthest = readings(texts)
    if not possible:
        form = " of the same form as those before it" if furthest else " of a known form"
        if _FINER.search(texts[furthest]):
            form = " of microseconds, the finest that can be read"
        elif is_no_such_time(texts[furthest]):
            form = ": there is no such day, week or time of the day"
        remedy = _remedy(needed)
        if furthest == len(texts) - 1 and not re.search(r"\d", texts[furthest]):
            remedy = "If this last row is a total or a remark, take it out of the table."
        raise DataError(
            f"{raw.name}, {raw.position(furthest)}, column {label(name)}: {texts[furthest]!r} is "
            f"not a time{form}. {remedy}"
        )
    formats = formats_by(reading, [r.fmt for r in possible])
    possible = [r for r in possible if r.fmt in formats]
    chosen, note = _choose(raw, name, texts, possible, offers_order=not reading.time_format)
    notes = [note] if note else []
    if chosen.fmt.startswith("epoch "):
        units = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        unit = units[chosen.fmt.removeprefix("epoch ").partition(".")[0]]
        notes.append(f"column {label(name)} is read as {unit} since 1970, in UTC")
    return TimeColumn(name, chosen.times, texts, chosen.fmt, notes)


def formats_by(reading: TableReading, formats: Sequence[str]) -> list[str]:
    """Return those formats of dates that are of the order asked for; all if none is.

    Args:
        reading: what the user, or a run, says of the order.
        formats: in which a column can be read.
    """
    if reading.day_first:
        return [fmt for fmt in formats if order_of_date(fmt).startswith("d")] or [*formats]
    if reading.time_format:
        order = order_of_date(reading.time_format)
        return [fmt for fmt in formats if order_of_date(fmt) == order] or [*formats]
    return [*formats]


def _remedy(needed: bool) -> str:
    """Return what a user can do about a text that is no time."""
    count = f", or pass {named('time', 'none')} to treat the rows as evenly spaced"
    return f"{_REMEDY}{'' if needed else count}."


def _choose(
    raw: RawTable, name: str, texts: list[str], possible: list[Reading], *, offers_order: bool
) -> tuple[Reading, str | None]:
    """Return the only reading, or of several the only one in which rows come evenly, and a note on
    it.

    Args:
        raw: the table.
        name: of the column.
        texts: of its times.
        possible: how they can be read.
        offers_order: whether an error offers the option that says the order.

    Raises:
        DataError: rows come evenly in no reading, or in more than one.
    """
    even = possible
    if len(possible) > 1:
        steps = [(reading, _even_step(reading.times)) for reading in possible]
        even = [reading for reading, step in steps if step is not None]
        # If the days of one month are read as years, they become years that come evenly, which is
        # no evidence: such a reading counts only if there is no other.
        other = [r for r, step in steps if step and not ("%y" in r.fmt and step.months == 12)]
        even = other or even
    if len(even) == 1:
        return even[0], note_of_order(name, texts, even[0], len(possible))
    row = next(n for n in range(len(texts)) if len({r.times[n] for r in possible}) > 1)
    option = f", or pass {named('day_first', True)} if dates begin with the day"
    way_out = option if offers_order else ""
    dates = dict.fromkeys(write_time(r.times[row], "%-d %B %Y") for r in possible)
    raise DataError(
        f"{raw.name}, column {label(name)}: {texts[row]!r} can be {' or '.join(dates)}, and no row "
        f"shows which. {_REMEDY}{way_out}."
    )


def note_of_order(name: str, texts: list[str], reading: Reading, possible: int) -> str | None:
    """Return a note on dates that other countries write in another order; None for other dates."""
    if not plain_format(reading.fmt).startswith(_ORDERS):
        return None
    row = next((n for n, time in enumerate(reading.times) if time.day > 12), 0)
    date = write_time(reading.times[row], "%d %B %Y").lstrip("0")
    why = ", as only then rows come evenly" if possible > 1 else ""
    return f"column {label(name)}: {texts[row]} is read as {date}{why}"


def _even_step(times: list[datetime]) -> Step | None:
    """Return the step of the times, None if they do not all follow it. Several series may have a
    row at the same time."""
    ordered = sorted(set(times))
    try:
        step = infer_step(ordered, "")
    except DataError:
        return None
    return step if all(step.count(a, b) == 1 for a, b in pairwise(ordered)) else None


def _from_times(raw: RawTable, name: str, column: pl.Series, remedy: str) -> TimeColumn:
    zone = getattr(column.dtype, "time_zone", None) or ""
    if column.null_count():
        row = int(column.is_null().to_numpy().argmax())
        raise DataError(
            f"{raw.name}, {raw.position(row)}, column {label(name)}: there is no time. {remedy}"
        )
    if getattr(column.dtype, "time_unit", "us") == "ns":
        fine = (column.dt.nanosecond() % 1000 != 0).to_numpy()
        if fine.any():
            row = int(fine.argmax())
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {label(name)}: {column[row]} is not a "
                "time of microseconds, the finest that can be read. Round the times."
            )
    if not zone:
        times = column.cast(pl.Datetime("us")).to_list()
    else:
        utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
        target_zone = zone_of(zone)
        times = [time.replace(tzinfo=UTC).astimezone(target_zone) for time in utc.to_list()]
    fmt = "%Y-%m-%d"
    if zone or any(time.hour or time.minute or time.second or time.microsecond for time in times):
        micros = {time.microsecond for time in times}
        digits = 3 if all(micro % 1000 == 0 for micro in micros) else 6
        fmt += " %H:%M:%S" + f".%{digits}f" * (micros != {0}) + "%:z" * bool(zone)
    written = {time: write_time(time, fmt) for time in set(times)}
    return TimeColumn(name, times, [written[time] for time in times], fmt)


def on_clocks(column: TimeColumn, zone: str, *, repeating: bool = False) -> TimeColumn:
    """Return the times of the rows of one series on the clocks of its place.

    Args:
        column: as the table writes them.
        zone: the zone of these clocks, see ``zone_of``. Empty if the user names none: times keep
            their offsets from UTC, with a note where these change, and are in UTC if rows come at
            the same hour of UTC.
        repeating: whether several rows may have the same time.

    Raises:
        DataError: the times name another zone, or do not show which of two equal hours is meant.
    """
    if zone:
        return _in_zone(column, zone, repeating)
    offsets = {time.utcoffset(): time for time in column.times}
    if len(offsets) < 2:
        return column
    if days_are_of_utc(sorted(set(column.times))):
        times = [time.astimezone(UTC) for time in column.times]
        note = (
            f"column {label(column.name)}: rows come at the same hour of UTC, not of the clocks "
            "there: times are written in UTC"
        )
        return TimeColumn(column.name, times, column.texts, column.fmt, [*column.notes, note])
    names = sorted({zone_name(time) for time in column.times})
    if len(names) < 2:
        return column
    last = zone_name(max(column.times))
    note = (
        f"column {label(column.name)}: the offset from UTC changes ({', '.join(names)}) and no "
        "zone is named: days are those of the clocks there, and times to come have the last "
        f"offset, {last}. {named('timezone', 'Europe/Berlin')} names a zone"
    )
    return TimeColumn(column.name, column.times, column.texts, column.fmt, [*column.notes, note])


def _in_zone(column: TimeColumn, zone: str, repeating: bool) -> TimeColumn:
    """Return times on the clocks of a zone. Of an hour that its clocks go through twice, the row
    that comes second in the table is the later one, or the first one of a table that goes back in
    time; where times may repeat, see ``second_passes``.

    Raises:
        DataError: times name their zone themselves, or are none of these clocks.
    """
    if column.fmt.endswith("]"):
        raise DataError(
            f"column {label(column.name)}: times as {column.texts[0]} name their zone themselves. "
            f"Leave out {named('timezone')}."
        )
    place = zone_of(zone)
    if column.times[0].tzinfo is not None:
        return replace(column, times=[time.astimezone(place) for time in column.times])
    walls = column.times
    moved = [other < one for one, other in pairwise(walls) if other != one]
    backwards = sum(moved) > len(moved) / 2
    order = range(len(walls))[::-1] if backwards else range(len(walls))
    times = [wall.replace(tzinfo=place) for wall in walls]
    if repeating:
        _set_second_passes(column, times, order, zone)
    else:
        _set_second_hours(times, order)
    _begin_later(times, order, walls)
    if len({wall.time() for wall in walls}) > 1:
        _check_shown(column, times, zone)
    return replace(column, times=times)


def _set_second_passes(
    column: TimeColumn, times: list[datetime], order: Sequence[int], zone: str
) -> None:
    """Let times of the second of two equal hours be it, where times may repeat.

    Args:
        column: as the table writes them.
        times: of the rows, on the clocks of the zone; these are changed.
        order: of the rows, from the earliest.
        zone: its name.

    Raises:
        DataError: it cannot be determined for a row.
    """
    second, doubtful = second_passes([times[row] for row in order])
    if doubtful is not None:
        raise DataError(
            f"column {label(column.name)}: the clocks of {zone} go through "
            f"{column.texts[order[doubtful]]} twice, and several rows have this time, in an order "
            "that does not show which of the two is meant. Let the rows of each series stand below "
            "each other in order of time, or write times with their offset from UTC, as 2024-10-27 "
            f"02:00+01:00, and leave out {named('timezone')}."
        )
    for number in second:
        times[order[number]] = times[order[number]].replace(fold=1)


def _set_second_hours(times: list[datetime], order: Sequence[int]) -> None:
    """Let times of the second of two equal hours be it, where no time repeats.

    Args:
        times: of the rows, on the clocks of their zone; these are changed.
        order: of the rows, from the earliest.
    """
    walls = [time.replace(tzinfo=None) for time in times]
    place = times[0].tzinfo
    before: set[datetime] = set()
    previous, gone_back = walls[order[0]], False
    for row in order:
        wall, twice = walls[row], _is_twice(times[row])
        # Within such an hour clocks go back once.
        gone_back = twice and (
            gone_back or (wall < previous and _is_twice(previous.replace(tzinfo=place)))
        )
        if twice and (gone_back or wall in before):
            times[row] = times[row].replace(fold=1)
        before.add(wall)
        previous = wall


def _is_twice(time: datetime) -> bool:
    """Return whether the clocks of a time's zone go through it twice."""
    return time.replace(fold=0).utcoffset() != time.replace(fold=1).utcoffset()


def _begin_later(times: list[datetime], order: Sequence[int], walls: Sequence[datetime]) -> None:
    """Let a table begin in the second of two equal hours, where only then the next row follows at
    the step of most rows: so do new rows that come after the first of them.

    Args:
        times: of the rows; those at the begin are changed.
        order: of the rows, from the earliest.
        walls: the times without their zone.
    """
    first = list(takewhile(lambda row: _is_twice(times[row]), order))
    once = len({walls[row] for row in first}) == len(first)
    if not first or not once or len(first) + 1 >= len(order):
        return
    instants = [utc_time(times[row]) for row in order]
    usual, _ = Counter(other - one for one, other in pairwise(instants)).most_common(1)[0]
    later = utc_time(times[first[-1]].replace(fold=1))
    if instants[len(first)] - later == usual:
        for row in first:
            times[row] = times[row].replace(fold=1)


def _check_shown(column: TimeColumn, times: Sequence[datetime], zone: str) -> None:
    """Check that the clocks of a zone show all times: in spring they skip an hour.

    Raises:
        DataError: they skip one.
    """
    for time, text in zip(times, column.texts, strict=True):
        shown = time.astimezone(UTC).astimezone(time.tzinfo)
        # Of two equal hours both are shown; an hour that is skipped comes back as another.
        if shown.replace(tzinfo=None) != time.replace(tzinfo=None):
            raise DataError(
                f"column {label(column.name)}: there is no {text} on the clocks of {zone}, which "
                f"go on to {write_time(shown, '%H:%M')} then. If the table knows no summer time, "
                f"or has the same hours every day, leave out {named('timezone')}; otherwise take "
                "the row out."
            )
