"""The options of scoring and predicting classes."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class ClassifyReading(OptionRecord):
    """How data is read, and what is answered."""

    text: str | None = option(None, "The column of texts; else that of the run.")
    label: str | None = option(None, "The column of labels; else that of the run.")
    scores: bool = option(False, "Add the probability of every class.")
    explain: bool = option(False, "Add how much each word counted.")
