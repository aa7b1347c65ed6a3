"""The settings of forecasting."""

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
    """What is forecast from what. None is inferred: the season from the step; a horizon of one
    season (12 steps without one); a history of two horizons or seasons, whichever is longer.
    Horizon and season count as 52 at most there."""

    target: tuple[str, ...] = option(
        REQUIRED,
        "The column to forecast; may be repeated; 'all' is every number.",
        formerly="targets",
    )
    time: str | None = option(None, "The column of times; 'none': evenly spaced rows.")
    only_target: bool = option(False, "Leave out the other columns.", formerly="only_targets")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
    horizon: int | None = option(None, "Steps ahead; else one season, or 12.", least=1)
    history: int | None = option(None, "Steps read; else two seasons, or horizons.", least=1)
    season: int | None = option(None, "Steps of a season; else by the times' step.", least=1)
    split: tuple[float, ...] = split_option(
        DEFAULT_SPLIT, "Training/validation/test: fractions, or rows of a table."
    )

    def check(self) -> None:
        """See that there is a target, none twice, and that the parts of the split fit together.

        Raises:
            SettingError: one of these is wrong.
        """
        if not self.target:
            raise SettingError("no target is given: the column to forecast.")
        if len(set(self.target)) < len(self.target):
            raise SettingError(f"a target is given twice: {', '.join(self.target)}.")
        check_split(self.split, rows=True)


@dataclass(frozen=True, kw_only=True)
class ForecastNetwork(NetworkSettings):
    """A forecaster's network."""

    linear: bool = option(True, "Add a linear autoregression to the recurrent network.")


@dataclass(frozen=True, kw_only=True)
class ForecastSettings(TaskSettings):
    """All of a forecasting run."""

    task: ClassVar[str] = "forecast"

    data: ForecastData
    network: ForecastNetwork = ForecastNetwork()
