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
from conveyor.compiler.regularise import Regularisers, regularised
from conveyor.compiler.trace import trace

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


@pytest.mark.parametrize("what", LINES)
def test_finding_what_is_dropped_grows_as_the_cell_does(what: str) -> None:
    """Also where one value is read twice by the next, and that by the next: 2 to the 120 ways."""
    how = Regularisers(variational=0.5)
    small, large = (trace(long_cell(LINES[what], lines)) for lines in (40, 120))
    grown = lines_run(lambda: regularised(large, how, training=True)) / lines_run(
        lambda: regularised(small, how, training=True)
    )
    assert grown < 3.3


@pytest.mark.parametrize("lines", [112, 250])
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
