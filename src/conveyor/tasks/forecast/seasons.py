"""Seasons: whether a series has one, and what it adds at each step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.errors import SettingError

Numbers = NDArray[np.float64]

# One-sided 95 %, of the test for a season (M3 and M4 competitions).
_SURE = 1.645

# Sines and cosines of a wave: once and twice in a period.
_HARMONICS = 2


@dataclass(frozen=True)
class Wave:
    """A smooth season of any length: a sum of sines and cosines.

    Attributes:
        period: in steps.
        weights: of sine and cosine, once in a period, then twice.
    """

    period: float
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        usable = all(abs(weight) < LARGEST for weight in self.weights)
        if not usable or not 1 < self.period < 1e9 or len(self.weights) != 2 * _HARMONICS:
            raise SettingError(f"there is no wave of {self.period} steps.")

    @staticmethod
    def design(steps: NDArray[np.int_], period: float) -> Numbers:
        """Return the sines and cosines at these steps, [T, 4]."""
        turns = 2 * np.pi * steps[:, None] / period * np.arange(1, _HARMONICS + 1)
        return np.stack([np.sin(turns), np.cos(turns)], -1).reshape(len(steps), -1)

    def at(self, steps: NDArray[np.int_]) -> Numbers:
        """Return what the wave adds at these steps."""
        return np.asarray(self.design(steps, self.period) @ np.array(self.weights))


def fit_wave(series: Numbers, steps: NDArray[np.int_], period: float) -> tuple[Wave, float]:
    """Return the wave of a period by least squares beside a parabola, and the share of what varies
    beside the parabola that it explains.

    Args:
        series: [T], NaN where a value is missing.
        steps: their numbers.
        period: in steps.
    """
    seen = ~np.isnan(series)
    time = (steps - steps.mean()) / len(steps)
    trend = np.stack([np.ones(len(steps)), time, time**2], 1)[seen]
    waves = Wave.design(steps, period)[seen]
    both = np.concatenate([trend, waves], 1)

    def error(columns: Numbers) -> tuple[Numbers, float]:
        weights = np.asarray(np.linalg.lstsq(columns, series[seen], rcond=None)[0], dtype=float)
        return weights, float(np.square(series[seen] - columns @ weights).sum())

    _, before = error(trend)
    weights, after = error(both)
    wave = Wave(period, tuple(map(float, weights[trend.shape[1] :])))
    return wave, 1 - after / before if before > 0 else 0.0


def has_season(series: Numbers, season: int) -> bool:
    """Return whether the autocorrelation at the season's lag says that there is one.

    Args:
        series: [T], at least three seasons; of fewer the answer is no.
        season: in steps.
    """
    if season < 2 or len(series) < 3 * season:
        return False
    centred = series - series.mean()
    whole = float(centred @ centred)
    if whole == 0:
        return False
    lags = [float(centred[lag:] @ centred[:-lag]) / whole for lag in range(1, season + 1)]
    limit = _SURE * np.sqrt((1 + 2 * np.square(lags[:-1]).sum()) / len(series))
    return bool(abs(lags[-1]) > limit)


def seasonal_figure(series: Numbers, season: int, *, times: bool) -> Numbers:
    """Return what each phase of the season is on average, [season], beside a centred moving average
    over a season (classical decomposition); the first belongs to the first row.

    Args:
        series: [T], at least three seasons.
        season: in steps.
        times: whether the season multiplies (the mean of the figure is 1) or adds (0).
    """
    window = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    half = len(window) // 2
    trend = np.convolve(series, window / season, "valid")
    middle = series[half : half + len(trend)]
    rest = middle / trend if times else middle - trend
    phases = (np.arange(len(trend)) + half) % season
    counts = np.bincount(phases, minlength=season)
    figure = np.asarray(np.bincount(phases, rest, minlength=season) / counts)
    return np.asarray(figure / figure.mean() if times else figure - figure.mean())
