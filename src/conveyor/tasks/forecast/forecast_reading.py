"""The options of reading a table for a fitted forecaster."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option

# So many steps are forecast at most, and so many futures of a series drawn.
MOST_STEPS, MOST_PATHS = 10_000, 100_000


@dataclass(frozen=True, kw_only=True)
class ForecastReading(OptionRecord):
    """How the table is read. Options that are not passed are those of the run's fit."""

    time: str | None = option(None, "The column of times; 'none': evenly spaced rows.")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
    later: int | None = option(
        None,
        "Of rows that are only counted: how many rows the table ends after the run's. By default "
        "rows that are in both tables tell.",
    )
    all_rows: bool = option(False, "Score rows that the run was fitted on, too.")
    horizon: int | None = option(
        None,
        "How many steps are forecast, also more than the run was fitted for.",
        least=1,
        most=MOST_STEPS,
    )
    paths: int | None = option(
        None,
        "Write so many drawn futures in place of quantiles, a row for each step of each: sums over "
        "steps have their bands from them.",
        least=1,
        most=MOST_PATHS,
    )
