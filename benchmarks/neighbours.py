"""What a second process that computes on the same cores costs.

scripts/bench neighbours [--starts N] [--batch B] [--hidden H,...]

One process, and then two at once, do training steps of 100 steps in time for some seconds, each
with as many threads as torch takes. Half of the cores would take two times as long. How much it is
changes from start to start: the system may put all threads of a process on one core, where they
wait for each other. So each pair is started several times.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import torch

import conveyor
from benchmarks.measure import table, training, whole
from benchmarks.runs import machine, store

STEPS, SECONDS = 100, 4.0
LAYERS: dict[str, Callable[[int], torch.nn.Module]] = {
    "torch.nn.LSTM": lambda units: torch.nn.LSTM(units, units),
    "conveyor.LSTM": lambda units: conveyor.LSTM(units, units),
    "full gate recurrence": lambda units: conveyor.Recurrent("lstm_full_recurrence", units, units),
}


def _work(name: str, batch: int, hidden: int) -> None:
    """What a process does: get ready, say so, wait for a line, compute, say the seconds of a
    step."""
    torch.manual_seed(0)
    layer, x = LAYERS[name](hidden), torch.randn(STEPS, batch, hidden)
    step = training(lambda x: layer(x)[0], layer.parameters(), x)
    step()
    print("ready", flush=True)
    sys.stdin.readline()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        step()
        done += 1
    print((time.perf_counter() - begin) / done)


def _at_once(count: int, name: str, batch: int, hidden: int) -> list[float]:
    """Seconds of a step in each of so many processes."""
    command = [sys.executable, "-m", "benchmarks.neighbours", "--work", name]
    command += ["--batch", str(batch), "--hidden", str(hidden)]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    found = []
    for worker in workers:
        if worker.stdout is None or worker.stdout.readline().strip() != "ready":
            raise RuntimeError(f"a process did not begin: {' '.join(command)}")
    for worker in workers:
        if worker.stdin is not None:
            worker.stdin.write("go\n")
            worker.stdin.flush()
    for worker in workers:
        found.append(float(worker.communicate()[0]))
    return found


def measure(name: str, batch: int, hidden: int, starts: int) -> dict[str, Any]:
    """Seconds of a step alone, and beside another, of every start."""
    alone, beside = [], []
    for _ in range(starts):
        alone += _at_once(1, name, batch, hidden)
        beside += _at_once(2, name, batch, hidden)
    return {
        "layer": name,
        "B": batch,
        "T": STEPS,
        "H": hidden,
        "alone": alone,
        "beside": beside,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as people read it."""
    alone, median = statistics.median(row["alone"]), statistics.median(row["beside"])
    most = max(row["beside"])
    return {
        "layer": row["layer"],
        "H": str(row["H"]),
        "alone": f"{1000 * alone:.1f} ms",
        "of two, median": f"{1000 * median:.1f} ms",
        "most": f"{1000 * most:.1f} ms",
        "times, median": f"{median / alone:.1f}",
        "times, most": f"{most / alone:.1f}",
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--hidden", default="128,512")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = whole(options.hidden)
    if options.work:
        _work(options.work, options.batch, sizes[0])
        return
    rows = [
        measure(name, options.batch, hidden, options.starts) for hidden in sizes for name in LAYERS
    ]
    shown = [_shown(row) for row in rows]
    table(shown, {name: itemgetter(name) for name in shown[0]})
    store("neighbours", {"rows": rows, "machine": machine()})


if __name__ == "__main__":
    main()
