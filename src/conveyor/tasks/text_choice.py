"""The sequence that is looked at, where it is read from a text."""

from dataclasses import dataclass

from conveyor.tasks.sequence_choice import SequenceChoice
from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class TextChoice(OptionRecord):
    """Which text is looked at."""

    text: str | None = option(
        None, "What the network reads; else the beginning of the test set that the run keeps."
    )


@dataclass(frozen=True, kw_only=True)
class TextOrRow(SequenceChoice, TextChoice):
    """Which text is looked at, or which row of data."""
