"""What a forecaster reads and writes: the columns, the lengths, the units."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.data.calendar_columns import NO_CALENDAR, Calendar
from conveyor.data.group_names import group_label
from conveyor.data.table_reading import BY_EVIDENCE, TableReading
from conveyor.data.time_text import read_time, zone_of
from conveyor.data.timeline import Step
from conveyor.errors import SettingError
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.dependence import Dependence
from conveyor.tasks.forecast.forecast_settings import MORE_BASELINES

Numbers = NDArray[np.float64]

# A year of minutes is half of this. It bounds what a hostile file can ask for.
MOST_SEASON = 1_000_000

# What a network reads before a forecast is at most so many steps: its state has forgotten what came
# before, and a run stays small.
MOST_READ = 2048


# So many series are shown one by one; of more there are scores over all, and a table of each.
_MOST_APART = 12


# Of the monthly series of the M3 competition the liveliest moves by 27 times as much of its level
# as the middle one.
_MOST_SHARES = 30.0


@dataclass(frozen=True)
class Units:
    """The mean and the standard deviation of columns, by which they are standardised."""

    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        usable = all(0 < spread < LARGEST for spread in self.spread)
        if not usable or not all(abs(centre) < LARGEST for centre in self.centre):
            raise SettingError("a scale is not finite, or beyond what float32 computes with.")

    @staticmethod
    def of(columns: Numbers) -> "Units":
        """Return the units of columns, [T, K]. A column that never changes carries no information
        and becomes 0; because of rounding its deviation may be a little above 0."""
        if not columns.shape[1]:
            return Units()
        varies = np.nanmax(columns, 0) > np.nanmin(columns, 0)
        spread = np.where(varies, np.nanstd(columns, 0), 1.0)
        return Units(tuple(map(float, np.nanmean(columns, 0))), tuple(map(float, spread)))

    def standardised(self, columns: Numbers) -> Numbers:
        """Return columns in standard deviations; a missing value is the mean, 0."""
        if not self.centre:
            return np.asarray(columns, dtype=float)
        scaled = (columns - np.array(self.centre)) / np.array(self.spread)
        return np.asarray(np.nan_to_num(scaled))


@dataclass(frozen=True)
class Bands:
    """How far bands are moved outwards, so that they hold as much as they say.

    Attributes:
        moved: for each series and each step ahead, and for each level from the widest inwards, how
            far both quantiles move, in the unit of ``Decomposition.change``.
        windows: on how many forecasts that were not trained on they rest, of a series on average.
        pooled: over what the errors were gathered: "", a series by itself; "series"; or "steps".
    """

    moved: tuple[tuple[tuple[float, ...], ...], ...]
    windows: float
    pooled: str = ""

    def scaled(self, factors: Sequence[float]) -> "Bands":
        """Return the same bands in other units: each series' movements times its factor."""
        moved = tuple(
            tuple(tuple(factor * move for move in ahead) for ahead in series)
            for series, factor in zip(self.moved, factors, strict=True)
        )
        return replace(self, moved=moved)


@dataclass(frozen=True)
class ForecastFrame:
    """What a forecaster reads and writes.

    Attributes:
        targets: the columns that are forecast, each a series of each group.
        past: columns that are known up to now.
        known: columns that are known ahead, those of ``calendar`` last.
        history: how many values of a series a step reads.
        horizon: how many steps ahead are forecast.
        season: in steps, of the baselines.
        levels: of the bands, in percent, the widest first.
        series: what is taken out of each series: of all targets of the first group, then of the
            second.
        past_units, known_units: of these columns.
        rows: how many steps the run's table had.
        first: the number of the first step that was read; those before it lack a value.
        step: from one row to the next; None if rows are only counted.
        time_format: of ``write_time``; empty without times.
        time: the column of times.
        fill_gaps: whether rows that are missing are missing values.
        zone: of ``zone_of``; empty without one.
        origin: the time of step 0, as ``time_format`` writes it; empty without times.
        bands: how far bands are moved; None before that is known.
        reading: how texts of tables are read.
        group_columns: the columns that distinguish groups of rows; none for a table of one group.
        groups: of each group, its value in each of these columns.
        calendar: which columns the calendar gives.
        static_names, static: what a network reads of each group at every step, see
            ``StaticFeatures``.
        pace: how many steps late a recurrent layer reads its state: 1, or a season.
        baselines: of ``MORE_BASELINES``, those that are scored beside the others.
        dependence: how errors of the steps ahead go together; None where that is not known.
    """

    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    history: int
    horizon: int
    season: int
    levels: tuple[int, ...]
    series: tuple[Decomposition, ...]
    past_units: Units
    known_units: Units
    rows: int
    first: int = 0
    step: Step | None = None
    time_format: str = ""
    time: str = "none"
    fill_gaps: bool = False
    zone: str = ""
    origin: str = ""
    bands: Bands | None = None
    reading: TableReading = BY_EVIDENCE
    group_columns: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ((),)
    calendar: Calendar = NO_CALENDAR
    static_names: tuple[str, ...] = ()
    static: tuple[tuple[float, ...], ...] = ()
    pace: int = 1
    baselines: tuple[str, ...] = ()
    dependence: Dependence | None = None

    def __post_init__(self) -> None:
        zone_of(self.zone)
        if self.origin and self.step:
            read_time(self.origin, self.time_format, self.zone)
        count = len(self.targets) * len(self.groups)
        sizes = (count, self.history, self.horizon, self.season, self.rows, len(self.levels))
        effects = {len(series.effects) for series in self.series}
        fit = (
            min(sizes) >= 1
            and self.season <= MOST_SEASON
            and set(self.baselines) <= set(MORE_BASELINES)
            and self.pace in {1, self.season}
            and self.pace <= self.history
            and self.rows <= LARGEST
            and 0 <= self.first <= LARGEST
            and len(self.series) == count
            and effects == {len(self.known)}
            and len(self.past_units.centre) == len(self.past_units.spread) == len(self.past)
            and len(self.known_units.centre) == len(self.known_units.spread) == len(self.known)
            and all(wide > narrow for wide, narrow in pairwise((100, *self.levels, 0)))
            and len(set(self.groups)) == len(self.groups)
            and self.known[len(self.known_of_table) :] == self.calendar.names
            and len(self.static) == (len(self.groups) if self.static_names else 0)
            and all(len(values) == len(self.static_names) for values in self.static)
            and all(abs(value) < LARGEST for values in self.static for value in values)
            and {len(names) for names in self.groups} == {len(self.group_columns)}
            and (self.bands is None or self._fits(self.bands))
            and (self.dependence is None or len(self.dependence.correlations) == self.horizon)
        )
        if not fit:
            raise SettingError("the targets, columns, sizes and scales do not fit each other.")

    def __deepcopy__(self, memo: object) -> "ForecastFrame":
        """Return the frame itself, which never changes: that of many series is large."""
        return self

    def _fits(self, bands: Bands) -> bool:
        steps = [ahead for series in bands.moved for ahead in series]
        return (
            len(bands.moved) == len(self.series)
            and len(steps) == len(self.series) * self.horizon
            and all(len(moved) == len(self.levels) for moved in steps)
            and all(abs(moved) < LARGEST for ahead in steps for moved in ahead)
            and 0 <= bands.windows < LARGEST
            and bands.pooled in {"", "series", "steps"}
        )

    @property
    def known_of_table(self) -> tuple[str, ...]:
        """The columns known ahead that a table holds."""
        return self.known[: len(self.known) - len(self.calendar.names)]

    @cached_property
    def number_of(self) -> dict[tuple[str, ...], int]:
        """The number of each group, by its names."""
        return {names: number for number, names in enumerate(self.groups)}

    def of_group(self, group: int) -> tuple[Decomposition, ...]:
        """Return what is taken out of each target of a group."""
        count = len(self.targets)
        return self.series[group * count : (group + 1) * count]

    def static_of(self, group: int) -> Numbers:
        """Return what a network reads of a group at every step; nothing without static columns."""
        return np.array(self.static[group] if self.static else (), dtype=float)

    def moved(self, group: int) -> tuple[tuple[tuple[float, ...], ...], ...] | None:
        """Return how far the bands of each target of a group are moved; None if that is not
        known."""
        count = len(self.targets)
        if self.bands is None:
            return None
        return self.bands.moved[group * count : (group + 1) * count]

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """How much the errors of each series count, which a network measures by how much the series
        moves: where every group has a level above 0, as much as shares of this level, so that a
        series that hardly moves does not count as much as one that moves by half; else equally.
        One that sells now and then, and moves by many times its level, counts no more than
        ``_MOST_SHARES`` of the middle one. Their mean is 1."""
        shares = [series.share for series in self.series]
        known = [share for share in shares if share is not None]
        if len(self.groups) == 1 or len(known) < len(shares):
            return (1.0,) * len(shares)
        most = _MOST_SHARES * sorted(known)[len(known) // 2]
        bounded = [min(share, most) for share in known]
        mean = sum(bounded) / len(bounded)
        return tuple(share / mean for share in bounded)

    @property
    def has_overview(self) -> bool:
        """Whether scores are of all series together: where groups tell them apart, or there are
        more than can be shown one by one."""
        return len(self.groups) > 1 or len(self.series) > _MOST_APART

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What tables and messages call each series: the names of its group, its target, or both,
        as far as they tell it apart."""
        return series_labels(self.groups, self.targets)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, the targets first."""
        return (*self.targets, *self.past, *self.known)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The probabilities of the quantiles, rising; the median in the middle."""
        below = [round((100 - level) / 200, 6) for level in self.levels]
        return (*below, 0.5, *(round(1 - share, 6) for share in reversed(below)))

    @property
    def by_season(self) -> bool:
        """Whether the network goes from season to season: then it learns the season."""
        return self.pace > 1

    @property
    def read(self) -> int:
        """How many values of its window the recurrent layer reads at a step: all of them, or those
        of the season that it has not read before."""
        return self.pace if self.by_season else self.history

    @property
    def around(self) -> int:
        """From the mean of how many values the others are measured: of the last one alone, or of a
        whole window."""
        return self.history if self.by_season else 1

    @property
    def features(self) -> int:
        """How many numbers the recurrent layer reads at a step: values of its window, the past
        columns, those known ahead now and at each step of the horizon, and the static ones."""
        known = len(self.known) * (1 + self.horizon)
        return self.read + len(self.past) + known + len(self.static_names)


def series_labels(groups: Sequence[Sequence[str]], targets: Sequence[str]) -> tuple[str, ...]:
    """Return what tables and messages call each series: the names of its group, its target, or
    both, as far as they tell it apart.

    Args:
        groups: of each group, its names.
        targets: the columns that are forecast of each.
    """
    return tuple(
        ": ".join([group_label(names)] * bool(names) + [target] * (len(targets) > 1 or not names))
        for names in groups
        for target in targets
    )
