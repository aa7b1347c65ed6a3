"""Columns of public holidays, which are known ahead, by the library ``holidays``."""

from datetime import date, timedelta

from conveyor.data.timeline import Step
from conveyor.errors import SettingError, did_you_mean, named

_DAY = timedelta(days=1)

# What the library calls the first day of the lunar year of Vietnam, and the days around it that
# differ from others: shops are full before and closed behind it.
_TET, _COUNTRY_OF_TET = "Lunar New Year", "VN"
_AROUND_TET = {
    "14 to 8 days before Tết": (-14, -8),
    "7 to 1 days before Tết": (-7, -1),
    "Tết and 6 days after": (0, 6),
    "7 to 13 days after Tết": (7, 13),
}


def holiday_names(code: str) -> tuple[str, ...]:
    """Return the names of the columns of a country's holidays; none without a code."""
    if not code:
        return ()
    around = tuple(_AROUND_TET) if code == _COUNTRY_OF_TET else ()
    return (f"holiday {code}", f"day before holiday {code}", f"day after holiday {code}", *around)


def check_country(code: str) -> None:
    """Check that holidays of a country are known.

    Args:
        code: of ISO 3166, "VN"; "AU-VIC" for a part of a country.

    Raises:
        SettingError: they are not, or the library is not installed.
    """
    _holidays(code, [2024])


def holidays_of(code: str, year: int) -> tuple[frozenset[date], ...]:
    """Return the days of each column of ``holiday_names``: those of a year, and others.

    Args:
        code: see ``check_country``.
        year: whose days are all among them; of the others some may be missing.
    """
    # The days around a holiday may be in the year before or after it.
    known = _holidays(code, [year - 1, year, year + 1])
    sets: list[set[date]] = [
        set(known),
        {day - _DAY for day in known if day - _DAY not in known},
        {day + _DAY for day in known if day + _DAY not in known},
    ]
    if code == _COUNTRY_OF_TET:
        first = [day for day, name in known.items() if name == _TET]
        sets += [
            {day + number * _DAY for day in first for number in range(begin, end + 1)}
            for begin, end in _AROUND_TET.values()
        ]
    return tuple(map(frozenset, sets))


def days_of(day: date, step: Step) -> list[date]:
    """Return the days of a step."""
    if step.months:
        after = day.replace(day=1)
        for _ in range(step.months):
            after = (after + timedelta(days=31)).replace(day=1)
        begin = day.replace(day=1)
        if step.end or step.working == "last":  # the row stands in the last month of its step
            after = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
            for _ in range(step.months - 1):
                begin = (begin - _DAY).replace(day=1)
        return [begin + number * _DAY for number in range((after - begin).days)]
    length = 1 if step.weekdays else max(round(step.seconds / 86_400), 1)
    # A week that is named by its last day.
    begin = day - (length - 1) * _DAY if length == 7 and day.weekday() >= 4 else day
    return [begin + number * _DAY for number in range(length)]


def _holidays(code: str, years: list[int]) -> dict[date, str]:
    try:
        import holidays  # noqa: PLC0415
    except ImportError as error:
        raise SettingError(
            f"{named('holidays', code)} needs the library holidays, which is not installed. "
            "Install it with: pip install 'conveyor[tables]'"
        ) from error
    country, _, part = code.partition("-")
    supported = holidays.list_supported_countries()
    if country not in supported:
        upper = f" Did you mean {code.upper()!r}?" if country.upper() in supported else ""
        raise SettingError(
            f"holidays is {code!r}; expected a country of ISO 3166, as VN, or AU-VIC for a part of "
            f"one.{upper}"
        )
    if part and part not in supported[country]:
        raise SettingError(
            f"holidays is {code!r}: {country} has no part {part!r}. "
            f"{did_you_mean(part, supported[country])}"
        )
    names = holidays.country_holidays(country, subdiv=part or None, years=years, language="en_US")
    return dict(names)
