"""What our own ways cost beside each other and beside what the machine can do.

scripts/bench limits [--rounds N] [--threads 1,2] [--batch ...] [--steps ...] [--hidden ...]
                     [QUESTION ...]

- share of peak: multiply-adds of an LSTM, by what the cores can multiply at best (B from 32, H
  from 256); the best is the larger of torch.matmul's and our panel's.
- share of bandwidth: bytes of recurrent weights read at B = 1, by how fast weights of that size
  can be read; I = 1, so that there is nothing else to multiply.
- element-wise variants: time for each multiply-add, by the LSTM's.
- padding: time of a batch with lengths, by its share of true elements of the dense time.
- denormals: time where all states are denormal numbers, by the time where they are not.
- clockwork: time of a dense Elman network by that of a clockwork network of as many units in eight
  modules, which does 4.5/8 of its recurrent multiply-adds at every step, and much less at most.
- heads: time of ``Heads`` by that of one LSTM whose recurrent matrices are as many blocks, which
  multiplies by the zeros between them too.
- compiling: seconds until a new cell has run, with nothing kept and from the cache.
- planning: seconds to plan large cells of 100 to 1,000 lines, to lay out both passes and to write
  their code; and, of up to 300 lines, until LLVM has compiled it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import conveyor
from benchmarks.measure import (
    Contest,
    geometric,
    options_of_grid,
    points,
    table,
    timed,
    training,
    without_gradients,
)
from benchmarks.planning import planning
from benchmarks.runs import machine, store
from benchmarks.speed import Lengths
from conveyor.cells import Blocks, find
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from conveyor.kernels.llvm.limits import limits
from conveyor.layers.initialise import recurrent_matrices

Row = dict[str, Any]
Run = Callable[[Tensor], Tensor]
# Matrices so large that torch.matmul is at its fastest.
MATMUL = 2048


def _output(layer: torch.nn.Module) -> Run:
    def run(x: Tensor) -> Tensor:
        output: Tensor = layer(x)[0]
        return output

    return run


def both_ways(
    one: torch.nn.Module, two: torch.nn.Module, x: Tensor, run_two: Run | None = None
) -> dict[str, Contest]:
    """Two layers side by side; ``run_two`` if the second is not run on the input alone."""
    runs = _output(one), run_two or _output(two)
    return {
        "inference": (without_gradients(runs[0], x), without_gradients(runs[1], x)),
        "training": (
            training(runs[0], one.parameters(), x),
            training(runs[1], two.parameters(), x),
        ),
    }


def _matmul_peak() -> float:
    """Multiply-adds of torch.matmul in a nanosecond, all threads."""
    a, b = torch.randn(MATMUL, MATMUL), torch.randn(MATMUL, MATMUL)
    out = torch.empty(MATMUL, MATMUL)

    def multiply() -> Tensor:
        return torch.mm(a, b, out=out)

    return float(MATMUL**3 / min(timed((multiply, multiply), 7)) / 1e9)


def share_of_peak(options: argparse.Namespace) -> list[Row]:
    """See the top of this file."""
    rows = []
    matmul: dict[int, float] = {}
    for point in points(options):
        if point["B"] < 32 or point["H"] < 256:
            continue
        threads = point["threads"]
        if threads not in matmul:
            matmul[threads] = _matmul_peak()
        own = limits(torch.float32, 1 << 20).multiply_adds_per_ns * threads
        layer = conveyor.LSTM(point["I"], point["H"])
        x = torch.randn(point["T"], point["B"], point["I"])
        both = both_ways(layer, layer, x)
        seconds = {kind: timed(contest, options.rounds)[1] for kind, contest in both.items()}
        work = 4 * point["H"] * (point["I"] + point["H"]) * point["B"] * point["T"]
        best = max(own, matmul[threads]) * 1e9
        rows.append(
            {
                **point,
                "seconds": seconds,
                "peak": {"torch.matmul": matmul[threads], "panel": own},
                "inference": work / seconds["inference"] / best,
                # The input's gradient is not wanted: a training step has 2.5 times the products.
                "training": 2.5 * work / seconds["training"] / best,
            }
        )
    return rows


def share_of_bandwidth(options: argparse.Namespace) -> list[Row]:
    """See the top of this file."""
    rows = []
    for point in points(options):
        if point["B"] > 1:
            continue
        point["I"] = 1
        layer = conveyor.LSTM(1, point["H"])
        x = torch.randn(point["T"], 1, 1)
        seconds = timed(both_ways(layer, layer, x)["inference"], options.rounds)[1]
        weights = 4 * point["H"] ** 2 * 4
        best = limits(torch.float32, weights).bytes_per_ns * point["threads"] * 1e9
        rows.append(
            {
                **point,
                "seconds": seconds,
                "inference": weights * point["T"] / seconds / best,
            }
        )
    return rows


def variants(options: argparse.Namespace) -> list[Row]:
    """See the top of this file."""
    rows = []
    for point in points(options):
        x = torch.randn(point["T"], point["B"], point["I"])
        plain = conveyor.Recurrent("lstm", point["I"], point["H"])
        for cell, gates in {"lstm_peephole": 4, "lstm_coupled": 3}.items():
            other = conveyor.Recurrent(cell, point["I"], point["H"])
            row: Row = {**point, "cell": cell}
            for kind, contest in both_ways(plain, other, x).items():
                of_plain, of_other = timed(contest, options.rounds)
                row[kind] = of_other / of_plain * 4 / gates
            rows.append(row)
    return rows


def padding(options: argparse.Namespace) -> list[Row]:
    """See the top of this file."""
    rows = []
    for point in points(options):
        if point["B"] == 1:  # nothing is padded
            continue
        layer = conveyor.LSTM(point["I"], point["H"])
        x = torch.randn(point["T"], point["B"], point["I"])
        lengths = Lengths(point)
        share = float(lengths.lists.double().mean()) / point["T"]

        def ragged(x: Tensor, layer: conveyor.LSTM = layer, lengths: Lengths = lengths) -> Tensor:
            output: Tensor = layer(x, lengths=lengths.next())[0]
            return output

        row: Row = {**point, "share of true elements": share}
        for kind, contest in both_ways(layer, layer, x, ragged).items():
            of_dense, of_ragged = timed(contest, options.rounds)
            row[kind] = of_ragged / of_dense / share
        rows.append(row)
    return rows


def denormals(options: argparse.Namespace) -> list[Row]:
    """See the top of this file. All parameters and inputs are around 1e-39 on one side."""
    rows = []
    for point in points(options):
        layers = [conveyor.RNN(point["I"], point["H"]) for _ in range(2)]
        x = torch.randn(point["T"], point["B"], point["I"])
        with torch.no_grad():
            for each in layers[1].parameters():
                each.fill_(1e-39)
        row: Row = {**point}
        for kind, contest in both_ways(layers[0], layers[1], x).items():
            of_usual, of_denormal = timed(contest, options.rounds)
            row[kind] = of_denormal / of_usual
        rows.append(row)
    return rows


# Run by itself: seconds of a cell's first inference and of its first training step.
FIRST_CALLS = """
import sys, time, torch, conveyor
conveyor.Recurrent("rnn", 4, 4)(torch.randn(2, 1, 4)) if sys.argv[2] == "panels there" else None
layer, x = conveyor.Recurrent(sys.argv[1], 64, 64), torch.randn(10, 4, 64)
begin = time.perf_counter()
with torch.no_grad():
    layer(x)
inference = time.perf_counter()
layer(x)[0].sum().backward()
print(inference - begin, time.perf_counter() - inference)
"""
CELLS = ("lstm", "gru", "lstm_peephole")


def compiling(_: argparse.Namespace) -> list[Row]:
    """See the top of this file."""
    rows = []
    for cell in CELLS:
        row: Row = {"cell": cell}
        with tempfile.TemporaryDirectory() as folder:
            for what, panels in {
                "nothing kept": "no panels",
                "from the cache": "panels there",
            }.items():
                done = subprocess.run(
                    [sys.executable, "-c", FIRST_CALLS, cell, panels],
                    env={**os.environ, "CONVEYOR_CACHE_DIR": folder},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                inference, step = map(float, done.stdout.split())
                row[what] = {"inference": inference, "training": step}
        rows.append(row)
    return rows


PERIODS = (1, 2, 4, 8, 16, 32, 64, 128)


def clockwork(options: argparse.Namespace) -> list[Row]:
    """Elman networks beside clockwork networks of as many units. What a clockwork network computes
    is compared with its definition in tests/layers/test_clockwork.py."""
    rows = []
    for point in points(options):
        x = torch.randn(point["T"], point["B"], point["I"])
        dense = conveyor.Recurrent("rnn", point["I"], point["H"])
        clocks = conveyor.Clockwork(point["I"], point["H"], PERIODS)
        row: Row = dict(point)
        for kind, contest in both_ways(dense, clocks, x).items():
            other, ours = timed(contest, options.rounds)
            row[kind] = other / ours
        rows.append(row)
    return rows


NUMBERS_OF_HEADS = (4, 8)


def _in_blocks(name: str) -> Program:
    """Return a cell whose recurrent matrices have blocks on the diagonal."""
    program = trace(find(name))
    recurrent = recurrent_matrices(program)
    names = [leaf.name for leaf in program.stored if leaf.name in recurrent]
    return replace(program, blocks=tuple((each, Blocks("N")) for each in names))


LSTM_IN_BLOCKS = _in_blocks("lstm")


def heads(options: argparse.Namespace) -> list[Row]:
    """LSTMs in heads, as layers side by side and as one cell. Both are compared in
    tests/layers/test_blocks.py."""
    rows = []
    for point in points(options):
        x = torch.randn(point["T"], point["B"], point["I"])
        for number in NUMBERS_OF_HEADS:
            apart = conveyor.Heads("lstm", point["I"], point["H"], number)
            sizes = {"N": number}
            together = conveyor.Recurrent(LSTM_IN_BLOCKS, point["I"], point["H"], sizes=sizes)
            row: Row = {**point, "heads": number}
            for kind, contest in both_ways(apart, together, x).items():
                other, ours = timed(contest, options.rounds)
                row[kind] = other / ours
            rows.append(row)
    return rows


QUESTIONS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "share of peak": share_of_peak,
    "share of bandwidth": share_of_bandwidth,
    "element-wise variants": variants,
    "padding": padding,
    "denormals": denormals,
    "clockwork": clockwork,
    "heads": heads,
    "compiling": compiling,
    "planning": planning,
}


def report(question: str, rows: list[Row]) -> Row:
    """A table for people, and what is stored."""
    print(f"\n{question}")
    if question == "compiling":
        for row in rows:
            for what in ("nothing kept", "from the cache"):
                both = row[what]
                print(
                    f"{row['cell']}, {what}: first inference {both['inference'] * 1e3:.0f} ms, "
                    f"first training step {both['training'] * 1e3:.0f} ms"
                )
        return {"rows": rows, "machine": machine()}
    if question == "planning":
        for row in rows:
            parts = [f"{what} {row[what]:.2f}" for what in row if what not in ("cell", "lines")]
            print(f"{row['cell']} of {row['lines']:,} lines, seconds: {', '.join(parts)}")
        return {"rows": rows, "machine": machine()}
    names = [name for name in ("cell", "heads", "B", "T", "I", "H", "threads") if name in rows[0]]
    kinds = [kind for kind in ("inference", "training") if kind in rows[0]]
    columns: dict[str, Any] = {name: lambda row, name=name: str(row[name]) for name in names}
    columns |= {kind: lambda row, kind=kind: f"{row[kind]:.2f}" for kind in kinds}
    table(rows, columns)
    summary = {}
    for kind in kinds:
        found = [row[kind] for row in rows]
        summary[kind] = {
            "geometric mean": geometric(found),
            "least": min(found),
            "most": max(found),
        }
        print(
            f"{kind}: geometric mean {geometric(found):.2f}, least {min(found):.2f}, "
            f"most {max(found):.2f}"
        )
    return {"summary": summary, "rows": rows, "machine": machine()}


def main() -> None:
    """The command line."""
    parser = options_of_grid()
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(QUESTIONS))
    options = parser.parse_args()
    for question in options.questions:
        if question not in QUESTIONS:
            parser.error(f"there is no question {question!r}. There are: {'; '.join(QUESTIONS)}")
    for question in options.questions or QUESTIONS:
        begin = time.perf_counter()
        if rows := QUESTIONS[question](options):
            store("limits", {question: report(question, rows)})
            print(f"({time.perf_counter() - begin:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
