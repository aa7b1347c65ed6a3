"""Forecasts row after row: what an update and a prediction give, without reading anew."""

import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.errors import DataError, RunError
from conveyor.tasks.forecast.forecast_stream import ForecastStream
from tests.series import write_verses

ROWS, MORE = 150, 12
QUICK: dict[str, Any] = {"horizon": 4, "history": 7, "hidden": 4, "members": 2, "epochs": 2}


def _quiet(line: str) -> None:
    """Say nothing."""


def _table(seed: int = 0, rows: int = ROWS + MORE + 4, **columns: Any) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(number) for number in range(rows)]
    steps = np.arange(rows)
    sold = (50 + steps / 3) * np.exp(
        0.2 * np.sin(steps * 2 * np.pi / 7) + 0.05 * draw.normal(size=rows)
    )
    return pl.DataFrame({"day": days, "sold": sold, **columns})


def _fit(frame: pl.DataFrame, out: Path, **options: Any) -> Any:
    values = {"target": "sold", "say": _quiet, "out": out, **QUICK, **options}
    return conveyor.fit("forecast", frame, **values)


def _predicted(run: Any, frame: pl.DataFrame) -> Any:
    """What the run forecasts after an update by a table, [horizon, quantiles]."""
    run.update(frame, say=_quiet)
    table = run.predict(say=_quiet)
    return table.select("sold-lo-80", "sold", "sold-hi-80").to_numpy(), table["day"].to_list()


@pytest.mark.parametrize(
    "options",
    [{}, {"loss": "mse", "members": 1}, {"pace": "season"}, {"no": "linear"}],
    ids=["quantiles", "mean", "season", "not linear"],
)
def test_a_row_gives_what_an_update_and_a_prediction_give(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """With bands that adapt, and a missing value between."""
    options = {"linear": False} if "no" in options else options
    frame = _table().with_columns(
        pl.when(pl.int_range(pl.len()) == ROWS + 3)
        .then(None)
        .otherwise(pl.col("sold"))
        .alias("sold")
    )
    run = _fit(frame[:ROWS], tmp_path / "run", **options)
    assert run.memories
    stream = conveyor.load(tmp_path / "run").stream()
    begin = run.predict(say=_quiet)
    np.testing.assert_allclose(stream.forecast[:, 0, 1], begin["sold"].to_numpy(), rtol=1e-5)
    for row in range(ROWS, ROWS + MORE):
        forecast = stream(frame["sold"][row])
        if row == ROWS + 3:
            continue  # a table does not end with a row without a value
        expected, days = _predicted(run, frame[: row + 1])
        np.testing.assert_allclose(forecast[:, 0], expected, rtol=2e-5)
        assert stream.times == list(map(str, days))
    assert stream.quantiles == (0.1, 0.5, 0.9)


def test_columns_beside_and_known_ahead(tmp_path: Path) -> None:
    """Planned columns, parts of the calendar, and what is read up to now."""
    draw = np.random.default_rng(3)
    rows = ROWS + MORE + 4
    frame = _table(
        rain=draw.random(rows), promo=(draw.random(rows) < 0.2).astype(float)
    ).with_columns(pl.col("sold") + 9 * pl.col("promo"))
    past_end = pl.when(pl.int_range(pl.len()) < ROWS)
    planned = frame.with_columns(
        past_end.then("sold").alias("sold"), past_end.then("rain").alias("rain")
    )
    run = _fit(
        planned[: ROWS + 4], tmp_path / "run", future="promo", past="rain", calendar="month-end"
    )
    stream = run.stream()
    assert stream.columns == ("sold", "rain")
    promo = frame["promo"].to_list()
    with pytest.raises(DataError, match="promo: 1 more step ahead must be known"):
        stream({"sold": 1.0, "rain": 0.0})
    for row in range(ROWS, ROWS + MORE):
        stream.plan({"promo": [promo[row + 4]]})
        forecast = stream({name: frame[name][row] for name in ("sold", "rain")})
        known = frame.with_columns(
            pl.when(pl.int_range(pl.len()) <= row).then("sold").alias("sold"),
            pl.when(pl.int_range(pl.len()) <= row).then("rain").alias("rain"),
        )[: row + 5]
        expected, _ = _predicted(run, known)
        np.testing.assert_allclose(forecast[:, 0], expected, rtol=2e-5)


def test_a_series_of_many(tmp_path: Path) -> None:
    frames = [
        _table(seed).with_columns(pl.lit(name).alias("store")) for seed, name in enumerate("ab")
    ]
    both = pl.concat(frame[:ROWS] for frame in frames)
    run = _fit(both, tmp_path / "run", series="store")
    stream = run.stream("b")
    for row in range(ROWS, ROWS + 3):
        forecast = stream(frames[1]["sold"][row])
    run.update(pl.concat(frame[: ROWS + 3] for frame in frames), say=_quiet)
    expected = run.predict(say=_quiet).filter(store="b")
    np.testing.assert_allclose(forecast[:, 0, 1], expected["sold"].to_numpy(), rtol=2e-5)
    with pytest.raises(DataError, match="there is no series 'c'"):
        run.stream("c")


def test_long_after_its_end_a_stream_knows_the_calendar(tmp_path: Path) -> None:
    """Months of days later its times and the columns of the calendar are those of the days."""
    frame = _table()
    run = _fit(frame[:ROWS], tmp_path / "run", calendar="weekend", members=1)
    stream: ForecastStream = run.stream()
    for _ in range(600):
        stream(100.0)
    assert stream.times[0] == str(date(2024, 1, 1) + timedelta(ROWS + 600))
    weekend = stream._known.rows(5)[1:, 0]
    days = [date.fromisoformat(text) for text in stream.times]
    np.testing.assert_array_equal(weekend, [float(day.weekday() >= 5) for day in days])


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"sold": 1, "rain": 2}, "there is no column 'rain'"),
        ({}, "the row has no sold; expected sold, None where a value is missing"),
        ("much", "holds what is no number"),
        (math.inf, "expected numbers below"),
    ],
)
def test_a_row_that_cannot_be_changes_nothing(tmp_path: Path, row: Any, text: str) -> None:
    run = _fit(_table()[:ROWS], tmp_path / "run", epochs=1)
    stream = run.stream()
    before = stream.forecast
    with pytest.raises(DataError, match=text):
        stream(row)
    np.testing.assert_array_equal(stream.forecast, before)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"promo": [1, 0]}, "plan has promo; expected no column: none is planned"),
        ({}, "plan has no column; expected no column"),
    ],
)
def test_a_plan_that_cannot_be(tmp_path: Path, columns: Any, text: str) -> None:
    run = _fit(_table()[:ROWS], tmp_path / "run", epochs=1)
    with pytest.raises(DataError, match=text):
        run.stream().plan(columns)


def test_a_task_without_a_stream_says_so(tmp_path: Path) -> None:
    write_verses(tmp_path / "verses.txt")
    run = conveyor.fit(
        "text", tmp_path / "verses.txt", out=tmp_path / "run", say=_quiet, epochs=1, hidden=4
    )
    with pytest.raises(RunError, match="a run of the task text has no stream"):
        run.stream()
