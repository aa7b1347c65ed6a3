"""How many functions of conveyor a call goes through, in how many files, and how often it changes
from one file to another: what somebody walks who reads along.

scripts/bench walk

- a call: of ``LSTM(8, 16)`` on 10 steps of 3 sequences, once everything is warm.
- a cell: from its equations to its first training step, with no machine code kept from before.

Python 3.11 counts a list comprehension as a function of its own.
"""

import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

import conveyor
from benchmarks.measure import table
from benchmarks.runs import machine, store
from conveyor.cells import Bias, Input, Matrix, State, Value, cell, sigmoid, tanh

ROOT = str(Path(conveyor.__file__).parent)


def counted(what: str, run: Callable[[], Any]) -> dict[str, Any]:
    """Return the calls of ``run``, their files and the moves between these."""
    files: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOT):
            files.append(name)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    moves = sum(one != other for one, other in pairwise(files))
    return {"what": what, "calls": len(files), "files": len(set(files)), "moves": moves}


def of_a_call() -> list[dict[str, Any]]:
    """See the top of this file."""
    layer, deep = conveyor.LSTM(8, 16), conveyor.LSTM(8, 16, 2, bidirectional=True)
    x = torch.randn(10, 3, 8)
    lengths = [10, 4, 7]
    loss: list[Tensor] = []

    def forward() -> None:
        loss.append(layer(x)[0].sum())

    def backward() -> None:
        torch.autograd.backward(loss.pop())

    for _ in range(2):
        forward()
        backward()
        layer(x, lengths=lengths)
        layer.step(x[0])
        deep(x)
    rows = [
        counted("forward, gradients on", forward),
        counted("backward", backward),
        counted("forward with lengths", lambda: layer(x, lengths=lengths)),
        counted("step, gradients on", lambda: layer.step(x[0])),
        counted("forward, 2 layers, both directions", lambda: deep(x)),
    ]
    with torch.no_grad():
        for _ in range(2):
            layer(x)
            layer.step(x[0])
        rows.append(counted("forward, no gradients", lambda: layer(x)))
        rows.append(counted("step, no gradients", lambda: layer.step(x[0])))
    return rows


def of_a_cell() -> list[dict[str, Any]]:
    """See the top of this file."""
    results: dict[str, Any] = {}

    def define() -> None:
        @cell
        def mgu(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
            f = sigmoid(W.f @ x + U.f @ h + b.f)
            n = tanh(W.n @ x + U.n @ (f * h) + b.n)
            h = (1 - f) * h + f * n
            return h  # noqa: RET504  (a cell returns its state)

        results["cell"] = mgu

    def construct() -> None:
        results["layer"] = conveyor.Recurrent(results["cell"], 8, 16)

    def forward() -> None:
        results["loss"] = results["layer"](torch.randn(10, 3, 8))[0].sum()

    def backward() -> None:
        torch.autograd.backward(results["loss"])

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict("os.environ", {"CONVEYOR_CACHE_DIR": folder}),
    ):
        return [
            counted("@cell", define),
            counted("Recurrent(cell, …)", construct),
            counted("first forward", forward),
            counted("first backward", backward),
        ]


def main() -> None:
    """Count, print and store."""
    torch.set_num_threads(1)
    rows = [*of_a_cell(), *of_a_call()]
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "": lambda row: str(row["what"]),
        "calls": lambda row: f"{row['calls']:,}",
        "files": lambda row: str(row["files"]),
        "moves": lambda row: f"{row['moves']:,}",
    }
    table(rows, columns)
    store("walk", {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
