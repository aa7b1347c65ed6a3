"""What benchmarks of learning share: running a command as a user would, and storing results."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from conveyor.version import VERSION

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures were got on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,
        "conveyor": VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()


def run(command: str, data: Path, out: Path) -> dict[str, Any]:
    """Run ``conveyor COMMAND --out OUT`` with DATA in it replaced by the folder of data and MADE by
    the folder of the run's, and give the run's metrics."""
    arguments = [
        each.replace("DATA", str(data)).replace("MADE", str(out.parent))
        for each in shlex.split(command)
    ]
    used = used_by([*arguments, "--out", str(out), "--overwrite"])
    metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return metrics | {"used": used}


def used_by(arguments: list[str], output: Path | None = None) -> dict[str, float]:
    """Run ``conveyor ARGUMENTS``; return the seconds that its process computed, on all cores, and
    the most memory that it had at once, in GB.

    Args:
        arguments: of the command line.
        output: a file for what the command prints; None for the terminal.
    """
    command = [sys.executable, "-m", "conveyor.cli.start", *arguments]
    with Path(os.devnull if output is None else output).open("wb") as file:
        process = subprocess.Popen(command, stdout=None if output is None else file)
        _, status, usage = os.wait4(process.pid, 0)
    # wait4 took the status that Popen would wait for.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2),  # Linux counts in KiB
    }


def run_named(
    commands: dict[str, str],
    results: str,
    summary: Callable[[str, str, dict[str, Any]], dict[str, Any]],
    line: Callable[[str, dict[str, Any]], str],
    make: Callable[[str, Path, Path], None] | None = None,
    *,
    look: Callable[[str, Path, Path], dict[str, Any]] | None = None,
    asked_for: Collection[str] = (),
) -> None:
    """Run the commands that the command line names, or all but those that take too long for that;
    store and print each result.

    Args:
        commands: by name, with DATA for the folder of ``--data``.
        results: the file of results, without its ending.
        summary: what is kept of a run, from its name, command and metrics.
        line: a result in a line.
        make: writes what a command reads from MADE, given its name, the data and that folder.
        look: gives what is seen in a run that metrics do not hold, given its name, the data and the
            folder MADE, which has it as ``run``.
        asked_for: names that run only where the command line names them.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(commands)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    for name in options.names or [name for name in commands if name not in asked_for]:
        if name not in commands:
            parser.error(f"no benchmark is named {name!r}")
        with tempfile.TemporaryDirectory() as folder:
            if make is not None:
                make(name, options.data, Path(folder))
            metrics = run(commands[name], options.data, Path(folder) / "run")
            if look is not None:
                metrics |= look(name, options.data, Path(folder))
        row = {
            "command": f"conveyor {commands[name]}",
            **summary(name, commands[name], metrics),
            "fit_seconds": metrics["fit"]["seconds"],
            **metrics["used"],  # by the whole command, with reading and scoring
            "best_epoch": metrics["fit"]["best_epoch"],
            "machine": machine(),
        }
        store(results, {name: row})
        print(line(name, row), flush=True)


def store(name: str, rows: dict[str, Any]) -> None:
    """Write ``results/NAME.json``; rows that were not run again stay as they were."""
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**old, **rows}, indent=1, ensure_ascii=False) + "\n")
