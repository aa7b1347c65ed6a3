"""How fast layers run and train, beside what does the same work.

scripts/bench speed [--rounds N] [--threads 1,2] [--batch 1,32] [--steps 25,100]
                    [--hidden 64,256] [QUESTION ...]

First it is checked that both sides give the same numbers. A ratio is the other's median time by
ours: above 1 we are faster. ``--batch``, ``--steps`` and ``--hidden`` take a part of the grid.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import conveyor
from benchmarks.measure import (
    Point,
    geometric,
    least,
    options_of_grid,
    points,
    table,
    timed,
    training,
    without_gradients,
)
from benchmarks.rivals import Loop, Packed, onnx_lstm
from benchmarks.runs import machine, store

# The model of a known tutorial on univariate series.
SMALL: Point = {"B": 1, "T": 10, "I": 1, "H": 50}
# So many different lists of lengths, one after the other: as in training, none comes again soon.
LISTS = 200
# Seconds that are measured at least.
SHORTEST = 0.002
# Calls of a small layer that are timed together, and how often for each round.
MANY, MANY_ROUNDS = 50, 20


def dense(kind: str, dtype: torch.dtype = torch.float32) -> Callable[[Point], Any]:
    """A layer of torch.nn and ours of the same name, same weights."""

    def make(point: Point) -> tuple[nn.Module, nn.Module, Any, Any, Tensor]:
        theirs = getattr(nn, kind)(point["I"], point["H"], dtype=dtype)
        ours = getattr(conveyor, kind)(point["I"], point["H"], dtype=dtype)
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(point["T"], point["B"], point["I"], dtype=dtype)
        return theirs, ours, lambda x: theirs(x)[0], lambda x: ours(x)[0], x

    return make


class Lengths:
    """Other lengths at each call, uniform in [T/4, T]; every side takes its own copy."""

    def __init__(self, point: Point) -> None:
        T, B = point["T"], point["B"]
        draw = torch.Generator().manual_seed(0)
        self.lists = torch.randint(max(1, T // 4), T + 1, (LISTS, B), generator=draw)
        self.lists[:, 0] = T
        self.number = -1

    def next(self) -> Tensor:
        """The next list."""
        self.number = (self.number + 1) % LISTS
        return self.lists[self.number]


def packed(kind: str) -> Callable[[Point], Any]:
    """Sequences of different length: torch's packed ones and ``lengths``."""

    def make(point: Point) -> tuple[nn.Module, nn.Module, Any, Any, Tensor]:
        inner, ours, _, _, x = dense(kind)(point)
        theirs, one, two = Packed(inner), Lengths(point), Lengths(point)
        return (
            inner,
            ours,
            lambda x: theirs(x, one.next()),
            lambda x: ours(x, lengths=two.next())[0],
            x,
        )

    return make


def loop(cell: str) -> Callable[[Point], Any]:
    """A cell that torch.nn lacks, as a loop in torch."""

    def make(point: Point) -> tuple[nn.Module, nn.Module, Any, Any, Tensor]:
        ours = conveyor.Recurrent(cell, point["I"], point["H"])
        theirs = Loop(cell, dict(ours.named_parameters()))
        x = torch.randn(point["T"], point["B"], point["I"])
        return theirs, ours, theirs, lambda x: ours(x)[0], x

    return make


QUESTIONS: dict[str, Callable[[Point], Any]] = {
    "torch.nn.LSTM": dense("LSTM"),
    "torch.nn.GRU": dense("GRU"),
    "torch.nn.RNN": dense("RNN"),
    "torch.nn.LSTM, packed": packed("LSTM"),
    "torch.nn.GRU, packed": packed("GRU"),
    "a loop in torch, lstm_peephole": loop("lstm_peephole"),
    "a loop in torch, lstm_coupled": loop("lstm_coupled"),
    "torch.nn.LSTM, float64": dense("LSTM", torch.float64),
}


def onnx(point: Point, rounds: int, *, arrays: bool) -> dict[str, Any] | None:
    """ONNX Runtime's LSTM beside the layer, or beside its ``numpy()`` if ``arrays``, then by least
    times: inference; None where it is not installed."""
    theirs, ours, _, run_ours, x = dense("LSTM")(point)
    rival = onnx_lstm(theirs, x, point["threads"])
    if rival is None:
        return None
    mine: Callable[[], Any] = without_gradients(run_ours, x)
    output = mine()
    if arrays:
        mine = partial(ours.numpy(), x.numpy())
        output = torch.from_numpy(mine()[0])
    torch.testing.assert_close(output, torch.from_numpy(rival())[:, 0], rtol=1e-3, atol=1e-4)
    # Short calls many at a time, or the clock would weigh as much as they do.
    begin = time.perf_counter()
    mine()
    times = max(1, int(SHORTEST / (time.perf_counter() - begin)))
    clock = least if arrays else timed
    both = clock((repeated(rival, times), repeated(mine, times)), rounds)
    return {"inference": (both[0] / times, both[1] / times)}


def repeated(run: Callable[[], Any], times: int) -> Callable[[], None]:
    """The run, so many times."""

    def many() -> None:
        for _ in range(times):
            run()

    return many


def _microseconds(rival: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> list[float]:
    """Of a call of each side."""
    both = least((repeated(rival, MANY), repeated(ours, MANY)), MANY_ROUNDS * rounds)
    return [each / MANY * 1e6 for each in both]


def small_calls(rounds: int) -> dict[str, Any]:
    """Calls and steps of small layers, in µs: the other's and ours, B = 1."""
    found: dict[str, Any] = {}
    with torch.no_grad():
        for features, units, steps in ((1, 50, 10), (64, 64, 1)):
            x = torch.randn(steps, 1, features)
            theirs, ours = nn.LSTM(features, units), conveyor.LSTM(features, units)
            rivals: dict[str, Any] = {"torch.nn.LSTM": partial(theirs, x)}
            rivals["ONNX Runtime"] = onnx_lstm(theirs, x, 1)
            for name, rival in rivals.items():
                for what, run in {
                    "the layer": partial(ours, x),
                    "numpy()": partial(ours.numpy(), x.numpy()),
                }.items():
                    label = f"I {features}, H {units}, T {steps}: {name} / {what}"
                    if rival is not None:
                        found[label] = _microseconds(rival, run, rounds)
        for kind in ("LSTM", "GRU", "RNN"):
            cell, x = getattr(nn, f"{kind}Cell")(64, 64), torch.randn(1, 64)
            zero = torch.zeros(1, 64)
            first = (zero, zero) if kind == "LSTM" else zero
            for layer in (
                getattr(conveyor, kind)(64, 64),
                conveyor.Recurrent(kind.lower(), 64, 64),
            ):
                label = f"one step: torch.nn.{kind}Cell / {type(layer).__name__} {kind.lower()}"
                step = partial(layer.step, x, layer.start(1))
                found[label] = _microseconds(partial(cell, x, first), step, rounds)
    return found


def compare(make: Callable[[Point], Any], point: Point, rounds: int) -> dict[str, Any]:
    """Both sides of a question at one point of the grid."""
    theirs, ours, run_theirs, run_ours, x = make(point)
    contest = without_gradients(run_theirs, x), without_gradients(run_ours, x)
    # Float32 sums of some thousand products, over up to 400 steps.
    torch.testing.assert_close(contest[1](), contest[0](), rtol=1e-3, atol=1e-4)
    both = (
        training(run_theirs, theirs.parameters(), x),
        training(run_ours, ours.parameters(), x),
    )
    return {"inference": timed(contest, rounds), "training": timed(both, rounds)}


def one_step(rounds: int) -> dict[str, Any]:
    """One step from Python, H = I = 64, B = 1, in µs: ours as a stream and as ``layer.step``."""
    torch.manual_seed(0)
    cell, layer = nn.LSTMCell(64, 64), conveyor.LSTM(64, 64)
    with torch.no_grad():
        for name, weight in cell.named_parameters():
            getattr(layer, f"{name}_l0").copy_(weight)
        x, state = torch.randn(1, 64), (torch.zeros(1, 64), torch.zeros(1, 64))
        given, stream, first = x[0].numpy(), layer.stream(), layer.start(1)
        h, _ = cell(x, state)
        torch.testing.assert_close(torch.from_numpy(stream(given)), h[0])

        def many(step: Callable[[], Any]) -> Callable[[], None]:
            def run() -> None:
                for _ in range(1000):
                    step()

            return run

        rivals = {"torch.nn.LSTMCell": many(lambda: cell(x, state))}
        onnx = onnx_lstm(_as_lstm(cell), x[None], 1)
        if onnx is not None:
            rivals["ONNX Runtime"] = many(onnx)
        found: dict[str, Any] = {}
        for name, rival in rivals.items():
            for what, own in {
                "stream(x)": lambda: stream(given),
                "stream.advance()": stream.advance,
                "layer.step(x, state)": lambda: layer.step(x, first),
            }.items():
                a, b = timed((rival, many(own)), rounds)
                found[f"{name} / {what}"] = [a * 1e3, b * 1e3]
    return found


def _as_lstm(cell: nn.LSTMCell) -> nn.LSTM:
    layer = nn.LSTM(cell.input_size, cell.hidden_size)
    layer.load_state_dict({f"{name}_l0": each for name, each in cell.state_dict().items()})
    return layer


# Questions of calls so small that one thread does them, without a grid.
BY_NAME = {"one step": one_step, "small calls": small_calls}
ARRAYS = "ONNX Runtime, from arrays to arrays"


def ratio(pair: tuple[float, float]) -> float:
    """The other's time by ours."""
    return pair[0] / pair[1]


def report(question: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A table for people, and what is stored."""
    print(f"\n{question}: time of the other by ours")
    kinds = [kind for kind in ("inference", "training") if kind in rows[0]]
    columns: dict[str, Any] = {
        name: lambda row, name=name: str(row[name]) for name in ("B", "T", "I", "H", "threads")
    }
    columns |= {kind: lambda row, kind=kind: f"{ratio(row[kind]):.2f}" for kind in kinds}
    table(rows, columns)
    summary = {}
    for what in kinds:
        ratios = [ratio(row[what]) for row in rows]
        summary[what] = {"geometric mean": geometric(ratios), "least": min(ratios)}
        print(f"{what}: geometric mean {geometric(ratios):.2f}, least {min(ratios):.2f}")
    return {"summary": summary, "rows": rows, "machine": machine()}


def side_by_side(question: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A question over the grid."""
    rows: list[dict[str, Any]] = []
    for point in points(options, SMALL):
        found: dict[str, Any] | None
        if question in QUESTIONS:
            found = compare(QUESTIONS[question], point, options.rounds)
        elif point["B"] in (1, 32):
            found = onnx(point, options.rounds, arrays=question == ARRAYS)
        else:
            continue
        if found is None:
            print("ONNX Runtime is not installed: pip install onnx onnxruntime")
            return []
        rows.append({**point, **found})
    return rows


def main() -> None:
    """The command line."""
    parser = options_of_grid()
    known = [*QUESTIONS, "ONNX Runtime", ARRAYS, *BY_NAME]
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(known))
    options = parser.parse_args()
    for question in options.questions:
        if question not in known:
            parser.error(f"there is no question {question!r}. There are: {'; '.join(known)}")
    for question in options.questions or known:
        if question in BY_NAME:
            torch.set_num_threads(1)
            found = BY_NAME[question](options.rounds)
            for name, (theirs, ours) in found.items():
                print(f"{name}: {theirs:.2f} µs, {ours:.2f} µs, {theirs / ours:.2f}")
            store("speed", {question: {"microseconds": found, "machine": machine()}})
        elif rows := side_by_side(question, options):
            store("speed", {question: report(question, rows)})


if __name__ == "__main__":
    main()
