"""How times are taken: both sides in one process, in turn, medians."""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

# Runs that are compared: the other, then ours.
Contest = tuple[Callable[[], Any], Callable[[], Any]]
Point = dict[str, int]

BATCHES, STEPS, HIDDEN = "1,16,32,128", "25,100,400", "32,64,128,256,512"
# Of long runs fewer rounds are taken: until so many seconds are over, and at least three. The whole
# grid of one question takes 3 to 12 minutes then.
SECONDS = 1.0
LEAST_ROUNDS = 3
# Calls before any is measured, and the seconds after which no further one is made: of the other's,
# and of ours. A call that repeats is timed by conveyor itself until it knows how many threads it
# gains from.
WARM = ((2, 1.0), (6, 4.0))


def options_of_grid() -> argparse.ArgumentParser:
    """A command line with the parts of the grid."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15, help="at most, of one measurement")
    parser.add_argument("--threads", default=f"1,{torch.get_num_threads()}")
    parser.add_argument("--batch", default=BATCHES)
    parser.add_argument("--steps", default=STEPS)
    parser.add_argument("--hidden", default=HIDDEN)
    return parser


def whole(text: str) -> list[int]:
    """Whole numbers with commas between."""
    return [int(each) for each in text.split(",")]


def points(options: argparse.Namespace, *more: Point) -> Iterator[Point]:
    """B, T, I, H and threads: the grid and ``more``, for each number of threads. torch computes
    with so many then, and draws the same numbers at every point."""
    grid = [
        {"B": B, "T": T, "I": H, "H": H}
        for H in whole(options.hidden)
        for B in whole(options.batch)
        for T in whole(options.steps)
    ]
    for threads in sorted(set(whole(options.threads))):
        torch.set_num_threads(threads)
        for point in [*grid, *more]:
            torch.manual_seed(0)
            yield {**point, "threads": threads}


def timed(contest: Contest, rounds: int) -> tuple[float, float]:
    """Medians of both sides in seconds, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for run, (calls, seconds) in zip(contest, WARM, strict=True):
        begin = time.perf_counter()
        for _ in range(calls):
            run()
            if time.perf_counter() - begin > seconds:
                break
    start = time.perf_counter()
    for number in range(max(rounds, LEAST_ROUNDS)):
        if number >= LEAST_ROUNDS and time.perf_counter() - start > SECONDS:
            break
        for side, run in enumerate(contest):
            begin = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def least(contest: Contest, rounds: int) -> tuple[float, float]:
    """Least times of both sides in seconds, run in turn: runs so short that others only disturb."""
    times = [float("inf"), float("inf")]
    for run in contest:
        run()
    for _ in range(rounds):
        for side, run in enumerate(contest):
            begin = time.perf_counter()
            run()
            times[side] = min(times[side], time.perf_counter() - begin)
    return times[0], times[1]


def training(layer: Callable[[Tensor], Tensor], parameters: Iterable[Tensor], x: Tensor) -> Any:
    """A training step without the optimiser: outputs, a loss, all gradients of weights."""
    own = list(parameters)

    def step() -> list[Tensor]:
        for each in own:
            each.grad = None
        torch.autograd.backward(layer(x).sum())
        return [each.grad for each in own if each.grad is not None]

    return step


def without_gradients(run: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    """A call that keeps nothing."""

    def step() -> Tensor:
        with torch.no_grad():
            return run(x)

    return step


def geometric(values: Iterable[float]) -> float:
    """The geometric mean."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def table(rows: list[dict[str, Any]], columns: dict[str, Callable[[dict[str, Any]], str]]) -> None:
    """Print a table for people."""
    lines = [list(columns), *[[show(row) for show in columns.values()] for row in rows]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
