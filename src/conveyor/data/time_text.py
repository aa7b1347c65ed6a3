"""Times as texts: recognises the format of a column of texts, and writes times in that format.

A text is a date, perhaps followed by a time of the day with fractions of seconds, perhaps by an
offset from UTC. Its format is one of ``strftime`` with more directives: ``%q`` is a quarter,
``%3f`` a fraction of three digits, ``%:z`` an offset as +07:00, ``%-z`` as +07. ``%-d``, ``%-m``
and ``%-H`` are written without a leading zero, and so is ``%I``; ``%0I`` is written with it.
``%^b`` is a month in capitals, ``%_b`` in small letters, ``%P`` is am or pm. ``epoch ms`` is the
time as a number of milliseconds since 1970, ``epoch ms.2`` with two decimals.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from conveyor.errors import DataError, SettingError

# The forms of dates that a column is tried with. If several forms fit every row, ``time_column.py``
# chooses by how evenly the rows come.
DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%d.%m.%y",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
    "%Y%m%dT%H%M%S", "%Y%m%dT%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H",
    "%Y%m", "%Y-%m", "%Y/%m", "%Y.%m", "%m/%Y", "%m.%Y", "%YM%m", "%b %Y", "%b-%Y",
    "%Y %b", "%Y-%b", "%Y %B", "%b-%y", "%B %Y",
    "%YQ%q", "%Y-Q%q", "%Y Q%q", "Q%q %Y", "%G-W%V", "%Y",
)  # fmt: skip

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip

# POSIX reads two digits of a year so: 69 is 1969, 68 is 2068.
_FIRST_SHORT_YEAR = 69

_PATTERNS = {
    "%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})", "%G": r"(?P<G>\d{4})", "%V": r"(?P<V>\d{2})",
    "%q": r"(?P<q>[1-4])", "%m": r"(?P<m>\d{1,2})", "%d": r"(?P<d>\d{1,2})",
    "%b": f"(?P<b>{'|'.join(month[:3] for month in _MONTHS)})", "%B": f"(?P<B>{'|'.join(_MONTHS)})",
    "%H": r"(?P<H>\d{2})", "%M": r"(?P<M>\d{2})", "%S": r"(?P<S>\d{2})",
}  # fmt: skip

_CLOCK = (
    r"(?:(?P<before>,? |T)(?P<H>\d{1,2}):(?P<M>\d{2})"
    r"(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?: ?(?P<p>[AP]M))?)?"
)
_OFFSET = r"(?P<z> ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?(?P<zone>\[[\w/+-]+\])?"

_DIRECTIVE = re.compile(r"%(?:[:-]?z|[1-6]f|-[dmH]|0I|[\^_][bB]|[A-Za-z])")

# Flags that change how a directive is written and not what it means.
_STYLE = re.compile(r"%[-^_0](?=[dmHIbB])")

# Units of times that are numbers since 1970, in seconds. The units cannot be confused: from 1976 to
# 2128, which is the range of seconds below, no number is in the range of another unit.
_EPOCHS = {"s": Decimal(1), "ms": Decimal("1e-3"), "us": Decimal("1e-6"), "ns": Decimal("1e-9")}
_EARLIEST, _LATEST = 2 * 10**8, 5 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reading:
    """The times of a column of texts, and the format that writes these texts."""

    times: list[datetime]
    fmt: str


@dataclass(frozen=True)
class _Parsed:
    """The time of one text, and how its time of the day and its offset are written."""

    time: datetime
    clock: str = ""
    digits: int = 0
    comma: bool = False
    offset: str = ""


@lru_cache
def _pattern(form: str) -> re.Pattern[str]:
    compact = "%Y%m" in form
    pattern = re.escape(form).replace(r"\ ", " ")
    for directive, group in _PATTERNS.items():
        exact = group.replace("1,2", "2") if compact else group
        pattern = pattern.replace(directive, exact)
    if "%d" in form and "%H" not in form:
        pattern += f"(?:{_CLOCK}(?(H){_OFFSET}))"
    elif "%H" in form:
        pattern += _OFFSET
    return re.compile(pattern, re.IGNORECASE)


def _month(groups: dict[str, str | None]) -> int:
    name, quarter = groups.get("b") or groups.get("B"), groups.get("q")
    if name:
        return 1 + next(n for n, month in enumerate(_MONTHS) if month.startswith(name.lower()))
    return 3 * int(quarter) - 2 if quarter else int(groups.get("m") or 1)


def _date(groups: dict[str, str | None]) -> datetime:
    if groups.get("G"):
        return datetime.fromisocalendar(int(groups["G"] or 0), int(groups["V"] or 0), 1)
    year = int(groups.get("Y") or groups.get("y") or 0)
    if not groups.get("Y"):
        year += 1900 if year >= _FIRST_SHORT_YEAR else 2000
    return datetime(year, _month(groups), int(groups.get("d") or 1))


def _clock(groups: dict[str, str | None], form: str) -> tuple[timedelta, str, int]:
    """Return the time of the day, its format, and the number of digits of its fraction.

    Raises:
        ValueError: there is no such time of the day.
    """
    hour, fraction = int(groups.get("H") or 0), groups.get("f") or ""
    half = (groups.get("p") or "").upper()
    if hour > 24 or (half and not 1 <= hour <= 12):
        raise ValueError
    if half:
        hour = hour % 12 + 12 * (half == "PM")
    minute, second = int(groups.get("M") or 0), int(groups.get("S") or 0)
    if hour == 24 and (minute or second or fraction.strip("0")):
        raise ValueError  # 24:00 is the end of the day
    if minute > 59 or second > 59 or fraction[6:].strip("0"):
        raise ValueError  # a datetime holds no more than six digits
    micro = int(f"{fraction[:6]:0<6}")
    fmt = ""
    if groups.get("H") and "%H" not in form:
        fmt = (groups["before"] or "") + ("%I:%M" if half else "%H:%M")
        fmt += ":%S" * bool(groups.get("S")) + "{}" + " %p" * bool(half)
    day = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)
    return day, fmt, min(len(fraction), 6)


def _zone(groups: dict[str, str | None]) -> tuple[tzinfo | None, str]:
    """Return the zone of a text, and the format of its offset."""
    text, name = groups.get("z") or "", groups.get("zone") or ""
    if not text:
        return None, ""
    space, bare = " " * text.startswith(" "), text.strip().upper()
    if bare in ("Z", "UTC", "GMT"):
        zone, written = UTC, space + bare
    else:
        hours, minutes = int(bare[1:3]), int(bare[3:].lstrip(":") or 0)
        if minutes > 59:
            raise ValueError
        shift = timedelta(hours=hours, minutes=minutes)
        zone = timezone(shift if bare[0] == "+" else -shift)
        written = space + {3: "%-z", 5: "%z", 6: "%:z"}[len(bare)]
    return (zone_of(name[1:-1]) if name else zone), written + name


def _in_zone(time: datetime, zone: tzinfo | None, offset: str) -> datetime:
    """Return the time in a zone. Of the two times with the same clock in autumn, it is the one that
    has this offset."""
    first, second = (time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset() and _offset(second, ":") == offset.strip():
        return second
    return first


def _parse(text: str, form: str) -> _Parsed | None:
    """Return the time of a text if its date has this form, None otherwise."""
    match = _pattern(form).fullmatch(text)
    if match is None:
        return None
    groups = match.groupdict()
    try:
        day, clock, digits = _clock(groups, form)
        zone, offset = _zone(groups)
        time = _in_zone(_date(groups) + day, zone, groups.get("z") or "")
        if form in ("%Y%m%d%H", "%Y%m") and not 1900 <= time.year <= 2100:
            return None  # rather a number of seconds since 1970, or a count
        time.astimezone(UTC)  # raises for times that are outside the range of datetime in UTC
        comma = f",{groups.get('f')}" in text
        return _Parsed(time, clock, digits, comma, offset)
    except (ValueError, OverflowError, SettingError):
        return None


def zone_of(name: str) -> tzinfo | None:
    """Return the zone of a name: an offset as ``+07:00``, or a name of the zone database as
    ``Asia/Ho_Chi_Minh``; None if the name is empty.

    Raises:
        SettingError: there is no such zone.
    """
    if not name:
        return None
    try:
        if re.fullmatch(r"[+-]\d{2}:\d{2}", name):
            shift = timedelta(hours=int(name[1:3]), minutes=int(name[4:]))
            return timezone(shift if name[0] == "+" else -shift)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise SettingError(f"there is no time zone {name!r}.") from error


def zone_name(time: datetime) -> str:
    """Return the name of a time's zone, as ``zone_of`` reads it; empty for a time without one."""
    if time.tzinfo is None:
        return ""
    return time.tzinfo.key if isinstance(time.tzinfo, ZoneInfo) else _offset(time, ":")


def has_offset(fmt: str) -> bool:
    """Return whether a format writes the offset from UTC, or counts from 1970 in UTC."""
    return fmt.startswith("epoch ") or fmt.endswith(("z", "Z", "UTC", "GMT", "]"))


def _offset(time: datetime, between: str) -> str:
    shift = time.utcoffset() or timedelta(0)
    minutes = round(abs(shift).total_seconds() / 60)
    sign = "-" if shift < timedelta(0) else "+"
    return f"{sign}{minutes // 60:02}{between}{minutes % 60:02}"


def readings(texts: list[str]) -> tuple[list[Reading], int]:
    """Return all readings of a column that give different times. If there is none, the number is
    the index of the first row that the longest trial could not read."""
    # A table of many series has each time many times.
    different = list(dict.fromkeys(texts))
    distinct: list[Reading] = []
    furthest = 0
    for form in DATES:
        parsed: list[_Parsed] = []
        for text in different:
            row = _parse(text, form)
            # Times with and without an offset cannot be put in order, and times to come have one
            # zone.
            if row is None or (parsed and not _of_one_kind(row.offset, parsed[0].offset)):
                break
            parsed.append(row)
        furthest = max(furthest, len(parsed))
        times = [row.time for row in parsed]
        is_complete = bool(parsed) and len(parsed) == len(different)
        if is_complete and times not in [reading.times for reading in distinct]:
            fmt = _styled(form + _after_date(parsed), form, different)
            distinct.append(Reading(times, fmt))
    epoch = None if distinct else _epoch(different)
    possible = [epoch] if epoch else distinct
    place = {text: number for number, text in enumerate(different)}
    places = [place[text] for text in texts]
    of_rows = [Reading([one.times[p] for p in places], one.fmt) for one in possible]
    if not possible and texts:
        furthest = texts.index(different[furthest])
    return of_rows, furthest


def _of_one_kind(offset: str, other: str) -> bool:
    """Return whether both times have an offset or none, and name the same zone or none."""
    return bool(offset) == bool(other) and offset.partition("[")[2] == other.partition("[")[2]


def _after_date(parsed: list[_Parsed]) -> str:
    """Return the format of what follows the dates, as fine as the finest of them."""
    clock = max((row.clock for row in parsed), key=len)
    digits = max(row.digits for row in parsed)
    comma = any(row.comma for row in parsed)
    fraction = ("," if comma else ".") + f"%{digits}f"
    return clock.replace("{}", fraction if digits else "") + parsed[0].offset


def _styled(fmt: str, form: str, texts: list[str]) -> str:
    """Return the format with leading zeros and capitals as the texts of this form have them."""
    matches = [_pattern(form).fullmatch(text) for text in texts]
    groups = [match.groupdict() for match in matches if match]

    def parts(*names: str) -> list[str]:
        return [value for group in groups for name in names if (value := group.get(name))]

    def is_bare(values: list[str]) -> bool:
        return any(len(value) == 1 for value in values) and not any(
            len(value) == 2 and value.startswith("0") for value in values
        )

    if is_bare(parts("d", "m")):
        fmt = fmt.replace("%d", "%-d").replace("%m", "%-m")
    hours = parts("H")
    if is_bare(hours):
        fmt = fmt.replace("%H", "%-H")
    elif any(hour.startswith("0") for hour in hours):
        fmt = fmt.replace("%I", "%0I")
    names, halves = parts("b", "B"), parts("p")
    if names and all(map(str.isupper, names)):
        fmt = fmt.replace("%b", "%^b").replace("%B", "%^B")
    elif names and all(map(str.islower, names)):
        fmt = fmt.replace("%b", "%_b").replace("%B", "%_B")
    return fmt.replace("%p", "%P") if halves and all(map(str.islower, halves)) else fmt


def plain_format(fmt: str) -> str:
    """Return a format without the flags that only change how its parts are written."""
    return _STYLE.sub("%", fmt)


def order_of_date(fmt: str) -> str:
    """Return in which order a format writes year, month and day: "dmy" of 31/01/2024, "ymd" of
    2024-01-31."""
    letters = {"Y": "y", "y": "y", "m": "m", "b": "m", "B": "m", "d": "d"}
    return "".join(letters.get(letter, "") for letter in re.findall("%(.)", plain_format(fmt)))


def _epoch(texts: list[str]) -> Reading | None:
    """Return the times of numbers since 1970, None if the texts are no such numbers."""
    if not texts or not all(re.fullmatch(r"\d{9,19}(\.\d{1,9})?", text) for text in texts):
        return None
    numbers = [Decimal(text) for text in texts]
    for unit, seconds in _EPOCHS.items():
        if all(_EARLIEST <= number * seconds <= _LATEST for number in numbers):
            micros = [number * seconds * 10**6 for number in numbers]
            if any(micro != int(micro) for micro in micros):
                return None
            times = [_EPOCH + timedelta(microseconds=int(micro)) for micro in micros]
            digits = max(len(text.partition(".")[2]) for text in texts)
            return Reading(times, f"epoch {unit}" + f".{digits}" * bool(digits))
    return None


def looks_like_time(text: str) -> bool:
    """Return whether a text is a time in any form, except a number since 1970."""
    return any(_parse(text, form) for form in DATES)


def is_no_such_time(text: str) -> bool:
    """Return whether a text has the form of a time that does not exist, as 2024-02-30 or
    2021-W53."""
    return not looks_like_time(text) and any(_pattern(form).fullmatch(text) for form in DATES)


def read_time(text: str, fmt: str, zone: str) -> datetime:
    """Return the time of a text that ``write_time`` wrote.

    Args:
        text: the text.
        fmt: its format.
        zone: the name of the time's zone, see ``zone_of``. A text with an offset of its own keeps
            it, unless the zone is one whose offset changes.

    Raises:
        DataError: the text is not of this format.
        SettingError: there is no such zone.
    """
    time_zone = zone_of(zone)
    if fmt.startswith("epoch "):
        reading = _epoch([text])
        time = reading.times[0] if reading else None
    else:
        forms = [form for form in DATES if plain_format(fmt).startswith(form)]
        parsed = _parse(text, max(forms, key=len)) if forms else None
        time = parsed.time if parsed else None
    if time is None:
        raise DataError(f"{text!r} is not a time of the format {fmt!r}.")
    if time_zone is None or time.tzinfo is None:
        time = time.replace(tzinfo=time_zone)
    elif isinstance(time_zone, ZoneInfo):
        time = time.astimezone(time_zone)
    if write_time(time, fmt) != text:
        raise DataError(f"{text!r} is not a time of the format {fmt!r}.")
    return time


def write_time(time: datetime, fmt: str) -> str:
    """Return a time as text in a format.

    Raises:
        DataError: there is no such format.
    """
    if fmt.startswith("epoch "):
        unit, _, digits = fmt.removeprefix("epoch ").partition(".")
        seconds = _EPOCHS.get(unit)
        if seconds is None or not re.fullmatch("[1-9]?", digits):
            raise DataError(f"there is no format of times {fmt!r}.")
        micros = (time - _EPOCH) // timedelta(microseconds=1)
        number = f"{Decimal(micros).scaleb(-6) / seconds:f}"
        if digits:
            return f"{Decimal(number):.{digits}f}"
        return number.rstrip("0").rstrip(".") if "." in number else number
    if time.tzinfo is not None and fmt.endswith(("Z", "UTC", "GMT")):
        time = time.astimezone(UTC)
    week = time.isocalendar()
    month = _MONTHS[time.month - 1].capitalize()
    texts = {
        "%Y": f"{time.year:04}", "%y": f"{time.year % 100:02}", "%G": f"{week.year:04}",
        "%V": f"{week.week:02}", "%q": f"{(time.month + 2) // 3}", "%m": f"{time.month:02}",
        "%d": f"{time.day:02}", "%b": month[:3], "%B": month, "%H": f"{time.hour:02}",
        "%I": f"{(time.hour + 11) % 12 + 1}", "%M": f"{time.minute:02}", "%S": f"{time.second:02}",
        "%p": "AM" if time.hour < 12 else "PM", "%z": _offset(time, ""), "%:z": _offset(time, ":"),
        "%-z": _offset(time, ":").removesuffix(":00"),
        "%-d": str(time.day), "%-m": str(time.month), "%-H": str(time.hour),
        "%0I": f"{(time.hour + 11) % 12 + 1:02}", "%P": "am" if time.hour < 12 else "pm",
        "%^b": month[:3].upper(), "%^B": month.upper(), "%_b": month[:3].lower(),
        "%_B": month.lower(),
        **{f"%{n}f": f"{time.microsecond:06}"[:n] for n in range(1, 7)},
    }  # fmt: skip

    def written(match: re.Match[str]) -> str:
        if match[0] not in texts:
            raise DataError(f"there is no format of times {fmt!r}.")
        return texts[match[0]]

    return _DIRECTIVE.sub(written, fmt)
