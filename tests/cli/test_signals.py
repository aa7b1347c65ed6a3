"""Ctrl-C and SIGTERM from the first moment of the command on: no traceback, the right exit code."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import conveyor
from conveyor import signals
from tests.cli.conftest import Cli

CODES = {signal.SIGINT: (130, "interrupted."), signal.SIGTERM: (143, "terminated.")}
BOTH = pytest.mark.parametrize("number", CODES, ids=["int", "term"])


def _pressed_in(module: Path, number: signal.Signals, *command: str) -> tuple[int, str]:
    """Run a command in whose imports that module stands, which sends a signal and takes long."""
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(
        "import os, time\n"
        "try:\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    time.sleep(20)\n"
        "except BaseException as error:\n"
        "    raise ImportError('an import that makes something else of it') from error\n"
    )
    source = str(Path(conveyor.__file__).parent.parent)
    path = os.pathsep.join([str(module.parent), source])
    ran = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stderr


@BOTH
def test_a_signal_while_torch_is_imported(tmp_path: Path, number: signal.Signals) -> None:
    code, said = CODES[number]
    for command in (
        ("-m", "conveyor.cli.start", "predict", "nowhere"),
        (str(tmp_path / "conveyor"), "predict", "nowhere"),
    ):
        script = tmp_path / "conveyor"
        script.write_text("from conveyor.cli.start import main\nmain()\n")
        ended = _pressed_in(tmp_path / "first" / "torch.py", number, *command)
        assert ended == (code, f"error: {said}\n")


def test_a_signal_while_the_commands_are_imported(tmp_path: Path) -> None:
    ended = _pressed_in(
        tmp_path / "typer.py", signal.SIGINT, "-c",
        "import sys; sys.argv = ['conveyor']; from conveyor.cli.start import main; main()",
    )  # fmt: skip
    assert ended == (130, "error: interrupted.\n")


@BOTH
def test_a_signal_while_a_command_is_at_work(
    cli: Cli, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)

    def press(*arguments: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr("conveyor.cli.app.show", press)
    code, said = CODES[number]
    ran = cli("show", "lstm")
    assert (ran.code, ran.err) == (code, f"error: {said}\n")
    assert signal.getsignal(number) == before


def test_a_program_that_uses_the_library_has_its_own_handlers() -> None:
    assert not signals.is_command()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


@BOTH
def test_what_somebody_else_handles_is_left_alone(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        signals.leave_at_once()
        assert signal.getsignal(number) == signal.SIG_IGN
        signals.restore_handlers()
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


@BOTH
def test_restore_handlers_undoes_leave_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    signals.leave_at_once()
    assert signal.getsignal(number) != before
    signals.restore_handlers()
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("command", [("--help",), ("fit", "text", "--help"), ("show", "lstm")])
def test_what_needs_no_torch_does_not_import_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    for library in ("torch", "numpy", "polars", "plotly", "pytorch_lightning", "optuna"):
        (tmp_path / f"{library}.py").write_text("raise SystemExit('imported')")
    source = str(Path(conveyor.__file__).parent.parent)
    ran = subprocess.run(
        [sys.executable, "-m", "conveyor.cli.start", *command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), source])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
