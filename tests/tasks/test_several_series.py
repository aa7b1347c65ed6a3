"""Several series by one network: read from a long table, they are what they are in a wide one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.errors import DataError, RunError, SettingError
from conveyor.tasks.forecast.comparison import MIXED, Comparison, overall, scores_of
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.parts import Parts
from conveyor.tasks.forecast.scores import Score
from conveyor.tasks.forecast.series_panel import Origins, Panel

ROWS = 120
# One is below 0: all count equally, as the columns of a wide table do.
LEVELS = {"HN": 10.0, "SG": 200.0, "DN": -3.0}
QUICK: dict[str, Any] = {"horizon": 5, "history": 7, "hidden": 4, "members": 1, "epochs": 2}


def _wide(rows: int = ROWS) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    days = pl.select(pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d")).to_series()
    return pl.DataFrame(
        {
            "day": days[:rows],
            **{
                name: level + np.sin(np.arange(ROWS + 20) * 2 * np.pi / 7)[:rows]
                + draw.normal(size=ROWS + 20).cumsum()[:rows] / 5
                for name, level in LEVELS.items()
            },
        }
    )  # fmt: skip


def _long(rows: int = ROWS) -> pl.DataFrame:
    return _wide(rows).unpivot(index="day", variable_name="shop", value_name="sold")


def _fit(frame: pl.DataFrame, out: Path, **options: Any) -> conveyor.Run:
    said = options.pop("say", lambda line: None)
    return conveyor.fit("forecast", frame, out=out, say=said, **{**QUICK, **options})


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    return _fit(_long(), tmp_path_factory.mktemp("long") / "run", target="sold", series="shop")


def _metrics(run: conveyor.Run) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((run.folder / "metrics.json").read_text())
    return metrics


def test_a_long_table_is_a_wide_one(long_run: conveyor.Run, tmp_path: Path) -> None:
    """The same examples in the same order, so the same weights and forecasts."""
    wide = _fit(_wide(), tmp_path / "run", target=tuple(LEVELS))
    of_wide, of_long = wide.predict(), long_run.predict()
    assert of_long.columns == ["shop", "day", "sold", "sold-lo-80", "sold-hi-80"]
    assert of_long["shop"].unique(maintain_order=True).to_list() == list(LEVELS)
    for name in LEVELS:
        own = of_long.filter(shop=name)
        assert own["day"].to_list() == of_wide["day"].to_list()
        for end in ("", "-lo-80", "-hi-80"):
            assert own[f"sold{end}"].to_list() == of_wide[f"{name}{end}"].to_list()
    scores = {one["subject"]: one["rows"] for one in _metrics(wide)["scores"]}
    for one in _metrics(long_run)["series"]:
        assert one["rows"] == scores[one["subject"]]
    assert _metrics(wide)["scaled"] == _metrics(long_run)["scaled"]


def test_scores_over_all_are_of_the_series(long_run: conveyor.Run) -> None:
    test = _metrics(long_run)
    (scores,) = test["scores"]
    assert test["windows"] == 3 * (24 - 5 + 1)
    for label, row in scores["rows"].items():
        for key in ("mase", "smape"):
            of_series = [one["rows"][label][key] for one in test["series"]]
            assert row[key] == pytest.approx(np.mean(of_series))
        # As many values are of each series.
        mae = np.mean([one["rows"][label]["mae"] for one in test["series"]])
        assert row["mae"] == pytest.approx(mae)


def test_predictions_from_a_table_are_those_of_the_run(long_run: conveyor.Run) -> None:
    own = long_run.predict()
    assert (
        long_run.predict(_long().sample(fraction=1.0, shuffle=True, seed=2))
        .sort("shop", "day")
        .equals(own.sort("shop", "day"))
    )
    one = long_run.predict(_long().filter(shop="SG"))
    assert one.equals(own.filter(shop="SG"))
    later = long_run.predict(_long(ROWS + 3))
    assert later["day"][0] == "2024-05-03"
    said: list[str] = []
    new = _long().with_columns(shop=pl.col("shop").replace("SG", "XX"))
    rest = own.filter(pl.col("shop") != "SG")
    assert long_run.predict(new, say=said.append).equals(rest)
    assert "1 series that the run has not learned is left out: XX" in said
    with pytest.raises(DataError, match=r"learned none of its series: XX\. It knows HN, SG, DN\."):
        long_run.predict(new.filter(shop="XX"))


def test_later_rows_of_each_series_are_scored(long_run: conveyor.Run, tmp_path: Path) -> None:
    kept = _fit(_long(), tmp_path / "run", target="sold", series="shop", refit=False)
    said: list[str] = []
    results = kept.evaluate(_long(), say=said.append)
    assert any("scoring the 72 rows after them" in line for line in said)
    assert results.count.en == "60 windows of 3 series"
    rows = _metrics(kept)["scores"][0]["rows"]
    for label, values in results.scores[0].rows.items():
        got = dict(zip((metric.key for metric in results.scores[0].metrics), values, strict=True))
        # The bands of the test set were adapted from row to row.
        for key in ("mase", "smape", "wape", "mae", "rmse"):
            assert got[key] == pytest.approx(rows[label][key])
    with pytest.raises(DataError, match="there is nothing to score"):
        long_run.evaluate(_long())


def test_series_that_end_apart_are_scored_from_their_own_rows(tmp_path: Path) -> None:
    early = pl.concat([_long(90).filter(shop="HN"), _long().filter(pl.col("shop") != "HN")])
    run = _fit(early, tmp_path / "run", target="sold", series="shop")
    said: list[str] = []
    results = run.evaluate(_long(ROWS + 10), say=said.append)
    # Of HN 40 rows after its 90, of the others 10.
    assert any("another time of each series: scoring the 60 rows after them" in s for s in said)
    assert results.count.en == "48 windows of 3 series"


def test_a_series_is_looked_into_by_its_name(long_run: conveyor.Run) -> None:
    read = long_run.read(series="SG")
    assert np.mean(read.features[next(iter(read.features))]) > 100
    assert np.mean(next(iter(long_run.read().features.values()))) < 100
    with pytest.raises(DataError, match=r"there is no series 'SX'\. There are: DN, HN, SG"):
        long_run.read(series="SX")


def test_series_of_different_length_and_what_cannot_be_learned(tmp_path: Path) -> None:
    frame = _long().filter((pl.col("shop") != "DN") | (pl.col("day") >= pl.date(2024, 4, 1)))
    flat = _long().filter(shop="HN").with_columns(shop=pl.lit("flat"), sold=pl.lit(4.0))
    early = _long().filter(shop="HN")[:60].with_columns(shop=pl.lit("early"))
    said: list[str] = []
    run = _fit(
        pl.concat([frame, flat, early]), tmp_path / "run", target="sold", series="shop",
        say=said.append,
    )  # fmt: skip
    assert any("1 series is constant in the training set and left out: flat" in s for s in said)
    assert any("of the longest series; the others are split from their own end" in s for s in said)
    forecast = run.predict()
    assert forecast["shop"].unique(maintain_order=True).to_list() == ["HN", "SG", "DN", "early"]
    assert forecast.filter(shop="early")["day"][0] == "2024-03-01"
    assert forecast.filter(shop="DN")["day"][0] == "2024-04-30"
    assert np.isfinite(forecast["sold"].to_numpy()).all()
    windows = {one["subject"]: one for one in _metrics(run)["series"]}
    assert set(windows) == {"HN", "SG", "DN", "early"}


def test_a_series_without_a_forecast_to_score(tmp_path: Path) -> None:
    """Its test set is shorter than the horizon; the other ones are shown as they are."""
    short = _long().filter(shop="SG")[:14].with_columns(shop=pl.lit("new"))
    run = _fit(
        pl.concat([short, _long()]),
        tmp_path / "run",
        target="sold",
        series="shop",
        split=(1, 40, 24),
    )
    assert [one["subject"] for one in _metrics(run)["series"]] == list(LEVELS)
    assert set(run.predict()["shop"]) == {"new", *LEVELS}
    report = run.report().read_text(encoding="utf-8")
    assert "Forecasts over the test set: HN" in report
    assert "Forecasts over the test set: new" not in report


def test_steps_are_counted_alike_where_a_series_that_is_left_out_begins_first(
    tmp_path: Path,
) -> None:
    """Three days before the others: seasons would stand at other days in the table again."""
    days = pl.select(pl.date_range(pl.date(2023, 12, 29), pl.date(2024, 4, 29), "1d")).to_series()
    flat = pl.DataFrame({"day": days, "shop": "flat", "sold": 5.0})
    run = _fit(pl.concat([flat, _long()]), tmp_path / "run", target="sold", series="shop")
    assert run.predict(_long(), say=lambda line: None).equals(run.predict())


def test_a_series_shorter_than_a_history_is_forecast_from_a_table_too(tmp_path: Path) -> None:
    short = _long().filter(shop="SG")[-6:].with_columns(shop=pl.lit("new"))
    frame = pl.concat([_long(), short])
    run = _fit(frame, tmp_path / "run", target="sold", series="shop")
    assert run.predict(frame, say=lambda line: None).equals(run.predict())
    assert "new" in run.predict()["shop"].to_list()


def test_odd_names_of_series(tmp_path: Path) -> None:
    names = {"HN": "--5", "SG": "-5", "DN": "05"}
    run = _fit(
        _long().with_columns(pl.col("shop").replace(names)), tmp_path / "run", target="sold",
        series="shop",
    )  # fmt: skip
    # None of them is a formula for a spreadsheet.
    assert set(run.predict()["shop"]) == {"'--5", "'-5", "05"}


def test_a_future_that_one_series_lacks_is_asked_for_with_its_name(tmp_path: Path) -> None:
    frame = _long(ROWS + 5).with_columns(
        promo=pl.int_range(pl.len()) % 3 == 0,
        sold=pl.when(pl.int_range(pl.len()).over("shop") < ROWS).then("sold"),
    )
    run = _fit(frame, tmp_path / "run", target="sold", series="shop", future="promo")
    assert len(run.predict()) == 15
    lacking = frame.filter((pl.col("shop") != "SG") | (pl.col("day") < pl.date(2024, 5, 2)))
    with pytest.raises(DataError, match=r"series SG: .* promo is missing at 2024-05-02"):
        run.predict(lacking)
    said: list[str] = []
    conveyor.fit(
        "forecast", lacking, out=tmp_path / "other", target="sold", series="shop",
        future="promo", say=said.append, **QUICK,
    )  # fmt: skip
    (line,) = (line for line in said if line.startswith("promo: not known"))
    assert "after the end of SG, as of the other series: predict needs a table" in line


def test_rows_to_score_are_counted_of_each_series(tmp_path: Path) -> None:
    """Three rows of each of three series are not nine in one."""
    run = _fit(_long(), tmp_path / "run", target="sold", series="shop")
    with pytest.raises(DataError, match="at most 3 rows of each series to score"):
        run.evaluate(_long(ROWS + 3))


def test_names_of_two_columns_that_read_alike_are_two_series(tmp_path: Path) -> None:
    names = {"HN": ("a b", "c"), "SG": ("a", "b c"), "DN": ("a", "b")}
    frame = _long().with_columns(
        pl.col("shop").replace_strict({key: one for key, (one, _) in names.items()}),
        dept=pl.col("shop").replace_strict({key: other for key, (_, other) in names.items()}),
    )
    run = _fit(frame, tmp_path / "run", target="sold", series=("shop", "dept"))
    forecast = run.predict().filter(shop="a", dept="b c")
    assert forecast["sold"].min() > 150
    mae = [one["rows"]["lstm + linear"]["mae"] for one in _metrics(run)["series"]]
    assert len(set(mae)) == 3


def test_bands_of_all_series_together_rest_on_the_forecasts_of_each(tmp_path: Path) -> None:
    """Of each, the last five days of validation and test make one forecast of five steps."""
    run = _fit(_long(), tmp_path / "run", target="sold", series="shop", split=(1, 5, 5))
    assert _metrics(run)["bands"] == {"windows": 1.0, "pooled": "steps"}
    report = run.report().read_text(encoding="utf-8")
    assert "calibrated on 2 forecasts" in report
    more = pl.concat(
        _long().with_columns(shop=pl.col("shop") + f" {number}") for number in range(4)
    )
    run = _fit(more, tmp_path / "more", target="sold", series="shop", split=(1, 5, 5))
    assert _metrics(run)["bands"] == {"windows": 1.0, "pooled": "series"}
    report = run.report().read_text(encoding="utf-8")
    said = "calibrated on 24 forecasts that the network had not learned from (about 12 that do not"
    assert said in report


def test_a_page_of_predictions_is_that_of_the_report(
    long_run: conveyor.Run, tmp_path: Path
) -> None:
    path = tmp_path / "next.html"
    assert long_run.predict(chart=path).equals(long_run.predict())
    page = path.read_text(encoding="utf-8")
    report = long_run.report().read_text(encoding="utf-8")
    begin = report.index("<h2>", report.index("</h1>"))
    opening = report[begin : report.index("<h2>", begin + 1)]
    assert "What comes next" in opening
    begins = long_run.predict()["day"][0]
    assert f"The forecast of the next step, {begins}" in opening
    assert "<th>time" not in opening  # all series begin together
    assert opening in page
    # From a table, of the series that it holds.
    table = _long(ROWS + 3).filter(shop="SG")
    long_run.predict(table, chart=tmp_path / "one.html", say=lambda line: None)
    one = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert "sold of SG" in one
    assert "sold of HN" not in one
    assert "2024-05-07" in one
    single = _fit(_wide().select("HN"), tmp_path / "single", target="HN")
    with pytest.raises(RunError, match="these predictions have no page"):
        single.predict(np.ones((1, 7, 1)), chart=tmp_path / "no.html")
    assert not (tmp_path / "no.html").exists()


def test_frames_of_many_series_are_made_once(
    long_run: conveyor.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes as long as there are series: one for each series took minutes of ten thousand."""
    made = []
    check = ForecastFrame.__post_init__

    def noting(frame: ForecastFrame) -> None:
        made.append(frame)
        check(frame)

    monkeypatch.setattr(ForecastFrame, "__post_init__", noting)
    counts = []
    for shops in (["HN"], list(LEVELS)):
        made.clear()
        table = _long(ROWS + 3).filter(pl.col("shop").is_in(shops))
        long_run.predict(table, say=lambda line: None)
        counts.append(len(made))
    assert counts[0] == counts[1]


def test_series_that_ended_long_ago_are_left_out_and_named(tmp_path: Path) -> None:
    frame = _long().with_columns(
        sold=pl.when((pl.col("shop") != "SG") | (pl.col("day") < pl.date(2024, 4, 10))).then("sold")
    )
    frame = frame.with_columns(other=pl.col("sold").fill_null(1.0))
    run = _fit(frame, tmp_path / "run", target=("sold", "other"), series="shop")
    for source in (None, frame):
        said: list[str] = []
        assert set(run.predict(source, say=said.append)["shop"]) == {"HN", "DN"}
        assert (
            "1 series is left out, as a target has no value in its last 7 rows: SG"
        ) in said  # fmt: skip
    with pytest.raises(DataError, match="has no value in the last 7 rows"):
        run.predict(frame.filter(shop="SG"))


def test_a_name_that_two_series_share_cannot_be_looked_into(tmp_path: Path) -> None:
    names = {"HN": ("a b", "c"), "SG": ("a", "b c"), "DN": ("a", "b")}
    frame = _long().with_columns(
        pl.col("shop").replace_strict({key: one for key, (one, _) in names.items()}),
        dept=pl.col("shop").replace_strict({key: other for key, (_, other) in names.items()}),
    )
    run = _fit(frame, tmp_path / "run", target="sold", series=("shop", "dept"))
    assert run.read(series="a b").features
    with pytest.raises(DataError, match="2 series are called 'a b c'"):
        run.read(series="a b c")


def test_names_are_the_same_in_any_form_of_unicode(tmp_path: Path) -> None:
    frame = _long().with_columns(shop=pl.col("shop").replace("HN", "Hà Nội"))
    run = _fit(frame, tmp_path / "run", target="sold", series="shop")
    decomposed = frame.with_columns(
        shop=pl.col("shop").replace("Hà Nội", normalize("NFD", "Hà Nội"))
    )
    assert run.predict(decomposed, say=lambda line: None).equals(run.predict())


def test_a_column_has_one_role() -> None:
    for series, future in (("sold", ()), ("promo", "promo")):
        with pytest.raises(SettingError, match=r"series: .* is given twice"):
            conveyor.fit("forecast", _long(), target="sold", series=series, future=future)


def test_parts_of_several_series_begin_together() -> None:
    long, as_long, short, tiny = Parts.of_groups([100, 100, 45, 12], (0.7, 0.1, 0.2))
    assert long == as_long == Parts(70, 80, 100)
    assert short == Parts(15, 25, 45)
    # A third of its rows is trained on.
    assert tiny == Parts(5, 7, 12)
    # Numbers of rows: those of the training set are the fewest.
    assert Parts.of_groups([100, 80, 30], (60, 10, 20)) == [
        Parts(70, 80, 100),
        Parts(50, 60, 80),
        Parts(11, 17, 30),
    ]
    with pytest.raises(DataError, match="the table has 100"):
        Parts.of_groups([100, 7], (90, 20, 20))


def test_every_so_many_origins_with_the_last() -> None:
    panel = Panel(np.arange(20.0)[:, None], np.zeros((20, 0)), np.zeros((20, 0)))
    origins = Origins.within(panel, 8, 20, horizon=3, season=1)
    assert list(origins.numbers) == [8, 9, 10, 11, 12, 13, 14, 15, 16, 17]
    assert list(origins.every(1).numbers) == list(origins.numbers)
    assert list(origins.every(4).numbers) == [9, 13, 17]


def test_a_stride_leaves_out_forecasts(tmp_path: Path) -> None:
    said: list[str] = []
    run = _fit(_long(), tmp_path / "run", target="sold", series="shop", stride=4, say=said.append)
    assert _metrics(run)["windows"] == 3 * 5
    assert any("15 forecasts are scored, one every 4 steps" in line for line in said)


def test_the_last_forecasts_alone_are_scored(tmp_path: Path) -> None:
    run = _fit(_long(), tmp_path / "run", target="sold", series="shop", origins=2, stride=5)
    table = pl.read_csv(run.folder / "test.csv")
    # The last forecast reaches the end of the table, the other one ends five days before it.
    assert sorted(table["known up to"].unique()) == ["2024-04-19", "2024-04-24"]
    assert len(table) == 3 * 2 * 5
    with pytest.raises(SettingError, match="origins is 0"):
        _fit(_long(), tmp_path / "no", target="sold", series="shop", origins=0)


def _comparison(label: str, truth: Any, forecast: Any, mase: float) -> Comparison:
    truth, forecast = np.array(truth, dtype=float), np.array(forecast, dtype=float)
    quantiles = np.stack([forecast - 1, forecast, forecast + 1], -1)
    one = Score(1.0, 1.0, mase, 0.2, 0.1, 1.0, (1.0,) * truth.shape[1])
    baselines = {"Theta": forecast + 2}
    scores = {"lstm": one, MIXED: one, "Theta": one}
    return Comparison(
        "y", 0, label, "lstm", truth, quantiles, baselines, scores, naive_error=mase, overlap=1
    )


def test_scores_over_all_by_hand() -> None:
    """Two series of different length; of one MASE is not known."""
    first = _comparison("a", [[1, 2], [3, np.nan]], [[1, 4], [3, 9]], 0.5)
    second = _comparison("b", [[-10, 10]], [[-10, 7]], np.nan)
    scores = overall([first, second], 80)
    row = dict(zip((metric.key for metric in scores.metrics), scores.rows["lstm"], strict=True))
    # The errors are 0, 2, 0; 0, 3.
    assert row["mae"] == pytest.approx(1.0)
    assert row["rmse"] == pytest.approx(np.sqrt(13 / 5))
    assert row["wape"] == pytest.approx(5 / 26)
    assert row["mase"] == 0.5
    assert row["smape"] == pytest.approx(0.2)
    assert row["coverage"] == pytest.approx(3 / 5)
    mixed = dict(zip((metric.key for metric in scores.metrics), scores.rows[MIXED], strict=True))
    assert mixed["mae"] == pytest.approx((1 + 3 + 1 + 1 + 2) / 5)
    assert mixed["coverage"] is None


def test_all_scored_forecasts_are_in_a_table(tmp_path: Path) -> None:
    """Their errors are those of the scores, and their rows those of the table."""
    frame = _long()
    run = _fit(frame, tmp_path / "run", target="sold", series="shop", level=(95, 80))
    table = pl.read_csv(run.folder / "test.csv")
    assert table.columns == [
        "shop", "known up to", "day", "truth", "forecast", "forecast-lo-80", "forecast-hi-80",
        "forecast-lo-95", "forecast-hi-95", "naive", "seasonal naive", "drift", "Theta",
    ]  # fmt: skip
    scores = _metrics(run)["scores"][0]["rows"]
    for name, column in (("lstm + linear", "forecast"), ("Theta", "Theta"), ("naive", "naive")):
        error = (table[column] - table["truth"]).abs().mean()
        assert error == pytest.approx(scores[name]["mae"], rel=1e-5)
    inside = (table["truth"] >= table["forecast-lo-95"]) & (
        table["truth"] <= table["forecast-hi-95"]
    )
    assert inside.mean() == pytest.approx(scores["lstm + linear"]["coverage"])
    known = frame.with_columns(pl.col("day").cast(pl.String))
    joined = table.join(known, on=["shop", "day"])
    np.testing.assert_allclose(joined["truth"].to_numpy(), joined["sold"].to_numpy(), rtol=1e-6)
    assert len(joined) == len(table) == 3 * 5 * (24 - 4)
    # What is known ends the day before the first step.
    first = table.group_by("shop", "known up to").agg(pl.col("day").min())
    days = pl.col("day").str.to_date() - pl.col("known up to").str.to_date()
    assert first.select(days.dt.total_days().unique()).to_series().to_list() == [1]
    # The naive forecast is the last known value.
    naive = table.join(
        known.rename({"day": "known up to", "sold": "last"}), on=["shop", "known up to"]
    )
    np.testing.assert_allclose(naive["naive"].to_numpy(), naive["last"].to_numpy(), rtol=1e-6)


def test_scored_forecasts_of_several_targets_and_counted_rows(tmp_path: Path) -> None:
    wide = _wide().drop("day")
    run = _fit(wide, tmp_path / "run", target=("HN", "SG"))
    table = pl.read_csv(run.folder / "test.csv")
    assert table.columns[:4] == ["target", "known up to", "step", "truth"]
    for name in ("HN", "SG"):
        rows = table.filter(target=name)
        want = wide[name].to_numpy()[rows["step"].to_numpy() - 1]
        np.testing.assert_allclose(rows["truth"].to_numpy(), want, rtol=1e-6)


def test_a_messy_table_is_what_it_would_be_tidy(tmp_path: Path) -> None:
    """UTF-16 and semicolons, dates that begin with the day, money with points and a sign, rows in
    any order, and planned promotions in rows without a value: the same forecasts."""
    draw = np.random.default_rng(1)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 6, 8), "1d", eager=True)
    open_days = len(days) - 8
    parts = []
    for shop, level, region in (("HN01", 1200, "Bắc"), ("SG02", 2500, "Nam"), ("HP", 400, "Bắc")):
        sales = (level * (1 + 0.2 * draw.random(open_days))).round().tolist()
        promo = (draw.random(len(days)) < 0.2).astype(int)
        columns = {"ngày": days, "cửa hàng": shop, "doanh số": [*sales, *[None] * 8]}
        parts.append(pl.DataFrame({**columns, "khuyến mãi": promo, "vùng": region}))
    tidy = pl.concat(parts)
    lines = ["ngày;cửa hàng;doanh số;khuyến mãi;vùng"]
    for day, shop, sales, promo, region in tidy.sample(fraction=1, shuffle=True, seed=0).rows():
        money = "" if sales is None else f"{sales:,.0f} đ".replace(",", ".")
        lines.append(f"{day:%d/%m/%Y};{shop};{money};{promo};{region}")
    messy = tmp_path / "messy.csv"
    messy.write_bytes("\r\n".join(lines).encode("utf-16"))
    forecasts = []
    for name, source in (("tidy", tidy), ("messy", messy)):
        run = conveyor.fit(
            "forecast", source, target="doanh số", series="cửa hàng", future="khuyến mãi",
            static="vùng", out=tmp_path / name, say=lambda line: None, **QUICK,
        )  # fmt: skip
        forecasts.append(run.predict().sort("cửa hàng", maintain_order=True))
    want, got = forecasts
    assert got["cửa hàng"].to_list() == want["cửa hàng"].to_list()
    assert got["ngày"][0] == "01/06/2024"
    assert want["ngày"][0] == "2024-06-01"
    # Rows in another order are other batches, and so other last digits.
    np.testing.assert_allclose(got["doanh số"].to_numpy(), want["doanh số"].to_numpy(), rtol=0.02)
    assert want["doanh số"].min() > 300


def test_a_verdict_over_series_says_what_may_be_chance() -> None:
    """Twenty series on which ours errs by 1 and Theta by 3, and one a million times as large on
    which Theta is right. In units of the naive error ours is better."""
    small = [_comparison(str(n), [[0, 0]] * 6, [[1, 1]] * 6, 1.0) for n in range(20)]
    verdict = overall(small, 80)
    assert verdict.alike == ()
    large = np.full((6, 2), 1e6)
    opposite = replace(_comparison("large", large, large + 2e6, 1e6), baselines={"Theta": large})
    assert overall([*small, opposite], 80).alike == ()
    assert scores_of(opposite, 80).alike == ()
    # A single window says nothing, nor do windows that all overlap.
    single = _comparison("one", [[0, 0]], [[1, 1]], 1.0)
    assert scores_of(single, 80).alike == ("Theta",)
    assert "cannot be distinguished" in scores_of(single, 80).verdict.en
    assert scores_of(replace(small[0], overlap=6), 80).alike == ("Theta",)
