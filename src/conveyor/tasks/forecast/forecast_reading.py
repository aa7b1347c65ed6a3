"""How a table is read that a fitted forecaster is used on."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option


@dataclass(frozen=True, kw_only=True)
class ForecastReading(OptionRecord):
    """What is not given is as the run was fitted."""

    time: str | None = option(None, "The column of times; 'none': evenly spaced rows.")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
    all_rows: bool = option(False, "Score rows that the run was fitted on, too.")
