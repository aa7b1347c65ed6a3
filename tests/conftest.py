"""Fixtures and settings of all tests."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are only written when a person asks."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what golden tests got to tests/golden; read the difference before committing",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return 0, for no further process, if one file is asked for: it stays in one process anyway,
    and each start takes seconds. None: as many as cores."""
    files = {Path(argument.partition("::")[0]) for argument in config.args}
    return 0 if len(files) == 1 and all(path.is_file() for path in files) else None


def pytest_configure() -> None:
    """Processes side by side share the cores: a thread too many waits for one that works. A test
    that is about threads sets their number itself.

    A shell starts what shall run in the background deaf to Ctrl-C, and all that it starts. Tests
    press it.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers is not None:
        torch.set_num_threads(max(1, torch.get_num_threads() // int(workers)))


def pytest_runtest_setup() -> None:
    """New memory holds NaN, so that reading it before writing it shows. On a GPU this mode
    forbids more than that, so there memory is as it comes."""
    if not torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compare a text with tests/golden/<test file>/<test name>.txt."""
    path = GOLDEN / request.path.stem / f"{request.node.name}.txt"

    def compare(text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        if not path.exists():
            pytest.fail(f"{path} is missing. Write it with: pytest --update-golden, and read it.")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
