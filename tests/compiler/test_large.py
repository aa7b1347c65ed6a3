"""Cells of many operations: planned with work that grows as they do."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch

import conveyor
from conveyor.cells import (
    Bias,
    Cell,
    Input,
    Matrix,
    State,
    Value,
    cell,
    maximum,
    mean,
    minimum,
    relu,
    sqrt,
    tanh,
)
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Leaf, Operation, Program, Result
from conveyor.compiler.regularise import Regularisers, regularised
from conveyor.compiler.trace import trace
from conveyor.kernels.layout.backward_layout import backward_layout
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.llvm.compiled_plan import pass_text
from conveyor.kernels.llvm.machine import OTHERS
from tests.kinds import LONG

Line = Callable[[Value, Value, Matrix, int], Value]

LINES: dict[str, Line] = {
    "unit by unit": lambda a, h, U, k: tanh(a * h) + a * 0.5,
    "products one after the other": lambda a, h, U, k: tanh(U._gate(f"g{k}") @ a + h),
    "a sum of products": lambda a, h, U, k: a + U._gate(f"g{k}") @ h,
    "a sum of products, from the right": lambda a, h, U, k: U._gate(f"g{k}") @ h + a,
    "one value twice": lambda a, h, U, k: a * a + a,
    "choices": lambda a, h, U, k: maximum(a * 0.9, minimum(h, relu(a))),
    "norms": lambda a, h, U, k: (a - mean(a)) / sqrt(mean(a * a) + 1),
    "numbers": lambda a, h, U, k: a * (1 + k / 1024),
    "signs": lambda a, h, U, k: -(a * 1) + 0,
}


def long_cell(line: Line, lines: int) -> Cell:
    """A cell whose body is one line, over and over."""

    @cell
    def long(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
        a = W @ x + b
        for k in range(lines):
            a = line(a, h, U, k)
        h = tanh(a + U.h @ h)
        return h  # noqa: RET504

    return long


def lines_run(work: Callable[[], Any]) -> int:
    """How many lines of Python run, loops and comprehensions at every turn: the same each time, as
    seconds are not."""
    count = 0

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("what", LINES)
def test_planning_grows_as_the_cell_does(what: str) -> None:
    small, large = (trace(long_cell(LINES[what], lines)) for lines in (40, 120))
    grown = lines_run(lambda: plan(large)) / lines_run(lambda: plan(small))
    # Three times as large, and a rest that does not grow: less than 3, and with the square 9.
    assert grown < 3.3


def test_a_cell_of_many_states_is_planned_with_work_that_grows_as_they_do() -> None:
    small, large = (_of_states(count) for count in (30, 90))
    assert lines_run(lambda: plan(large)) / lines_run(lambda: plan(small)) < 3.3
    of_small, of_large = (_lines_laid_out(program) for program in (small, large))
    assert [big / little < 3.3 for big, little in zip(of_large, of_small, strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize("what", LINES)
def test_laying_out_and_writing_code_grow_as_the_cell_does(what: str) -> None:
    # A line of norms is eight operations, and takes as long.
    fewest = 20 if what == "norms" and not LONG else 40
    small, large = (
        _lines_laid_out(trace(long_cell(LINES[what], lines))) for lines in (fewest, 3 * fewest)
    )
    # Of the forward pass, of the backward pass, and of the code of both.
    assert [big / little < 3.3 for big, little in zip(large, small, strict=True)] == [True] * 3


def _lines_laid_out(program: Program) -> tuple[int, int, int]:
    """How many lines run to lay out both passes of a program, and to write them."""
    planned = plan(program)
    layouts = [forward_layout(planned, training=True), backward_layout(planned)]

    def write() -> None:
        for layout in layouts:
            pass_text(layout, OTHERS["avx512"], torch.float32)

    return (
        lines_run(lambda: forward_layout(planned, training=True)),
        lines_run(lambda: backward_layout(planned)),
        lines_run(write),
    )


def _of_states(count: int) -> Program:
    """A cell of so many states, each made of itself and the one before it."""
    width = ("H",)
    names = [f"s{number}" for number in range(count)]
    operations = [Operation("%1", "matmul", ("W", "x"), width)]
    for number, name in enumerate(names):
        both = f"%{2 * number + 2}"
        operations += [
            Operation(both, "mul", (f"{name}'", f"{names[number - 1]}'"), width),
            Operation(name, "add", (both, "%1"), width),
        ]
    return Program(
        "many_states",
        "",
        "",
        (
            Leaf("x", "input", ("I",)),
            *(Leaf(f"{name}'", "state", width) for name in names),
            Leaf("W", "matrix", ("H", "I")),
        ),
        tuple(operations),
        (*(Result("state", name, name) for name in names), Result("output", "s0", "s0")),
    )


def test_a_matrix_used_a_thousand_times_has_a_gradient() -> None:
    """Its sum of a thousand outer products is no thousand calls deep."""

    @cell
    def one_matrix(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        a = W @ x
        for _ in range(1000):
            a = U @ (a + h)
        return a

    layout = backward_layout(plan(trace(one_matrix)))
    assert sum("U" in outer.matrices for outer in layout.outers) == 1000


@pytest.mark.parametrize("what", LINES)
def test_finding_what_is_dropped_grows_as_the_cell_does(what: str) -> None:
    """Also where one value is read twice by the next, and that by the next: 2 to the 120 ways."""
    how = Regularisers(variational=0.5)
    small, large = (trace(long_cell(LINES[what], lines)) for lines in (40, 120))
    grown = lines_run(lambda: regularised(large, how, training=True)) / lines_run(
        lambda: regularised(small, how, training=True)
    )
    assert grown < 3.3


@pytest.mark.parametrize("lines", [112, 250] if LONG else [112])
def test_a_cell_of_many_operations_has_a_gradient(lines: int) -> None:
    """450 and 1,000 operations of the cell's own; its gradient has as many again."""
    made = long_cell(LINES["unit by unit"], lines)
    assert len(trace(made).operations) > 4 * lines
    layer = conveyor.Recurrent(made, 2, 3, dtype=torch.float64)
    x = torch.full((2, 1, 2), 0.5, dtype=torch.float64, requires_grad=True)
    with conveyor.use_target("reference"):
        want = torch.autograd.grad(layer(x)[0].sum(), [x, *layer.parameters()])
    got = torch.autograd.grad(layer(x)[0].sum(), [x, *layer.parameters()])
    for one, other in zip(got, want, strict=True):
        # Float64, and 500 lines of rounding.
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
