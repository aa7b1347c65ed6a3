"""Exponential smoothing as a baseline: statsmodels' forecasts, and nothing of what comes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import conveyor
from conveyor.tasks.forecast.baselines import Pasts
from conveyor.tasks.forecast.holt_winters_baseline import holt_winters_forecasts
from tests.series import write_series

Numbers = NDArray[np.float64]

# ExponentialSmoothing of statsmodels 0.15.0, trend="add", damped_trend=True, and seasonal="add" of
# 12 for the first two, initialization_method="estimated", on the first 72 values of ``_series``
# (the second by their logarithm): forecast(12). Its trend fades by 0.5 % a step at least, which
# ours need not.
STATSMODELS = [
    [139.94, 143.01, 143.13, 140.02, 142.06, 143.96, 139.58, 132.82, 120.88, 116.54, 122.47, 133.0],
    [46.4, 52.7, 57.76, 59.64, 59.89, 54.45, 48.79, 43.76, 39.98, 38.62, 40.5, 45.13],
    [54.48, 54.51, 54.54, 54.56, 54.59, 54.62, 54.64, 54.67, 54.7, 54.72, 54.75, 54.78],
]


def _series() -> Numbers:
    """A season that adds, one that multiplies on growth, and a walk."""
    draw = np.random.default_rng(7)
    n = np.arange(84)
    season = 12 * np.sin(n * 2 * np.pi / 12) + 6 * np.cos(n * 4 * np.pi / 12)
    added = 100 + 0.8 * n + season
    added = added + draw.normal(0, 1.5, 84).cumsum() + draw.normal(0, 2, 84)
    wave = 0.25 * np.sin(n * 2 * np.pi / 12)
    growing = np.exp(3 + 0.012 * n + wave + draw.normal(0, 0.04, 84))
    walk = 50 + draw.normal(0, 1, 84).cumsum() + draw.normal(0, 1, 84)
    return np.stack([added, growing, walk], 1).round(2)


def test_forecasts_are_those_of_statsmodels() -> None:
    (forecasts,) = holt_winters_forecasts([Pasts(_series(), [72], 12, 12)])
    for number, tolerance in enumerate((0.006, 0.04, 0.006)):
        expected = STATSMODELS[number]
        np.testing.assert_allclose(forecasts[0, :, number], expected, rtol=tolerance)


def test_a_forecast_knows_what_came_before_it_alone() -> None:
    """Later values change neither it nor the weights; those before a later forecast do."""
    values = _series()[:, :1]
    (both,) = holt_winters_forecasts([Pasts(values, [60, 66], 5, 12)])
    later = values.copy()
    later[60:] += 1000
    other, alone = holt_winters_forecasts(
        [Pasts(later, [60, 66], 5, 12), Pasts(values, [60], 5, 12)]
    )
    np.testing.assert_allclose(other[0], both[0], rtol=1e-9)
    np.testing.assert_allclose(alone[0], both[0], rtol=1e-9)
    assert (np.abs(other[1] - both[1]) > 100).all()


def test_a_season_that_goes_on_is_forecast_at_each_of_its_steps() -> None:
    """Also further than a season ahead, and from any step of it."""
    values = np.resize([3.0, -1.0, 2.0, -4.0], 60)[:, None] + 10
    (forecasts,) = holt_winters_forecasts([Pasts(values, [40, 41, 43], 6, 4)])
    for origin, forecast in zip((40, 41, 43), forecasts[..., 0], strict=True):
        np.testing.assert_allclose(forecast, values[origin : origin + 6, 0], atol=0.05)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_shortest_pasts(rows: int) -> None:
    values = np.arange(1.0, 9.0)[:, None]
    (forecasts,) = holt_winters_forecasts([Pasts(values, [rows], 2, 3)])
    assert np.isfinite(forecasts).all()


def test_a_run_is_scored_beside_it(tmp_path: Path) -> None:
    run = conveyor.fit(
        "forecast", write_series(tmp_path / "s.csv"), target="value", out=tmp_path / "run",
        baseline="Holt-Winters", horizon=7, hidden=4, members=1, epochs=1, refit=False,
        say=lambda line: None,
    )  # fmt: skip
    rows = run.metrics["scores"][0]["rows"]
    assert list(rows)[-2:] == ["Theta", "Holt-Winters"]
    assert 0 < rows["Holt-Winters"]["mae"] < 2 * rows["naive"]["mae"]
    assert "Holt-Winters" in run.report().read_text(encoding="utf-8")
