"""What benchmarks of learning share: running a command as a user would, and storing results."""

import json
import platform
import shlex
import subprocess
import sys
import time
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
    """Run ``conveyor COMMAND --out OUT`` with DATA in it replaced by the folder of data.

    Returns:
        The run's metrics and the wall time.
    """
    arguments = shlex.split(command.replace("DATA", str(data)))
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "conveyor.cli.start", *arguments, "--out", str(out), "--overwrite"],
        check=True,
    )
    metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    metrics["wall_seconds"] = round(time.monotonic() - began, 1)
    return metrics


def store(name: str, rows: dict[str, Any]) -> None:
    """Write ``results/NAME.json``; rows that were not run again stay as they were."""
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**old, **rows}, indent=1, ensure_ascii=False) + "\n")
