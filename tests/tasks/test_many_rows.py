"""Tables of many rows and series: what a fit makes of them, with bounds that are small here."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.tasks.forecast import forecasting, prepared_table, raw_forecasts, stretches
from conveyor.tasks.forecast.forecast_settings import ForecastData
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.prepared_table import prepare_data
from conveyor.tasks.forecast.stretches import InputsAsNeeded, Span, Stretches, inputs_of_all
from conveyor.tasks.forecast.theta import theta_forecasts, theta_of_several
from tests.forecasters import PLAIN, frame_of, panel_of

SERIES, ROWS = 8, 90


def _table() -> pl.DataFrame:
    draw = np.random.default_rng(0)
    days = pl.select(pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d")).to_series()
    parts = [
        pl.DataFrame(
            {
                "shop": f"S{number}",
                # Some are shorter, so that their ends are forecast apart from the others'.
                "day": days[10 * (number % 2) : ROWS],
                "sold": 100 + draw.normal(size=ROWS).cumsum()[10 * (number % 2) :],
            }
        )
        for number in range(SERIES)
    ]
    return pl.concat(parts)


def _fit(out: Path, **options: Any) -> tuple[conveyor.Run, list[str]]:
    said: list[str] = []
    run = conveyor.fit(
        "forecast",
        _table(),
        target="sold",
        series="shop",
        horizon=3,
        history=7,
        hidden=4,
        members=2,
        epochs=2,
        out=out,
        say=said.append,
        **options,
    )
    return run, said


def test_inputs_are_the_same_when_they_are_put_together_as_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = frame_of(PLAIN, PLAIN)
    panels = [panel_of(frame), panel_of(frame, rows=30)]
    panels[1] = panels[1].rows(0, 30)
    kept = inputs_of_all(panels[:1] * 2, frame)
    monkeypatch.setattr(stretches, "MOST_STEPS", 10)
    needed = inputs_of_all(panels[:1] * 2, frame)
    assert isinstance(needed, InputsAsNeeded)
    assert len(needed) == len(kept) == 4
    spans = [Span(0, 30)] * 4
    of_kept, of_needed = Stretches(kept, spans), Stretches(needed, spans)
    assert len(of_kept) == len(of_needed) == 4
    for number in range(4):
        for tensor, wanted in zip(of_needed[number], of_kept[number], strict=True):
            np.testing.assert_array_equal(tensor.numpy(), wanted.numpy())
    assert [of.target for of in needed[1:3]] == [1, 0]
    with pytest.raises(IndexError):
        needed[4]


def test_stretches_are_thinned() -> None:
    frame = frame_of()
    examples = Stretches(inputs_of_all([panel_of(frame)] * 6, frame), [Span(0, 30)] * 6)
    assert examples.steps == 6 * 29
    examples.thin(3 * 29)
    assert [number for number, *_ in examples.parts] == [0, 2, 4]
    examples.thin(1000)
    assert len(examples.parts) == 3


def test_some_series_are_scored_and_all_are_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_table, "MANY_SERIES", 5)
    monkeypatch.setattr(prepared_table, "SCORED_SERIES", 3)
    for module in (forecasting, stretches):
        monkeypatch.setattr(module, "MOST_STEPS", 200)
    run, said = _fit(tmp_path / "run")
    assert (
        "3 series of 8, drawn at random, are validated and scored: --stride 1 takes all" in said
        or "3 series of 8, drawn at random, are validated and scored: stride=1 takes all" in said
    )
    assert len(run.metrics["series"]) == 3
    model = run.model
    assert isinstance(model, Forecaster)
    assert model.frame.bands is not None
    assert model.frame.bands.pooled == "series"
    forecast = run.predict()
    assert forecast["shop"].n_unique() == SERIES
    assert not forecast["sold-lo-80"].is_nan().any()
    assert run.metrics["series_drawn_of"] == SERIES
    said_in_report = run.report().read_text()
    assert "of 3 series drawn at random from 8" in said_in_report
    assert "Of 3 series drawn at random from 8, a baseline is better on" in said_in_report
    assert "3 chuỗi chọn ngẫu nhiên trong 8" in said_in_report
    scored, _ = _fit(tmp_path / "all", stride=1)
    assert len(scored.metrics["series"]) == SERIES
    assert "series_drawn_of" not in scored.metrics
    assert "drawn at random" not in scored.report().read_text()


def test_the_draw_follows_the_seed_and_origins_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_table, "MANY_SERIES", 5)
    monkeypatch.setattr(prepared_table, "SCORED_SERIES", 3)

    def chosen(seed: int, **options: Any) -> frozenset[int] | None:
        data = ForecastData(target=("sold",), series=("shop",), horizon=4, history=7, **options)
        return prepare_data(_table(), data, lambda line: None, seed=seed).chosen

    draws = [chosen(seed) for seed in range(4)]
    assert {len(draw or ()) for draw in draws} == {3}
    assert len(set(draws)) > 1
    assert chosen(2) == draws[2]
    assert chosen(2, origins=5) == draws[2]
    assert chosen(2, origins=5, stride=1) is None


def test_forecasts_of_many_ends_are_those_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = _fit(tmp_path / "run")
    one_by_one = run.predict()
    monkeypatch.setattr(raw_forecasts, "TOGETHER", 2)
    for most in (1, 2000, raw_forecasts._AT_ONCE):
        monkeypatch.setattr(raw_forecasts, "_AT_ONCE", most)
        together = run.predict()
        assert together.drop("sold", "sold-lo-80", "sold-hi-80").equals(
            one_by_one.drop("sold", "sold-lo-80", "sold-hi-80")
        )
        for column in ("sold", "sold-lo-80", "sold-hi-80"):
            np.testing.assert_allclose(together[column], one_by_one[column], rtol=1e-6)
    assert run.predict(horizon=2).height == 2 * SERIES


def test_theta_of_several_series_is_that_of_each() -> None:
    draw = np.random.default_rng(2)
    several = [
        (10 + draw.normal(size=rows).cumsum() + 5 * np.sin(np.arange(rows) * np.pi / 6), origins)
        for rows, origins in ((80, [40, 60, 79]), (1500, [1200]), (50, []), (13, [1, 12]))
    ]
    together = theta_of_several(several, horizon=5, season=12)
    for (series, origins), forecasts in zip(several, together, strict=True):
        expected = theta_forecasts(series, origins, horizon=5, season=12)
        assert forecasts.shape == (len(origins), 5)
        np.testing.assert_allclose(forecasts, expected, rtol=1e-9)


def test_small_charts_are_of_the_worst_and_of_the_middle(tmp_path: Path) -> None:
    table = pl.concat(
        _table().with_columns(shop=pl.col("shop") + f" of region {number}") for number in range(2)
    )
    settings: dict[str, Any] = {"horizon": 3, "history": 7, "hidden": 4, "members": 1, "epochs": 1}
    run = conveyor.fit(
        "forecast", table, target="sold", series="shop", out=tmp_path / "run",
        say=lambda line: None, **settings,
    )  # fmt: skip
    page = run.report().read_text(encoding="utf-8")
    assert "At a glance" in page
    assert "Nhìn nhanh" in page
    figure = page.partition('id="glance"')[2].partition("</figure>")[0]
    worst = [one["subject"] for one in run.metrics["series"]]
    drawn = [name for name in worst if name in figure]
    assert len(drawn) == 8
    of_eight, _ = _fit(tmp_path / "eight")
    assert "At a glance" not in of_eight.report().read_text(encoding="utf-8")


def test_a_page_says_that_steps_beyond_the_horizon_were_compared_with_nothing(
    tmp_path: Path,
) -> None:
    run, _ = _fit(tmp_path / "run", only_target=True)
    for horizon, told in ((3, False), (5, True)):
        page = tmp_path / "next.html"
        run.predict(horizon=horizon, chart=page)
        text = page.read_text(encoding="utf-8")
        assert ("From step 4 on" in text) == told
        assert ("Từ bước 4 trở đi" in text) == told
        assert "is calibrated on" in text
