"""New Pythons that start at once: copies of a process that has imported torch, conveyor, Lightning,
plotly and the command line, and has done nothing else. A cold start takes three to five seconds of
these imports. Copies end without Python's last steps: what is about those starts cold."""

import gc
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests import quick_code, unsynced

# A copy is given so many seconds.
LIMIT = 240

_FORKING = multiprocessing.get_context("forkserver")
# No polars: it has threads from its import on, which no copy would have.
_FORKING.set_forkserver_preload(
    [
        "torch",
        "pytorch_lightning",
        "plotly.graph_objects",
        "conveyor.cli.app",
        "conveyor.kernels.llvm.llvm_kernel",
        "conveyor.layers.recurrent",
        "conveyor.training.fitting",
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def _become(
    words: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
    outputs: Path,
    quick: bool,
) -> None:
    """Be ``python WORDS`` in a folder, in this process, which compiles as its parent does."""
    unsynced.files()
    # What it has imported stays: it need not be looked through for garbage.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    if quick:
        quick_code.compile_quickly()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, name in enumerate(("out", "err"), 1):
        os.dup2(os.open(outputs / name, os.O_WRONLY | os.O_CREAT), number)
    first, *rest = words
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        sys.path.insert(0, str(Path(first).parent))
        runpy.run_path(first, run_name="__main__")


class Started:
    """A process that runs ``python WORDS`` in a folder."""

    def __init__(
        self, *words: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it.

        Args:
            words: what stands behind ``python``: a script or ``-m MODULE``, and its arguments.
            folder: where it runs.
            environment: its environment variables; None for those of this process.
        """
        self._outputs = tempfile.TemporaryDirectory()
        known = dict(os.environ if environment is None else environment)
        given = (words, folder, known, Path(self._outputs.name), quick_code.is_on())
        self._process: ForkServerProcess = _FORKING.Process(target=_become, args=given)
        self._process.start()

    def _said(self, name: str) -> str:
        path = Path(self._outputs.name) / name
        # A copy that is still writing may have written half a letter.
        return path.read_text(encoding="utf-8", errors="ignore") if path.exists() else ""

    def out_so_far(self) -> str:
        """Return what it has written to its standard output."""
        return self._said("out")

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return self._process.is_alive()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def ended(self, limit: float = LIMIT) -> Ended:
        """Wait so many seconds for its end, and return how it ended."""
        self._process.join(limit)
        said, code = (self._said("out"), self._said("err")), self._process.exitcode
        self.kill()
        if code is None:
            raise TimeoutError(f"It runs after {limit} seconds, and has said: {said}")
        return Ended(code, *said)

    def kill(self) -> None:
        """End it by force, if it runs."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._outputs.cleanup()


def run(
    *words: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> Ended:
    """Run ``python WORDS`` in a folder to its end, which comes in so many seconds."""
    return Started(*words, folder=folder, environment=environment).ended(limit)


def run_script(
    script: str,
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> Ended:
    """Run a text as a script in a folder to its end, which comes in so many seconds."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "script.py")  # a file, so that errors could show its lines
        path.write_text(script, encoding="utf-8")
        return run(str(path), *arguments, folder=folder, environment=environment, limit=limit)
