"""The options of scoring a voice."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class SpeakReading(OptionRecord):
    """What judges a voice."""

    recogniser: str | None = option(
        None, "A run of transcribe, which writes what it hears of the voice."
    )
