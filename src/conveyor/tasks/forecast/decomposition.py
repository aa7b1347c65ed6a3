"""What is taken out of a series before a network reads it, and put back into its forecasts.

A network that never sees a level or a season need not learn them from a hundred rows. So a series
that grows is taken as its logarithm, its seasons and the effects of columns that are known ahead
are subtracted, and what remains is measured by how much it moves from one step to the next (Smyl
2020, A hybrid method of exponential smoothing and recurrent neural networks; Hewamalage et al.
2021, Recurrent neural networks for time series forecasting).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.errors import DataError, SettingError
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.seasons import Wave, fit_wave, has_season, seasonal_figure

Numbers = NDArray[np.float64]

# The network computes in float32, whose smallest normal number is 1.2e-38. The square of this
# number, 1e-36, is still above it.
_SMALLEST = 1e-18

# A season with a whole number of steps is a figure with a number for each of them, up to a week of
# hours; from three such seasons on it can be tested for. Longer or broken ones are waves.
LONGEST_FIGURE, _FEWEST_SEASONS = 168, 3

# Of the waves of a year, two seasons must be there. A season must explain this share of what
# varies: a figure of the squared differences between neighbours, so that a trend does not count;
# waves, which are smooth, of the squares beside a parabola. In thousands of rows a test finds
# seasons that are no use (in ETTh1 a week of hours: an MSE of 0.318 with it and 0.308 without).
_FEWEST_YEARS, _EXPLAINED = 2.0, 0.05

# A series grows in proportion to its level where the logarithm of the spread in a block of rows
# rises by more than half of the logarithm of its mean, and the two are that much correlated. A
# block has a season, and this many rows at least. Where the means hardly differ, nothing can
# be concluded.
_PROPORTIONAL, _CORRELATED, _BLOCK, _FEWEST_BLOCKS, _APART = 0.5, 0.5, 8, 3, 1.5

# Known columns multiply a series where sums of logarithms explain it with a mean error below this
# share of that of sums. Of 700 made-up days with a week's season and promotions that add 40 % of
# each day's level, with noise of 5 %, the share is 0.85 to 0.88 (four seeds); of promotions that
# add the same on every day it is 1.10 to 1.20. Where noise is 15 % and more, both shares are above
# 0.98, and neither way is far off.
_MULTIPLIES = 0.97

# Rounding of float64 over some thousand operations, as a share of a series' deviation.
_ROUNDING = 1e-9

# The weights of the ridge regression that are tried, in units of the largest squared singular
# value.
_RIDGES = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@dataclass(frozen=True)
class Decomposition:
    """What is taken out of one series.

    Attributes:
        logarithm: whether the logarithm is taken.
        figures: of each season with a whole number of steps, what is added at each step of it; the
            first number belongs to step 0.
        waves: of longer and broken seasons.
        effects: what a standard deviation of each column that is known ahead adds.
        centre: the mean of what remains.
        change: the root mean square of the differences of what remains, its unit.
        spread: the standard deviation of the series, in its own unit.
        naive_error: the mean error of the seasonal naive forecast, by which MASE divides.
        from_zero: whether the series is nowhere below 0, and its forecasts neither.
    """

    logarithm: bool
    figures: tuple[tuple[float, ...], ...]
    waves: tuple[Wave, ...]
    effects: tuple[float, ...]
    centre: float
    change: float
    spread: float
    naive_error: float
    from_zero: bool = False

    def __post_init__(self) -> None:
        numbers = (self.centre, *self.effects, *(n for figure in self.figures for n in figure))
        usable = all(_SMALLEST < unit < LARGEST for unit in (self.change, self.spread))
        if not usable or not all(abs(number) < LARGEST for number in numbers):
            raise SettingError("a scale is not finite, or beyond what float32 computes with.")
        if not all(self.figures):
            raise SettingError("a season has no step.")

    @property
    def share(self) -> float | None:
        """How much of its level a series moves by from one step to the next; None where it has no
        level above 0."""
        if self.logarithm:
            return self.change
        return self.change / self.centre if self.from_zero and self.centre > 0 else None

    @property
    def scale(self) -> float:
        """The scale of counts: 1 and the mean of the series (Salinas et al. 2017, DeepAR, section
        3.3)."""
        return 1 + max(self.centre, 0.0)

    @property
    def cycles(self) -> tuple[float, ...]:
        """The lengths of the seasons, in steps."""
        figures = (float(len(figure)) for figure in self.figures)
        return (*figures, *(wave.period for wave in self.waves))

    def season(self, steps: NDArray[np.int_]) -> Numbers:
        """Return what the seasons add at these steps."""
        added = np.zeros(len(steps))
        for figure in self.figures:
            added += np.array(figure)[steps % len(figure)]
        for wave in self.waves:
            added += wave.at(steps)
        return added

    def expected(self, known: Numbers, steps: NDArray[np.int_]) -> Numbers:
        """Return what seasons and known columns add.

        Args:
            known: the columns that are known ahead, in standard deviations, [T, F].
            steps: the numbers of the steps, [T].
        """
        effect = known @ np.array(self.effects) if self.effects else 0.0
        return np.asarray(self.season(steps) + effect)

    def remainder(self, values: Numbers, known: Numbers, steps: NDArray[np.int_]) -> Numbers:
        """Return what remains of a series, in its unit; NaN where a value is missing.

        Args:
            values: the series, [T].
            known, steps: as in ``expected``.
        """
        level = _logarithm(values) if self.logarithm else values
        return np.asarray((level - self.expected(known, steps) - self.centre) / self.change)

    def restored(self, remainder: Numbers, expected: Numbers) -> Numbers:
        """Return forecasts in the unit of the series.

        Args:
            remainder: forecasts of what remains, [..., horizon, quantiles].
            expected: what seasons and known columns add at these steps, [..., horizon].
        """
        level = remainder * self.change + self.centre + expected[..., None]
        with np.errstate(over="ignore"):
            values = np.exp(level) if self.logarithm else level
        return np.asarray(np.maximum(values, 0.0) if self.from_zero else values)


def decompose(
    values: Numbers,
    known: Numbers,
    *,
    name: str,
    first: int,
    season: int,
    cycles: Sequence[float],
    naive_error: float,
    positive: bool = True,
    short_seasons: bool = True,
    like: Decomposition | None = None,
    always_logarithm: bool = False,
) -> Decomposition:
    """Return what is to be taken out of a series.

    Args:
        values: the series, [T], NaN where a value is missing.
        known: the columns that are known ahead, in standard deviations, [T, F].
        name: of the series, for errors.
        first: the number of its first step.
        season: in steps; 1 for none.
        cycles: of the calendar, in steps, see ``Step.cycles``.
        naive_error: see ``Decomposition``.
        positive: whether a logarithm may be taken: later values that are known are above 0, too.
        short_seasons: whether seasons that are figures are taken out, too: not where a network goes
            from season to season.
        like: what was taken out of fewer rows; of these rows the same kinds of things are taken
            out, as the length of a fit and the bands were chosen with them. None to decide.
        always_logarithm: whether the logarithm is taken wherever it may be, not only where the
            series moves in proportion to its level.

    Raises:
        DataError: the series has no value, is constant, or changes by too much or too little for
            float32.
    """
    observed = values[~np.isnan(values)]
    if not len(observed):
        raise DataError(f"column {name} has no value in the training set.")
    if not observed.max() > observed.min():
        raise DataError(
            f"column {name} is {observed[0]:g} in the whole training set: a constant series "
            "cannot be learned from."
        )
    steps = first + np.arange(len(values))
    long = [cycle for cycle in cycles if cycle > LONGEST_FIGURE or cycle != round(cycle)]
    short = {round(cycle) for cycle in cycles} - {round(cycle) for cycle in long}
    if season > 1 and not any(round(cycle) == season for cycle in long):
        short.add(season)
    # What known columns are measured beside.
    beside = _trend_and_seasons(steps, sorted({*short, *long})) if known.shape[1] else known
    short = short if short_seasons else set()
    if like is None:
        may = positive and bool(observed.min() > 0)
        logarithm = may and (
            always_logarithm
            or _grows_without_effects(values, known, beside, season)
            or _effects_multiply(values, known, beside)
        )
    else:
        logarithm = like.logarithm
        long = [wave.period for wave in like.waves]
        short = {len(figure) for figure in like.figures}
    level = _logarithm(values) if logarithm else values
    effects = _effects(level, known, beside)
    rest = level - (known @ np.array(effects) if effects else 0.0)
    waves, figures, rest = _seasons(rest, steps, sorted(long), sorted(short), kept=like is not None)
    # Where nothing but rounding remains, it is not what a network should read.
    change = max(_change(rest), _ROUNDING * float(np.nanstd(level)))
    spread = float(np.std(observed))
    for unit in (change, spread):
        if not _SMALLEST < unit < LARGEST:
            raise DataError(
                f"column {name} changes by about {unit:g}: beyond what float32 computes with. Give "
                "it in another unit."
            )
    return Decomposition(
        logarithm=logarithm,
        figures=figures,
        waves=waves,
        effects=effects,
        centre=float(np.nanmean(rest)),
        change=change,
        spread=spread,
        naive_error=naive_error,
        from_zero=bool(observed.min() >= 0),
    )


def _seasons(
    rest: Numbers,
    steps: NDArray[np.int_],
    long: Sequence[float],
    short: Sequence[int],
    *,
    kept: bool,
) -> tuple[tuple[Wave, ...], tuple[tuple[float, ...], ...], Numbers]:
    """Return the waves and the figures of a series, and what they leave of it.

    Args:
        rest: the series, [T].
        steps: the numbers of its steps.
        long: the lengths of seasons that are waves, the shortest first.
        short: those of seasons that are figures.
        kept: whether these are taken out in any case; otherwise where they are worth it.
    """
    waves: list[Wave] = []
    for cycle in reversed(long):
        if kept or len(rest) >= _FEWEST_YEARS * cycle:
            wave, explained = fit_wave(rest, steps, cycle)
            if kept or explained > _EXPLAINED:
                waves.append(wave)
                rest = rest - wave.at(steps)
    figures: list[tuple[float, ...]] = []
    for cycle in short:
        filled = _filled(rest)
        there = len(rest) >= _FEWEST_SEASONS * cycle and has_season(filled, cycle)
        if kept or there:
            # The figure's first number belongs to the first row; step 0 may be another.
            figure = np.roll(seasonal_figure(filled, cycle, times=False), steps[0] % cycle)
            without = rest - figure[steps % cycle]
            explains = _change(without) ** 2 < (1 - _EXPLAINED) * _change(rest) ** 2
            if kept or explains:
                figures.append(tuple(map(float, figure)))
                rest = without
    return tuple(waves), tuple(figures), rest


def _logarithm(values: Numbers) -> Numbers:
    """Return logarithms. A value of 0 or less has none: it is as good as missing."""
    return np.asarray(np.log(np.where(values > 0, values, np.nan)))


def _grows_without_effects(values: Numbers, known: Numbers, beside: Numbers, season: int) -> bool:
    """Return ``grows_with_its_level`` of a series without the effects of its known columns:
    promotions raise the mean of a block and its spread, and are no growth."""
    level = _logarithm(values)
    effects = _effects(level, known, beside)
    without = np.exp(level - known @ np.array(effects)) if effects else values
    return grows_with_its_level(without, season)


def _effects_multiply(values: Numbers, known: Numbers, beside: Numbers) -> bool:
    """Return whether known columns and seasons multiply a series rather than add to it: whether
    sums of logarithms explain it with a smaller mean error.

    Args:
        values: the series, [T], above 0; NaN where a value is missing.
        known: the columns that are known ahead, [T, F].
        beside: the columns of ``_trend_and_seasons``, [T, columns].
    """
    seen = ~np.isnan(values)
    design = np.concatenate([beside, known], 1)[seen]
    if not known.shape[1] or len(design) <= 2 * design.shape[1]:
        return False
    observed = values[seen]

    def explained(level: Numbers) -> Numbers:
        return np.asarray(design @ np.linalg.lstsq(design, level, rcond=None)[0])

    added = np.abs(observed - explained(observed)).mean()
    with np.errstate(over="ignore"):
        multiplied = np.abs(observed - np.exp(explained(np.log(observed)))).mean()
    return bool(multiplied < _MULTIPLIES * added)


def grows_with_its_level(values: Numbers, season: int) -> bool:
    """Return whether a series moves in proportion to its level, so that its logarithm is what moves
    evenly.

    Args:
        values: [T], NaN where a value is missing.
        season: in steps; 1 for none.
    """
    if not np.nanmin(values) > 0:
        return False
    size = max(season, _BLOCK)
    blocks = values[: len(values) // size * size].reshape(-1, size)
    blocks = blocks[np.count_nonzero(~np.isnan(blocks), 1) > size // 2]
    pairs = np.stack([np.nanmean(blocks, 1), np.nanstd(blocks, 1)], 1)
    usable = np.log(pairs[pairs[:, 1] > 0])
    if len(usable) < _FEWEST_BLOCKS:
        return False
    level, spread = usable.T
    if not spread.std() > 0 or level.max() - level.min() < np.log(_APART):
        return False
    slope = np.polyfit(level, spread, 1)[0]
    return bool(slope > _PROPORTIONAL and np.corrcoef(level, spread)[0, 1] > _CORRELATED)


def _filled(rest: Numbers) -> Numbers:
    """Return a series without missing values: filled by the value before, at its begin by the first
    one."""
    filled = fill_forward(rest[:, None])[:, 0]
    return np.asarray(np.where(np.isnan(filled), filled[~np.isnan(filled)][0], filled))


def _change(rest: Numbers) -> float:
    """Return the root mean square of differences between neighbours. Where no two neighbours are
    observed, or none differ, the standard deviation takes its place."""
    moves = np.diff(rest)
    moves = moves[~np.isnan(moves)]
    with np.errstate(over="ignore"):
        moved = float(np.sqrt(np.mean(np.square(moves)))) if len(moves) else 0.0
        return moved if moved > 0 else float(np.nanstd(rest))


def _trend_and_seasons(steps: NDArray[np.int_], cycles: Sequence[float]) -> Numbers:
    """Return the columns of a regression on a trend and seasons, [T, columns]."""
    time = (steps - steps.mean()) / max(len(steps), 1)
    columns = [np.ones(len(steps)), time, time**2]
    for cycle in cycles:
        if 2 * cycle > len(steps):
            continue
        if cycle == round(cycle) and cycle <= LONGEST_FIGURE // 7:
            columns += [(steps % cycle == phase).astype(float) for phase in range(1, int(cycle))]
        else:
            columns += list(Wave.design(steps, cycle).T)
    return np.stack(columns, 1)


def _effects(level: Numbers, known: Numbers, beside: Numbers) -> tuple[float, ...]:
    """Return the effect of each known column by ridge regression beside a trend and seasons, whose
    weight is chosen by generalised cross-validation (Golub, Heath & Wahba 1979).

    Args:
        level: the series, or its logarithm, [T]; NaN where a value is missing.
        known: the columns that are known ahead, [T, F].
        beside: the columns of ``_trend_and_seasons``, [T, columns].
    """
    count = known.shape[1]
    seen = ~np.isnan(level)
    none = tuple([0.0] * count)
    if not count or not seen.any():
        return none
    nuisance = beside[seen]
    basis, _ = np.linalg.qr(nuisance)
    target = level[seen] - basis @ (basis.T @ level[seen])
    columns = known[seen] - basis @ (basis.T @ known[seen])
    left, singular, right = np.linalg.svd(columns, full_matrices=False)
    if not singular.size or not singular[0] > 1e-9 * np.sqrt(len(target)):
        return none
    projected, rows = left.T @ target, len(target)
    outside = float(target @ target - projected @ projected)
    # A column that is a sum of others has a singular value of 0, and no effect of its own.
    usable = singular > 1e-9 * singular[0]
    projected, singular, right = projected[usable], singular[usable], right[usable]
    best, weights = np.inf, np.zeros(count)
    for ridge in _RIDGES:
        shrunk = singular**2 / (singular**2 + ridge * singular[0] ** 2)
        error = outside + float(np.square((1 - shrunk) * projected).sum())
        freedom = rows - nuisance.shape[1] - shrunk.sum()
        if freedom > 0 and error / freedom**2 < best:
            best = error / freedom**2
            weights = right.T @ (shrunk / singular * projected)
    return tuple(map(float, weights))
