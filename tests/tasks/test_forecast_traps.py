"""Tables on which a forecast once went wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import conveyor
from conveyor.compiler.show import program_of
from conveyor.errors import DataError
from conveyor.tasks.forecast.forecasting import Forecasting
from conveyor.tasks.task_registry import find


def silent(line: str) -> None:
    """Say nothing."""


QUICK: dict[str, Any] = {"members": 1, "epochs": 1, "hidden": 4, "say": silent}


def _task(frame: pl.DataFrame, **settings: Any) -> Forecasting:
    entry = find("forecast")
    task = entry.task.prepare(frame, entry.settings.of(settings), silent)
    assert isinstance(task, Forecasting)
    return task


def test_later_fits_take_out_what_the_first_did_and_bands_keep_their_width() -> None:
    """With more rows a season could be tested for, and the unit would be another one."""
    steps = np.arange(48)
    noise = np.random.default_rng(0).normal(0, 3, 48)
    months = pl.date_range(pl.date(2020, 1, 1), pl.date(2023, 12, 1), "1mo", eager=True)
    frame = pl.DataFrame({"t": months, "y": 200 + 60 * np.sin(2 * np.pi * steps / 12) + noise})
    task = _task(frame, target="y", horizon=3, history=6, split="30/6/12", hidden=4, members=1)
    torch.manual_seed(0)
    network = task.network(program_of("lstm"), task.settings.network).eval()
    task.after_fit(network)
    scored = task.with_validation(network)
    assert scored is not None
    before, after = network.frame, scored.prepared.frame
    assert before.series[0].cycles == after.series[0].cycles == ()
    assert before.series[0].change != after.series[0].change
    assert before.bands is not None
    assert after.bands is not None
    np.testing.assert_allclose(
        np.array(after.bands.moved) * after.series[0].change,
        np.array(before.bands.moved) * before.series[0].change,
    )
    second = scored.network(program_of("lstm"), scored.settings.network).eval()
    whole = scored.with_all_data(second)
    assert whole is not None
    assert whole.prepared.frame.series[0].cycles == ()


def test_a_target_that_ended_before_the_drawn_rows_is_drawn_from_further_back(
    tmp_path: Path,
) -> None:
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({"a": draw.normal(size=400), "b": draw.normal(size=400)})
    frame = frame.with_columns(b=pl.when(pl.int_range(pl.len()) < 355).then("b"))
    run = conveyor.fit(
        "forecast", frame, target=("a", "b"), history=100, horizon=5, out=tmp_path / "run", **QUICK
    )
    assert run.report().exists()


def test_weekdays_at_another_time_of_the_day_are_the_same_days(tmp_path: Path) -> None:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 9, 30), "1d", eager=True)
    days = days.filter(days.dt.weekday() <= 5)
    week = np.array([20.0, 0, 0, -15, 0])[days.dt.weekday().to_numpy() - 1]
    values = 100 + week + np.random.default_rng(0).normal(0, 1, len(days))
    frame = pl.DataFrame({"t": days.dt.strftime("%Y-%m-%d"), "y": values})
    run = conveyor.fit("forecast", frame, target="y", out=tmp_path / "run", **QUICK)
    later = frame[20:].with_columns(t=pl.col("t") + " 09:00")
    medians = [run.predict(table, say=silent)["y"].to_numpy() for table in (frame[20:], later)]
    np.testing.assert_allclose(medians[1], medians[0], atol=0.1)


def test_a_target_that_is_called_as_the_end_of_a_band_is_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"y": np.arange(90.0) % 7, "y-lo-80": np.arange(90.0) % 5})
    with pytest.raises(DataError, match="column y-lo-80 is called as the end of y's band"):
        conveyor.fit(
            "forecast", frame, target=("y", "y-lo-80"), horizon=3, out=tmp_path / "run", **QUICK
        )


def test_a_series_that_falls_to_zero_in_the_validation_part_is_fitted(tmp_path: Path) -> None:
    growing = np.exp(np.arange(200) / 60) * (1 + 0.2 * np.random.default_rng(0).normal(size=200))
    frame = pl.DataFrame({"y": np.r_[growing, np.zeros(80)]})
    run = conveyor.fit("forecast", frame, target="y", horizon=5, out=tmp_path / "run", **QUICK)
    assert np.isfinite(run.predict()["y"].to_numpy()).all()
    # Where it falls to zero in the test set, values without a logarithm are missing.
    later = pl.DataFrame({"y": np.r_[growing, growing[-60:], np.zeros(40)]})
    run = conveyor.fit("forecast", later, target="y", horizon=5, out=tmp_path / "later", **QUICK)
    assert run.frame.series[0].logarithm
    assert np.isfinite(run.predict()["y"].to_numpy()).all()


def test_rows_that_stand_in_several_places_do_not_tell_where_a_run_ended(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    values = draw.integers(0, 9, 440).astype(float)
    fit = {**QUICK, "target": "y", "horizon": 1, "history": 1}
    run = conveyor.fit("forecast", pl.DataFrame({"y": values[:400]}), out=tmp_path / "run", **fit)
    said: list[str] = []
    run.evaluate(pl.DataFrame({"y": values[5:]}), say=said.append)
    assert any("scoring the 40 rows after them" in line for line in said)
    sold = np.r_[values[:300], np.zeros(140)]
    run = conveyor.fit("forecast", pl.DataFrame({"y": sold[:400]}), out=tmp_path / "two", **fit)
    with pytest.raises(DataError, match="nothing shows which of its rows the run was fitted on"):
        run.evaluate(pl.DataFrame({"y": sold[5:]}), say=said.append)


def test_errors_of_validation_are_counted_in_the_unit_of_the_scored_network() -> None:
    """With few errors they are sorted together: those of before must not be of other size."""
    draw = np.random.default_rng(0)
    task = _task(
        pl.DataFrame({"y": np.r_[draw.normal(size=60), 9 * draw.normal(size=60)]}),
        target="y", horizon=2, history=4, split="60/30/30", hidden=4, members=1,
    )  # fmt: skip
    torch.manual_seed(0)
    network = task.network(program_of("lstm"), task.settings.network).eval()
    task.after_fit(network)
    scored = task.with_validation(network)
    assert scored is not None
    torch.manual_seed(0)
    second = scored.network(program_of("lstm"), scored.settings.network).eval()
    whole = scored.with_all_data(second)
    assert whole is not None
    bands = whole.prepared.frame.bands
    assert bands is not None
    unit = whole.prepared.frame.series[0].change
    widest = max(float(np.abs(errors).max()) for errors in task._before)
    assert float(np.array(bands.moved).max()) * unit < 1.2 * widest
