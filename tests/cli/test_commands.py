"""What each command does when all is well."""

import io
import json
import math
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import polars as pl
import pytest
import torch

import conveyor
from conveyor.tasks.forecast.baselines import BASELINES
from conveyor.tasks.forecast.comparison import MIXED
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.text.language_model import LanguageModel
from tests.cli.conftest import QUICK_FORECAST, QUICK_TEXT, Cli, quick_task
from tests.series import write_series, write_verses
from tests.warm_python import Started, run


def test_fit_forecast_writes_a_whole_run_and_says_who_won(cli: Cli, series: Path) -> None:
    ran = cli("fit", "forecast", series, "--target", "value", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    run = series.parent / "run"
    names = {each.name.partition("-")[0] for each in run.iterdir()}
    assert names == {
        "kept",
        "model.json",
        "model.safetensors",
        "settings.toml",
        "metrics.json",
        "report.html",
        "test.csv",
        "checkpoints",
        "logs",
    }
    assert {each.name for each in (run / "checkpoints").iterdir()} == {
        "best.ckpt",
        "last.ckpt",
        "cell.json",
        "settings.toml",
    }
    assert list(run.glob("logs/*/metrics.csv"))
    for word in ("naive", "seasonal naive", "lstm", "MAE", "RMSE", "MASE", "report.html"):
        assert word in ran.out
    assert "beats" in ran.out or "the baseline wins" in ran.out
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["scores"][0]["rows"]) == {"lstm + linear", MIXED, *BASELINES}
    settings = tomllib.loads((run / "settings.toml").read_text())
    assert settings["network"]["hidden"] == 4


def test_a_losing_model_is_told_plainly(cli: Cli, tmp_path: Path) -> None:
    # A perfect season and one epoch of a net of one unit: seasonal naive cannot be beaten.
    path = tmp_path / "season.csv"
    values = "\n".join(str(row % 7) for row in range(120))
    path.write_text(f"value\n{values}\n")
    ran = cli(
        "fit", "forecast", path, "--target", "value", "--season", "7", "--horizon", "7",
        "--history", "7", "--hidden", "1", "--epochs", "1", "--no-linear", "--out", "run",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "value: the baseline wins: seasonal naive has MAE 0, lstm" in ran.out


def test_predict_continues_the_data(cli: Cli, forecast_run: Path, series: Path) -> None:
    own = cli("predict", forecast_run)
    again = cli("predict", forecast_run, series)
    assert own.code == again.code == 0
    assert own.out == again.out
    table = pl.read_csv(io.StringIO(own.out))
    assert table.columns == ["date", "value", "value-lo-80", "value-hi-80"]
    assert table["date"].to_list() == ["2020-06-09", "2020-06-10", "2020-06-11"]
    middle, low, high = (table[name].to_numpy() for name in table.columns[1:])
    assert (low < middle).all()
    assert (middle < high).all()


def test_predict_writes_a_file(cli: Cli, forecast_run: Path, tmp_path: Path) -> None:
    assert cli("predict", forecast_run, "--out", "next.csv").code == 0
    assert len(pl.read_csv(tmp_path / "next.csv")) == 3


def test_fit_text_and_generate_vietnamese(cli: Cli, text_run: Path) -> None:
    metrics = json.loads((text_run / "metrics.json").read_text())
    assert set(metrics["scores"][0]["rows"]) == {"lstm", "unigram", "3-gram", "5-gram"}
    ours = metrics["scores"][0]["rows"]["lstm"]
    assert ours["perplexity"] == pytest.approx(math.exp(ours["nats_per_character"]))
    first = cli("generate", text_run, "--prompt", "Trăm năm", "--length", "30", "--seed", "3")
    second = cli("generate", text_run, "--prompt", "Trăm năm", "--length", "30", "--seed", "3")
    other = cli("generate", text_run, "--prompt", "Trăm năm", "--length", "30", "--seed", "4")
    assert first.out == second.out != other.out
    assert first.out.startswith("Trăm năm")
    assert len(first.out) == len("Trăm năm") + 30 + 1


def test_a_prompt_in_decomposed_letters_is_the_same_prompt(cli: Cli, text_run: Path) -> None:
    composed = cli("generate", text_run, "--prompt", "Tr\u0103m", "--length", "5")
    decomposed = cli("generate", text_run, "--prompt", "Tra\u0306m", "--length", "5")
    assert composed.out == decomposed.out


def test_generate_streams(text_run: Path, tmp_path: Path) -> None:
    command = ("-m", "conveyor.cli.start", "generate", str(text_run))
    writing = Started(*command, "--prompt", "Trăm", "--length", "100000", folder=tmp_path)
    try:
        while not writing.out_so_far() and writing.is_running():
            time.sleep(0.02)
        assert writing.out_so_far().startswith("Trăm")
        assert writing.is_running()  # it has written, and is still writing
    finally:
        writing.kill()


def test_conveyor_load_gives_both_models_back(forecast_run: Path, text_run: Path) -> None:
    forecaster, language_model = conveyor.load(forecast_run), conveyor.load(str(text_run))
    assert isinstance(forecaster.model, Forecaster)
    assert isinstance(language_model.model, LanguageModel)
    assert forecaster.model.tails
    quantiles = forecaster.predict(forecaster.model.tails[0].panel.targets[None])
    assert quantiles.shape == (1, 3, 1, 3)
    assert len("".join(language_model.generate("Trăm", 7))) == 7


OWN_CELL = '''
from conveyor.cells import Bias, Input, Matrix, State, cell, tanh

@cell
def mine(x: Input, h: State, W: Matrix, U: Matrix, b: Bias):
    """An own cell."""
    n = tanh(W.n @ x + U.n @ h + b.n)
    h = 0.5 * h + 0.5 * n
    return h
'''


def test_an_own_cell_is_fitted_and_loads_without_its_code(
    cli: Cli, series: Path, tmp_path: Path
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(OWN_CELL)
    ran = cli(
        "fit", "forecast", series, "--target", "value", "--cell", f"{code}:mine", "--out", "run",
        *QUICK_FORECAST,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    before = cli("predict", tmp_path / "run").out
    code.unlink()
    after = run("-m", "conveyor.cli.start", "predict", "run", folder=tmp_path)
    assert (after.code, after.out) == (0, before)


def test_show_and_cells(cli: Cli) -> None:
    assert cli("show", "lstm").out.splitlines()[4] == "c = f * c' + i * g"
    assert r"f_t &= \sigma(" in cli("show", "lstm", "--as", "latex").out
    sizes = ("--size", "I=1", "--size", "H=50")
    assert "10,400" in cli("show", "lstm", "--as", "cost", *sizes).out
    listed = cli("cells").out
    assert all(name in listed for name in conveyor.CELLS)


def test_several_targets_and_covariates(cli: Cli, tmp_path: Path) -> None:
    table = write_series(tmp_path / "two.csv", extra=True)
    ran = cli("fit", "forecast", table, "--target", "all", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    assert "forecasting value, rain" in ran.out
    header = cli("predict", "run").out.splitlines()[0]
    assert header == "date,value,value-lo-80,value-hi-80,rain,rain-lo-80,rain-hi-80"
    ran = cli("fit", "forecast", table, "--target", "value", "--out", "run2", *QUICK_FORECAST)
    assert "past covariates: rain" in ran.out
    ran = cli(
        "fit", "forecast", table, "--target", "value", "--only-target", "--out", "run3",
        *QUICK_FORECAST,
    )  # fmt: skip
    assert "past covariates: none" in ran.out


def test_parquet_and_gzip_read_as_csv(cli: Cli, series: Path, tmp_path: Path) -> None:
    import gzip  # noqa: PLC0415

    frame = pl.read_csv(series, try_parse_dates=True)
    frame.write_parquet(tmp_path / "series.parquet")
    (tmp_path / "series.csv.gz").write_bytes(gzip.compress(series.read_bytes()))
    outputs = set()
    for name in ("series.csv", "series.parquet", "series.csv.gz"):
        ran = cli(
            "fit", "forecast", name, "--target", "value", "--out", f"run-{name}", *QUICK_FORECAST
        )
        assert ran.code == 0, ran.err
        outputs.add(cli("predict", f"run-{name}").out)
    assert len(outputs) == 1


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(conveyor.load(run).state_dict())


def test_a_run_with_filled_gaps_reads_tables_with_gaps(cli: Cli, series: Path) -> None:
    lines = series.read_text().splitlines()
    series.write_text("\n".join(lines[:40] + lines[41:]) + "\n")
    begin = ("fit", "forecast", series, "--target", "value", "--fill-gaps", "--out", "run")
    assert cli(*begin, *QUICK_FORECAST).code == 0
    ran = cli("evaluate", "run", series)
    assert ran.code == 0, ran.err
    assert cli("predict", "run", series).out == cli("predict", "run").out


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
@pytest.mark.parametrize("task", ["forecast", "text"])
def test_a_model_of_any_precision_can_be_used(
    cli: Cli, task: str, precision: str, tmp_path: Path
) -> None:
    data, quick = quick_task(task, tmp_path)
    ran = cli("fit", task, data, *quick, "--precision", precision, "--out", "run")
    assert ran.code == 0, ran.err
    used = cli("predict", "run") if task == "forecast" else cli("generate", "run", "--length", "9")
    assert used.code == 0, used.err


def test_small_numbers_keep_their_digits(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_text("y\n" + "\n".join(f"{(1 + row % 5) * 1e-8}" for row in range(120)))
    assert cli("fit", "forecast", path, "--target", "y", "--out", "run", *QUICK_FORECAST).code == 0
    table = pl.read_csv(io.StringIO(cli("predict", "run").out))
    assert (table["y"].abs() > 1e-10).all()


@pytest.mark.parametrize("task", ["forecast", "text"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    cli: Cli, task: str, tmp_path: Path
) -> None:
    begin: tuple[str | Path, ...]
    if task == "forecast":
        begin = ("forecast", write_series(tmp_path / "s.csv"), "--target", "value", *QUICK_FORECAST)
    else:
        begin = ("text", write_verses(tmp_path / "k.txt"), *QUICK_TEXT)
    begin += ("--layers", "2", "--dropout", "0.3", "--epochs", "4")
    whole = cli("fit", *begin, "--out", "whole")
    assert whole.code == 0, whole.err
    # The first of two parts is stopped by force when its second epoch is over.
    killed_then = tmp_path / "killed.py"
    killed_then.write_text(
        "import os\n"
        "from conveyor.cli import app\n"
        "from conveyor.training.checkpoints import Progress\n"
        "saved = Progress.on_train_epoch_end\n"
        "def and_die(self, trainer, module):\n"
        "    saved(self, trainer, module)\n"
        "    if trainer.current_epoch == 1: os._exit(9)\n"
        "Progress.on_train_epoch_end = and_die\n"
        "app.run()\n"
    )
    arguments = ("fit", *map(str, begin), "--out", "parts")
    assert run(str(killed_then), *arguments, folder=tmp_path).code == 9
    resumed = cli("fit", *begin[:2], "--out", "parts", "--resume")
    assert resumed.code == 0, resumed.err
    want, got = _weights(tmp_path / "whole"), _weights(tmp_path / "parts")
    assert want.keys() == got.keys()
    for name, each in want.items():
        torch.testing.assert_close(got[name], each, rtol=0, atol=0)
    curves = [json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("whole", "parts")]
    assert curves[0]["fit"]["curve"] == curves[1]["fit"]["curve"]


def test_the_same_seed_gives_the_same_bits(cli: Cli, series: Path, tmp_path: Path) -> None:
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        ran = cli(
            "fit", "forecast", series, "--target", "value", "--out", out, "--seed", seed,
            *QUICK_FORECAST,
        )  # fmt: skip
        assert ran.code == 0, ran.err
    a, b, c = (_weights(tmp_path / name) for name in "abc")
    for name, each in a.items():
        torch.testing.assert_close(b[name], each, rtol=0, atol=0)
    assert any(not torch.equal(c[name], each) for name, each in a.items())


def test_ctrl_c_keeps_the_best_model_and_says_so(tmp_path: Path) -> None:
    series = write_series(tmp_path / "s.csv", rows=400)
    fitting = Started(
        "-m", "conveyor.cli.start", "fit", "forecast", str(series), "--target", "value",
        "--hidden", "4", "--epochs", "100000", "--patience", "100000", "--out", "run",
        folder=tmp_path,
    )  # fmt: skip
    try:
        while "\nepoch   2" not in fitting.out_so_far() and fitting.is_running():
            time.sleep(0.02)
        time.sleep(0.1)
        fitting.send_signal(signal.SIGINT)
        ended = fitting.ended()
    finally:
        fitting.kill()
    said = ended.out + ended.err
    assert ended.code == 0, said
    assert "Ctrl-C: stopping after this batch; the best model so far is kept." in said
    assert "interrupted; kept the model of epoch" in said
    assert "Traceback" not in said
    conveyor.load(tmp_path / "run")


def test_minutes_end_the_training(cli: Cli, series: Path) -> None:
    ran = cli(
        "fit", "forecast", series, "--target", "value", "--out", "run", "--minutes", "0.0001",
        *QUICK_FORECAST,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "time is over" in ran.out
    assert "no epoch was finished: kept the model as it is" in ran.out


def test_bf16_and_two_processes_train(cli: Cli, series: Path, tmp_path: Path) -> None:
    ran = cli(
        "fit", "forecast", series, "--target", "value", "--out", "b", "--precision", "bf16-mixed",
        *QUICK_FORECAST,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    command = ("-m", "conveyor.cli.start", "fit", "forecast", str(series), "--target", "value")
    both = run(*command, "--out", "d", "--devices", "2", *QUICK_FORECAST, folder=tmp_path)
    assert both.code == 0, both.out + both.err
    conveyor.load(tmp_path / "d")


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").out == f"conveyor {conveyor.__version__}\n"
    assert "forecast" in cli("fit", "--help").out


def test_without_the_extra_the_command_says_how_to_get_it() -> None:
    code = "import sys\nsys.modules['typer'] = None\nfrom conveyor.cli.start import main\nmain()\n"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == (
        "error: the command line needs typer, which is not installed. Install it with: "
        "pip install 'conveyor[train]'\n"
    )
