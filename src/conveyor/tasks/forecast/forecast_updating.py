"""The options of taking new rows of a table into a fitted forecaster."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class ForecastUpdating(OptionRecord):
    """How the table is read. Options that are not passed are those of the run's fit."""

    time: str | None = option(None, "The column of times.")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
