"""The source that is looked at."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class PairChoice(OptionRecord):
    """Which source, or which row of data."""

    text: str | None = option(
        None, "What the network reads; else the beginning of the test part that the run keeps."
    )
    row: int | None = option(
        None,
        "Which one: of a table the last row that is read, else the sequence of the test part, "
        "counted from 1; else the first, of a table the end.",
        least=1,
    )
