"""Forecasts of counts: ``--loss negative-binomial``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import conveyor
from conveyor.errors import DataError
from conveyor.tasks.forecast.dependence import Dependence
from conveyor.tasks.forecast.forecast_frame import Bands
from conveyor.tasks.forecast.moved_bands import whole_bands
from conveyor.tasks.forecast.negative_binomial import quantile
from conveyor.tasks.forecast.sampled_paths import sampled_paths
from conveyor.tasks.forecast.stretches import Span, Stretches, batch_of, inputs_of
from tests.forecasters import PLAIN, changed, forecaster_of, frame_of, panel_of

COUNTED = replace(PLAIN, centre=5.0, change=2.0, figures=((1.0, -1.0, 0.0),), from_zero=True)
LOSS = "negative-binomial"


def test_the_loss_is_that_of_the_counts_that_came() -> None:
    """Each forecast by itself, by torch's distribution, of the mean and shape that it says."""
    frame = frame_of(COUNTED, replace(COUNTED, centre=2.0))
    model = forecaster_of(frame, loss=LOSS)
    panel = panel_of(frame, 12)
    draw = np.random.default_rng(0)
    counts = draw.negative_binomial(2, 0.3, (12, 2)).astype(float)
    counts[9, 0] = np.nan
    panel = changed(panel, counts)
    inputs = inputs_of(panel, frame)
    examples = Stretches(inputs, [Span(0, 12)] * 2)
    loss = model.loss(batch_of([examples[0], examples[1]]))
    losses = []
    for number, (stretch, series) in enumerate(
        zip((examples[0], examples[1]), inputs, strict=True)
    ):
        answers = model(stretch.values[None], stretch.beside[None])[0, 0]
        for row in np.flatnonzero(stretch.counted.numpy()):
            origin = int(row) + 1
            reference = series.reference(np.array([origin]))
            level = series.decomposition.centre + series.expected[origin : origin + 4]
            means, shapes = model.means_and_shapes(
                answers[row].detach().double().numpy()[None], reference, level[None],
                series.decomposition,
            )  # fmt: skip
            for step in range(min(4, 12 - origin)):
                truth = counts[origin + step, number]
                if not np.isnan(truth):
                    r = torch.tensor(1 / shapes[0, step])
                    distribution: Any = torch.distributions.NegativeBinomial(
                        r, probs=torch.tensor(means[0, step]) / (torch.tensor(means[0, step]) + r)
                    )
                    losses.append(-distribution.log_prob(torch.tensor(truth)).item())
    assert loss.value.item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_bands_are_whole_numbers_and_those_of_the_distribution() -> None:
    frame = frame_of(COUNTED, levels=(95, 80))
    model, panel = forecaster_of(frame, loss=LOSS), panel_of(frame)
    panel = changed(panel, np.random.default_rng(0).poisson(5, (40, 1)).astype(float))
    (series,) = inputs_of(panel, frame)
    forecast = model.forecasts(panel, [20, 40])[:, :, 0]
    values, beside = series.read(0, 40)
    answers = model(values[None], beside[None])[0, 0, [19, 39]].detach().double().numpy()
    rows = np.array([20, 40])[:, None] + np.arange(4)
    means, shapes = model.means_and_shapes(
        answers, series.reference(np.array([20, 40])), 5 + series.expected[rows], COUNTED
    )
    shares = np.array([0.025, 0.1, 0.5, 0.9, 0.975])
    np.testing.assert_array_equal(forecast, quantile(shares, means[..., None], shapes[..., None]))


def test_moved_bands_are_rounded_outwards() -> None:
    rounded = whole_bands(np.array([[0.2, 1.4, 2.1], [2.0 + 1e-9, 3.6, 5.0 - 1e-9]]))
    np.testing.assert_array_equal(rounded, [[0, 1, 3], [2, 4, 5]])


def test_futures_of_counts_are_distributed_as_they_are_said() -> None:
    """The share of each count, beyond the horizon too; and bands that move take them along."""
    dependence = Dependence(tuple(map(tuple, np.eye(4).tolist())), 10.0)
    frame = frame_of(COUNTED, dependence=dependence, levels=(80,))
    model, panel = forecaster_of(frame, loss=LOSS), panel_of(frame)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    panel = changed(panel, np.full((40, 1), 4.0))
    paths = sampled_paths(model, panel, count=8000, steps=6)[:, 0]
    assert (paths == np.round(paths)).all()
    assert (paths >= 0).all()
    (series,) = inputs_of(panel, frame)
    means, shapes = model.means_and_shapes(
        np.zeros((1, 4, 2)), series.reference(np.array([40])), 5 + series.expected[40:44][None],
        COUNTED,
    )  # fmt: skip
    np.testing.assert_allclose(paths[:4].mean(1), means[0], rtol=0.06)
    spread = means + shapes * means**2
    np.testing.assert_allclose(paths[:4].var(1), spread[0], rtol=0.12)
    moved = Bands(((((2.0,),) * 4),), 10.0)
    model.frame = replace(frame, bands=moved)
    wider = sampled_paths(model, panel, count=8000, steps=4)[:, 0]
    assert np.quantile(wider, 0.9) > np.quantile(paths[:4], 0.9) + 2


def _sales(rows: int = 240) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2025, 12, 31), "1d", eager=True)[:rows]
    weekend = days.dt.weekday().to_numpy() >= 6
    mean = np.where(weekend, 6.0, 1.0)
    return pl.DataFrame({"day": days, "sold": draw.negative_binomial(2, 2 / (2 + mean))})


def test_a_run_on_counts(tmp_path: Path) -> None:
    """Whole numbers, a weekend that sells more, and a stream that says what an update does."""
    table = _sales()
    options: dict[str, Any] = {"target": "sold", "horizon": 7, "hidden": 4, "members": 2}
    run = conveyor.fit(
        "forecast", table[:230], out=tmp_path / "run", loss=LOSS, epochs=8,
        say=lambda line: None, **options,
    )  # fmt: skip
    run = conveyor.load(tmp_path / "run")
    assert run.fitted_by == LOSS
    forecast = run.predict(say=lambda line: None)
    numbers = forecast.drop("day").to_numpy()
    np.testing.assert_array_equal(numbers, np.round(numbers))
    assert numbers.min() >= 0
    weekend = pl.Series(forecast["day"]).str.to_date().dt.weekday().to_numpy() >= 6
    high = forecast["sold-hi-80"].to_numpy()
    assert high[weekend].min() > high[~weekend].max()
    coverage = run.metrics["scores"][0]["rows"]["lstm + linear"]["coverage"]
    assert 0.7 <= coverage <= 1
    stream = run.stream()
    for row in range(230, 236):
        following = stream(float(table["sold"][row]))
    run.update(table[:236], say=lambda line: None)
    expected = run.predict(say=lambda line: None)["sold-lo-80", "sold", "sold-hi-80"].to_numpy()
    np.testing.assert_array_equal(following[:, 0], expected)
    longer = run.predict(horizon=10, paths=50, say=lambda line: None)["sold"].to_numpy()
    np.testing.assert_array_equal(longer, np.round(longer))


@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1"), (2.5, "2.5")])
def test_what_is_no_count(tmp_path: Path, value: float, shown: str) -> None:
    table = _sales().with_columns(sold=pl.col("sold").cast(float))
    table[33, "sold"] = value
    with pytest.raises(
        DataError, match=rf"column sold holds {shown}, and loss='negative-binomial'"
    ):
        conveyor.fit("forecast", table, target="sold", loss=LOSS, out=tmp_path / "run",
                     say=lambda line: None)  # fmt: skip
