"""Running the command line inside the test's own process, as ``conveyor ARGUMENTS``."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conveyor.cli import app
from tests.series import write_series, write_verses


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


QUICK_FORECAST = ("--hidden", "4", "--epochs", "2", "--horizon", "3", "--history", "7")
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


@pytest.fixture
def forecast_run(cli: Cli, series: Path) -> Path:
    """The run of a quick forecaster."""
    ran = cli("fit", "forecast", series, "--target", "value", "--out", "run", *QUICK_FORECAST)
    assert ran.code == 0, ran.err
    return series.parent / "run"


@pytest.fixture
def text_run(cli: Cli, tmp_path: Path) -> Path:
    """The run of a quick language model."""
    verses = write_verses(tmp_path / "kieu.txt")
    ran = cli("fit", "text", verses, "--out", "text-run", *QUICK_TEXT)
    assert ran.code == 0, ran.err
    return tmp_path / "text-run"
