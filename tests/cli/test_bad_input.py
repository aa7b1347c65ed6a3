"""Bad input: one clear sentence on the error stream, exit code 2, no traceback, nothing lost."""

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conveyor
from conveyor.tasks.forecast.forecaster import Forecaster
from tests import warm_python
from tests.cli.conftest import QUICK_FORECAST, QUICK_TEXT, Cli, Ran, quick_task
from tests.series import write_series

LONG = os.environ.get("CONVEYOR_LONG_TESTS") == "1"


def refused(ran: Ran, *said: str) -> None:
    """The command gave one message that says all of this, and exit code 2."""
    assert ran.code == 2, (ran.code, ran.out, ran.err)
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err + ran.out
    for each in said:
        assert each in ran.err, ran.err


def _rows(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def _set(line: int, text: str) -> Callable[[list[str]], list[str]]:
    """Replace a line, counted from 1 as editors do."""
    return lambda lines: [*lines[: line - 1], text, *lines[line:]]


BAD_TABLES: dict[str, tuple[Callable[[list[str]], list[str]], tuple[str, ...]]] = {
    "empty": (lambda lines: [], ("series.csv: the file is empty",)),
    "header alone": (lambda lines: lines[:1], ("there is a header and no row",)),
    "text where numbers belong": (
        _set(40, "2020-02-08,warm"),
        ("series.csv, line 40, column value: 'warm' is not a number",),
    ),
    "infinity": (_set(40, "2020-02-08,inf"), ("line 40, column value: inf is infinite",)),
    "duplicate time": (
        _set(41, "2020-02-08,10"),
        ("line 41, column date: 2020-02-08 repeats the time of line 40", "one row for each time"),
    ),
    "time goes back": (
        _set(41, "2019-01-08,10"),
        ("line 2, column date: 2020-01-01 does not come 1 day after 2019-01-08 of line 41",),
    ),
    "irregular time": (
        _set(41, "2020-02-09 07:00,10"),
        ("line 41, column date: 2020-02-09 07:00 does not come 1 day after", "of line 40"),
    ),
    "a row is missing": (
        lambda lines: lines[:40] + lines[41:],
        ("line 41", "does not come 1 day after", "1 row is missing", "--fill-gaps"),
    ),
    "constant": (
        lambda lines: [lines[0], *(line.split(",")[0] + ",3" for line in lines[1:])],
        ("column value is 3 in the whole training set: a constant series",),
    ),
    "no values": (
        lambda lines: [lines[0], *(line.split(",")[0] + "," for line in lines[1:])],
        ("column value has no value at all",),
    ),
    "too few rows": (
        lambda lines: lines[:12],
        ("the training set has 8 rows; a history of 7 and a horizon of 3 need at least 10",),
    ),
    "ragged": (
        _set(40, "2020-02-08,1,2,3,4"),
        ("series.csv, line 40: 5 values; the header has 2 columns",),
    ),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables_are_refused(cli: Cli, series: Path, name: str) -> None:
    change, said = BAD_TABLES[name]
    _rows(series, change)
    ran = cli("fit", "forecast", series, "--target", "value", "--out", "run", *QUICK_FORECAST)
    refused(ran, *said)
    assert not (series.parent / "run").exists()


def test_irregular_hours_are_refused(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "hours.csv"
    hours = [f"2020-01-{day:02} {hour:02}:00" for day in range(1, 9) for hour in range(24)]
    hours[50] = hours[50].replace(":00", ":20")
    table.write_text("time,y\n" + "\n".join(f"{h},{n % 24}" for n, h in enumerate(hours)))
    ran = cli("fit", "forecast", table, "--target", "y", *QUICK_FORECAST)
    refused(ran, "hours.csv, line 52, column time: 2020-01-03 02:20 does not come 1 hour after")


def test_fill_gaps_and_time_none_are_the_remedies(cli: Cli, series: Path) -> None:
    _rows(series, lambda lines: lines[:40] + lines[41:])
    begin = ("fit", "forecast", series, "--target", "value", *QUICK_FORECAST)
    filled = cli(*begin, "--fill-gaps", "--out", "filled")
    assert filled.code == 0, filled.err
    assert "1 missing row became a row of missing values" in filled.out
    assert "1 missing value of value" in filled.out
    counted = cli(*begin, "--time", "none", "--out", "counted")
    assert counted.code == 0, counted.err
    assert "rows are taken as evenly spaced" in counted.out


@pytest.mark.parametrize("task", ["forecast", "text"])
def test_a_missing_file_is_refused_with_the_nearest(cli: Cli, series: Path, task: str) -> None:
    arguments = ("--target", "value") if task == "forecast" else ()
    ran = cli("fit", task, "serie.csv", *arguments)
    refused(ran, "serie.csv: there is no such file. Did you mean 'series.csv'?")


def test_an_unknown_column_is_refused_with_the_nearest(cli: Cli, series: Path) -> None:
    refused(
        cli("fit", "forecast", series, "--target", "valeu"),
        "there is no column 'valeu'. Did you mean 'value'?",
    )
    refused(
        cli("fit", "forecast", series, "--target", "value", "--time", "dat"),
        "there is no column 'dat'. Did you mean 'date'?",
    )


def test_a_missing_target_is_refused(cli: Cli, series: Path) -> None:
    refused(cli("fit", "forecast", series), "--target is missing")


def test_bytes_that_are_no_utf8_are_refused_with_their_place(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "latin.txt"
    text.write_bytes("Trăm năm ".encode() + "trong cõi".encode("latin-1"))
    refused(cli("fit", "text", text), "latin.txt, line 1: byte 18 (0xf5) is not UTF-8")
    table = tmp_path / "latin.csv"
    table.write_bytes(b"time,v\n2020-01-01,\xff")
    refused(cli("fit", "forecast", table, "--target", "v"), "latin.csv, line 2: byte 11 (0xff)")


def test_an_empty_or_short_text_is_refused(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("")
    refused(cli("fit", "text", text), "short.txt: the file is empty")
    text.write_text("abcdef")
    refused(cli("fit", "text", text), "the text has 6 characters", "Give a longer text")


def test_advice_for_a_short_text_can_be_followed(cli: Cli, tmp_path: Path) -> None:
    """Each piece of advice, followed, leads on."""
    text = tmp_path / "tiny.txt"
    text.write_text("abc abc abd.\n")
    ran = cli("fit", "text", text, *QUICK_TEXT)
    refused(ran, "the text has 13 characters", "the validation set has 0", "0.6/0.2/0.2")
    ran = cli("fit", "text", text, "--epochs", "1", "--hidden", "4")
    refused(ran, "Give a longer text, or larger parts, as --split 0.6/0.2/0.2 --batch 7.")
    split = ("--split", "0.6/0.2/0.2", "--epochs", "1", "--hidden", "4")
    refused(cli("fit", "text", text, *split), "tiny.txt", "--batch 7 or less")
    assert cli("fit", "text", text, *split, "--batch", "7").code == 0
    text.write_text("abcd efg " * 9)  # 81 characters
    assert cli("fit", "text", text, "--epochs", "1", "--hidden", "4", "--out", "r").code == 0


def test_an_unknown_cell_is_refused_with_the_nearest(cli: Cli, series: Path) -> None:
    said = "no cell is named 'lstn'. Did you mean 'lstm'"
    refused(cli("fit", "forecast", series, "--target", "value", "--cell", "lstn"), said)
    refused(cli("show", "lstn"), said)
    assert not (series.parent / "runs").exists()


BAD_OPTIONS = {
    "--hidden": ("0", "hidden is 0; expected 1 or more"),
    "--layers": ("-1", "layers is -1; expected 1 to 1,000"),
    "--epochs": ("0", "epochs is 0; expected 1 or more"),
    "--batch": ("-5", "batch is -5; expected 1 or more"),
    "--horizon": ("0", "horizon is 0; expected 1 or more"),
    "--history": ("-2", "history is -2; expected 1 or more"),
    "--season": ("0", "season is 0; expected 1 or more"),
    "--dropout": ("1.5", "dropout is 1.5; expected 0 or more, below 1"),
    "--learning-rate": ("0", "--learning-rate is 0.0; expected above 0"),
    "--minutes": ("0", "minutes is 0.0; expected above 0"),
    "--precision": ("32", "precision is '32'."),
    "--split": ("0.5/0.6/0.2", "split is 0.5/0.6/0.2; fractions must add up to 1"),
    "--seed": ("-1", "seed is -1; expected 0 or more"),
    "--projection": ("4", "lstm has no projection. Leave --projection out"),
}


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_options_out_of_range_are_refused(cli: Cli, series: Path, option: str) -> None:
    value, said = BAD_OPTIONS[option]
    ran = cli("fit", "forecast", series, "--target", "value", f"{option}={value}")
    refused(ran, said)
    assert not (series.parent / "runs").exists()


@pytest.mark.parametrize("split", ["nan/0.5/0.5", "inf/1/1", "0.5/0.5", "1/2/x", "10.5/10/10"])
def test_odd_splits_are_refused(cli: Cli, series: Path, split: str) -> None:
    refused(cli("fit", "forecast", series, "--target", "value", "--split", split), "split")


def test_a_target_given_twice_is_refused(cli: Cli, series: Path) -> None:
    ran = cli("fit", "forecast", series, "--target", "value", "--target", "value")
    refused(ran, "a target is given twice")


def test_a_season_that_does_not_fit_is_refused(cli: Cli, series: Path) -> None:
    ran = cli("fit", "forecast", series, "--target", "value", "--season", "100")
    refused(ran, "a season of 100 steps needs 200 rows in the training set, which has 112")


@pytest.mark.parametrize("task", ["forecast", "text"])
def test_a_training_that_diverges_is_refused(cli: Cli, task: str, tmp_path: Path) -> None:
    data, quick = quick_task(task, tmp_path)
    wild = ("--cell", "rnn_relu", "--learning-rate", "1e30", "--out", "run")
    refused(cli("fit", task, data, *quick, *wild), "training diverged", "Lower --learning-rate")
    assert not (tmp_path / "run" / "model.json").exists()


@pytest.mark.parametrize("task", ["forecast", "text"])
def test_a_network_that_does_not_fit_into_memory_is_refused(
    cli: Cli, task: str, tmp_path: Path
) -> None:
    data, quick = quick_task(task, tmp_path)
    for hidden in (20_000_000, 10**15):
        ran = cli("fit", task, data, *quick, "--hidden", str(hidden))
        refused(ran, "does not fit into memory", "Lower --hidden")
    assert not (tmp_path / "runs").exists()


def test_a_rate_that_no_optimiser_can_take_is_refused(cli: Cli, series: Path) -> None:
    ran = cli("fit", "forecast", series, "--target", "value", "--learning-rate", "1e300")
    refused(ran, "--learning-rate is 1e+300; expected above 0, 1e+30 or less")


def test_a_file_of_cells_that_ends_python_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys\nsys.exit('bye')\n")
    refused(cli("show", "mine.py:cell"), "mine.py does not run: SystemExit: bye")


def test_column_names_are_no_markup(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "\n".join(f"{row % 7},{row % 5}" for row in range(120))
    path.write_text("a[/b],price [usd]\n" + rows)
    ran = cli("fit", "forecast", path, "--target", "all", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    assert "a[/b]" in ran.out
    assert "price [usd]" in ran.out


def test_an_existing_folder_is_refused_unless_overwrite(cli: Cli, forecast_run: Path) -> None:
    series = forecast_run.parent / "series.csv"
    before = {each: each.read_bytes() for each in forecast_run.iterdir() if each.is_file()}
    begin = ("fit", "forecast", series, "--target", "value", "--out", "run", *QUICK_FORECAST)
    refused(cli(*begin), "run exists already", "--overwrite")
    assert before == {each: each.read_bytes() for each in forecast_run.iterdir() if each.is_file()}
    assert cli(*begin, "--overwrite", "--seed", "5").code == 0
    assert (forecast_run / "model.safetensors").read_bytes() != before[
        forecast_run / "model.safetensors"
    ]


def test_overwrite_does_not_touch_a_folder_that_is_no_run(cli: Cli, series: Path) -> None:
    other = series.parent / "photos"
    (other / "checkpoints").mkdir(parents=True)
    (other / "logs").mkdir()
    (other / "me.jpg").write_text("dear")
    (other / "checkpoints" / "other.pt").write_text("dear")
    (other / "model.json").write_text("{}")
    ran = cli(
        "fit", "forecast", series, "--target", "value", "--out", "photos", "--overwrite",
        *QUICK_FORECAST,
    )  # fmt: skip
    refused(ran, "photos is not empty and not a run")
    assert {each.name for each in other.rglob("*")} == {
        "checkpoints", "logs", "me.jpg", "other.pt", "model.json"
    }  # fmt: skip


def test_what_is_not_a_run_is_refused(
    cli: Cli, series: Path, text_run: Path, forecast_run: Path
) -> None:
    refused(cli("predict", "nowhere"), "nowhere is not a run: there is no such folder")
    (series.parent / "folder").mkdir()
    refused(cli("predict", "folder"), "folder is not a run: it holds no model.json")
    refused(
        cli("predict", text_run), "a run of the task text predicts nothing. Use conveyor generate."
    )
    refused(
        cli("generate", forecast_run),
        "a run of the task forecast generates nothing. Use conveyor predict.",
    )
    refused(cli("fit", "forecast", series, "--out", "nowhere", "--resume"), "nothing to resume")


def _model(run: Path) -> dict[str, object]:
    described = json.loads((run / "model.json").read_text())
    assert isinstance(described, dict)
    return described


def test_corrupt_models_are_refused(cli: Cli, forecast_run: Path) -> None:
    weights, model = forecast_run / "model.safetensors", forecast_run / "model.json"
    whole, described = weights.read_bytes(), model.read_text()

    for damaged in (whole[:100], whole[:-4], b"", b"\xff" * 200, struct.pack("<Q", 1 << 62)):
        weights.write_bytes(damaged)
        refused(cli("predict", forecast_run), "model.safetensors is corrupt or truncated")
    weights.unlink()
    refused(cli("predict", forecast_run), "holds no model.safetensors")
    weights.write_bytes(whole)

    for text in (described[:-20], "", "[1, 2]", "{}", '{"format": "x"}', "[" * 100_000):
        model.write_text(text)
        refused(cli("predict", forecast_run), "model.json is")
    model.write_text(described)
    assert cli("predict", forecast_run).code == 0


def test_a_newer_model_is_refused(cli: Cli, forecast_run: Path) -> None:
    newer = _model(forecast_run) | {"format": 99}
    (forecast_run / "model.json").write_text(json.dumps(newer))
    refused(cli("predict", forecast_run), "has format 99 and this conveyor reads up to 4")


def test_any_change_of_model_json_is_refused_or_harmless(forecast_run: Path) -> None:
    """A hostile or damaged description never ends in another error than ours. What is accepted
    predicts; programs that differ do so in machine code with ``CONVEYOR_LONG_TESTS=1``, which tries
    all changes instead of some, drawn."""
    original = _model(forecast_run)
    junk: list[object] = [None, -1, 0, 10**12, "x", [], {}, [[]], True, 1e308, float("nan")]

    def variants(value: Any) -> list[Any]:
        found: list[Any] = list(junk)
        if isinstance(value, dict):
            for key in value:
                rest = {k: v for k, v in value.items() if k != key}
                found.append(rest)
                found += [{**value, key: each} for each in variants(value[key])]
        elif isinstance(value, list) and value:
            found.append(value[1:])
            found += [[each, *value[1:]] for each in variants(value[0])]
        return found

    count = 0
    changes = variants(original)
    if not LONG:
        changes = random.Random(0).sample(changes, len(changes) // 4)
    for changed in changes:
        (forecast_run / "model.json").write_text(json.dumps(changed))
        try:
            model = conveyor.load(forecast_run).model
            if isinstance(model, Forecaster) and model.tails:
                as_it_was = changed["program"] == original["program"]
                with conveyor.use_target(None if LONG or as_it_was else "reference"):
                    panel = model.tails[0].panel
                    if panel.ahead >= 0 and len(panel):
                        assert np.isfinite(model.forecasts(panel, [len(panel)])).all()
                model.future_times(model.tails[0].last_time, model.frame.horizon)
        except conveyor.errors.RunError:
            count += 1
    assert count > (200 if LONG else 50)


def test_weights_of_another_model_are_refused(cli: Cli, forecast_run: Path) -> None:
    series = forecast_run.parent / "series.csv"
    ran = cli(
        "fit", "forecast", series, "--target", "value", "--out", "other", *QUICK_FORECAST,
        "--hidden", "5",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    other = forecast_run.parent / "other" / "model.safetensors"
    (forecast_run / "model.safetensors").write_bytes(other.read_bytes())
    refused(cli("predict", forecast_run), "The two files do not belong together")


def test_weights_of_another_run_of_the_same_shape_are_refused(cli: Cli, forecast_run: Path) -> None:
    series = forecast_run.parent / "series.csv"
    begin = ("fit", "forecast", series, "--target", "value", *QUICK_FORECAST)
    assert cli(*begin, "--seed", "9", "--out", "other").code == 0
    other = forecast_run.parent / "other" / "model.safetensors"
    (forecast_run / "model.safetensors").write_bytes(other.read_bytes())
    refused(cli("predict", forecast_run), "is not the file that model.json was written with")


def test_wrong_tables_at_predict_are_refused(cli: Cli, forecast_run: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("date,valu\n" + "\n".join(f"2020-01-{d:02},{d}" for d in range(1, 29)))
    refused(cli("predict", forecast_run, wrong), "there is no column 'value'. Did you mean 'valu'?")
    short = write_series(tmp_path / "short.csv", rows=5)
    refused(cli("predict", forecast_run, short), "has 5 rows; this model reads 7 steps")
    weekly = tmp_path / "weekly.csv"
    weekly.write_text("date,value\n" + "\n".join(f"2020-{m:02}-01,{m}" for m in range(1, 13)))
    refused(cli("evaluate", forecast_run, weekly), "rows come every 1 month", "every 1 day")


def test_a_prompt_of_unknown_characters_is_refused(cli: Cli, text_run: Path) -> None:
    refused(cli("generate", text_run, "--prompt", "漢字"), "the prompt holds '漢', '字'")
    refused(cli("generate", text_run, "--temperature", "0"), "temperature is 0.0; expected above 0")
    refused(cli("generate", text_run, "--top-p", "1.5"), "--top-p is 1.5; expected above 0, 1 or")


# A file that grows beyond this fails to be written, as on a full disk; Python ignores the signal
# that comes with it. Large enough for settings, too small for a report.
FULL_DISK = """
import resource
from conveyor.cli.start import main

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
main()
"""


def _on_a_full_disk(folder: Path, *arguments: str | Path) -> Ran:
    """Run a command whose files cannot be large."""
    script = folder / "conveyor"
    script.write_text(FULL_DISK)
    ended = warm_python.run(str(script), *map(str, arguments), folder=folder)
    return Ran(ended.code, ended.out, ended.err)


@pytest.mark.parametrize("task", ["forecast", "text"])
def test_a_full_disk_leaves_the_old_files_whole(
    task: str, forecast_run: Path, text_run: Path
) -> None:
    run = forecast_run if task == "forecast" else text_run
    data = run.parent / ("series.csv" if task == "forecast" else "kieu.txt")
    quick = ("--target", "value", *QUICK_FORECAST) if task == "forecast" else QUICK_TEXT
    old = run / "report.html"
    before = old.read_bytes()
    ran = _on_a_full_disk(run.parent, "fit", task, data, "--overwrite", "--out", run, *quick)
    refused(ran, "report.html could not be written")
    assert old.read_bytes() == before
    assert not [each for each in run.iterdir() if each.name.startswith(".")]
    conveyor.load(run)


def test_a_full_disk_during_training_is_told(forecast_run: Path) -> None:
    before = (forecast_run / "model.safetensors").read_bytes()
    ran = _on_a_full_disk(
        forecast_run.parent, "fit", "forecast", forecast_run.parent / "series.csv", "--target",
        "value", "--overwrite", "--out", forecast_run, *QUICK_FORECAST, "--hidden", "600",
    )  # fmt: skip
    refused(ran, "could not be written", "whole")
    assert (forecast_run / "model.safetensors").read_bytes() == before
    conveyor.load(forecast_run)
