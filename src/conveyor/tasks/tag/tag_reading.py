"""The options of scoring and predicting tags."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class TagReading(OptionRecord):
    """How data is read, and what is answered."""

    tags: str | None = option(None, "The column of tags; else that of the run.")
    labels: str | None = option(None, "The file with the tags of each line; else as in the run.")
    intent: str | None = option(None, "The file with the intents; else as in the run.")
    scores: bool = option(
        False, "Add the probability of every class; of tags, that of each word's."
    )
