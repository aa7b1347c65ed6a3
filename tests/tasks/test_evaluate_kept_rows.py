"""A run is scored on the rows that it keeps, as on its table: the table may be gone."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.errors import DataError

ROWS, MORE = 200, 30
QUICK: dict[str, Any] = {"horizon": 5, "history": 7, "hidden": 4, "members": 1, "epochs": 1}


def _quiet(line: str) -> None:
    """Say nothing."""


def _long() -> pl.DataFrame:
    """Two shops, of which one begins ten days later."""
    draw = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d", eager=True)
    parts = []
    for name, begins in (("Huế", 0), ("Vinh", 10)):
        count = ROWS + MORE - begins
        sold = 50 + 10 * np.sin(np.arange(count) * 2 * np.pi / 7) + draw.normal(size=count)
        parts.append(pl.DataFrame({"shop": name, "day": days[begins : ROWS + MORE], "sold": sold}))
    return pl.concat(parts)


def _until(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    return frame.filter(pl.col("day") < frame["day"].unique().sort()[rows])


def _rows(results: Any) -> list[dict[str, Any]]:
    return [scores.as_json()["rows"] for scores in results.scores]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    """A run that has learned from its training set alone."""
    folder = tmp_path_factory.mktemp("first") / "run"
    table = _until(_long(), ROWS)
    return conveyor.fit(
        "forecast", table, target="sold", series="shop", refit=False, out=folder, say=_quiet,
        **QUICK,
    )  # fmt: skip


@pytest.fixture(scope="module")
def last_run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    """A run that has learned from all of its rows."""
    folder = tmp_path_factory.mktemp("last") / "run"
    table = _until(_long(), ROWS).filter(pl.col("shop") == "Huế")
    return conveyor.fit("forecast", table, target="sold", out=folder, say=_quiet, **QUICK)


def _copy(run: conveyor.Run, folder: Path) -> conveyor.Run:
    shutil.copytree(run.folder, folder)
    return conveyor.load(folder)  # type: ignore[no-any-return]


def test_the_scores_are_those_of_the_runs_own_table(first_run: conveyor.Run) -> None:
    said: list[str] = []
    kept = first_run.evaluate(say=said.append)
    table = first_run.evaluate(_until(_long(), ROWS), say=_quiet)
    assert kept.count == table.count
    assert _rows(kept) == _rows(table)
    assert said[0] == "no table is given: on the rows that the run keeps"
    # The validation set says when to stop, so that only the test set is scored.
    assert said[1] == (
        "the run was fitted on rows up to 2024-06-08: scoring the 80 rows after them"
    )


def test_all_rows_are_scored_where_they_are_asked_for(first_run: conveyor.Run) -> None:
    kept = first_run.evaluate(all_rows=True, say=_quiet)
    table = first_run.evaluate(_until(_long(), ROWS), all_rows=True, say=_quiet)
    assert kept.count == table.count
    assert _rows(kept) == _rows(table)


def test_rows_of_updates_are_scored(last_run: conveyor.Run, tmp_path: Path) -> None:
    """What has come since the fit, with no table at hand any more."""
    run = _copy(last_run, tmp_path / "run")
    with pytest.raises(DataError, match=r"no row comes after them.*in metrics\.json"):
        run.evaluate(say=_quiet)
    table = _long().filter(pl.col("shop") == "Huế")
    before = run.evaluate(table, say=_quiet)
    run.update(table[ROWS - 2 : ROWS + 10], say=_quiet)
    run.update(table[ROWS + 10 :], say=_quiet)
    said: list[str] = []
    kept = conveyor.load(run.folder).evaluate(say=said.append)
    assert said[1] == (
        "the run was fitted on rows up to 2024-07-18: scoring the 30 rows after them"
    )
    assert kept.count == before.count
    for name, scores in _rows(kept)[0].items():
        assert scores["mae"] == pytest.approx(_rows(before)[0][name]["mae"], rel=1e-5)


def test_rows_that_are_only_counted_are_recognised(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(ROWS, 1)).cumsum(0)
    run = conveyor.fit(
        "forecast", values, target="all", refit=False, out=tmp_path / "run", say=_quiet, **QUICK
    )
    said: list[str] = []
    kept = run.evaluate(say=said.append)
    assert said[1] == "the run was fitted on rows up to row 160: scoring the 40 rows after them"
    assert _rows(kept) == _rows(run.evaluate(values, say=_quiet))


def test_a_run_that_keeps_fewer_rows_says_so(
    first_run: conveyor.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("conveyor.tasks.forecast.tail.MOST_READ", 60)
    run = conveyor.fit(
        "forecast", _until(_long(), ROWS), target="sold", series="shop", refit=False,
        out=tmp_path / "run", say=_quiet, **QUICK,
    )  # fmt: skip
    said: list[str] = []
    kept = run.evaluate(say=said.append)
    assert said[1] == (
        "the run keeps the last 60 rows of each series: forecasts and baselines know no earlier "
        "ones"
    )
    assert kept.count == first_run.evaluate(say=_quiet).count
