"""Level and season of an ES-RNN, beside the equations of the paper written out."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

import conveyor
from conveyor.errors import DataError, RunError, SettingError
from conveyor.tasks.forecast import (
    forecaster,
    latest_forecasts,
    prepared_table,
    raw_forecasts,
    tail,
)
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.group_rows import GroupRows
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.smoothing import Smoothing
from conveyor.tasks.forecast.stretches import Stretch
from tests.forecasters import frame_of, panel_of


def _by_hand(
    y: NDArray[Any], first: NDArray[Any], a: float, b: float, horizon: int
) -> tuple[list[float], list[float], list[list[float]]]:
    """Return levels, the season of each step, and those of the steps ahead of each: Smyl 2020, with
    the first level the first value without its season."""
    season = list(first)  # of step 0, 1, ...
    m = len(first)
    levels: list[float] = []
    ahead: list[list[float]] = []
    for step, value in enumerate(y):
        before = levels[-1] if levels else value / season[step]
        level = a * value / season[step] + (1 - a) * before
        season.append(b * value / level + (1 - b) * season[step])
        levels.append(level)
        known = season[step + 1 : step + 1 + m]
        ahead.append([known[k % m] for k in range(horizon)])
    return levels, season[: len(y)], ahead


def _smoothing(season: int, horizon: int = 6) -> Smoothing:
    smoothing = Smoothing(3, season, horizon)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in smoothing.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / 10)
    return smoothing


@pytest.mark.parametrize("season", [1, 2, 4, 7])
def test_level_and_season_are_those_of_the_paper(season: int) -> None:
    smoothing, steps, horizon = _smoothing(season), 15, 6
    draw = np.random.default_rng(1)
    y, unit, before, begin = np.exp(draw.normal(size=(2, steps))), [0.5, 2.0], [0, 3], [0, 5]
    numbers = [2, 1]
    values = np.log(y) / np.array(unit)[:, None]
    values[1, :3] = values[1, 3]
    place = torch.tensor(list(zip(numbers, begin, before, strict=True)))
    got = smoothing(torch.tensor(values, dtype=torch.float32), torch.tensor(unit), place)
    for row, (number, late, first_step) in enumerate(zip(numbers, before, begin, strict=True)):
        a = float((0.5 + 10 * smoothing.level_weight[number].detach()).sigmoid())
        b = (
            float((-2 + 10 * smoothing.season_weight[number].detach()).sigmoid())
            if season > 1
            else 0.0
        )
        figures = smoothing.first[number].detach().exp().numpy() if season > 1 else np.ones(1)
        turned = np.roll(figures, -((first_step + late) % season))
        levels, seasons, ahead = _by_hand(y[row, late:], turned, a, b, horizon)
        of = unit[row]
        np.testing.assert_allclose(
            got.level[row, late:].detach(), np.log(levels) / of, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            got.rest[row, late:].detach(),
            np.log(y[row, late:] / seasons) / of,
            rtol=1e-4,
            atol=1e-5,
        )
        np.testing.assert_allclose(
            got.ahead[row, late:].detach(), np.log(ahead) / of, rtol=1e-4, atol=1e-5
        )


def test_each_series_has_its_own_weights() -> None:
    """The gradient of a batch reaches the parameters of its series alone, and all of theirs."""
    smoothing = _smoothing(3)
    values = torch.randn(1, 12, generator=torch.Generator().manual_seed(2))
    smoothed = smoothing(values, torch.ones(1), torch.tensor([[1, 0, 2]]))
    (smoothed.level.sum() + smoothed.ahead.square().sum()).backward()
    for parameter in (smoothing.level_weight, smoothing.season_weight, smoothing.first):
        assert parameter.grad is not None
        assert parameter.grad[1].ne(0).all()
        assert parameter.grad[[0, 2]].eq(0).all()


def test_the_gradient_is_that_of_differences() -> None:
    smoothing = _smoothing(3).double()
    values = torch.randn(2, 9, generator=torch.Generator().manual_seed(3)).double()
    unit, place = torch.tensor([0.7, 1.3]).double(), torch.tensor([[0, 1, 0], [2, 0, 2]])

    def of(level: torch.Tensor, weight: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        parameters = {"level_weight": level, "season_weight": weight, "first": first}
        smoothed = torch.func.functional_call(smoothing, parameters, (values, unit, place))
        return torch.cat([part.flatten() for part in smoothed])

    parameters = [smoothing.level_weight, smoothing.season_weight, smoothing.first]
    assert torch.autograd.gradcheck(of, [p.detach().requires_grad_() for p in parameters])


def test_a_level_on_a_line_does_not_wiggle() -> None:
    smoothing, counted = _smoothing(1), torch.ones(1, 9, dtype=torch.long)
    line = torch.arange(9.0)[None]
    assert smoothing.wiggling(line, torch.ones(1), counted).item() == 0
    bent = line.clone()
    bent[0, 4] += 1
    # Second differences 1, -2, 1, in logarithms of half the unit.
    half = torch.full((1,), 0.5)
    assert smoothing.wiggling(bent, half, counted).item() == pytest.approx(6 / 4 / 7)
    # What comes after the series is none of it.
    counted[:, 6:] = 0
    bent[0, 7] += 5
    assert smoothing.wiggling(bent, half, counted).item() == pytest.approx(5 / 4 / 4)
    assert smoothing.wiggling(line[:, :2], half, counted[:, :2]).item() == 0


QUICK: dict[str, Any] = {"horizon": 5, "history": 7, "hidden": 4, "members": 2, "epochs": 2}


def _shops(rows: int = 120) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    days = pl.select(pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d")).to_series()
    parts = [
        pl.DataFrame(
            {
                "shop": name,
                "day": days[late:rows],
                "sold": (
                    level
                    * (1 + np.sin(np.arange(rows) * 2 * np.pi / 7) / 3)
                    * np.exp(draw.normal(size=rows).cumsum() / 50)
                )[late:],
            }
        )
        for name, level, late in (("HN", 10.0, 0), ("SG", 200.0, 0), ("DN", 3.0, 20))
    ]
    return pl.concat(parts)


def _fit(frame: pl.DataFrame, out: Path, **options: Any) -> conveyor.Run:
    settings = {"target": "sold", "series": "shop", "es_rnn": True, **QUICK, **options}
    return conveyor.fit("forecast", frame, out=out, say=lambda line: None, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    return _fit(_shops(), tmp_path_factory.mktemp("smoothing") / "run")


def test_a_run_smooths_and_is_stored(run: conveyor.Run) -> None:
    assert next(iter(run.metrics["scores"][0]["rows"])) == "smoothing + lstm + linear"
    forecast = run.predict()
    assert len(forecast) == 15
    assert (forecast["sold-lo-80"] <= forecast["sold"]).all()
    assert conveyor.load(run.folder).predict().equals(forecast)
    assert conveyor.load(run.folder).predict(_shops()).equals(forecast)
    for member in cast(Forecaster, run.model).members:
        weight = cast(Smoothing, member.smoothing).level_weight
        assert weight.shape == (3,)
        assert len(set(weight.tolist())) == 3  # learned, of each series by itself


def test_forecasts_made_together_are_those_of_each(
    run: conveyor.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of long series as few at once as memory has room for."""
    one_by_one = run.predict()
    monkeypatch.setattr(raw_forecasts, "TOGETHER", 2)
    for at_once in (raw_forecasts._AT_ONCE, 1):
        monkeypatch.setattr(raw_forecasts, "_AT_ONCE", at_once)
        together = run.predict()
        assert together["shop"].equals(one_by_one["shop"])
        for column in ("sold", "sold-lo-80", "sold-hi-80"):
            np.testing.assert_allclose(together[column], one_by_one[column], rtol=1e-5)


@pytest.mark.parametrize("read", [2048, 50])
@pytest.mark.parametrize("together", [1, 1000])
def test_a_run_forecasts_from_its_rows_as_from_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: int, together: int
) -> None:
    """However few rows other runs of many series keep, and where series are longer than what is
    read before a forecast; the last values of a series may be missing."""
    monkeypatch.setattr(tail, "_MOST_KEPT", 3 * 20)
    monkeypatch.setattr(raw_forecasts, "TOGETHER", together)
    for module in (tail, forecaster, latest_forecasts, raw_forecasts):
        monkeypatch.setattr(module, "MOST_READ", read)
    frame = _shops()
    gaps = pl.int_range(pl.len()).over("shop").is_between(40, 48)
    frame = frame.with_columns(sold=pl.when(~gaps).then("sold"))
    said: list[str] = []
    run = conveyor.fit(
        "forecast", frame, out=tmp_path / "run", target="sold", series="shop", es_rnn=True,
        say=said.append, **{**QUICK, "epochs": 1},
    )  # fmt: skip
    assert not any("smoothing begins anew" in line for line in said)
    table = run.predict(frame, say=lambda line: None)
    kept = conveyor.load(run.folder).predict()
    for column in ("sold", "sold-lo-80", "sold-hi-80"):
        np.testing.assert_allclose(kept[column], table[column], rtol=1e-6)


def test_what_comes_later_changes_no_forecast(run: conveyor.Run) -> None:
    """Neither the level nor a season of a step ahead knows it."""
    model = cast(Forecaster, run.model)
    panel = model.tails[0].panel
    changed = replace(panel, targets=panel.targets.copy())
    changed.targets[100:] *= 3
    before, after = (model.forecasts(of, [60, 100]) for of in (panel, changed))
    np.testing.assert_allclose(before, after, rtol=1e-6)
    other = model.forecasts(changed, [101])
    assert np.abs(other / model.forecasts(panel, [101]) - 1).min() > 0.1


@pytest.mark.parametrize("loss", ["quantile", "mse"])
@pytest.mark.parametrize("unit", [0.02, 0.5, 3.0])
def test_the_whole_loss_is_that_of_the_paper(
    run: conveyor.Run, monkeypatch: pytest.MonkeyPatch, loss: str, unit: float
) -> None:
    """The error of logarithms and 50 times the mean square of the second differences of the level's
    logarithm, whatever unit the network computes in: a series' weight is by this unit."""
    frame = cast(Forecaster, run.model).frame
    history, horizon, rows = frame.history, frame.horizon, 20
    model = Forecaster("lstm", frame, hidden=4, loss=loss, es_rnn=True)
    quantiles = np.array(frame.quantiles)

    def nothing(self: Member, windows: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        return windows.new_zeros(*windows.shape[:2], horizon, len(quantiles))

    monkeypatch.setattr(Member, "forward", nothing)
    y = np.exp(np.random.default_rng(4).normal(size=(2, rows + horizon)) / 5)
    levels, errors, wiggles, ends = [], [], [], [rows, rows - 6]
    for series, end in enumerate(ends):
        level, _, ahead = _by_hand(
            y[series, :rows], np.ones(7), 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(2)), horizon
        )
        levels.append(np.log(level)[:end])
        for step in range(end):
            for k in range(horizon):
                error = (
                    np.log(y[series, step + 1 + k]) - np.log(level[step]) - np.log(ahead[step][k])
                )
                pinball = np.maximum(quantiles * error, (quantiles - 1) * error).mean()
                errors.append((series, error**2 if loss == "mse" else pinball))
        wiggles.append(np.mean(np.diff(levels[-1], 2) ** 2))
    weight = np.array([1.0, 0.3])
    total = sum(weight[series] * (error + 50 * wiggles[series]) for series, error in errors)

    def tensor(values: NDArray[Any]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32)

    logs = np.log(y) / unit
    counted = np.arange(rows) < np.array(ends)[:, None]
    batch = Stretch(
        values=tensor(np.concatenate([np.repeat(logs[:, :1], history - 1, 1), logs[:, :rows]], 1)),
        beside=torch.zeros(2, rows, 0),
        future=tensor(logs[:, 1:]),
        counted=torch.tensor(counted),
        weight=tensor(weight * unit ** (2 if loss == "mse" else 1)),
        level=torch.zeros(2, rows - 1 + horizon),
        unit=tensor(np.full(2, unit / 4)),
        scale=torch.full((2,), 4.0),
        place=torch.tensor([[0, 1 - history, history - 1], [2, 1 - history, history - 1]]),
    )
    got = model.train().loss(batch).value.item()
    assert got == pytest.approx(total / len(errors), rel=1e-4)
    # What is validated are forecasts alone.
    alone = sum(weight[series] * error for series, error in errors) / len(errors)
    assert model.eval().loss(batch).value.item() == pytest.approx(alone, rel=1e-4)


def test_a_run_is_evaluated_and_updated(run: conveyor.Run, tmp_path: Path) -> None:
    longer = conveyor.load(shutil.copytree(run.folder, tmp_path / "run"))
    more = _shops(127)
    assert longer.evaluate(more, say=lambda line: None).scores
    longer.update(more, say=lambda line: None)
    assert longer.predict()["day"].min() == "2024-05-07"


def test_what_smoothing_cannot_do_is_told(run: conveyor.Run, tmp_path: Path) -> None:
    for options, error, text in (
        ({"loss": "negative-binomial"}, SettingError, "learn quantiles or the mean"),
        ({"pace": "season"}, SettingError, "go from row to row"),
    ):
        with pytest.raises(error, match=text):
            _fit(_shops(), tmp_path / "run", **options)
    below = _shops().with_columns(sold=pl.col("sold") - 5)
    with pytest.raises(DataError, match="DN holds -"):
        _fit(below, tmp_path / "run")
    with pytest.raises(RunError, match="draws no futures"):
        run.predict(paths=10)
    with pytest.raises(RunError, match="draws no futures"):
        run.predict(horizon=9)
    with pytest.raises(RunError, match="takes no rows one by one"):
        run.stream("HN")


def test_a_season_that_is_too_long_is_told_in_the_words_of_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_table, "LONGEST_SEASON", 6)
    with pytest.raises(DataError, match=r"season has 7 steps, and es_rnn=True is of .* 6 at most"):
        _fit(_shops(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_series_without_values_in_training_is_not_below_zero() -> None:
    """What is said of it is that it has none, or nothing."""
    frame = frame_of()
    panel = replace(panel_of(frame), targets=np.full((30, 2), np.nan))
    rows = cast(GroupRows, SimpleNamespace(panel=panel))
    prepared_table._check_positive("table", ["a", "b"], [rows])
    panel.targets[5] = 0.0, 1.0
    with pytest.raises(DataError, match=r"^table: a holds 0, and es_rnn=True is of series above 0"):
        prepared_table._check_positive("table", ["a", "b"], [rows])


@pytest.mark.parametrize("kept", [10, 1_000_000])
def test_what_a_shortened_history_means_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """A run of many series keeps few rows of each, and smoothing begins anew in them."""
    monkeypatch.setattr(tail, "_MOST_OF_SMOOTHED", kept)
    said: list[str] = []
    settings: dict[str, Any] = {"target": "sold", "series": "shop", "es_rnn": True, **QUICK}
    run = conveyor.fit("forecast", _shops(), out=tmp_path / "run", say=said.append, **settings)
    short = [line for line in said if "smoothing begins anew" in line]
    same = run.predict().equals(run.predict(_shops()))
    if kept == 10:
        assert short == [
            "the run keeps the last 14 rows of each series: smoothing begins anew in them, so that "
            "forecasts differ from those that were scored. Give predict the table, too"
        ]
        assert not same
    else:
        assert not short
        assert same


def test_a_mean_is_learned_too(tmp_path: Path) -> None:
    assert len(_fit(_shops(), tmp_path / "run", loss="mse", members=1).predict()) == 15
