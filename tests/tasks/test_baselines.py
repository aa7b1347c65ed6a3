"""Forecasts without a network: by their definitions, and by another library's numbers."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from conveyor.tasks.forecast import theta as theta_method
from conveyor.tasks.forecast.baselines import BASELINES, Pasts, drift
from conveyor.tasks.forecast.comparison import MIXED, compare, scores_of
from conveyor.tasks.forecast.seasons import has_season, seasonal_figure
from conveyor.tasks.forecast.series_panel import Origins
from conveyor.tasks.forecast.theta import theta_forecasts
from tests.forecasters import PLAIN, forecaster_of, frame_of, panel_of

Numbers = NDArray[np.float64]
MONTHS = 12


def series(kind: str) -> Numbers:
    """Ten years of months."""
    t = np.arange(120.0)
    noise = np.random.default_rng(7).normal(size=120)
    known = {
        "season": 50 + 0.3 * t + 10 * np.sin(2 * np.pi * t / MONTHS) + noise,
        "growing": np.exp(3 + 0.01 * t + 0.2 * np.sin(2 * np.pi * t / MONTHS) + 0.02 * noise),
        "walk": 100 + np.cumsum(noise),
        "below zero": -5 + 10 * np.sin(2 * np.pi * t / MONTHS) + noise,
    }
    return np.asarray(known[kind])


def by_theta_lines(y: Numbers, horizon: int) -> Numbers:
    """The forecast of a series without a season as Assimakopoulos & Nikolopoulos 2000 define it:
    the mean of the straight line (theta 0), continued, and of the smoothed line of twice the
    curvature (theta 2)."""
    t = np.arange(1.0, len(y) + 1)
    slope, begin = np.polyfit(t, y, 1)
    line = begin + slope * t

    def smoothed(values: Numbers, alpha: float) -> tuple[float, float]:
        level, error = values[0], 0.0
        for value in values[1:]:
            error += (value - level) ** 2
            level = alpha * value + (1 - alpha) * level
        return level, error

    alphas = np.linspace(0.01, 0.99, 981)
    alpha = min(alphas, key=lambda each: smoothed(y, each)[1])
    level, _ = smoothed(2 * y - line, alpha)
    ahead = begin + slope * (len(y) + np.arange(1, horizon + 1))
    return np.asarray((ahead + level) / 2)


@pytest.mark.parametrize("rows", [3, 10, 120])
def test_theta_is_the_mean_of_two_theta_lines(rows: int) -> None:
    y = series("walk")[:rows] + 0.2 * np.arange(rows)
    got = theta_forecasts(y, [rows], horizon=6, season=1)[0]
    np.testing.assert_allclose(got, by_theta_lines(y, 6), rtol=2e-4)


# statsforecast 2.1.1, Theta(season_length, decomposition_type).forecast(y=..., h=6)["mean"]. There
# the level's beginning is searched for, too, so that its weight differs a little.
GOLDEN = {
    "season": [87.814, 94.906, 99.472, 101.214, 99.704, 95.335],
    "growing": [65.943, 73.568, 79.112, 81.341, 79.777, 74.726],
    "walk": [82.368, 82.309, 82.250, 82.192, 82.133, 82.075],
    "below zero": [-5.191, 0.107, 3.530, 4.688, 3.496, 0.024],
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_theta_is_another_librarys(kind: str) -> None:
    y = series(kind)
    season = 1 if kind == "walk" else MONTHS
    got = theta_forecasts(y, [len(y)], horizon=6, season=season)[0]
    np.testing.assert_allclose(got, GOLDEN[kind], rtol=6e-3, atol=0.01)


def test_a_season_is_seen_where_there_is_one() -> None:
    assert has_season(series("season"), MONTHS)
    assert has_season(series("below zero"), MONTHS)
    noise = np.random.default_rng(1).normal(size=(100, 120))
    assert sum(has_season(each, MONTHS) for each in noise) < 15  # 5 of 100 on each side
    assert not has_season(series("season")[: 3 * MONTHS - 1], MONTHS)
    assert not has_season(np.ones(120), MONTHS)
    assert not has_season(series("season"), 1)


@pytest.mark.parametrize("season", [4, 5, 7, 12])
@pytest.mark.parametrize("times", [False, True])
def test_a_pure_season_is_found_as_it_is(season: int, times: bool) -> None:
    figure = np.random.default_rng(2).uniform(0.5, 1.5, size=season)
    figure = figure / figure.mean() if times else figure - figure.mean()
    t = np.arange(6 * season)
    y = 8 * figure[t % season] if times else 8 + 0.5 * t + figure[t % season]
    np.testing.assert_allclose(seasonal_figure(y, season, times=times), figure, atol=1e-12)


def test_drift_goes_on_in_a_straight_line() -> None:
    columns = np.stack([np.arange(10.0), 5 - 2 * np.arange(10.0)], 1)
    got = drift(Pasts(columns, [4, 7], 3, 1))
    np.testing.assert_allclose(got[0], [[4, -3], [5, -5], [6, -7]])
    np.testing.assert_allclose(got[1, :, 0], [7, 8, 9])
    alone = drift(Pasts(columns, [1], 2, 1))
    np.testing.assert_allclose(alone[0, :, 0], [0, 0])


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_sees_the_future(name: str) -> None:
    columns = np.stack([series("season"), series("below zero")], 1)
    changed = columns.copy()
    changed[60:] = 1e6
    for origins in ([60], [36, 50, 60]):
        one, other = (BASELINES[name](Pasts(each, origins, 5, 12)) for each in (columns, changed))
        assert one.shape == (len(origins), 5, 2)
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", BASELINES)
def test_origins_do_not_see_each_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, origins = series("growing")[:, None], list(range(40, 120, 7))
    together = BASELINES[name](Pasts(columns, origins, 4, 12))
    monkeypatch.setattr(theta_method, "_AT_ONCE", 5)
    np.testing.assert_allclose(BASELINES[name](Pasts(columns, origins, 4, 12)), together)
    for number, origin in enumerate(origins):
        alone = BASELINES[name](Pasts(columns, [origin], 4, 12))
        np.testing.assert_allclose(alone[0], together[number], rtol=1e-12)


def test_of_a_long_past_the_last_rows_count() -> None:
    y = np.random.default_rng(3).normal(size=4000).cumsum()
    one = theta_forecasts(y, [4000], horizon=3, season=1)
    y[: 4000 - theta_method.MOST_ROWS] = 0
    np.testing.assert_array_equal(theta_forecasts(y, [4000], horizon=3, season=1), one)


@pytest.mark.parametrize(
    "y", [np.zeros(50), np.full(50, 7.0), np.r_[np.zeros(49), 1e9], np.full(50, 1e12)]
)
def test_odd_pasts_have_finite_forecasts(y: Numbers) -> None:
    got = theta_forecasts(y, [1, 2, 50], horizon=3, season=4)
    assert np.isfinite(got).all()
    if np.ptp(y) == 0:
        np.testing.assert_allclose(got, y[0])


def test_the_mean_with_theta_is_scored_and_is_no_baseline() -> None:
    frame = frame_of(PLAIN)
    model, panel = forecaster_of(frame), panel_of(frame)
    origins = Origins.within(panel, 20, 40, horizon=4, season=3)
    (compared,) = compare(model, [origins])
    medians = compared.quantiles[..., 1]
    mixed = np.abs((medians + compared.baselines["Theta"]) / 2 - compared.truth).mean()
    assert compared.scores[MIXED].mae == pytest.approx(mixed)
    scores = scores_of(compared, 80)
    assert list(scores.rows)[:2] == [compared.ours, MIXED]
    best = replace(scores, rows={**scores.rows, MIXED: (0.0, *scores.rows[MIXED][1:])})
    assert best.best_baseline == compared.best_baseline
    assert MIXED not in best.verdict.en
