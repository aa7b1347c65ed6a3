"""How a table is read that a fitted forecaster is used on."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ForecastReading:
    """What is not given is as the run was fitted."""

    time: str | None = None
    fill_gaps: bool = False
    all_rows: bool = False
