"""What the targets that run on a GPU cost beside torch.nn there.

scripts/bench gpu [--rounds N] [--batch 16,64] [--steps 100] [--hidden 64,256,512]

- drop-in: torch.nn.LSTM's time by that of conveyor.LSTM, which runs the same kernels of cuDNN; with
  lengths, torch packs and unpacks.
- any cell: time of the reference target's LSTM by cuDNN's: what a cell costs that torch lacks.

The results of both sides are compared before anything is timed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import conveyor
from benchmarks.measure import Contest, Point, options_of_grid, points, table
from benchmarks.runs import machine, store

GPU = "cuda"
# TF32 is off on both sides, so that results agree: float32 over a hundred steps.
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4}


def seconds(contest: Contest, rounds: int) -> tuple[float, float]:
    """Return the medians of both sides, run in turn; each waits for the GPU."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in contest * 2:
        run()
    for _ in range(rounds):
        for side, run in enumerate(contest):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            run()
            torch.cuda.synchronize()
            times[side].append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def both(
    theirs: Callable[[Tensor], Tensor],
    ours: Callable[[Tensor], Tensor],
    modules: tuple[nn.Module, nn.Module],
    x: Tensor,
) -> dict[str, Contest]:
    """Return inference and a training step of both sides, after comparing what they compute."""
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), **CLOSE)

    def inference(run: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        def call() -> Tensor:
            with torch.no_grad():
                return run(x)

        return call

    def training(run: Callable[[Tensor], Tensor], module: nn.Module) -> Callable[[], None]:
        def call() -> None:
            for parameter in module.parameters():
                parameter.grad = None
            torch.autograd.backward(run(x).sum())

        return call

    return {
        "inference": (inference(theirs), inference(ours)),
        "training": (training(theirs, modules[0]), training(ours, modules[1])),
    }


def row(question: str, point: Point, sides: dict[str, Contest], rounds: int) -> dict[str, Any]:
    """Return the seconds of both sides and their ratio."""
    result: dict[str, Any] = {"question": question, **point}
    for kind, contest in sides.items():
        theirs, ours = seconds(contest, rounds)
        result[kind] = {"theirs": theirs, "ours": ours, "ratio": theirs / ours}
    return result


def at(point: Point, rounds: int) -> list[dict[str, Any]]:
    """Return the rows of one point of the grid."""
    steps, batch, width, hidden = (point[key] for key in ("T", "B", "I", "H"))
    theirs = nn.LSTM(width, hidden, device=GPU)
    ours = conveyor.LSTM(width, hidden, device=GPU)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(steps, batch, width, device=GPU)
    lengths = torch.linspace(steps, max(1, steps // 10), batch).long()

    def packed(values: Tensor) -> Tensor:
        output, _ = theirs(pack_padded_sequence(values, lengths))
        padded: Tensor = pad_packed_sequence(output)[0]
        return padded

    def of(layer: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
        def run(values: Tensor) -> Tensor:
            output: Tensor = layer(values, **options)[0]
            return output

        return run

    def by_reference(values: Tensor) -> Tensor:
        with conveyor.use_target("reference"):
            output: Tensor = ours(values)[0]
        return output

    modules = theirs, ours
    return [
        row("drop-in, dense", point, both(of(theirs), of(ours), modules, x), rounds),
        row("drop-in, lengths", point, both(packed, of(ours, lengths=lengths), modules, x), rounds),
        row("any cell", point, both(of(theirs), by_reference, modules, x), max(3, rounds // 3)),
    ]


def main() -> None:
    """Measure, print and store."""
    parser = options_of_grid()
    parser.set_defaults(batch="16,64", steps="100", hidden="64,256,512", threads="1")
    options: argparse.Namespace = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("error: there is no GPU here: torch.cuda.is_available() is False.")
    torch.backends.cudnn.allow_tf32 = False
    rows = [line for point in points(options) for line in at(point, options.rounds)]
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "": lambda line: str(line["question"]),
        **{key: lambda line, key=key: str(line[key]) for key in ("B", "T", "H")},  # type: ignore[misc]
        "ms": lambda line: f"{1e3 * line['inference']['ours']:.2f}",
        "ms, training": lambda line: f"{1e3 * line['training']['ours']:.2f}",
        "torch / ours": lambda line: f"{line['inference']['ratio']:.2f}",
        "torch / ours, training": lambda line: f"{line['training']['ratio']:.2f}",
    }
    table(rows, columns)
    name = torch.cuda.get_device_name()
    store("gpu", {"machine": {**machine(), "gpu": name}, "rows": rows})


if __name__ == "__main__":
    main()
