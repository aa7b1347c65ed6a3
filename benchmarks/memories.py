"""Cells that look at a memory: machine code beside the reference target, which goes step by step in
torch, and beside a GRU or an LSTM that reads as many features as input and memory have.

scripts/bench memories

Both sides in one process, in turn; medians of the time that the process computed
(``time.process_time``), one thread: what others do on the machine counts less so.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import conveyor
from benchmarks.measure import table
from benchmarks.runs import machine, store
from conveyor import Recurrent
from conveyor.cells import Cell, bahdanau, graves_window, luong

# Each cell: its other sizes by H, and the plain cell that it is without its memory.
CELLS: tuple[tuple[Cell, Callable[[int], dict[str, int]], str], ...] = (
    (bahdanau, lambda hidden: {"A": hidden}, "gru"),
    (luong, lambda hidden: {}, "lstm"),
    (graves_window, lambda hidden: {"K": 10}, "lstm"),
)
# B, T, L, H; the memory is twice as wide as the state, the input 64.
SIZES = ((1, 20, 10, 64), (32, 20, 20, 128), (32, 30, 30, 256), (64, 30, 64, 160))
INPUT = 64
ROUNDS = 9


def medians(sides: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds of each side, run in turn."""
    for run in sides.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            begin = time.process_time()
            run()
            times[name].append(time.process_time() - begin)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def _first(results: tuple[Any, ...]) -> Tensor:
    """The first output of a layer."""
    output = results[0]
    first: Tensor = output if isinstance(output, Tensor) else output[0]
    return first


def measure(number: int, size: tuple[int, int, int, int]) -> dict[str, Any]:
    """Times of one cell at one size, inference and a training step without its update."""
    of, more, plain_name = CELLS[number]
    batch, steps, places, hidden = size
    torch.manual_seed(0)
    width = 2 * hidden
    main = of.leaves[0].name
    layer = Recurrent(of, {main: INPUT, "memory": width}, hidden, sizes=more(hidden))
    plain = Recurrent(plain_name, INPUT + width, hidden)
    given = {
        main: torch.randn(steps, batch, INPUT),
        "memory": torch.randn(places, batch, width, requires_grad=True),
    }
    as_wide = torch.randn(steps, batch, INPUT + width, requires_grad=True)

    def inference(run: Callable[[], Any], target: str | None) -> Callable[[], Any]:
        def timed() -> None:
            with torch.no_grad(), conveyor.use_target(target):
                run()

        return timed

    def training(run: Callable[[], Any], target: str | None) -> Callable[[], Any]:
        def timed() -> None:
            with conveyor.use_target(target):
                torch.autograd.backward(_first(run()).sum())

        return timed

    with torch.no_grad():
        one = _first(layer(given))
        with conveyor.use_target("reference"):
            other = _first(layer(given))
        # Sharp weights of places make rounding grow from step to step; single numbers may differ.
        assert (one - other).norm() < 1e-3 * other.norm()
    times = {
        what: medians(
            {
                "machine code": how(lambda: layer(given), None),
                "reference": how(lambda: layer(given), "reference"),
                "plain": how(lambda: plain(as_wide), None),
            }
        )
        for what, how in (("inference", inference), ("training", training))
    }
    return {
        "cell": of.name, "B": batch, "T": steps, "L": places, "H": hidden, "plain": plain_name,
        "milliseconds": times,
    }  # fmt: skip


def main() -> None:
    """Measure, print and store."""
    torch.set_num_threads(1)
    rows = [measure(number, size) for number in range(len(CELLS)) for size in SIZES]

    def times(what: str, side: str) -> Callable[[dict[str, Any]], str]:
        return lambda row: f"{row['milliseconds'][what][side]:.2f}"

    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "cell": lambda row: str(row["cell"]),
        "B, T, L, H": lambda row: ", ".join(str(row[key]) for key in "BTLH"),
    }
    for what in ("inference", "training"):
        for side in ("machine code", "reference", "plain"):
            columns[f"{what}, {side}"] = times(what, side)
    table(rows, columns)
    store("memories", {"machine": machine(), "input": INPUT, "rows": rows})


if __name__ == "__main__":
    main()
