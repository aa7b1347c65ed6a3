"""Drawn futures: as their bands step by step, and as past errors together."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

import conveyor
from conveyor.errors import DataError, RunError, SettingError
from conveyor.tasks.forecast.dependence import Dependence, dependence_of, normal_quantiles
from conveyor.tasks.forecast.forecast_frame import Bands, ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.sampled_paths import at_scores, quantiles_of_paths, sampled_paths
from tests.forecasters import PLAIN, frame_of, panel_of
from tests.forecasters import forecaster_of as some_forecaster

Numbers = NDArray[np.float64]

# The end of an 80 % band of a standard normal distribution.
TENTH = NormalDist().inv_cdf(0.9)


def _walk(horizon: int) -> Dependence:
    """How errors of a random walk go together."""
    steps = np.arange(1, horizon + 1)
    matrix = np.sqrt(np.minimum.outer(steps, steps) / np.maximum.outer(steps, steps))
    return Dependence(tuple(map(tuple, matrix.tolist())), 100.0)


def _naive(frame: ForecastFrame, **sizes: Any) -> Forecaster:
    """The forecaster that says the last value."""
    model = some_forecaster(frame, loss="mse", **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def _of_walk(horizon: int = 4, **fields: Any) -> ForecastFrame:
    """The frame of a random walk whose steps have a deviation of 1."""
    moved = tuple((TENTH * math.sqrt(step),) for step in range(1, horizon + 1))
    return frame_of(
        PLAIN, horizon=horizon, bands=Bands((moved,), 100.0), dependence=_walk(horizon), **fields
    )


@pytest.mark.parametrize("members", [1, 2])
def test_a_random_walk_is_drawn_as_one_beyond_the_horizon_too(members: int) -> None:
    """Of 12 steps, three times the horizon: at each the variance of a walk, and that of its sum."""
    frame = _of_walk()
    panel, count = panel_of(frame), 20_000
    paths = sampled_paths(_naive(frame, members=members), panel, count=count, steps=12)[:, 0]
    steps = np.arange(1, 13)
    np.testing.assert_allclose(paths.mean(1), panel.targets[-1, 0], atol=0.12)
    np.testing.assert_allclose(paths.var(1), steps, rtol=0.05)
    moves = np.diff(paths, axis=0, prepend=panel.targets[-1, 0])
    np.testing.assert_allclose(np.corrcoef(moves), np.eye(12), atol=0.04)
    np.testing.assert_allclose(paths.sum(0).var(), np.square(steps).sum(), rtol=0.05)


def test_the_network_reads_the_path() -> None:
    """One step at a time, a forecast of half the last value: a path goes on from its own values."""
    frame = _of_walk(1, history=3)
    model = _naive(frame)
    linear: Any = model.members[0].linear
    # From the last value, whose place in a window is 0: half of the difference to the one before.
    with torch.no_grad():
        linear.weight[0] = torch.tensor([0.0, -0.5, 0.0])
    panel, count = panel_of(frame), 20_000
    paths = sampled_paths(model, panel, count=count, steps=3)[:, 0]
    before = np.concatenate([np.repeat(panel.targets[-2:], count, 1), paths])
    drawn = before[2:] - before[1:-1] - 0.5 * (before[1:-1] - before[:-2])
    np.testing.assert_allclose(drawn.mean(1), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn), np.eye(3), atol=0.05)


@pytest.mark.parametrize("levels", [(80,), (95, 80, 50)])
def test_each_step_is_as_its_bands_say(levels: tuple[int, ...]) -> None:
    frame = frame_of(
        replace(PLAIN, change=2.0, from_zero=True), PLAIN, levels=levels, dependence=_walk(4)
    )
    model, panel = some_forecaster(frame, members=2), panel_of(frame)
    panel = replace(panel, targets=panel.targets + np.array([20.0, 0.0]))
    paths = sampled_paths(model, panel, count=20_000, steps=4)
    expected = model.forecasts(panel, [len(panel)])[0]
    np.testing.assert_allclose(quantiles_of_paths(model, paths), expected, atol=0.15)
    assert (paths[:, 0] >= 0).all()
    again = sampled_paths(model, panel, count=20_000, steps=4)
    np.testing.assert_array_equal(paths, again)
    assert abs(np.corrcoef(paths[:, 0].sum(0), paths[:, 1].sum(0))[0, 1]) < 0.03


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("pace", [1, 3])
def test_a_block_is_what_is_forecast_from_the_end_of_a_path(cell: str, pace: int) -> None:
    """With errors of nothing a path is the forecast, and goes on as from a longer table."""
    series = replace(PLAIN, effects=(0.7,))
    frame = frame_of(series, pace=pace, known=("plan",), dependence=_walk(4))
    torch.manual_seed(1)
    model = Forecaster(cell, frame, hidden=3, layers=2, members=2, loss="mse").eval()
    panel = panel_of(frame, ahead=12)
    (path,) = sampled_paths(model, panel, count=1, steps=12)[:, 0].T
    known = panel
    for block in range(3):
        forecast = model.forecasts(known, [len(known)])[0, :, 0, 1]
        np.testing.assert_allclose(path[4 * block : 4 * block + 4], forecast, atol=2e-5)
        known = replace(known, targets=np.concatenate([known.targets, forecast[:, None]]),
                        past=np.zeros((len(known) + 4, 0)))  # fmt: skip


def test_values_are_linear_in_normal_scores() -> None:
    probabilities = (0.025, 0.1, 0.5, 0.9, 0.975)
    scores = normal_quantiles(np.array([*probabilities, 0.7, 0.001]))
    quantiles = 3 + 2 * normal_quantiles(np.array(probabilities))
    values = at_scores(np.tile(quantiles, (7, 1)), probabilities, scores)
    np.testing.assert_allclose(values, 3 + 2 * scores)
    skewed = np.array([0.0, 1.0, 5.0])
    between = at_scores(skewed[None], (0.1, 0.5, 0.9), np.array([[-TENTH / 2], [TENTH * 2]]))
    np.testing.assert_allclose(between[:, 0], [0.5, 9.0])


def test_errors_that_go_together_are_drawn_together() -> None:
    """From many forecasts of a known correlation, whatever their distribution."""
    draw = np.random.default_rng(0)
    truth = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.6], [0.3, 0.6, 1.0]])
    errors = np.exp(draw.multivariate_normal(np.zeros(3), truth, 6000))
    errors[5, 1] = np.nan
    found = dependence_of([errors[:2000], errors[2000:]])
    assert found is not None
    assert found.windows == pytest.approx(2000, abs=1)
    np.testing.assert_allclose(np.array(found.correlations), truth, atol=0.06)
    scores = found.scores(50_000, draw)
    np.testing.assert_allclose(np.corrcoef(scores.T), np.array(found.correlations), atol=0.02)
    np.testing.assert_allclose(scores.std(0), 1, atol=0.02)


def test_of_few_errors_the_mean_correlation_counts() -> None:
    """So that the sum varies as it did: two forecasts that do not overlap are no correlation."""
    draw = np.random.default_rng(0)
    errors = draw.normal(size=(24, 12)) + draw.normal(size=(24, 1))
    found = dependence_of([errors])
    assert found is not None
    matrix = np.array(found.correlations)
    between = matrix[~np.eye(12, dtype=bool)]
    assert between.std() < 0.05  # of the sample three times as much
    ranks: Numbers = errors.argsort(0).argsort(0).astype(float)
    expected = np.array(np.corrcoef(ranks.T))[~np.eye(12, dtype=bool)].mean()
    assert between.mean() == pytest.approx(expected, abs=0.05)
    assert np.linalg.eigvalsh(matrix).min() > -1e-3


def test_what_shows_no_dependence() -> None:
    """A single forecast, none that is whole; errors that never differ go with nothing."""
    assert dependence_of([np.ones((1, 3))]) is None
    assert dependence_of([np.full((5, 3), np.nan)]) is None
    errors = np.random.default_rng(0).normal(size=(30, 3))
    errors[:, 1] = 0
    found = dependence_of([errors])
    assert found is not None
    assert np.isfinite(found.scores(10, np.random.default_rng(0))).all()


def _table(rows: int) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2025, 12, 31), "1d", eager=True)[:rows]
    number = np.arange(rows)
    sold = 50 + 10 * np.sin(number * 2 * np.pi / 7) + draw.normal(size=rows).cumsum()
    return pl.DataFrame({"day": days, "sold": sold, "path": number % 2})


QUICK: dict[str, Any] = {
    "target": "sold", "horizon": 4, "history": 7, "hidden": 4, "members": 1, "epochs": 1,
    "say": lambda line: None,
}  # fmt: skip


def test_a_run_forecasts_beyond_its_horizon_and_draws_futures(tmp_path: Path) -> None:
    table = _table(150)
    said: list[str] = []
    run = conveyor.fit(
        "forecast", table, out=tmp_path / "run", only_target=True, calendar=("weekday",), **QUICK
    )
    run = conveyor.load(tmp_path / "run")
    usual = run.predict(say=said.append)
    assert not said
    longer = run.predict(horizon=11, say=said.append)
    assert "fitted for 4 steps: those from 5 to 11 are forecast from 1,000 drawn" in said[0]
    assert longer[:4].equals(usual)
    assert len(longer) == 11
    assert longer["day"][-1] == "2024-06-09"
    width = (longer["sold-hi-80"] - longer["sold-lo-80"]).to_numpy()
    assert width[8:].mean() > 1.2 * width[:4].mean()
    again = run.predict(table, horizon=11, say=said.append)
    np.testing.assert_allclose(again["sold"], longer["sold"], rtol=1e-6)
    assert run.predict(horizon=2, say=said.append).equals(usual[:2])
    paths = run.predict(paths=300, horizon=6, say=said.append)
    assert paths.columns == ["path", "day", "sold"]
    assert paths["path"].unique().sort().to_list() == list(range(1, 301))
    assert paths[:6]["day"].to_list() == longer[:6]["day"].to_list()
    middle = paths.group_by("day", maintain_order=True).agg(pl.col("sold").median())["sold"]
    np.testing.assert_allclose(middle, longer["sold"][:6], atol=width.max() / 4)
    run.predict(horizon=9, chart=tmp_path / "next.html", say=said.append)
    page = (tmp_path / "next.html").read_text(encoding="utf-8")
    assert "All 9 steps together come to about" in page


def test_what_cannot_be_drawn_says_so(tmp_path: Path) -> None:
    table = _table(150)
    run = conveyor.fit("forecast", table, out=tmp_path / "run", **QUICK)
    with pytest.raises(SettingError, match=r"it would read path, which is known up to now only"):
        run.predict(horizon=5, say=lambda line: None)
    assert len(run.predict(paths=2, say=lambda line: None)) == 8
    with pytest.raises(SettingError, match=r"paths is of tables"):
        run.predict(np.ones((1, 9, 2)), paths=2)
    model: Any = run.model
    model.frame = replace(model.frame, dependence=None)
    with pytest.raises(RunError, match=r"fitted by an earlier version, or hardly any"):
        run.predict(paths=2, say=lambda line: None)
    planned = conveyor.fit("forecast", table, out=tmp_path / "planned", future="path", **QUICK)
    later = _table(158).with_columns(
        sold=pl.when(pl.int_range(pl.len()) < 150).then("sold")
    )  # fmt: skip
    assert len(planned.predict(later, horizon=8, say=lambda line: None)) == 8
    with pytest.raises(SettingError, match=r"more than 20,000,000 values"):
        sampled_paths(_naive(_of_walk()), panel_of(_of_walk()), count=100_000, steps=10_000)
    with pytest.raises(DataError, match=r"path is missing at 2024-06-07"):
        planned.predict(later, horizon=9, say=lambda line: None)
