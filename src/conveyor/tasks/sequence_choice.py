"""The sequence that is looked at."""

from dataclasses import dataclass

from conveyor.errors import DataError, counted, named
from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class SequenceChoice(OptionRecord):
    """Which sequence is looked at."""

    row: int | None = option(
        None,
        "Which one: of a table the last row that is read, else the sequence of the test set, "
        "counted from 1; else the first, of a table the end.",
        least=1,
    )


def check_row(row: int, count: int, what: str) -> int:
    """Return the index of a row that is counted from 1.

    Args:
        row: which.
        count: how many there are.
        what: what they are, in the singular.

    Raises:
        DataError: there are not so many.
    """
    if row > count:
        raise DataError(
            f"{named('row', row)}: there {'is' if count == 1 else 'are'} {counted(count, what)}. "
            f"Give a number from 1 to {count:,}."
        )
    return row - 1
