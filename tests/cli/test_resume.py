"""``conveyor fit --resume``: what a run goes on with, and that nothing of it is lost."""

import json
import os
import shutil
import signal
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import conveyor
from conveyor.compiler.program_json import dumps
from conveyor.compiler.show import program_of
from conveyor.data.files import temporary_name
from conveyor.tasks.forecast.comparison import compare
from conveyor.training.checkpoints import Progress
from conveyor.training.run_folder import REPLACEMENT
from tests.cli.conftest import QUICK_FORECAST, Cli, quick_task
from tests.cli.test_bad_input import refused
from tests.series import write_series, write_verses


def test_the_same_command_goes_on_and_another_value_is_refused(
    cli: Cli, forecast_run: Path
) -> None:
    series = forecast_run.parent / "series.csv"
    begin = ("fit", "forecast", series, "--out", "run", "--resume")
    same = cli(
        *begin, "--target", "value", *QUICK_FORECAST, "--cell", "lstm", "--split", "0.7/0.1/0.2"
    )
    assert same.code == 0, same.err
    assert "nothing is left to train (all epochs done): scoring the model of epoch" in same.out
    for option, other in (
        ("--hidden", "9"), ("--target", "date"), ("--horizon", "4"), ("--season", "3"),
        ("--batch", "7"), ("--clip", "9"), ("--seed", "1"), ("--split", "0.6/0.2/0.2"),
        ("--cell", "gru"), ("--precision", "64-true"), ("--time", "none"), ("--layers", "2"),
    ):  # fmt: skip
        said = f"keeps the settings that it began with; {option} cannot change"
        refused(cli(*begin, option, other), said)
    refused(cli(*begin, "--no-linear", "--only-target"), "--linear, --only-target cannot change")
    refused(cli(*begin, "--overwrite"), "--resume goes on with a run and --overwrite replaces it")
    text = write_verses(forecast_run.parent / "k.txt")
    refused(cli("fit", "text", text, "--out", "run", "--resume"), "is a run of another task")


def test_the_same_text_command_goes_on(cli: Cli, tmp_path: Path) -> None:
    data, quick = quick_task("text", tmp_path)
    assert cli("fit", "text", data, *quick, "--out", "run").code == 0
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    ran = cli("fit", "text", data, *quick, "--epochs", "3", "--out", "run", "--resume")
    assert ran.code == 0, ran.err
    assert "going on after epoch 2" in ran.out
    assert (tmp_path / "run" / "model.safetensors").read_bytes() != before
    # The settings that were given anew are the run's own from now on.
    ran = cli("fit", "text", data, "--out", "run", "--resume")
    assert "nothing is left to train (all epochs done)" in ran.out
    refused(cli("fit", "text", data, "--chunk", "21", "--out", "run", "--resume"), "--chunk cannot")


OWN_CELL = """
from pathlib import Path
from conveyor.cells import Bias, Input, Matrix, State, cell, tanh

Path("executed").touch()

@cell
def mine(x: Input, h: State, W: Matrix, U: Matrix, b: Bias):
    n = tanh(W.n @ x + U.n @ h + b.n)
    h = NUMBER * h + 0.5 * n
    return h
"""


def test_the_file_of_a_cell_is_run_only_where_the_command_names_it(
    cli: Cli, series: Path, tmp_path: Path
) -> None:
    code, mark = tmp_path / "mine.py", tmp_path / "executed"
    code.write_text(OWN_CELL.replace("NUMBER", "0.5"))
    begin = ("fit", "forecast", series, "--target", "value", *QUICK_FORECAST, "--out", "run")
    named = ("--cell", "mine.py:mine")
    assert cli(*begin, *named).code == 0
    mark.unlink()
    ran = cli(*begin, "--resume", "--epochs", "3")
    assert ran.code == 0, ran.err
    assert not mark.exists()
    code.write_text(OWN_CELL.replace("NUMBER", "0.25"))
    refused(cli(*begin, *named, "--resume", "--epochs", "4"), "--cell cannot change")
    assert mark.exists()
    code.unlink()
    assert cli(*begin, "--resume", "--epochs", "4").code == 0
    assert conveyor.load(tmp_path / "run").recurrent.program.name == "mine"


def test_an_edited_cell_is_refused(cli: Cli, forecast_run: Path) -> None:
    begin = ("fit", "forecast", forecast_run.parent / "series.csv", "--out", "run", "--resume")
    path = forecast_run / "checkpoints" / "cell.json"
    whole = path.read_text()
    for text in ("", "[", "[1]", "{}", whole[:-9], whole.replace("sigmoid", "sigmoi"), "[" * 10**5):
        path.write_text(text)
        refused(cli(*begin), "cell.json is corrupt")
    path.write_text(whole.replace("sigmoid", "tanh"))
    refused(cli(*begin), "cell.json holds the cell lstm, not the lstm of settings.toml")
    path.unlink()
    os.mkfifo(path)
    refused(cli(*begin), "cell.json is corrupt: it is a folder, a pipe or a device")
    path.unlink()
    refused(cli(*begin), "cell.json is missing")


def _line(key: str, value: str) -> Callable[[str], str]:
    """Give a key another value, as it is written."""

    def change(text: str) -> str:
        lines = text.splitlines()
        assert any(line.startswith(f"{key} =") for line in lines)
        changed = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in lines]
        return "\n".join(changed)

    return change


HOSTILE_SETTINGS: dict[str, Callable[[str], str]] = {
    **{
        f"{key} of 2^70": _line(key, str(2**70))
        for key in ("hidden", "layers", "projection", "epochs", "batch", "patience", "seed",
                    "devices", "horizon", "history", "season")
    },
    "digits": _line("hidden", "9" * 5000),
    "hexadecimal digits": _line("hidden", "0x" + "f" * 50_000),
    "a rate beyond floats": _line("learning_rate", "9" * 400),
    "a rate that is no number": _line("learning_rate", "nan"),
    "endless minutes": _line("clip_norm", "-inf"),
    "a million layers": _line("layers", "1_000_000"),
    "a million devices": _line("devices", "1_000_000"),
    "deep lists": _line("hidden", "[" * 10_000 + "]" * 10_000),
    "some lists": _line("hidden", "[" * 90 + "]" * 90),
    "deep tables": lambda text: text + "\n[training." + ".".join("a" * 5_000) + "]\n",
    "a long key": lambda text: text + "\n" + "k" * 100_000 + " = 1\n",
    "a long value": _line("cell", repr("x" * 1000)),
    "a file for a cell": _line("cell", "'mine.py'"),
    "no cell": _line("cell", "'none'"),
    "a file that is none": _line("cell", "3"),
    "half": lambda text: text[: len(text) // 2],
    "nothing": lambda text: "",
    "a null": lambda text: text + "\0",
    "another task": _line("task", "'poetry'"),
    "a task that is none": _line("task", "[1]"),
    "a table for a number": lambda text: text.replace("[training]", "[[training]]"),
    "an unknown key": lambda text: text.replace("hidden", "hiden"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_SETTINGS)
def test_settings_that_were_edited_are_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    """They are refused before anything is trained, so one run that never began is enough."""
    data, _ = quick_task("forecast", tmp_path)
    settings = tmp_path / "run" / "checkpoints" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(HOSTILE_SETTINGS[name](SETTINGS))
    (settings.parent / "cell.json").write_text(dumps(program_of("lstm")), encoding="utf-8")
    ran = cli("fit", "forecast", data, "--out", "run", "--resume")
    refused(ran)
    assert len(ran.err) < 3000
    assert len(ran.err.splitlines()) == 1, ran.err


SETTINGS = """task = "forecast"

[data]
targets = ["value"]
horizon = 3
history = 7
season = 7

[network]
cell = "lstm"
hidden = 4
layers = 1
projection = 0

[training]
epochs = 2
batch = 32
learning_rate = 0.002
clip_norm = 1.0
patience = 12
seed = 0
devices = 1
"""


def test_settings_that_do_not_end_are_refused(cli: Cli, forecast_run: Path) -> None:
    begin = ("fit", "forecast", forecast_run.parent / "series.csv", "--out", "run", "--resume")
    path = forecast_run / "checkpoints" / "settings.toml"
    path.unlink()
    path.symlink_to("/dev/zero")
    refused(cli(*begin), "there is nothing to resume")
    path.unlink()
    os.mkfifo(path)
    refused(cli(*begin), "there is nothing to resume")
    path.unlink()
    with path.open("wb") as file:
        file.truncate(10**12)
    refused(cli(*begin), "settings.toml is corrupt: it has 1,000,000,000,000 bytes")


def test_a_folder_with_only_our_temporary_files_counts_as_empty(cli: Cli, series: Path) -> None:
    run = series.parent / "run"
    (run / "checkpoints").mkdir(parents=True)
    left = [
        run / temporary_name("model.json"),
        run / "checkpoints" / temporary_name("settings.toml"),
    ]
    for each in left:
        each.write_text("half")
    (run / "checkpoints" / "cell.json").write_text("{}")
    begin = ("fit", "forecast", series, "--target", "value", "--out", "run", *QUICK_FORECAST)
    (run / ".notes").write_text("dear")
    refused(cli(*begin), "run exists already")
    (run / ".notes").unlink()
    ran = cli(*begin)
    assert ran.code == 0, ran.err
    assert not any(each.exists() for each in left)


def test_what_resume_finds_half_written_is_removed(cli: Cli, forecast_run: Path) -> None:
    left = forecast_run / temporary_name("report.html")
    left.write_text("half")
    series = forecast_run.parent / "series.csv"
    assert cli("fit", "forecast", series, "--out", "run", "--resume").code == 0
    assert not left.exists()


def test_resuming_on_other_data_is_refused(cli: Cli, forecast_run: Path) -> None:
    other = write_series(forecast_run.parent / "other.csv", extra=True)
    ran = cli("fit", "forecast", other, "--out", "run", "--resume", "--epochs", "3")
    refused(ran, "does not fit")


def test_resuming_with_another_cell_or_fewer_epochs_is_refused(
    cli: Cli, forecast_run: Path
) -> None:
    begin = ("fit", "forecast", forecast_run.parent / "series.csv", "--out", "run", "--resume")
    refused(cli(*begin, "--epochs", "1"), "the run has done 2 epochs, and epochs is 1")
    settings = forecast_run / "checkpoints" / "settings.toml"
    settings.write_text(settings.read_text().replace('cell = "lstm"', 'cell = "gru"'))
    refused(cli(*begin, "--epochs", "4"), "cell.json holds the cell lstm, not the gru")
    settings.write_text(settings.read_text().replace('cell = "gru"', 'cell = "lstm"'))
    settings.write_text(settings.read_text().replace("hidden = 4", "hidden = 5"))
    refused(cli(*begin, "--epochs", "4"), "its network has other sizes than the settings say")


def test_corrupt_checkpoints_are_refused(cli: Cli, forecast_run: Path) -> None:
    begin = ("fit", "forecast", forecast_run.parent / "series.csv", "--out", "run", "--resume")
    (forecast_run / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    ran = cli(*begin, "--epochs", "3")
    assert ran.code == 0, ran.err
    assert "last.ckpt is corrupt" in ran.out
    assert "Going on from best.ckpt" in ran.out
    for name in ("last.ckpt", "best.ckpt"):
        (forecast_run / "checkpoints" / name).write_bytes(b"damaged")
    refused(cli(*begin, "--epochs", "4"), "last.ckpt is corrupt", "best.ckpt is corrupt")


@pytest.mark.parametrize("task", ["forecast", "text"])
def test_sigterm_keeps_the_best_model_and_exits_143(
    cli: Cli, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Progress.on_train_epoch_end

    def pressed(self: Progress, *arguments: Any) -> None:
        end(self, *arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Progress, "on_train_epoch_end", pressed)
    data, quick = quick_task(task, tmp_path)
    ran = cli("fit", task, data, *quick, "--epochs", "9", "--out", "run")
    assert ran.code == 143, ran.err
    assert "SIGTERM: stopping after this batch; the best model so far is kept." in ran.out
    assert "terminated; kept the model of epoch 1" in ran.out
    conveyor.load(tmp_path / "run")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_sigterm_while_scores_are_worked_out_waits_until_the_run_is_written(
    cli: Cli, series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return compare(*arguments)

    monkeypatch.setattr("conveyor.tasks.forecast.forecasting.compare", pressed)
    ran = cli("fit", "forecast", series, "--target", "value", *QUICK_FORECAST, "--out", "run")
    assert ran.code == 143
    assert (series.parent / "run" / "report.html").exists()


def _states(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, run: Path, *arguments: str | Path
) -> list[Path]:
    """Run a command, and return what each of its writes would have left of a run's folder if the
    process had been killed before the file got its name: nothing runs any more then, not even what
    cleans up."""
    states: list[Path] = []
    replace = Path.replace

    def kept(path: Path, target: Path) -> Path:
        state = run.with_name(f"{run.name}-{len(states) + 1}")
        states.append(shutil.copytree(run, state, symlinks=True))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kept)
        ran = cli(*arguments)
    assert ran.code == 0, ran.err
    return states


def _result(run: Path) -> tuple[Any, ...]:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["fit"].pop("seconds")
    files = sorted(each.name for each in run.rglob("*") if "logs" not in str(each))
    whole = [(run / name).read_bytes() for name in ("model.safetensors", "settings.toml")]
    return metrics, files, whole, json.loads((run / "model.json").read_text())


@pytest.mark.parametrize(("task", "kills"), [("forecast", range(1, 13)), ("text", (4, 6, 9))])
def test_a_run_that_is_killed_at_a_write_goes_on_to_the_same_bits(
    cli: Cli, task: str, kills: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, quick = quick_task(task, tmp_path)
    begin: tuple[str | Path, ...] = ("fit", task, data, *quick, "--dropout", "0.3")
    states = _states(cli, monkeypatch, tmp_path / "run", *begin, "--out", "run")
    # Cell, settings; the last of two epochs and the best of one (of a text both); the five files of
    # a run, and of a forecast its answers and the arrays that it keeps.
    assert len(states) == (12 if task == "forecast" else 11)
    whole = _result(tmp_path / "run")
    for at in kills:
        run = states[at - 1]
        ran = cli(*begin, "--out", run, "--resume")
        if at <= 2:
            refused(ran, "there is nothing to resume")
            ran = cli(*begin, "--out", run)
        assert ran.code == 0, (at, ran.err)
        assert _result(run) == whole, at


def test_everything_in_a_run_has_what_the_umask_leaves(cli: Cli, series: Path) -> None:
    before = os.umask(0o077)
    try:
        begin = ("fit", "forecast", series, "--target", "value", "--out", "run", *QUICK_FORECAST)
        assert cli(*begin).code == 0
    finally:
        os.umask(before)
    modes = {
        each.name: stat.S_IMODE(each.stat().st_mode) for each in (series.parent / "run").rglob("*")
    }
    assert {"report.html", "model.json", "best.ckpt", "metrics.csv", "logs"} <= modes.keys()
    assert {mode & 0o077 for mode in modes.values()} == {0}


def _bits(run: Path) -> dict[str, bytes]:
    """The files of a run, without what is to replace it."""
    files = [each for each in run.rglob("*") if each.is_file() and REPLACEMENT not in str(each)]
    return {str(each.relative_to(run)): each.read_bytes() for each in files}


@pytest.mark.parametrize("kills", [(1, 2, 3, 5, 9, 11), (12, 13, 15, 17)])
def test_a_run_that_is_replaced_stays_whole_until_the_new_one_is(
    cli: Cli, kills: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, quick = quick_task("forecast", tmp_path)
    begin: tuple[str | Path, ...] = ("fit", "forecast", data, *quick)
    again = (*begin, "--seed", "5")
    assert cli(*begin, "--out", "run").code == 0
    (tmp_path / "run" / "mine.txt").write_text("notes")
    before = _bits(tmp_path / "run")
    states = _states(cli, monkeypatch, tmp_path / "run", *again, "--out", "run", "--overwrite")
    (tmp_path / "run" / "mine.txt").unlink()
    whole = _result(tmp_path / "run")
    for at in kills:
        run = states[at - 1]
        if at <= 11:  # nothing is moved yet
            assert _bits(run) == before, at
            conveyor.load(run)
        if at > 2:
            ran = cli(*again, "--out", run, "--resume")
            assert "going on with the run that is to replace" in ran.out
        else:
            ran = cli(*again, "--out", run, "--overwrite")
        assert ran.code == 0, (at, ran.err)
        assert (run / "mine.txt").read_text() == "notes"
        (run / "mine.txt").unlink()
        assert not (run / REPLACEMENT).exists()
        assert _result(run) == whole, at


def test_another_folder_in_the_place_of_a_replacement_is_not_touched(
    cli: Cli, forecast_run: Path
) -> None:
    (forecast_run / REPLACEMENT).mkdir()
    (forecast_run / REPLACEMENT / "mine.txt").write_text("notes")
    begin = ("fit", "forecast", forecast_run.parent / "series.csv", "--target", "value")
    refused(cli(*begin, "--out", "run", "--overwrite"), "is in the way and is not of a run")
