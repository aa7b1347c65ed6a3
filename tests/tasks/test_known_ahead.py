"""Columns that are known ahead: read from the rows after the last value, and asked for by name."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.data.calendar_columns import Calendar
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


def test_a_plan_that_reaches_further_is_told(tmp_path: Path) -> None:
    told = f"promo: known for {AHEAD} steps after the end; horizon={AHEAD} forecasts all of them"
    for horizon, count in ((None, 1), (7, 0)):
        said: list[str] = []
        conveyor.fit(
            "forecast", _table(), target="sold", future="promo", horizon=horizon, members=1,
            epochs=1, calendar="weekend", out=tmp_path / f"run{horizon}", say=said.append,
        )  # fmt: skip
        assert said.count(told) == count


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
    times = [datetime(day.year, day.month, day.day) for day in days]
    calendar = Calendar(holidays="VN").columns(times, Step(seconds=86_400))
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


def test_parts_of_the_calendar_are_known_without_a_column(tmp_path: Path) -> None:
    """Sales that double on the 1st, the 15th and the last day of a month."""
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2024, 2, 25), "1d", eager=True)
    pay = np.array([day.day in {1, 15} or (day + timedelta(days=1)).day == 1 for day in days])
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({"day": days, "sold": 100.0 + 100 * pay + draw.normal(size=len(days))})
    run = conveyor.fit(
        "forecast", frame, target="sold", calendar=("payday", "month-end"), horizon=7, members=1,
        epochs=2, out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    assert run.frame.known == ("payday", "first day of a month", "last day of a month")
    forecast = run.predict()
    high = (forecast["sold"] > 150).to_numpy()
    assert forecast["day"].to_numpy()[high].tolist() == ["2024-02-29", "2024-03-01"]
    assert run.predict(frame, say=lambda line: None).equals(forecast)
    with pytest.raises(DataError, match="a calendar needs times"):
        conveyor.fit(
            "forecast", frame.drop("day"), target="sold", calendar="payday",
            out=tmp_path / "no", say=lambda line: None,
        )  # fmt: skip
    with pytest.raises(DataError, match="column payday is called as one of the calendar"):
        conveyor.fit(
            "forecast", frame.with_columns(payday=1.0 * pay), target="sold", calendar="payday",
            out=tmp_path / "no", say=lambda line: None,
        )  # fmt: skip
    with pytest.raises(SettingError, match=r"calendar is 'paydays'\. Did you mean 'payday'"):
        conveyor.fit("forecast", frame, target="sold", calendar="paydays", out=tmp_path / "no")


def test_months_sell_by_their_days(tmp_path: Path) -> None:
    """Ten a day, and twenty on Saturdays: which months are large is a matter of the calendar."""
    months = pl.date_range(pl.date(2014, 1, 1), pl.date(2024, 12, 1), "1mo", eager=True)
    columns = Calendar(("weekday",)).columns(
        [datetime(day.year, day.month, 1) for day in months], Step(months=1)
    )
    sold = 10 * sum(columns.values()) + 10 * columns["Saturday"]
    frame = pl.DataFrame({"month": months, "sold": sold})
    run = conveyor.fit(
        "forecast", frame[:120], target="sold", calendar=("weekday", "days"), horizon=12,
        members=1, epochs=1, out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    np.testing.assert_allclose(run.predict()["sold"].to_numpy(), sold[120:], atol=4)


def test_only_the_past_columns_that_are_named_are_read(tmp_path: Path) -> None:
    frame = _table(0).with_columns(
        price=pl.int_range(pl.len()) * 1.0, other=pl.int_range(pl.len()) % 5
    )
    common: dict[str, Any] = {"horizon": 5, "members": 1, "epochs": 1, "say": lambda line: None}
    run = conveyor.fit(
        "forecast", frame, target="sold", past="price", out=tmp_path / "one", **common
    )
    assert (run.frame.past, run.frame.known) == (("price",), ())
    assert run.predict(frame.drop("promo", "other"), say=lambda line: None).equals(run.predict())
    every = conveyor.fit(
        "forecast", frame, target="all", past=("price", "promo"), out=tmp_path / "all", **common
    )
    assert every.frame.targets == ("sold", "other")
    assert every.frame.past == ("price", "promo")
    with pytest.raises(DataError, match=r"there is no column 'prize'\. Did you mean 'price'"):
        conveyor.fit("forecast", frame, target="sold", past="prize", out=tmp_path / "no", **common)
    for wrong in ({"past": "sold"}, {"past": "promo", "future": "promo"}, {"past": ("x", "x")}):
        with pytest.raises(SettingError, match=r"past: .* is given twice"):
            conveyor.fit("forecast", frame, target="sold", out=tmp_path / "no", **wrong)
    with pytest.raises(SettingError, match="Give one of the two"):
        conveyor.fit(
            "forecast", frame, target="sold", past="price", only_target=True, out=tmp_path / "no"
        )


def test_runs_from_before_the_calendar_are_read(tmp_path: Path) -> None:
    run = conveyor.fit(
        "forecast", _holiday_table(), target="sold", holidays="VN", horizon=7, members=1, epochs=1,
        out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    path = run.folder / "model.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    calendar = stored["frame"].pop("calendar")
    assert calendar == {"parts": [], "holidays": "VN"}
    stored["frame"]["holidays"] = "VN"
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert conveyor.load(run.folder).predict().equals(run.predict())


def test_holidays_and_planned_events_are_marked_in_the_chart(tmp_path: Path) -> None:
    """Of a daily table up to the day before Tết, with a promotion on Tết's third day."""
    frame = _holiday_table()
    ahead = pl.date_range(pl.date(2025, 1, 25), pl.date(2025, 2, 3), "1d", eager=True)
    longer = pl.concat(
        [frame, pl.DataFrame({"day": ahead, "sold": [None] * len(ahead)}, schema=frame.schema)]
    ).with_columns(promo=pl.col("day").cast(pl.String).is_in(["2025-01-10", "2025-01-31"]))
    run = conveyor.fit(
        "forecast", longer, target="sold", holidays="VN", future="promo", horizon=7, members=1,
        epochs=1, out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    run.predict(chart=tmp_path / "next.html")
    page = (tmp_path / "next.html").read_text(encoding="utf-8")
    drawn = [json.loads(text) for text in re.findall(r'class="figure"[^>]*>(.*?)</script>', page)]
    traces = {trace["name"]: trace for trace in drawn[0]["data"]}
    marked = {name: [day[:10] for day in traces[name]["x"]] for name in ("holiday", "promo")}
    assert marked["promo"] == ["2025-01-10", "2025-01-31"]
    assert marked["holiday"] == ["2025-01-01", *(f"2025-01-{day}" for day in range(27, 32))]
    # On the line of the forecast.
    median = dict(zip(traces["forecast"]["x"], traces["forecast"]["y"], strict=True))
    assert traces["promo"]["y"][1] == pytest.approx(median[traces["promo"]["x"][1]])
