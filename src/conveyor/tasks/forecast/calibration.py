"""How far bands must be moved to hold what they say: conformal prediction, split and adaptive.

Romano, Patterson & Candès 2019, Conformalized quantile regression, equations 6 to 8: of forecasts
that were not trained on, take how far each truth lies outside its band (negative inside), and move
both quantiles by the ceil((n + 1) level)-th smallest of these. If past and future forecasts are
exchangeable, a band then holds at least its level, and no more than 1 / (n + 1) above it. Forecasts
of neighbouring rows overlap: n of them count as about n / horizon.

Series drift, and then past errors are not those to come. So where forecasts are made row after row,
the share that may lie outside is corrected by what did (Gibbs & Candès 2021, Adaptive conformal
inference under distribution shift, equation 2). Over any T forecasts whose truth comes k steps
late, the share outside then differs from the one asked for by at most (max(a, 1 - a) + k g) / (g
T), whatever the series does.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from math import ceil, inf, isnan

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.forecast.band_memory import BandMemory
from conveyor.tasks.forecast.forecast_frame import Bands

Numbers = NDArray[np.float64]

# A band has errors of its own if so many of them are expected outside of it. With fewer, the errors
# of all series, or of all steps ahead, are taken together.
_OUTSIDE = 2

# How fast the share that may lie outside is corrected, and of how many errors, the latest, a
# quantile is taken. A rate of 0.005 to 0.05 is usual; at 0.02, ten misses in a row take a band
# from 80 to 96 %.
RATE, WINDOW = 0.02, 500


def band_errors(quantiles: Numbers, truth: Numbers) -> Numbers:
    """Return how far truths lie outside of their bands, [windows, horizon, levels], the widest band
    first; negative inside, NaN where the truth is missing.

    Args:
        quantiles: [windows, horizon, 2 levels + 1].
        truth: [windows, horizon].
    """
    levels = quantiles.shape[-1] // 2
    low, high = quantiles[..., :levels], quantiles[..., : -levels - 1 : -1]
    return np.asarray(np.maximum(low - truth[..., None], truth[..., None] - high))


def mean_width(widths: Numbers, errors: Numbers) -> Numbers:
    """Return the mean width of bands that are not moved, [horizon, levels]; where they have none,
    as those around a mean, how large their errors are; 1 without any.

    Args:
        widths: [windows, horizon, levels].
        errors: of the same bands, see ``band_errors``.
    """
    if not len(widths):
        return np.ones(widths.shape[1:])
    seen = np.maximum((~np.isnan(errors)).sum(0), 1)
    sizes = np.nan_to_num(np.abs(errors)).sum(0) / seen
    mean = widths.mean(0)
    return np.where(mean > 0, mean, np.where(sizes > 0, sizes, 1.0))


def conformal_quantile(errors: Numbers, level: float) -> float:
    """Return the ceil((n + 1) level)-th smallest error, the largest one where n is too small for
    it; 0 without errors.

    Args:
        errors: [n], NaN where one is missing.
        level: the share that the band holds, between 0 and 1.
    """
    known = np.sort(errors[~np.isnan(errors)])
    if not len(known):
        return 0.0
    # Rounding: 20 * 0.95 is a little above 19.
    rank = ceil(round((len(known) + 1) * level, 9))
    return float(known[min(rank, len(known)) - 1])


class _Latest:
    """The latest errors, sorted."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, error: float) -> None:
        """Take in one more error; NaN is none."""
        if isnan(error):
            return
        self._latest.append(error)
        insort(self._sorted, error)
        if len(self._latest) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]

    def quantile(self, share: float) -> float:
        """Return the ceil((n + 1) share)-th smallest error: infinite where n is too small."""
        count = len(self._sorted)
        rank = ceil(round((count + 1) * share, 9))
        if rank > count:
            return inf
        return self._sorted[rank - 1] if rank > 0 else -inf

    @property
    def errors(self) -> tuple[float, ...]:
        """The errors, the oldest first."""
        return tuple(self._latest)

    @property
    def largest(self) -> float:
        """The largest error; 0 without any."""
        return self._sorted[-1] if self._sorted else 0.0


class AdaptiveBand:
    """How far a band moves at each step ahead, one forecast after the other. The share that may lie
    outside is one for all steps ahead: they are forecast by one network, and drift together.

    Args:
        errors: of forecasts before, [n, horizon], NaN where one is missing.
        level: the share that the band should hold, between 0 and 1.
    """

    def __init__(self, errors: Numbers, level: float) -> None:
        self.level, self.outside = level, 1 - level
        self._steps = [_Latest() for _ in range(errors.shape[1])]
        for latest, column in zip(self._steps, errors.T.tolist(), strict=True):
            for error in column:
                latest.add(error)

    @property
    def moved(self) -> Numbers:
        """How far the next band moves, [horizon]: infinitely far where no known error is large
        enough."""
        return np.array([latest.quantile(1 - self.outside) for latest in self._steps])

    @property
    def errors(self) -> tuple[tuple[float, ...], ...]:
        """The latest errors of each step ahead, the oldest first."""
        return tuple(latest.errors for latest in self._steps)

    @property
    def bounded(self) -> Numbers:
        """The same, but never farther than the largest known error."""
        return np.minimum(self.moved, [latest.largest for latest in self._steps])

    def saw(self, errors: Numbers, moved: Numbers) -> None:
        """Correct the share that may lie outside by what has come to be known.

        Args:
            errors: of steps ahead, each of another forecast, [horizon]; NaN where no truth has come
                to be known.
            moved: how far the bands of these forecasts were moved, [horizon].
        """
        known = ~np.isnan(errors)
        if known.any():
            missed = float((errors[known] > moved[known]).mean())
            self.outside += RATE * (1 - self.level - missed)
        for latest, error in zip(self._steps, errors.tolist(), strict=True):
            latest.add(error)


class AdaptiveBands:
    """The bands of a series, of all levels, one forecast after the other.

    Args:
        memory: of the errors of earlier forecasts.
        levels: of the bands, in percent, the widest first.
    """

    def __init__(self, memory: BandMemory, levels: Sequence[int]) -> None:
        self._bands = []
        for number, level in enumerate(levels):
            columns = [step[number] for step in memory.errors]
            longest = max(map(len, columns), default=0)
            errors = np.full((longest, len(columns)), np.nan)
            for ahead, column in enumerate(columns):
                errors[longest - len(column) :, ahead] = column
            band = AdaptiveBand(errors, level / 100)
            band.outside = memory.outside[number]
            self._bands.append(band)
        # How far the bands of the last rows moved, [horizon, levels] each.
        self._before = [np.array(row) for row in memory.moved]

    @staticmethod
    def after(errors: Numbers, levels: Sequence[int]) -> "AdaptiveBands":
        """Return the bands after forecasts with these errors, [n, horizon, levels], see
        ``band_errors``."""
        known = tuple(
            tuple(tuple(map(float, column[~np.isnan(column)])) for column in errors[:, ahead].T)
            for ahead in range(errors.shape[1])
        )
        return AdaptiveBands(BandMemory(tuple(1 - level / 100 for level in levels), known), levels)

    @property
    def moved(self) -> Numbers:
        """How far the next bands move, [horizon, levels]: never farther than the largest error."""
        return np.stack([band.bounded for band in self._bands], 1)

    @property
    def memory(self) -> BandMemory:
        """What they know."""
        of_levels = [band.errors for band in self._bands]
        errors = tuple(zip(*of_levels, strict=True))
        moved = tuple(tuple(map(tuple, row.tolist())) for row in self._before)
        return BandMemory(tuple(band.outside for band in self._bands), errors, moved)

    def roll(self, errors: Numbers, origins: Sequence[int], rows: range) -> Numbers:
        """Return how far the band of each forecast moves, if forecasts are made one after the other
        and each knows the truths up to its origin, [windows, horizon, levels].

        Args:
            errors: of these forecasts, [windows, horizon, levels].
            origins: the rows at which they begin, rising. Those before ``rows`` moved as they did
                then, or where that is not known as the next one.
            rows: whose values come to be known.
        """
        horizon = errors.shape[1]
        window_of = {origin: window for window, origin in enumerate(origins)}
        moved, ahead = np.zeros(errors.shape), np.arange(horizon)
        now = self.moved
        for origin, window in window_of.items():
            back = rows.start - origin
            if back > 0:
                moved[window] = self._before[-back] if back <= len(self._before) else now
        of_rows = np.zeros((len(rows), horizon, len(self._bands)))
        for number, band in enumerate(self._bands):
            for place, row in enumerate(rows):
                of_rows[place, :, number] = band.bounded
                if row in window_of:
                    moved[window_of[row], :, number] = of_rows[place, :, number]
                # Now the value of the row comes to be known: the first step of the forecast from
                # here, the second of the one before, ...
                windows = np.array([window_of.get(row - step, -1) for step in range(horizon)])
                scored = windows >= 0
                seen, used = np.full(horizon, np.nan), np.zeros(horizon)
                seen[scored] = errors[windows[scored], ahead[scored], number]
                used[scored] = moved[windows[scored], ahead[scored], number]
                band.saw(seen, used)
        self._before = [*self._before, *of_rows][
            max(len(self._before) + len(rows) - horizon + 1, 0) :
        ]
        return moved


def memories_of(
    bands: Bands | None, errors: Sequence[Numbers], levels: Sequence[int]
) -> tuple[BandMemory, ...]:
    """Return what bands know of each series after forecasts with these errors; nothing where they
    rest on the errors of several."""
    if bands is None or bands.pooled:
        return ()
    return tuple(AdaptiveBands.after(of_series, levels).memory for of_series in errors)


def rows_of(origins: Sequence[int], horizon: int) -> range:
    """Return the rows from the first origin to the end of the last one's horizon."""
    return range(origins[0], origins[-1] + horizon) if origins else range(0)


def calibrated(
    errors: Sequence[Numbers], widths: Sequence[Numbers], levels: Sequence[int]
) -> Bands | None:
    """Return how far the bands of each series are moved; None without any error.

    Args:
        errors: of each series, see ``band_errors``.
        widths: of each series, the mean width of its bands, [horizon, levels].
        levels: of the bands, in percent, the widest first.
    """
    counts = [observed(of_series) for of_series in errors]
    if not any(counts):
        return None
    pooled = ""
    if not all(has_own_bands(of_series, levels) for of_series in errors):
        enough = sum(counts) >= _needed(levels) and len(errors) > 1
        pooled = "series" if enough else "steps"
    together = np.concatenate(list(errors))
    moved = []
    for of_series, width in zip(errors, widths, strict=True):
        read = together if pooled == "series" else of_series
        moved.append(_of_series(read, width, levels, by_step=pooled != "steps"))
    return Bands(tuple(moved), sum(counts) / len(counts), pooled)


def bands_moved(moved: Sequence[Numbers], windows: float) -> Bands:
    """Return bands that move so far.

    Args:
        moved: of each series, [horizon, levels].
        windows: on how many forecasts they rest.
    """
    as_numbers = tuple(
        tuple(tuple(map(float, ahead)) for ahead in of_series) for of_series in moved
    )
    return Bands(as_numbers, windows)


def observed(errors: Numbers) -> int:
    """Return how many forecasts have an error."""
    return int((~np.isnan(errors)).any((1, 2)).sum())


def _needed(levels: Sequence[int]) -> float:
    return _OUTSIDE / (1 - max(levels) / 100)


def has_own_bands(errors: Numbers, levels: Sequence[int]) -> bool:
    """Return whether a series has errors enough for bands of its own."""
    return observed(errors) >= _needed(levels)


def _of_series(
    errors: Numbers, width: Numbers, levels: Sequence[int], *, by_step: bool
) -> tuple[tuple[float, ...], ...]:
    horizon = errors.shape[1]
    moved = np.zeros((horizon, len(levels)))
    for number, level in enumerate(levels):
        if by_step:
            for ahead in range(horizon):
                moved[ahead, number] = conformal_quantile(errors[:, ahead, number], level / 100)
        else:
            # In units of the width of each step's band, errors of all steps are alike.
            relative = errors[:, :, number] / width[:, number]
            moved[:, number] = width[:, number] * conformal_quantile(relative.ravel(), level / 100)
    return tuple(tuple(map(float, row)) for row in moved)
