"""What a season is called: a day, a week, a year, or its steps."""

from conveyor.data.timeline import DAY, DAYS_IN_YEAR, Step
from conveyor.errors import counted
from conveyor.pages.words import Words, number_text

_DAYS = {
    1.0: Words("a day", "ngày"),
    7.0: Words("a week", "tuần"),
    DAYS_IN_YEAR: Words("a year", "năm"),
}


def cycle_words(cycle: float, step: Step | None) -> Words:
    """Return what a season is called.

    Args:
        cycle: in steps.
        step: from one row to the next; None if rows are only counted.
    """
    number = number_text(cycle, ".5g")
    steps = counted(int(cycle), "step") if cycle == int(cycle) else f"{number.en} steps"
    name = _name(cycle, step)
    if name is None:
        return Words(f"a season of {steps}", f"mùa {number.vi} bước")
    return Words(f"the season of {name.en} ({steps})", f"mùa theo {name.vi} ({number.vi} bước)")


def _name(cycle: float, step: Step | None) -> Words | None:
    if step is None:
        return None
    if step.months:
        return _DAYS[DAYS_IN_YEAR] if cycle * step.months == 12 else None
    rows_in_day = len(step.weekdays) / 7 if step.weekdays else DAY / step.seconds
    for days, name in _DAYS.items():
        if abs(cycle - days * rows_in_day) < 1e-6 * cycle:
            return name
    return None
