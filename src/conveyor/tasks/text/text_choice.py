"""The text that is looked at."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class TextChoice(OptionRecord):
    """Which text is looked at."""

    text: str | None = option(
        None, "What the network reads; else the beginning of the test part that the run keeps."
    )
