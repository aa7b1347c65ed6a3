"""Running the command line inside the test's own process, as ``conveyor ARGUMENTS``."""

import contextlib
import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conveyor.cli import app
from tests import unsynced
from tests.series import write_series, write_verses

unsynced.databases()


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run a command in an empty folder. Only SystemExit may leave it: anything else is a
    traceback that a user would see."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["conveyor", *map(str, arguments)])
        capsys.readouterr()
        code: str | int | None = 0
        try:
            app.run()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return Ran(int(code or 0), captured.out, captured.err)

    return run


# One network, fitted once: rows of the test set are new to it.
QUICK_FORECAST = (
    "--hidden", "4", "--epochs", "2", "--horizon", "3", "--history", "7", "--members", "1",
    "--no-refit",
)  # fmt: skip
QUICK_TEXT = ("--hidden", "8", "--embedding", "4", "--epochs", "2", "--batch", "4", "--chunk", "20")


def quick_task(task: str, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A file that ``conveyor fit TASK`` can learn from, and options that make it quick."""
    if task == "forecast":
        return write_series(folder / "s.csv"), ("--target", "value", *QUICK_FORECAST)
    return write_verses(folder / "k.txt"), QUICK_TEXT


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A table that can be forecast."""
    return write_series(tmp_path / "series.csv")


def _fitted(task: str, folder: Path) -> Path:
    """The run of a quick task, fitted by the command in a folder."""
    data, quick = quick_task(task, folder)
    said = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["conveyor", "fit", task, str(data), *quick, "--out", "run"])
        with contextlib.suppress(SystemExit):
            app.run()
    assert (folder / "run" / "report.html").exists(), said.getvalue()
    return folder / "run"


@pytest.fixture(scope="session")
def fitted_forecast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    return _fitted("forecast", tmp_path_factory.mktemp("forecast"))


@pytest.fixture(scope="session")
def fitted_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    return _fitted("text", tmp_path_factory.mktemp("text"))


@pytest.fixture
def forecast_run(fitted_forecast: Path, series: Path) -> Path:
    """The run of a quick forecaster beside its table, for one test to change."""
    return shutil.copytree(fitted_forecast, series.parent / "run")


@pytest.fixture
def text_run(fitted_text: Path, tmp_path: Path) -> Path:
    """The run of a quick language model beside its text, for one test to change."""
    write_verses(tmp_path / "kieu.txt")
    return shutil.copytree(fitted_text, tmp_path / "text-run")
