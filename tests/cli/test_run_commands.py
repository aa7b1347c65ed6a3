"""Predict and evaluate on tables other than the fitted one; what they say, and what they write."""

import io
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conveyor.data.raw_table import read_raw
from tests.cli.conftest import QUICK_FORECAST, Cli, Ran
from tests.cli.test_bad_input import refused
from tests.handwritten import write_handwriting
from tests.reviews import write_reviews
from tests.series import write_series
from tests.sung import write_sung


def _lines(path: Path, change: Callable[[list[str]], list[str]], name: str) -> Path:
    """The table with other lines, under another name."""
    other = path.with_name(name)
    other.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return other


def _without(*numbers: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: [line for n, line in enumerate(lines, 1) if n not in numbers]


def _empty(first: int) -> Callable[[list[str]], list[str]]:
    """No values from that line on."""
    return lambda lines: [line if n < first else line.split(",")[0] + "," for n, line in
        enumerate(lines, 1)]  # fmt: skip


def test_a_file_in_the_place_of_a_run(
    cli: Cli, forecast_run: Path, series: Path, tmp_path: Path
) -> None:
    """The run that is meant is named, where one is near."""
    refused(cli("predict", series), "series.csv is a file, not a run. `conveyor fit` makes a run")
    refused(cli("predict", series, forecast_run), "The run comes first: give", str(forecast_run))
    shutil.copytree(forecast_run, tmp_path / "runs" / "series")
    refused(cli("evaluate", series), "Did you mean the run runs/series, which has its name?")
    # A run has the name of its file, without the endings that say what a file holds.
    shutil.copytree(forecast_run, tmp_path / "runs" / "train.en")
    (tmp_path / "train.en").write_text("a\n", encoding="utf-8")
    refused(cli("predict", "train.en"), "Did you mean the run runs/train.en, which has its name?")
    refused(cli("predict", "serie"), "serie is not a run. Did you mean runs/series?")
    refused(cli("inspect", "serie"), "Did you mean runs/series?")
    refused(cli("predict", "nothing"), "nothing is not a run: there is no such folder")


def test_a_line_that_is_not_in_utf_8_does_not_end_the_others(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_reviews(tmp_path / "reviews.csv")
    small = ("--hidden", "4", "--embedding", "4", "--epochs", "1")
    assert cli("fit", "classify", source, *small, "--out", "run").code == 0

    def ask(lines: bytes) -> Ran:
        given = io.TextIOWrapper(io.BytesIO(lines), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", given)
        return cli("predict", "run", "-")

    ran = ask(b"a fine film\nun caf\xe9\na dull film\n")
    first, wrong, third = ran.out.splitlines()
    assert (wrong, ran.code) == ("", 2)
    assert first
    assert third
    assert "line 2: byte 6 (0xe9) is not UTF-8" in ran.err
    assert "1 line could not be read (the first: line 2) and has no answer" in ran.err
    # A mark of the order of bytes is no part of the first word.
    assert ask(b"\xef\xbb\xbfa fine film\r\n").out.splitlines() == [first]


def test_predict_fills_gaps_when_asked(cli: Cli, forecast_run: Path, series: Path) -> None:
    gap = _lines(series, _without(155, 156), "gap.csv")
    refused(cli("predict", forecast_run, gap), "2 rows are missing", "--fill-gaps")
    ran = cli("predict", forecast_run, gap, "--fill-gaps")
    assert ran.code == 0, ran.err
    assert len(pl.read_csv(io.StringIO(ran.out))) == 3
    assert "2 missing rows became missing values" in ran.err
    assert "2 missing values of value: what is read is filled with the value before" in ran.err
    ran = cli("evaluate", forecast_run, gap, "--fill-gaps")
    assert ran.code == 0, ran.err
    assert "2 missing rows became missing values" in ran.out


def test_predict_counts_rows_when_asked(cli: Cli, forecast_run: Path, series: Path) -> None:
    gap = _lines(series, _without(155), "gap.csv")
    ran = cli("predict", forecast_run, gap, "--time", "none")
    assert ran.code == 0, ran.err
    assert pl.read_csv(io.StringIO(ran.out), infer_schema=False)["step"].to_list() == [
        "+1", "+2", "+3"
    ]  # fmt: skip


def test_predict_draws_what_it_writes(cli: Cli, forecast_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "next.html"
    ran = cli("predict", forecast_run, "--chart", page, "--language", "vi")
    assert ran.code == 0, ran.err
    assert "next.html" in ran.err
    assert ran.out == cli("predict", forecast_run).out
    text = page.read_text(encoding="utf-8")
    assert '<html lang="vi">' in text
    assert "expect value of about" in text
    last = ran.out.splitlines()[-1].split(",")[0]
    assert last in text
    refused(cli("predict", forecast_run, "--chart", tmp_path / "next.svg"), "with .html or .png")


@pytest.mark.parametrize("language", ["en", "vi"])
def test_predict_draws_a_picture(
    cli: Cli, forecast_run: Path, tmp_path: Path, language: str
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "next.png"
    ran = cli("predict", forecast_run, "--chart", picture, "--language", language)
    assert ran.code == 0, ran.err
    written = picture.read_bytes()
    assert written.startswith(b"\x89PNG")
    assert len(written) > 10_000


def test_a_picture_needs_its_library(
    cli: Cli, forecast_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = cli("predict", forecast_run, "--chart", tmp_path / "next.png")
    refused(ran, "pip install 'conveyor[charts]'. Or give a file that ends with .html")
    assert not (tmp_path / "next.png").exists()


def test_update_takes_new_rows_in(cli: Cli, forecast_run: Path, series: Path) -> None:
    forecast_run = Path(shutil.copytree(forecast_run, forecast_run.with_name("updated")))
    longer = series.with_name("longer.csv")
    lines = series.read_text().splitlines()
    last = datetime.fromisoformat(lines[-1].split(",")[0])
    new = [f"{last + timedelta(days=number):%Y-%m-%d},{number % 7}" for number in range(1, 6)]
    longer.write_text("\n".join([*lines, *new[:2]]) + "\n")
    ran = cli("update", forecast_run, longer)
    assert ran.code == 0, ran.err
    assert "2 new rows, up to" in ran.out
    longer.write_text("\n".join([*lines, *new]) + "\n")
    ran = cli("update", forecast_run, longer)
    assert ran.code == 0, ran.err
    assert "seasonal naive" in ran.out
    begins = f"{last + timedelta(days=6):%Y-%m-%d}"
    assert begins in cli("predict", forecast_run).out.splitlines()[1]
    refused(cli("update", forecast_run, longer), "has no row after")


def test_update_is_of_runs_that_can(cli: Cli, text_run: Path, series: Path) -> None:
    refused(cli("update", text_run, series), "a run of the task text takes no new data in")


def test_predict_draws_no_page_of_a_text(cli: Cli, text_run: Path, tmp_path: Path) -> None:
    refused(cli("predict", text_run, "--chart", tmp_path / "next.html"), "predicts nothing")


def test_predict_takes_another_column_of_times(cli: Cli, forecast_run: Path, series: Path) -> None:
    other = _lines(series, lambda lines: ["when,value", *lines[1:]], "other.csv")
    refused(cli("predict", forecast_run, other), "there is no column 'date'")
    ran = cli("predict", forecast_run, other, "--time", "when")
    assert ran.out == cli("predict", forecast_run).out.replace("date", "when", 1)


def test_predict_does_not_go_on_from_a_history_without_values(
    cli: Cli, forecast_run: Path, series: Path
) -> None:
    """Rows without any value end the history earlier; rows of a gap do not end it."""
    late = _lines(series, _empty(150), "late.csv")
    ran = cli("predict", forecast_run, late)
    assert ran.code == 0, ran.err
    assert pl.read_csv(io.StringIO(ran.out))["date"][0] == "2020-05-28"
    assert "the last 12 rows (line 150 to line 161) have no value of value" in ran.err
    two = series.with_name("two.csv")
    frame = pl.read_csv(write_series(two, extra=True)).with_columns(
        value=pl.when(pl.int_range(pl.len()) < 150).then("value")
    )
    frame.write_csv(two)
    ran = cli("fit", "forecast", two, "--target", "value", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    said = "the last 10 rows (line 152 to line 161) have no value of value and are the future"
    assert f"{said}: forecasts begin after line 151" in ran.out
    assert "rain: the future of this table is not used" in ran.out
    assert "pass --future rain" in ran.out
    begin = ("fit", "forecast", series, "--target", "value", "--out", "both", *QUICK_FORECAST)
    both = write_series(series, extra=True)
    assert cli(*begin, "--target", "rain").code == 0
    frame.write_csv(both)
    refused(cli("predict", "both", both), "column value has no value in the last 7 rows")


def test_a_run_whose_target_ended_early_keeps_no_history(cli: Cli, series: Path) -> None:
    frame = pl.read_csv(write_series(series, extra=True))
    frame.with_columns(
        rain=pl.when(pl.int_range(pl.len()) < 140).then("rain")
    ).write_csv(series)  # fmt: skip
    ran = cli("fit", "forecast", series, "--target", "all", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    assert "rain has no value in the last 7 rows" in ran.out
    refused(cli("predict", "run"), "run holds no data to go on from. Give a file.")


def _score(out: str) -> list[str]:
    """The line of our own score."""
    return [line for line in out.splitlines() if line.startswith("lstm + linear")]


def test_evaluate_goes_by_time(cli: Cli, forecast_run: Path, series: Path) -> None:
    """A value that was revised, or rows that were dropped, do not make known rows new ones."""
    metrics = json.loads((forecast_run / "metrics.json").read_text())
    ran = cli("evaluate", forecast_run, series)
    said = "the run was fitted on rows up to 2020-05-07: scoring the 32 rows after them"
    assert said in ran.out
    assert f"{metrics['scores'][0]['rows']['lstm + linear']['mae']:.4g}" in ran.out
    revised = _lines(series, lambda lines: [*lines[:9], "2020-01-09,11.5", *lines[10:]], "r.csv")
    dropped = _lines(series, _without(*range(2, 60)), "d.csv")
    for other in (revised, dropped):
        again = cli("evaluate", forecast_run, other)
        assert said in again.out
        assert _score(again.out) == _score(ran.out)
    longer = _lines(series, lambda lines: [*lines, "2020-06-09,10"], "longer.csv")
    assert "scoring the 33 rows after them" in cli("evaluate", forecast_run, longer).out
    assert "scoring all 160 rows" in cli("evaluate", forecast_run, series, "--all-rows").out


def test_evaluate_has_nothing_to_score_on_rows_that_were_trained_on(
    cli: Cli, forecast_run: Path, series: Path
) -> None:
    old = _lines(series, lambda lines: lines[:129], "old.csv")
    ran = cli("evaluate", forecast_run, old)
    refused(ran, "no row comes after them: there is nothing to score", "--all-rows")
    assert cli("evaluate", forecast_run, old, "--all-rows").code == 0


def test_evaluate_knows_counted_rows_by_their_numbers(cli: Cli, series: Path) -> None:
    begin = ("fit", "forecast", series, "--target", "value", "--time", "none", "--out", "run")
    assert cli(*begin, *QUICK_FORECAST).code == 0
    assert "scoring the 32 rows after them" in cli("evaluate", "run", series).out
    dropped = _lines(series, _without(*range(2, 60)), "d.csv")
    assert "scoring the 32 rows after them" in cli("evaluate", "run", dropped).out
    revised = _lines(series, lambda lines: [*lines[:9], "2020-01-09,11.5", *lines[10:]], "r.csv")
    assert "scoring the 32 rows after them" in cli("evaluate", "run", revised).out
    other = write_series(series.with_name("other.csv"), seed=1)
    refused(cli("evaluate", "run", other), "nothing shows which of its rows the run was fitted on")
    assert "scoring all 160 rows" in cli("evaluate", "run", other, "--all-rows").out


def test_predict_says_where_a_table_does_not_go_on_from_the_run(
    cli: Cli, forecast_run: Path, series: Path
) -> None:
    def shifted(days: int, clock: str, name: str) -> Path:
        def change(lines: list[str]) -> list[str]:
            rows = [line.split(",") for line in lines[1:]]
            dates = [datetime.fromisoformat(date) + timedelta(days=days) for date, _ in rows]
            told = zip(dates, rows, strict=True)
            return [lines[0], *(f"{date:%Y-%m-%d}{clock},{value}" for date, (_, value) in told)]

        return _lines(series, change, name)

    assert "the end of the run's own" not in cli("predict", forecast_run, series).err
    for days, clock, said in (
        (-7, "", "the table ends at 2020-06-01, before 2020-06-08, the end of the run's own"),
        (1, " 06:00", "is no whole number of steps of 1 day after 2020-06-08"),
        (3650, "", "the table ends 3,650 steps after 2020-06-08"),
    ):
        ran = cli("predict", forecast_run, shifted(days, clock, "other.csv"))
        assert ran.code == 0, ran.err
        assert said in " ".join(ran.err.split())


def test_a_table_up_to_the_end_of_time(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("year,y\n" + "\n".join(f"{9840 + n},{n % 7}" for n in range(160)))
    ran = cli("fit", "forecast", path, "--target", "y", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    assert "after 9999, the end of the table: predict cannot go on from it" in ran.out
    refused(cli("predict", "run"), "of 1 year after '9999', the end of the table")


def test_evaluate_does_not_order_times_with_and_without_an_offset(
    cli: Cli, forecast_run: Path, series: Path
) -> None:
    head = series.read_text().splitlines()[0]
    zoned = _lines(
        series,
        lambda lines: [head, *(line.replace(",", " 00:00+07:00,", 1) for line in lines[1:])],
        "zoned.csv",
    )
    ran = cli("evaluate", forecast_run, zoned)
    refused(ran, "its times have an offset from UTC", "have none", "--all-rows")
    assert cli("evaluate", forecast_run, zoned, "--all-rows").code == 0


def test_a_run_of_an_earlier_version_says_what_to_do(cli: Cli, forecast_run: Path) -> None:
    path = forecast_run / "model.json"
    model = json.loads(path.read_text())
    (forecast_run / model.pop("kept_in")).unlink()  # earlier versions kept all in model.json
    model["frame"] = {"targets": ["value"], "columns": ["value"], "history": 7, "scale": {}}
    path.write_text(json.dumps(model))
    refused(cli("predict", forecast_run), "is of an earlier version", "Fit the run again")


@pytest.mark.parametrize(
    ("form", "following"),
    [
        ("%Y-%m-%dT00:00:00+07:00", "2021-06-10T00:00:00+07:00"),
        ("%d/%m/%Y", "10/06/2021"),
        ("%d.%m.%Y 06:30", "10.06.2021 06:30"),
    ],
)
def test_forecasts_bear_times_of_the_table_s_own_form(
    cli: Cli, form: str, following: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    days = [datetime(2021, 1, 1) + timedelta(days=row) for row in range(160)]
    path.write_text("t,y\n" + "\n".join(f"{day:{form}},{day.weekday()}" for day in days))
    assert cli("fit", "forecast", path, "--target", "y", "--out", "run", *QUICK_FORECAST).code == 0
    for arguments in ((), (path,)):
        ran = cli("predict", "run", *arguments)
        assert ran.out.splitlines()[1].startswith(following + ",")


def test_changes_around_a_large_level_are_forecast(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    draw = np.random.default_rng(0)
    values = 10**12 + 10 * np.sin(2 * np.pi * np.arange(200) / 7) + draw.standard_normal(200)
    path.write_text("y\n" + "\n".join(f"{value:.3f}" for value in values))
    assert cli("fit", "forecast", path, "--target", "y", "--out", "run", *QUICK_FORECAST).code == 0
    table = pl.read_csv(io.StringIO(cli("predict", "run").out))
    low, middle, high = (table[name].to_numpy() for name in ("y-lo-80", "y", "y-hi-80"))
    assert (low < middle).all()
    assert (middle < high).all()
    assert (abs(middle - 10**12) < 100).all()


def test_names_of_columns_move_no_terminal(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    name, other = "\x1b]0;owned\x07y", "\x1b[31mred"
    rows = "\n".join(f"{row % 7},{row % 5},text" for row in range(120))
    path.write_text(f"{name},{other},\x1b[2Jwords\n{rows}")
    ran = cli("fit", "forecast", path, "--target", "all", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    outputs = [ran, cli("predict", "run"), cli("predict", "run", path)]
    outputs += [cli("evaluate", "run", path), cli("fit", "forecast", path, "--target", "x")]
    path.write_text(f"{name}\n1\nx\n3\n4")
    outputs.append(cli("fit", "forecast", path, "--target", name))
    for ran in outputs:
        assert "\x1b" not in ran.out + ran.err
        assert "\x07" not in ran.out + ran.err
    assert r"\x1b]0;owned\x07y" in outputs[0].out


def test_one_is_no_plural(cli: Cli, series: Path) -> None:
    quick = ("--hidden", "4", "--epochs", "1", "--horizon", "1", "--history", "1", "--season", "1")
    ran = cli("fit", "forecast", series, "--target", "value", "--out", "run", *quick)
    assert ran.code == 0, ran.err
    assert "forecasting value, 1 step ahead, from 1 step\n" in ran.out
    assert "season of the baselines: 1 step\n" in ran.out
    assert not re.search(r"\b1 \w+s\b", ran.out.split("epoch")[0])
    assert "wrote 1 row to next.csv" in cli("predict", "run", "--out", "next.csv").out


def test_a_text_in_place_of_a_file_is_an_error_that_says_how_to_give_it(
    cli: Cli, forecast_run: Path
) -> None:
    ran = cli("predict", forecast_run, "what a lovely film")
    refused(
        ran,
        "there is no such file",
        f"echo 'what a lovely film' | conveyor predict {forecast_run} -",
    )


def test_the_ending_of_a_name_says_what_is_written(
    cli: Cli, forecast_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSV, a workbook whose numbers are numbers, or Parquet; and no other spreadsheet, which a
    spreadsheet program could not open."""
    assert cli("predict", forecast_run, "--out", "next.csv").code == 0
    expected = pl.read_csv("next.csv")
    for name in ("next.xlsx", "NEXT.XLSX", "next.parquet"):
        ran = cli("predict", forecast_run, "--out", name)
        assert f"wrote {len(expected)} rows to {name}" in ran.out
        frame = read_raw(Path(name)).frame
        assert frame.columns == expected.columns
        np.testing.assert_allclose(frame["value"].to_numpy(), expected["value"].to_numpy())
    ran = cli("predict", forecast_run, "--out", "next.ods")
    refused(ran, "--out ends with .ods, which is not written")
    assert not Path("next.ods").exists()
    with monkeypatch.context() as patch:
        patch.setattr("conveyor.data.table_file.find_spec", lambda name: None)
        refused(
            cli("predict", forecast_run, "--out", "other.xlsx"), "pip install 'conveyor[tables]'"
        )


@pytest.mark.parametrize("terminal", [True, False])
def test_a_text_moves_no_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """A model writes what it was trained on, escape sequences too."""

    class Writes:
        speaks = False

        def __init__(self, folder: Path) -> None:
            """Load nothing."""

        def generate_file(self, path: Path, **options: object) -> None:
            """Write no file."""

        def generate(self, **options: object) -> Iterator[str]:
            yield from ("\x1b", "]", "0", ";", "x", "\x07", "\n")

    monkeypatch.setattr("conveyor.tasks.run.Run", Writes)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: terminal)
    ran = cli("generate", "run", "--prompt", "a\x9bb")
    shown = "a\\x9bb\\x1b]0;x\\x07\n\n"
    assert ran.out == (shown if terminal else "a\x9bb\x1b]0;x\x07\n\n")


def test_an_option_of_another_task_is_an_error(
    cli: Cli, forecast_run: Path, text_run: Path
) -> None:
    verses = text_run.parent / "kieu.txt"
    ran = cli("evaluate", text_run, verses, "--time", "date", "--fill-gaps")
    refused(ran, "a run of the task text takes no --time, --fill-gaps here. Leave it out.")
    refused(cli("predict", text_run, "--time", "date"), "text predicts nothing", "generate")
    refused(cli("generate", forecast_run, "--seed", "1"), "forecast generates nothing", "predict")


def test_a_run_reads_later_tables_as_its_own(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    days = [datetime(2024, 1, 1) + timedelta(days=row) for row in range(160)]
    rows = [f'{day:%d/%m/%Y},"{row % 7},125"' for row, day in enumerate(days)]
    rows[5] = f'{days[5]:%d/%m/%Y},"-9,0"'
    path.write_text("t,y\n" + "\n".join(rows) + "\n")
    options = ("--decimal", ",", "--missing-as", "-9", "--day-first")
    begin = ("fit", "forecast", path, "--target", "y", "--out", "run", *QUICK_FORECAST)
    ran = cli(*begin, *options)
    assert ran.code == 0, ran.err
    assert "1 missing value of y" in ran.out
    assert cli("predict", "run", path).out == cli("predict", "run").out
    assert pl.read_csv(io.StringIO(cli("predict", "run").out))["y"].to_numpy().max() < 10


@pytest.mark.parametrize("task", ["speak", "write", "write without texts"])
def test_the_command_proposed_after_a_fit_can_be_run_as_it_stands(
    cli: Cli, tmp_path: Path, task: str
) -> None:
    """It has a text of letters that the run knows, and writes what it says."""
    options: tuple[str, ...] = ("--hidden", "8", "--epochs", "1", "--batch", "8", "--out", "a run")
    if task == "speak":
        source = write_sung(tmp_path / "sung", 16)
        options = (*options, "--bands", "16", "--prenet", "8")
        begins, out = b"RIFF", "speech.wav"
    else:
        source = write_handwriting(tmp_path / "hand.jsonl")
        options = (*options, "--components", "2", "--layers", "2")
        options = options if task == "write" else (*options, "--no-texts")
        begins, out = b"<svg", "writing.svg"
    fitted = cli("fit", task.split(maxsplit=1)[0], source, *options)
    assert fitted.code == 0, fitted.err
    lines = [line for line in fitted.out.splitlines() if line.startswith("Next:")]
    words = shlex.split(lines[0].removeprefix("Next:"), comments=True)
    assert words[:3] == ["conveyor", "generate", "a run"]
    assert ("--text" in words) == ("without" not in task)
    ended = cli(*words[1:])
    assert ended.code == 0, ended.err
    assert (tmp_path / out).read_bytes().startswith(begins)
