"""The rows of a table that are looked at."""

from dataclasses import dataclass

from conveyor.tasks.sequence_choice import SequenceChoice
from conveyor.tasks.settings import option


@dataclass(frozen=True, kw_only=True)
class RowChoice(SequenceChoice):
    """Which rows of a table are looked at, and how the table is read."""

    series: str | None = option(
        None, "Of a run of several series which one, by its name; by default the first."
    )
    time: str | None = option(None, "The column of times; 'none': evenly spaced rows.")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
