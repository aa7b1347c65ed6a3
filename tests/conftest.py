"""Fixtures and settings of all tests."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests import quick_code, unsynced
from tests.kinds import LONG
from tests.slow_files import FIRST

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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests are made and stay: the garbage collector need not look through them, now
    and later."""
    gc.disable()
    result = yield
    gc.freeze()
    # What tests leave is looked through less often, too: it took a seventh of the processor time of
    # tests of layers and kernels, and a fifteenth of those of tasks and training.
    gc.set_threshold(100_000, 20, 50)
    gc.enable()
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin first, so that processes side by side end together."""
    places = {file: place for place, file in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_configure() -> None:
    """Processes side by side share the cores: a thread too many waits for one that works. A test
    that is about threads sets their number itself. torch's compiler would start processes besides.

    A shell starts what shall run in the background deaf to Ctrl-C, and all that it starts. Tests
    press it.
    """
    unsynced.files()
    if not LONG:
        quick_code.compile_quickly()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers is not None:
        threads = max(1, torch.get_num_threads() // int(workers))
        torch.set_num_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # of processes that tests start


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
