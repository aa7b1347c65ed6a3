"""What a second process that computes on the same cores costs.

scripts/bench neighbours [--starts N] [--batch B] [--hidden H,...] [training] ["repeated calls"]

One process, and then two at once, do training steps of 100 steps in time for some seconds, each
with as many threads as torch takes. Half of the cores would take two times as long. How much it is
changes from start to start: the system may put all threads of a process on one core, where they
wait for each other. So each pair is started several times.

Repeated calls: inference of one sequence, alone and beside a process that keeps one core busy, on
one thread, on the threads that the rule says, and with ``conveyor.autotune``, which times both.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import torch

import conveyor
from benchmarks.measure import Point, table, training, whole
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
    seconds_of_each = []
    for worker in workers:
        if worker.stdout is None or worker.stdout.readline().strip() != "ready":
            raise RuntimeError(f"a process did not begin: {' '.join(command)}")
    for worker in workers:
        if worker.stdin is not None:
            worker.stdin.write("go\n")
            worker.stdin.flush()
    for worker in workers:
        seconds_of_each.append(float(worker.communicate()[0]))
    return seconds_of_each


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


# B 1; the first is the size at which a second thread gave 1.54 and 0.73 times the speed.
REPEATED: tuple[Point, ...] = (
    {"B": 1, "T": 400, "I": 64, "H": 64},
    {"B": 1, "T": 100, "I": 128, "H": 128},
    {"B": 1, "T": 100, "I": 256, "H": 256},
)
# Each way computes for so long, in turn, so many times.
TURN_SECONDS, TURNS = 0.4, 8


def _busy() -> None:
    """What a neighbour does: keep one core busy until it is ended."""
    print("ready", flush=True)
    while True:
        sum(range(10_000))


@contextmanager
def _neighbours(count: int) -> Iterator[None]:
    """So many busy processes beside this one."""
    command = [sys.executable, "-m", "benchmarks.neighbours", "--busy"]
    busy = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in busy:
            if process.stdout is not None:
                process.stdout.readline()
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _turn(layer: torch.nn.Module, x: torch.Tensor, threads: int, *, timed: bool) -> list[float]:
    """Seconds of each call of a turn."""
    torch.set_num_threads(threads)
    seconds = []
    end = time.perf_counter() + TURN_SECONDS
    with conveyor.autotune(timed):
        while (begin := time.perf_counter()) < end:
            layer(x)
            seconds.append(time.perf_counter() - begin)
    return seconds


def repeated_calls(point: Point, neighbours: int) -> dict[str, Any]:
    """Microseconds of a call in each way, the median of each turn, and what ``explain`` says."""
    most = torch.get_num_threads()
    torch.manual_seed(0)
    layer = conveyor.LSTM(point["I"], point["H"])
    x = torch.randn(point["T"], point["B"], point["I"])
    ways = {"one thread": (1, False), "by the rule": (most, False), "timed": (most, True)}
    medians: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad(), _neighbours(neighbours):
        for _ in range(TURNS):
            for name, (threads, timed) in ways.items():
                seconds = _turn(layer, x, threads, timed=timed)
                medians[name].append(1e6 * statistics.median(seconds))
        torch.set_num_threads(most)
        said = [line.strip() for line in layer.explain(x).splitlines()]
    return {
        **point,
        "neighbours": neighbours,
        "microseconds": medians,
        "explain": [line for line in said if line.startswith(("shared out", "timed", "the rule"))],
    }


def _shown_calls(row: dict[str, Any]) -> dict[str, Any]:
    """A row as people read it."""
    middle = {name: statistics.median(each) for name, each in row["microseconds"].items()}
    return {
        **{name: str(row[name]) for name in ("T", "H", "neighbours")},
        **{name: f"{each:.0f} µs" for name, each in middle.items()},
        "timed / better": f"{middle['timed'] / min(middle.values()):.2f}",
        "explain": row["explain"][-1],
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
    parser.add_argument("--busy", action="store_true", help=argparse.SUPPRESS)
    questions = ("training", "repeated calls")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(questions))
    options = parser.parse_args()
    for question in options.questions:
        if question not in questions:
            parser.error(f"there is no question {question!r}. There are: {'; '.join(questions)}")
    sizes = whole(options.hidden)
    if options.busy:
        _busy()
    elif options.work:
        _work(options.work, options.batch, sizes[0])
    else:
        asked = options.questions or questions
        if "training" in asked:
            rows = [
                measure(name, options.batch, hidden, options.starts)
                for hidden in sizes
                for name in LAYERS
            ]
            _report([_shown(row) for row in rows], {"rows": rows, "machine": machine()})
        if "repeated calls" in asked:
            rows = [repeated_calls(point, count) for point in REPEATED for count in (0, 1)]
            result = {"repeated calls": {"rows": rows, "machine": machine()}}
            _report([_shown_calls(row) for row in rows], result)


def _report(shown: list[dict[str, Any]], result: dict[str, Any]) -> None:
    """Print a table for people and store what was measured."""
    table(shown, {name: itemgetter(name) for name in shown[0]})
    store("neighbours", result)


if __name__ == "__main__":
    main()
