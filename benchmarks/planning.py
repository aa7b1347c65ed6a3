"""How long cells of many operations take until there is code of them."""

import argparse
import time
from typing import Any

import torch

from conveyor.cells import Cell, Input, Matrix, State, Value, cell, tanh
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.kernels.layout.backward_layout import backward_layout
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.llvm.compiled_plan import pass_text
from conveyor.kernels.llvm.machine import host, object_code

Row = dict[str, Any]


def _chain(lines: int) -> Cell:
    """A cell of so many lines unit by unit."""

    @cell
    def chain(x: Input, h: State, W: Matrix) -> Value:
        a = W @ x
        for _ in range(lines):
            a = tanh(a * h)
        return a

    return chain


def _products(lines: int) -> Cell:
    """A cell of so many matrix products, one after the other."""

    @cell
    def products(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        a = W @ x + h
        for number in range(lines):
            a = tanh(U._gate(f"g{number}") @ a)
        return a

    return products


# Of two operations each. A cell may have 5,000 operations and letters.
LINES = (100, 300, 1000)
MOST_COMPILED = 300


def planning(_: argparse.Namespace) -> list[Row]:
    """Return the seconds of each step, for each cell; see ``benchmarks/limits.py``."""
    rows = []
    for make in (_chain, _products):
        for lines in LINES:
            program = trace(make(lines))
            row: Row = {"cell": make.__name__[1:], "lines": lines}
            begin = time.perf_counter()
            planned = plan(program)
            row["plan"] = time.perf_counter() - begin
            layouts = [forward_layout(planned, training=True), backward_layout(planned)]
            row["layouts"] = time.perf_counter() - begin - row["plan"]
            begin = time.perf_counter()
            texts = [pass_text(layout, host(), torch.float32) for layout in layouts]
            row["code"] = time.perf_counter() - begin
            if lines <= MOST_COMPILED:
                for kind, text in zip(("forward", "backward"), texts, strict=True):
                    begin = time.perf_counter()
                    object_code(text, host())
                    row[kind] = time.perf_counter() - begin
            rows.append(row)
    return rows
