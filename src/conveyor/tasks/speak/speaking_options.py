"""The options of speaking a text."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class SpeakingOptions(OptionRecord):
    """What is spoken, and how."""

    text: str = option("", "What is written by hand, or spoken.")
    speaker: str | None = option(None, "Who speaks; else who was heard most.")
    seed: int = seed_option(0, "The same seed gives the same sound.")
