"""The settings of the task ``forecast``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.errors import SettingError
from conveyor.tasks.settings import (
    REQUIRED,
    DataSettings,
    NetworkSettings,
    TaskSettings,
    check_split,
    option,
    split_option,
)

# Three parts in order of time: fractions that add up to 1, or numbers of rows.
DEFAULT_SPLIT = (0.7, 0.1, 0.2)


@dataclass(frozen=True, kw_only=True)
class ForecastData(DataSettings):
    """The columns to forecast, and how far.

    Settings that are None are inferred: the season from the step; the horizon as one season, or 12
    steps without a season; the history as two horizons or two seasons, whichever is longer. An
    inferred horizon is at most 52 steps, an inferred history at most 104.
    """

    target: tuple[str, ...] = option(
        REQUIRED,
        "The column to forecast; may be repeated; 'all' is every number.",
        formerly="targets",
    )
    time: str | None = option(None, "The column of times; 'none': evenly spaced rows.")
    only_target: bool = option(False, "Leave out the other columns.", formerly="only_targets")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
    horizon: int | None = option(None, "Steps ahead; by default one season, or 12.", least=1)
    history: int | None = option(
        None, "Steps read; by default two seasons, or two horizons.", least=1
    )
    season: int | None = option(
        None, "Steps of a season; by default inferred from the times.", least=1
    )
    split: tuple[float, ...] = split_option(
        DEFAULT_SPLIT, "Training/validation/test: fractions, or rows of a table."
    )

    def check(self) -> None:
        """Check that there is a target, that no target stands twice, and that the split is valid.

        Raises:
            SettingError: one of these does not hold.
        """
        if not self.target:
            raise SettingError("no target is given: the column to forecast.")
        if len(set(self.target)) < len(self.target):
            raise SettingError(f"a target is given twice: {', '.join(self.target)}.")
        check_split(self.split, rows=True)


@dataclass(frozen=True, kw_only=True)
class ForecastNetwork(NetworkSettings):
    """The network of a forecaster."""

    linear: bool = option(True, "Add a linear autoregression to the recurrent network.")


@dataclass(frozen=True, kw_only=True)
class ForecastSettings(TaskSettings):
    """All settings of a run of the task ``forecast``."""

    task: ClassVar[str] = "forecast"

    data: ForecastData
    network: ForecastNetwork = ForecastNetwork()
