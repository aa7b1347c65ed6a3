"""Columns that are known ahead: read from the rows after the last value, and asked for by name."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.data.holiday_columns import holiday_columns
from conveyor.data.timeline import Step
from conveyor.errors import DataError, SettingError

ROWS, AHEAD = 120, 10


def _table(ahead: int = AHEAD) -> pl.DataFrame:
    """A daily series that a promotion lifts by 50, with a planned future."""
    draw = np.random.default_rng(0)
    promo = (draw.random(ROWS + AHEAD) < 0.25).astype(int)
    values = 100 + 50 * promo + draw.normal(size=ROWS + AHEAD)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d", eager=True)
    return pl.DataFrame(
        {
            "day": days[: ROWS + AHEAD],
            "sold": [*values[:ROWS].tolist(), *[None] * AHEAD],
            "promo": promo,
        }
    )[: ROWS + ahead]


def _fit(frame: pl.DataFrame, folder: Path, say: Any = lambda line: None) -> conveyor.Run:
    return conveyor.fit(
        "forecast", frame, target="sold", future="promo", horizon=7, members=1, epochs=2,
        out=folder / "run", say=say,
    )  # fmt: skip


def test_a_planned_promotion_moves_its_own_days(tmp_path: Path) -> None:
    said: list[str] = []
    frame = _table()
    run = _fit(frame, tmp_path, said.append)
    assert any("are the future: forecasts begin after row 120" in line for line in said)
    assert any("taken out before the network" in line and "promo" in line for line in said)
    forecast = run.predict()
    planned = frame["promo"][ROWS : ROWS + 7].to_numpy() == 1
    assert planned.any()
    assert not planned.all()
    median = forecast["sold"].to_numpy()
    assert median[planned].min() - median[~planned].max() > 30
    # The same from a table, in which another plan is seen.
    assert run.predict(frame, say=said.append).equals(forecast)
    other = frame.with_columns(promo=pl.when(pl.col("sold").is_null()).then(0).otherwise("promo"))
    calm = run.predict(other, say=said.append)["sold"].to_numpy()
    assert np.abs(calm[planned] - median[planned]).min() > 30
    assert "What comes next" in run.report().read_text(encoding="utf-8")


def test_a_future_that_is_too_short_is_asked_for_by_its_days(tmp_path: Path) -> None:
    frame = _table(ahead=3)
    run = _fit(frame, tmp_path)
    needs = (
        r"the forecast needs promo from 2024-04-30 to 2024-05-06, in rows after the last value of "
        r"sold; promo is missing at 2024-05-03\. Give a table with these values"
    )
    with pytest.raises(DataError, match=needs):
        run.predict()
    with pytest.raises(DataError, match=needs):
        run.predict(frame, say=lambda line: None)
    assert len(run.predict(_table(), say=lambda line: None)) == 7
    # A value that is missing among them is missed, too.
    gap = _table().with_columns(
        promo=pl.when(pl.int_range(pl.len()) == ROWS + 2).then(None).otherwise("promo")
    )
    with pytest.raises(DataError, match="promo is missing at 2024-05-02"):
        run.predict(gap, say=lambda line: None)


def test_a_run_on_rows_without_a_future_is_fitted_and_asks_for_it(tmp_path: Path) -> None:
    run = _fit(_table(ahead=0), tmp_path)
    with pytest.raises(DataError, match="promo is missing at 2024-04-30"):
        run.predict()
    assert "What comes next" not in run.report().read_text(encoding="utf-8")
    with pytest.raises(DataError, match="an array of histories has no future of promo"):
        run.predict(np.zeros((1, 28, 2)))


def test_a_target_is_not_known_ahead(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="sold is a target, and a future column"):
        conveyor.fit("forecast", _table(), target="sold", future="sold", out=tmp_path / "run")


def test_all_targets_are_those_that_are_not_known_ahead(tmp_path: Path) -> None:
    run = conveyor.fit(
        "forecast", _table(), target="all", future="promo", horizon=7, members=1, epochs=1,
        out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    assert run.frame.targets == ("sold",)
    assert run.frame.known == ("promo",)


def _holiday_table() -> pl.DataFrame:
    """Sales that are half on holidays of Vietnam, over two years, up to the day before Tết."""
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2025, 1, 24), "1d", eager=True)
    calendar = holiday_columns(
        "VN", [datetime(day.year, day.month, day.day) for day in days], Step(seconds=86_400)
    )
    draw = np.random.default_rng(0)
    sold = 100.0 - 50 * calendar["holiday VN"] + draw.normal(size=len(days))
    return pl.DataFrame({"day": days, "sold": sold})


def test_holidays_are_known_without_a_column(tmp_path: Path) -> None:
    frame = _holiday_table()
    run = conveyor.fit(
        "forecast", frame, target="sold", holidays="VN", horizon=7, members=1, epochs=2,
        out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    forecast = run.predict()
    # 27 January to 1 February 2025; the table ends on the 24th.
    assert forecast["day"][0] == "2025-01-25"
    closed = forecast["day"].is_between(pl.lit("2025-01-27"), pl.lit("2025-02-01")).to_numpy()
    median = forecast["sold"].to_numpy()
    assert closed.sum() == 5
    assert median[closed].max() < 75
    assert median[~closed].min() > 90
    # The same from the table, in another process, and after fewer rows.
    again = conveyor.load(run.folder)
    assert again.predict(frame, say=lambda line: None).equals(forecast)
    earlier = again.predict(frame[:-3], say=lambda line: None)
    assert earlier["day"][0] == "2025-01-22"
    assert earlier["sold"].to_numpy()[-2:].max() < 75
    assert "holiday VN" in run.report().read_text(encoding="utf-8")
    with pytest.raises(DataError, match="holidays need times"):
        conveyor.fit(
            "forecast", frame.drop("day"), target="sold", holidays="VN", out=tmp_path / "no",
            say=lambda line: None,
        )  # fmt: skip
