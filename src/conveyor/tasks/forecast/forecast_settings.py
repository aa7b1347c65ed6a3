"""The settings of the task ``forecast``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.data.calendar_parts import CALENDAR_PARTS
from conveyor.data.table_reading import DUPLICATES
from conveyor.data.time_text import zone_of
from conveyor.data.timeline import step_of_frequency
from conveyor.errors import SettingError, named
from conveyor.tasks.settings import (
    REQUIRED,
    DataSettings,
    NetworkSettings,
    TaskSettings,
    Training,
    check_split,
    option,
    split_option,
)

# Three parts in order of time: fractions that add up to 1, or numbers of rows.
DEFAULT_SPLIT = (0.7, 0.1, 0.2)

# What forecasters can be fitted by; the first is the default.
LOSSES = ("quantile", "mse", "negative-binomial")

# That of counts.
COUNTS = LOSSES[2]

# How a forecaster goes through time: its state is that of the row before, or of a season before.
PACES = ("row", "season")

# Baselines that are fitted where they are asked for: by the cell of Holt and Winters, and by the
# library statsforecast.
HOLT_WINTERS = "Holt-Winters"
MORE_BASELINES = (HOLT_WINTERS, "DOTM", "AutoETS")

# A forecaster has so many members at most.
MOST_MEMBERS = 64


@dataclass(frozen=True, kw_only=True)
class ForecastData(DataSettings):
    """The columns to forecast, and how far.

    Settings that are None are inferred: the season from the step; the horizon as one season, or 12
    steps without a season, but no more than 52; the history as four seasons of a week, or as a
    quarter more than a longer season or horizon.
    """

    target: tuple[str, ...] = option(
        REQUIRED,
        "The column to forecast; may be repeated; 'all' is every number.",
        formerly="targets",
    )
    time: str | None = option(None, "The column of times; 'none': evenly spaced rows.")
    series: tuple[str, ...] = option(
        (), "A column that names the series of a long table; may be repeated."
    )
    static: tuple[str, ...] = option(
        (), "A column with one value for each series, as a region; may be repeated."
    )
    future: tuple[str, ...] = option(
        (), "A column that is known ahead, as a planned price; may be repeated."
    )
    holidays: str = option(
        "", "A country whose public holidays are known ahead: VN, or AU-VIC for a part of one."
    )
    calendar: tuple[str, ...] = option(
        (),
        "A part of the calendar that is known ahead, as weekday; may be repeated.",
        choices=CALENDAR_PARTS,
    )
    past: tuple[str, ...] = option(
        (), "A column that is read up to now, in place of all others; may be repeated."
    )
    only_target: bool = option(False, "Leave out the other columns.", formerly="only_targets")
    fill_gaps: bool = option(False, "Missing rows become missing values.")
    freq: str = option(
        "", "The step of the rows, as D, B, W, MS, QS, h or 15min; by default inferred."
    )
    day_first: bool = option(False, "Dates as 02/03/2024 begin with the day.")
    timezone: str = option(
        "", "The zone whose clocks the times are of, as Europe/Berlin, if they do not show it."
    )
    decimal: str = option(
        "", "The decimal mark, if the numbers do not show it.", choices=("", ".", ",")
    )
    thousands: str = option(
        "",
        "The separator of thousands, if the numbers do not show it: the other one is decimal.",
        choices=("", ".", ","),
    )
    duplicates: str = option(
        "",
        "What rows of one time become: the sum of their targets, their mean, or the last.",
        choices=("", *DUPLICATES),
    )
    missing_as: tuple[float, ...] = option(
        (), "A number that stands for a missing value, as -9999; may be repeated."
    )
    horizon: int | None = option(None, "Steps ahead; by default one season, or 12.", least=1)
    history: int | None = option(
        None, "Values of the series that a step reads; by default a season and more.", least=1
    )
    season: int | None = option(
        None, "Steps of a season; by default inferred from the times.", least=1
    )
    pace: str = option(
        PACES[0],
        "Whether the network goes from row to row, or from season to season.",
        choices=PACES,
    )
    level: tuple[int, ...] = option(
        (80,), "Percent that a band should hold; may be repeated: 80 and 95."
    )
    split: tuple[float, ...] = split_option(
        DEFAULT_SPLIT, "Training/validation/test: fractions, or rows of a table."
    )
    stride: int | None = option(
        None,
        "Steps from one scored forecast to the next; by default 1, more for many series, and of "
        "more than 5,000 series 1,000, drawn at random, are scored.",
        least=1,
    )
    origins: int | None = option(
        None,
        "How many forecasts of each series are scored, the last; by default all. Of more than "
        "5,000 series 1,000, drawn at random, are scored without a stride.",
        least=1,
    )
    baseline: tuple[str, ...] = option(
        (),
        "A further baseline, Holt-Winters, or DOTM or AutoETS (extra baselines); may be repeated.",
        choices=MORE_BASELINES,
    )
    refit: bool = option(True, "Fit again on all rows, for the forecasts of the run.")

    @property
    def decimal_mark(self) -> str:
        """The decimal mark as it is said, or as the separator of thousands tells; else empty."""
        return self.decimal or {"": "", ".": ",", ",": "."}[self.thousands]

    def check(self) -> None:
        """Check that there is a target, that no column stands twice, that levels are percentages,
        that marks differ, and that the split is valid.

        Raises:
            SettingError: one of these does not hold.
        """
        if not self.target:
            raise SettingError("no target is given: the column to forecast.")
        if len(set(self.target)) < len(self.target):
            raise SettingError(f"a target is given twice: {', '.join(self.target)}.")
        if len(set(self.future)) < len(self.future):
            raise SettingError(f"a future column is given twice: {', '.join(self.future)}.")
        both = [name for name in self.future if name in self.target]
        if both:
            raise SettingError(
                f"{both[0]} is a target, and a future column: what is forecast is not known ahead."
            )
        if self.past and self.only_target:
            raise SettingError(
                f"{named('past')} is {', '.join(self.past)}, and {named('only_target', True)} "
                "leaves out all other columns. Give one of the two."
            )
        if self.static and not self.series:
            raise SettingError(
                f"static is {', '.join(self.static)}, which differs from series to series, and no "
                f"column names series. Give {named('series')}, too."
            )
        roles = [*self.target, *self.future, *self.past, *self.static]
        for role, names in (("past", self.past), ("static", self.static)):
            both = [name for name in names if roles.count(name) > 1]
            if both:
                raise SettingError(
                    f"{named(role)}: {both[0]} is given twice, or is of another kind, too."
                )
        columns = tuple(roles)
        named_twice = [name for name in self.series if name in columns]
        if named_twice or len(set(self.series)) < len(self.series):
            name = (named_twice or list(self.series))[0]
            raise SettingError(
                f"series: {name} is given twice, or is forecast or known ahead, too."
            )
        levels = self.level
        if not levels or len(set(levels)) < len(levels) or not 0 < min(levels) <= max(levels) < 100:
            shown = ", ".join(map(str, levels)) or "empty"
            raise SettingError(f"level is {shown}; expected different percentages from 1 to 99.")
        if len(set(self.baseline)) < len(self.baseline):
            raise SettingError(f"a baseline is given twice: {', '.join(self.baseline)}.")
        if self.thousands and self.decimal == self.thousands:
            raise SettingError(
                f"{named('thousands')} and {named('decimal')} are both {self.decimal!r}. One of "
                "the two says enough."
            )
        zone_of(self.timezone)
        step_of_frequency(self.freq)
        check_split(self.split, rows=True)


@dataclass(frozen=True, kw_only=True)
class ForecastNetwork(NetworkSettings):
    """The network of a forecaster."""

    hidden: int = option(16, "Units of the hidden state.", least=1)
    loss: str = option(
        LOSSES[0],
        "What is learned: the quantiles of what comes, its mean by the squared error, or the "
        "distribution of counts.",
        choices=LOSSES,
    )
    es_rnn: bool = option(
        False,
        "Level, and a correction of the season that is taken out beforehand, by exponential "
        "smoothing whose weights, of each series, are learned with the network (ES-RNN).",
    )
    linear: bool = option(True, "Add a linear autoregression to the recurrent network.")
    members: int = option(
        3,
        "Networks that differ by their random start; forecasts are their mean.",
        least=1,
        most=MOST_MEMBERS,
    )


@dataclass(frozen=True, kw_only=True)
class ForecastSettings(TaskSettings):
    """All settings of a run of the task ``forecast``."""

    task: ClassVar[str] = "forecast"

    data: ForecastData
    network: ForecastNetwork = ForecastNetwork()
    # On five series (benchmarks/forecast.py), a rate of 3e-3 needed twice the epochs of 6e-3 and
    # came to the same errors.
    training: Training = Training(learning_rate=5e-3, average=True)
