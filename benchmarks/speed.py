"""How fast layers run and train, beside what does the same work.

scripts/bench speed [--rounds N] [--threads 1,2] [--batch 1,32] [--steps 25,100]
                    [--hidden 64,256] [QUESTION ...]

Both sides run in one process, in turn; first it is checked that they give the same numbers. A
ratio is the other's median time by ours: above 1 we are faster. ``--batch``, ``--steps`` and
``--hidden`` take a part of the grid.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

import conveyor
from benchmarks.rivals import Loop, Packed, onnx_lstm
from benchmarks.runs import machine, store

Contest = tuple[Callable[[], Any], Callable[[], Any]]
Point = dict[str, int]

BATCHES, STEPS, HIDDEN = "1,16,32,128", "25,100,400", "32,64,128,256,512"


def grid(options: argparse.Namespace) -> list[Point]:
    """B, T, I, H: the grid, and the model of a known tutorial on univariate series."""
    points = [
        {"B": B, "T": T, "I": H, "H": H}
        for H in whole(options.hidden)
        for B in whole(options.batch)
        for T in whole(options.steps)
    ]
    return [*points, {"B": 1, "T": 10, "I": 1, "H": 50}]


def whole(text: str) -> list[int]:
    """Whole numbers with commas between."""
    return [int(each) for each in text.split(",")]


def timed(contest: Contest, rounds: int) -> tuple[float, float]:
    """Medians of both sides in seconds, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in contest * 2:
        run()
    for _ in range(rounds):
        for side, run in enumerate(contest):
            begin = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def training(layer: Callable[[Tensor], Tensor], parameters: Iterable[Tensor], x: Tensor) -> Any:
    """A training step without the optimiser: outputs, a loss, all gradients of weights."""
    own = list(parameters)

    def step() -> list[Tensor]:
        for each in own:
            each.grad = None
        torch.autograd.backward(layer(x).sum())
        return [each.grad for each in own if each.grad is not None]

    return step


def _output(layer: nn.Module, **given: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: layer(x, **given)[0]


def _without_gradients(run: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    def step() -> Tensor:
        with torch.no_grad():
            return run(x)

    return step


def dense(kind: str, dtype: torch.dtype = torch.float32) -> Callable[[Point], Any]:
    """A layer of torch.nn and ours of the same name, same weights."""

    def make(point: Point) -> tuple[nn.Module, nn.Module, Any, Any, Tensor]:
        theirs = getattr(nn, kind)(point["I"], point["H"], dtype=dtype)
        ours = getattr(conveyor, kind)(point["I"], point["H"], dtype=dtype)
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(point["T"], point["B"], point["I"], dtype=dtype)
        return theirs, ours, _output(theirs), _output(ours), x

    return make


def packed(kind: str) -> Callable[[Point], Any]:
    """Sequences of different length: torch's packed ones and ``lengths``."""

    def make(point: Point) -> tuple[nn.Module, nn.Module, Any, Any, Tensor]:
        inner, ours, _, _, x = dense(kind)(point)
        T, B = point["T"], point["B"]
        lengths = torch.randint(max(1, T // 4), T + 1, (B,))
        lengths[0] = T
        theirs = Packed(inner, lengths)
        return inner, ours, theirs, _output(ours, lengths=lengths), x

    return make


def loop(cell: str) -> Callable[[Point], Any]:
    """A cell that torch.nn lacks, as a loop in torch."""

    def make(point: Point) -> tuple[nn.Module, nn.Module, Any, Any, Tensor]:
        ours = conveyor.Recurrent(cell, point["I"], point["H"])
        theirs = Loop(cell, dict(ours.named_parameters()))
        x = torch.randn(point["T"], point["B"], point["I"])
        return theirs, ours, theirs, _output(ours), x

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


def onnx(options: argparse.Namespace, threads: int) -> list[dict[str, Any]]:
    """ONNX Runtime's LSTM, inference, B = 1 and 32."""
    rows = []
    for point in grid(options):
        if point["B"] not in (1, 32):
            continue
        torch.manual_seed(0)
        theirs, _, _, run_ours, x = dense("LSTM")(point)
        rival = onnx_lstm(theirs, x, threads)
        if rival is None:
            print("ONNX Runtime is not installed: pip install onnx onnxruntime")
            return []
        mine = _without_gradients(run_ours, x)
        torch.testing.assert_close(mine(), torch.from_numpy(rival())[:, 0], rtol=1e-3, atol=1e-4)
        rows.append(
            {**point, "threads": threads, "inference": timed((rival, mine), options.rounds)}
        )
    return rows


def compare(make: Callable[[Point], Any], point: Point, rounds: int) -> dict[str, Any]:
    """Both sides of a question at one point of the grid."""
    torch.manual_seed(0)
    theirs, ours, run_theirs, run_ours, x = make(point)
    contest = _without_gradients(run_theirs, x), _without_gradients(run_ours, x)
    # Float32 sums of some thousand products, over up to 400 steps.
    torch.testing.assert_close(contest[1](), contest[0](), rtol=1e-3, atol=1e-4)
    row: dict[str, Any] = {"inference": timed(contest, rounds)}
    both = (
        training(run_theirs, theirs.parameters(), x),
        training(run_ours, ours.parameters(), x),
    )
    row["training"] = timed(both, rounds)
    return row


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
            a, b = timed((rival, many(lambda: stream(given))), rounds)
            found[f"{name} / stream(x)"] = [a * 1e3, b * 1e3]
            a, b = timed((rival, many(stream.advance)), rounds)
            found[f"{name} / stream.advance()"] = [a * 1e3, b * 1e3]
            a, b = timed((rival, many(lambda: layer.step(x, first))), rounds)
            found[f"{name} / layer.step(x, state)"] = [a * 1e3, b * 1e3]
    return found


def _as_lstm(cell: nn.LSTMCell) -> nn.LSTM:
    layer = nn.LSTM(cell.input_size, cell.hidden_size)
    layer.load_state_dict({f"{name}_l0": each for name, each in cell.state_dict().items()})
    return layer


def geometric(values: Iterable[float]) -> float:
    """The geometric mean."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def ratio(pair: tuple[float, float]) -> float:
    """The other's time by ours."""
    return pair[0] / pair[1]


def report(question: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A table for people, and what is stored."""
    print(f"\n{question}: time of the other by ours")
    kinds = [kind for kind in ("inference", "training") if kind in rows[0]]
    sizes = ("B", "T", "I", "H", "threads")
    print(" ".join(f"{name:>9}" for name in (*sizes, *kinds)))
    for row in rows:
        cells = [str(row[name]) for name in sizes] + [f"{ratio(row[kind]):.2f}" for kind in kinds]
        print(" ".join(f"{cell:>9}" for cell in cells))
    summary = {}
    for what in kinds:
        ratios = [ratio(row[what]) for row in rows]
        summary[what] = {"geometric mean": geometric(ratios), "least": min(ratios)}
        print(f"{what}: geometric mean {geometric(ratios):.2f}, least {min(ratios):.2f}")
    return {"summary": summary, "rows": rows, "machine": machine()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(QUESTIONS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", default=f"1,{torch.get_num_threads()}")
    parser.add_argument("--batch", default=BATCHES)
    parser.add_argument("--steps", default=STEPS)
    parser.add_argument("--hidden", default=HIDDEN)
    options = parser.parse_args()
    for question in options.questions or [*QUESTIONS, "ONNX Runtime", "one step"]:
        if question == "one step":
            torch.set_num_threads(1)
            found = one_step(options.rounds)
            for name, (theirs, ours) in found.items():
                print(f"{name}: {theirs:.2f} µs, {ours:.2f} µs, {theirs / ours:.2f}")
            store("speed", {question: {"microseconds": found, "machine": machine()}})
            continue
        if question not in (*QUESTIONS, "ONNX Runtime"):
            parser.error(f"there is no question {question!r}")
        rows = []
        for threads in sorted(set(whole(options.threads))):
            torch.set_num_threads(threads)
            if question == "ONNX Runtime":
                rows += onnx(options, threads)
                continue
            for point in grid(options):
                row = compare(QUESTIONS[question], point, options.rounds)
                rows.append({**point, "threads": threads, **row})
        if rows:
            store("speed", {question: report(question, rows)})


if __name__ == "__main__":
    main()
