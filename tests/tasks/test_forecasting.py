"""From a table to what is fitted: what the test set holds must not be known before."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import conveyor
from conveyor.errors import DataError, SettingError
from conveyor.tasks.forecast.forecast_settings import ForecastData
from conveyor.tasks.forecast.prepared_table import Prepared, prepare_data
from conveyor.tasks.forecast.series_fit import fit_series
from tests.series import write_series


def _prepared(frame: pl.DataFrame) -> Prepared:
    settings = ForecastData(target=("value",), horizon=3, history=7)
    return prepare_data(frame, settings, lambda line: None)


def test_nothing_behind_the_training_part_changes_what_is_fitted(tmp_path: Path) -> None:
    """Scales, and what MASE divides by, come from the training rows alone."""
    frame = pl.read_csv(write_series(tmp_path / "s.csv", extra=True))
    first = _prepared(frame)
    train = first.groups[0].parts.train
    behind = pl.int_range(pl.len()) >= train
    wild = frame.with_columns(
        pl.when(behind).then(1e6 * pl.col(name) + 7).otherwise(pl.col(name)).alias(name)
        for name in ("value", "rain")
    )
    second = _prepared(wild)
    assert asdict(first.frame) == asdict(second.frame)
    assert not np.array_equal(  # noqa: TID251
        first.panels[0].targets[train:], second.panels[0].targets[train:]
    )


def test_the_last_training_row_does_change_it(tmp_path: Path) -> None:
    frame = pl.read_csv(write_series(tmp_path / "s.csv"))
    first = _prepared(frame)
    row = first.groups[0].parts.train - 1
    changed = frame.with_columns(
        value=pl.when(pl.int_range(pl.len()) == row).then(99.0).otherwise(pl.col("value"))
    )
    assert asdict(first.frame) != asdict(_prepared(changed).frame)


def test_parts_follow_each_other_in_time_and_share_no_future(tmp_path: Path) -> None:
    prepared = _prepared(pl.read_csv(write_series(tmp_path / "s.csv")))
    (group,) = prepared.groups
    parts = group.parts
    train = group.origins(0, parts.train, prepared.frame).numbers
    (validation,) = (origins.numbers for origins in prepared.validation())
    (test,) = (origins.numbers for origins in prepared.test())
    assert max(train) + 3 <= parts.train == min(validation)
    assert max(validation) + 3 <= parts.validation == min(test)
    assert max(test) + 3 == parts.test == 160


def test_what_is_not_given_is_inferred_from_the_step(tmp_path: Path) -> None:
    frame = pl.read_csv(write_series(tmp_path / "s.csv"))
    inferred = prepare_data(frame, ForecastData(target=("value",)), lambda line: None).frame
    assert (inferred.season, inferred.horizon, inferred.history) == (7, 7, 28)


def test_a_constant_target_is_refused_and_a_constant_covariate_is_not(tmp_path: Path) -> None:
    frame = pl.read_csv(write_series(tmp_path / "s.csv")).with_columns(flat=pl.lit(2.0))
    assert _prepared(frame).frame.columns == ("value", "flat")
    with pytest.raises(DataError, match="column flat is 2 in the whole training set"):
        prepare_data(frame, ForecastData(target=("flat",)), lambda line: None)


@pytest.mark.parametrize("role", ["past", "future"])
def test_a_column_without_a_value_in_the_training_part_is_named(role: str, tmp_path: Path) -> None:
    frame = pl.read_csv(write_series(tmp_path / "s.csv"))
    late = frame.with_columns(late=pl.when(pl.int_range(pl.len()) == 3).then(1.0))
    future = ("late",) if role == "future" else ()
    assert prepare_data(
        late, ForecastData(target=("value",), future=future), lambda line: None
    ).frame.columns == ("value", "late")
    # The first rows without a value are left out, so that it takes a value before a long gap.
    prepared = prepare_data(late, ForecastData(target=("value",), future=future), lambda line: None)
    frame_of = prepared.frame
    with pytest.raises(DataError, match="column late has no value in the training set"):
        fit_series(
            [prepared.panels[0].rows(1, 100)],
            labels=frame_of.labels,
            past=frame_of.past,
            known=frame_of.known,
            season=7,
            cycles=(),
        )


def test_the_mean_is_learned_where_that_is_asked_for(tmp_path: Path) -> None:
    """Of values that are -1 three times of four, and else 3, the median is -1 and the mean 0."""
    draw = np.random.default_rng(0)
    values = (draw.random(800) < 0.25) * 4.0 - 1
    options: dict[str, Any] = {
        "target": "value", "horizon": 2, "history": 4, "season": 1, "members": 1, "epochs": 12,
        "refit": False, "linear": False, "hidden": 4, "say": lambda line: None,
    }  # fmt: skip
    forecasts = {}
    for loss in ("mse", "quantile"):
        run = conveyor.fit("forecast", values, out=tmp_path / loss, loss=loss, **options)
        forecasts[loss] = run.predict()
        again = conveyor.load(run.folder)
        assert again.predict().equals(forecasts[loss])
        assert run.metrics["scores"][0]["rows"]["lstm"]["coverage"] > 0.7
        assert run.read().answer(torch.zeros(2, 3, 4)).shape == (2,)
        assert [str(one.model.fitted_by) for one in (run, again)] == [loss, loss]
    assert forecasts["quantile"]["value"].to_numpy().max() < -0.5
    np.testing.assert_allclose(forecasts["mse"]["value"].to_numpy(), 0.0, atol=0.4)
    # The band around a mean is calibrated on past errors: as far up as down.
    up = forecasts["mse"]["value-hi-80"] - forecasts["mse"]["value"]
    down = forecasts["mse"]["value"] - forecasts["mse"]["value-lo-80"]
    np.testing.assert_allclose(up.to_numpy(), down.to_numpy(), rtol=1e-4)
    assert up.min() > 0


@pytest.mark.parametrize(
    ("said", "largest"), [({"thousands": "."}, 1399), ({"thousands": ","}, 1.399)]
)
def test_the_separator_of_thousands_says_the_decimal_mark(
    tmp_path: Path, said: dict[str, Any], largest: float
) -> None:
    path = tmp_path / "s.csv"
    numbers = [f"1.{100 + 37 * row % 300}" for row in range(250)]
    path.write_text("\n".join(["y", *numbers]) + "\n", encoding="utf-8")
    prepared = prepare_data(path, ForecastData(target=("y",), **said), lambda line: None)
    assert prepared.panels[0].targets.max() == largest
    assert prepared.frame.reading.decimal in {",", "."} - set(said.values())


def test_marks_of_both_kinds_differ() -> None:
    assert ForecastData(target=("y",), thousands=".", decimal=",").decimal_mark == ","
    with pytest.raises(SettingError, match=r"thousands and decimal are both '\.'"):
        ForecastData(target=("y",), thousands=".", decimal=".")
