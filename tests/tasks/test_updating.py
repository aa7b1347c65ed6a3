"""New rows in a run: as if a longer table had been forecast from, whose rows bands have seen."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.errors import DataError, SaveError
from conveyor.tasks import saved
from conveyor.tasks.forecast.forecaster import Forecaster

ROWS, MORE = 200, 30
QUICK: dict[str, Any] = {"horizon": 5, "history": 7, "hidden": 4, "members": 1, "epochs": 2}


def _quiet(line: str) -> None:
    """Say nothing."""


def _series(seed: int = 0, loud: int = ROWS + MORE) -> pl.DataFrame:
    """A weekly figure and noise, which is ten times louder from row ``loud`` on."""
    draw = np.random.default_rng(seed)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d", eager=True)
    steps = np.arange(ROWS + MORE)
    noise = draw.normal(size=ROWS + MORE) * np.where(steps < loud, 1, 10)
    return pl.DataFrame(
        {"day": days[: ROWS + MORE], "sold": 50 + 10 * np.sin(steps * 2 * np.pi / 7) + noise}
    )


# What was fitted: the folder of the run by its rows and options.
_FITTED: dict[tuple[str, str], Path] = {}


@pytest.fixture(scope="module", autouse=True)
def folder_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Many tests begin with the same run: it is fitted once."""
    _FITTED.clear()
    _FITTED["", ""] = tmp_path_factory.mktemp("fitted")
    yield
    _FITTED.clear()


def _fit(frame: pl.DataFrame, out: Path, **options: Any) -> conveyor.Run:
    """Return a run of its own in a folder."""
    key = frame.write_csv(), repr(options)
    if key not in _FITTED:
        kept = _FITTED["", ""] / str(len(_FITTED))
        values = {"target": "sold", "say": _quiet, **QUICK, **options}
        conveyor.fit("forecast", frame, out=kept, **values)
        _FITTED[key] = kept
    run: conveyor.Run = conveyor.load(shutil.copytree(_FITTED[key], out))
    return run


def _width(forecast: pl.DataFrame) -> float:
    return float((forecast["sold-hi-80"] - forecast["sold-lo-80"]).mean())  # type: ignore[arg-type]


@pytest.mark.parametrize("begins", [0, ROWS - 3, ROWS])
def test_the_next_forecast_begins_after_the_new_rows(tmp_path: Path, begins: int) -> None:
    """From all rows again, from some, or from the new ones alone."""
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    want = run.predict(frame, say=_quiet)
    run.update(frame[begins:], say=_quiet)
    got = conveyor.load(run.folder).predict()
    assert got["day"].to_list() == want["day"].to_list()
    np.testing.assert_allclose(got["sold"].to_numpy(), want["sold"].to_numpy(), rtol=1e-5)
    assert conveyor.load(run.folder).predict(frame, say=_quiet).equals(got)


def test_scores_are_of_the_forecasts_that_are_over(tmp_path: Path) -> None:
    """Made after the run's rows, and known whole: of 30 rows 26. So evaluate has them too."""
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    evaluated = run.evaluate(frame, say=_quiet).scores[0].as_json()["rows"]
    results = run.update(frame, say=_quiet)
    assert results is not None
    assert results.count.en == "26 windows"
    for name, scores in results.scores[0].as_json()["rows"].items():
        assert scores["mae"] == pytest.approx(evaluated[name]["mae"], rel=1e-4)


def test_rows_in_two_parts_are_rows_in_one(tmp_path: Path) -> None:
    """What was forecast between the parts is scored when it is over; bands know the same."""
    frame = _series(loud=ROWS + 10)
    at_once, by_parts = (_fit(frame[:ROWS], tmp_path / name) for name in "ab")
    assert at_once.predict().equals(by_parts.predict())
    whole = at_once.update(frame[ROWS:], say=_quiet)
    first = by_parts.update(frame[ROWS : ROWS + 12], say=_quiet)
    again = conveyor.load(by_parts.folder)
    second = again.update(frame[ROWS + 12 :], say=_quiet)
    assert whole is not None
    assert first is not None
    assert second is not None
    assert [one.count.en for one in (whole, first, second)] == [
        "26 windows", "8 windows", "18 windows",
    ]  # fmt: skip
    a, b = at_once.predict(), again.predict()
    for column in a.columns[1:]:
        np.testing.assert_allclose(a[column].to_numpy(), b[column].to_numpy(), rtol=1e-4)


def test_bands_grow_where_the_new_rows_are_louder(tmp_path: Path) -> None:
    frame = _series(loud=ROWS)
    run = _fit(frame[:ROWS], tmp_path / "run")
    before = _width(run.predict(frame, say=_quiet))
    run.update(frame, say=_quiet)
    assert _width(run.predict()) > 1.5 * before
    calm = _fit(_series()[:ROWS], tmp_path / "calm")
    before = _width(calm.predict(_series(), say=_quiet))
    calm.update(_series(), say=_quiet)
    assert 0.7 < _width(calm.predict()) / before < 1.4


def test_too_few_rows_are_taken_in_without_scores(tmp_path: Path) -> None:
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    said: list[str] = []
    assert run.update(frame[: ROWS + 3], say=said.append) is None
    assert "3 new rows, up to 2024-07-21" in said
    assert run.predict()["day"][0] == "2024-07-22"
    results = run.update(frame[: ROWS + 5], say=_quiet)
    assert results is not None
    assert results.count.en == "1 window"


def test_values_that_were_revised_are_told(tmp_path: Path) -> None:
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    said: list[str] = []
    revised = frame.with_columns(
        sold=pl.when(pl.int_range(pl.len()).is_in([ROWS - 5, ROWS - 3, ROWS + 2])).then(70.0)
        .otherwise("sold")
    )  # fmt: skip
    run.update(revised[ROWS - 10 :], say=said.append)
    assert "2 values differ from those that the run had: this table's are taken" in said
    assert run.predict(revised, say=_quiet).equals(run.predict())


def test_each_series_takes_its_own_rows_in(tmp_path: Path) -> None:
    parts = {name: _series(seed).with_columns(shop=pl.lit(name)) for seed, name in enumerate("abc")}
    run = _fit(pl.concat(part[:ROWS] for part in parts.values()), tmp_path / "run", series="shop")
    said: list[str] = []
    new = pl.concat([parts["c"], parts["a"][ROWS : ROWS + 7]])
    results = run.update(new, say=said.append)
    assert results is not None
    assert results.count.en == "29 windows of 2 series"
    assert "37 new rows of 2 series, up to 2024-08-17" in said
    begins = run.predict().group_by("shop").agg(pl.col("day").first()).sort("shop")
    assert begins["day"].to_list() == ["2024-07-26", "2024-07-19", "2024-08-18"]


def test_what_cannot_be_taken_in_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    before = (run.folder / "model.json").read_bytes()
    with pytest.raises(DataError, match=r"has no row after 2024-07-18"):
        run.update(frame[:ROWS])
    with pytest.raises(DataError, match=r"2 rows are missing between 2024-07-18, the end of the"):
        run.update(frame[ROWS + 2 :], say=_quiet)
    assert (run.folder / "model.json").read_bytes() == before
    two = frame.with_columns(other=pl.col("sold") + 1)
    both = _fit(two[:ROWS], tmp_path / "both", target=("sold", "other"))
    ended = two.with_columns(sold=pl.when(pl.int_range(pl.len()) < ROWS + 5).then("sold"))
    with pytest.raises(DataError, match="sold: there is no value in the last 7 rows"):
        both.update(ended, say=_quiet)
    for unchanged in (both, conveyor.load(both.folder)):
        assert unchanged.predict()["day"][0] == "2024-07-19"
    counted = _fit(frame[:ROWS].drop("day"), tmp_path / "counted")
    with pytest.raises(DataError, match="rows of this run are only counted"):
        counted.update(frame.drop("day"))


def test_bands_of_a_run_without_a_refit_move_too(tmp_path: Path) -> None:
    frame = _series(loud=ROWS)
    run = _fit(frame[:ROWS], tmp_path / "run", refit=False)
    before = _width(run.predict(frame, say=_quiet))
    assert run.update(frame, say=_quiet) is not None
    assert _width(run.predict()) > 1.5 * before


def test_bands_that_stay_are_told(tmp_path: Path) -> None:
    """Those of a run of an earlier build, and those that rest on all series together."""
    frame = _series(loud=ROWS)
    whole = _fit(frame[:ROWS], tmp_path / "whole")
    task, network, fitted_on = saved.load(whole.folder)
    assert isinstance(network, Forecaster)
    network.memories = ()
    saved.save(whole.folder, task, network, fitted_on)
    earlier = conveyor.load(whole.folder)
    before = _width(earlier.predict(frame, say=_quiet))
    said: list[str] = []
    results = earlier.update(frame, say=said.append)
    assert results is not None
    assert results.count.en == "26 windows"
    assert _width(earlier.predict()) == pytest.approx(before)
    assert "the bands are fixed and stay as they are" in said
    many = pl.concat(_series(seed).with_columns(shop=pl.lit(f"s{seed}")) for seed in range(6))
    known = many.filter(pl.col("day") < frame["day"][ROWS])
    run = _fit(known, tmp_path / "many", series="shop", split=(1, 6, 6))
    run.update(many, say=said.append)
    assert "the bands rest on all series together and stay as they are" in said


def test_a_single_new_row_is_taken_in_wherever_it_comes(tmp_path: Path) -> None:
    """New rows alone, fewer than a step or a history needs, of one series and of several."""
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run", history=28)
    for row in range(ROWS, ROWS + 3):
        run.update(frame[row : row + 1], say=_quiet)
    assert run.predict(frame[: ROWS + 3], say=_quiet).equals(run.predict())
    parts = [_series(seed).with_columns(shop=pl.lit(name)) for seed, name in enumerate("ab")]
    both = _fit(pl.concat(part[:ROWS] for part in parts), tmp_path / "both", series="shop")
    both.update(pl.concat([parts[0][ROWS : ROWS + 7], parts[1][ROWS : ROWS + 2]]), say=_quiet)
    both.update(pl.concat([parts[0][ROWS + 7 :], parts[1][ROWS + 2 :]]), say=_quiet)
    assert both.predict(pl.concat(parts), say=_quiet).equals(both.predict())


def test_rows_between_the_runs_end_and_the_first_new_one_are_filled_when_asked(
    tmp_path: Path,
) -> None:
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    run.update(frame[ROWS + 2 :], fill_gaps=True, say=_quiet)
    holes = frame.with_columns(
        sold=pl.when(~pl.int_range(pl.len()).is_in([ROWS, ROWS + 1])).then("sold")
    )
    assert run.predict(holes, say=_quiet).equals(run.predict())
    # A first new row without a value is no missing row.
    again = _fit(frame[:ROWS], tmp_path / "again")
    again.update(holes[ROWS:], say=_quiet)
    assert again.predict().equals(run.predict())


def test_a_future_that_is_known_later_is_taken_in(tmp_path: Path) -> None:
    frame = _series().with_columns(promo=pl.int_range(pl.len()) % 4 == 0)
    frame = frame.with_columns(sold=pl.col("sold") + 20 * pl.col("promo"))
    planned = frame.with_columns(sold=pl.when(pl.int_range(pl.len()) < ROWS).then("sold"))
    run = _fit(planned, tmp_path / "run", future="promo")
    # The values alone, of a table that plans no further than its end.
    run.update(frame[ROWS : ROWS + 10], say=_quiet)
    kept = run.predict()
    assert kept["day"][0] == str(frame["day"][ROWS + 10])
    said: list[str] = []
    run.update(frame[ROWS + 10 :], say=said.append)
    assert any(line.startswith("the run does not know promo for the 5 steps") for line in said)
    with pytest.raises(DataError, match="promo is missing at"):
        run.predict()
    days = pl.date_range(pl.date(2024, 8, 18), pl.date(2024, 8, 22), "1d", eager=True)
    plans = pl.DataFrame(
        {"day": days, "sold": [None] * 5, "promo": [True, False, False, False, True]},
        schema={**frame.schema},
    )
    said.clear()
    assert run.update(pl.concat([frame, plans]), say=said.append) is None
    assert "no new row, and another future of promo" in said
    forecast = run.predict()["sold"].to_numpy()
    assert forecast[[0, 4]].min() > forecast[1:4].max()
    with pytest.raises(DataError, match="has no row after"):
        run.update(pl.concat([frame, plans]), say=_quiet)


def test_a_run_that_cannot_be_written_is_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = _series()
    run = _fit(frame[:ROWS], tmp_path / "run")
    before = run.predict()

    def fails(*_: object) -> None:
        raise SaveError("the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("conveyor.tasks.saved.save", fails)
        with pytest.raises(SaveError):
            run.update(frame, say=_quiet)
    assert run.predict().equals(before)
    run.update(frame, say=_quiet)
    assert run.predict(frame, say=_quiet).equals(run.predict())


def test_times_may_be_written_with_another_zone(tmp_path: Path) -> None:
    frame = _series().with_columns(
        pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("Europe/Berlin")
    )
    run = _fit(frame[:ROWS], tmp_path / "run")
    in_utc = frame.with_columns(pl.col("day").dt.convert_time_zone("UTC"))
    run.update(in_utc[ROWS:], say=_quiet)
    assert run.predict(frame, say=_quiet).equals(run.predict())
    with pytest.raises(DataError, match="time is none"):
        run.update(frame, time="none", say=_quiet)


def test_the_last_time_is_the_latest(tmp_path: Path) -> None:
    """05/01/2024 comes after 06/12/2023, and not as a text."""
    days = pl.date_range(pl.date(2023, 3, 1), pl.date(2024, 1, 5), "1d", eager=True)
    texts = days.dt.strftime("%d/%m/%Y")
    values = np.sin(np.arange(len(days)) * 2 * np.pi / 7) + np.random.default_rng(0).normal(
        size=len(days)
    )
    one = pl.DataFrame({"day": texts, "sold": values, "shop": "a"})
    both = pl.concat([one, one.with_columns(shop=pl.lit("b"))])
    known = pl.concat([part[:270] for part in both.partition_by("shop")])
    run = _fit(known, tmp_path / "run", series="shop")
    new = pl.concat([one[270:], one[270:281].with_columns(shop=pl.lit("b"))])
    said: list[str] = []
    run.update(new, say=said.append)
    assert "52 new rows of 2 series, up to 05/01/2024" in said
