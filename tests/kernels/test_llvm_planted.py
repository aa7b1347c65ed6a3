"""A test of the tests: planted bugs are caught."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from conveyor.cells.operations import RULES
from conveyor.compiler.gradient import DERIVATIVES
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Operation
from conveyor.compiler.rewrite import Builder
from conveyor.kernels.layout.backward_layout import backward_layout
from conveyor.kernels.layout.values import ArrayKey
from conveyor.kernels.llvm import builder, code_cache, compiled_plan, functions, share
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import (
    Fences,
    Judged,
    check,
    fenced,
    problem,
)
from tests.kernels.llvm_cases import (
    DTYPES,
    small,
)
from tests.kernels.programs import PROGRAMS

# What a right kernel passes and a wrong one must not.


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """For bugs in passes: wrong code is kept nowhere."""
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", "")
    monkeypatch.setattr(code_cache, "_LOADED", {})
    return monkeypatch


@pytest.fixture
def planted_in_panels(planted: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For bugs in what all cells share."""
    compiled_plan.library.cache_clear()
    yield planted
    compiled_plan.library.cache_clear()


def compared(name: str, dtype: torch.dtype = torch.float64, **sizes: int) -> None:
    """The comparison of every test above, of one cell at one size."""
    program, more = PROGRAMS[name]
    given = problem(program, {"I": 3, "H": 17, **more, **sizes}, Steps(4, 3, (3, 3, 2, 1)))
    check(program, given, dtype)


def test_what_is_right_passes() -> None:
    for dtype in DTYPES:
        compared("lstm", dtype)
        compared("every_function", dtype)


@pytest.mark.parametrize("other", list(itertools.combinations("figo", 2)), ids="".join)
@pytest.mark.parametrize("family", ["W", "U", "b"])
def test_swapped_gates_are_caught(family: str, other: tuple[str, str]) -> None:
    """The kernel of an LSTM whose caller gives two gates' parameters in each other's place."""
    given = small("lstm", 17)
    judged = Judged.of(given)
    one, two = (f"{family}.{gate}" for gate in other)
    swapped = {one: given.parameters[two], two: given.parameters[one]}
    wrong = replace(given, parameters={**given.parameters, **swapped})
    kernel = LlvmKernel(plan(given.program), torch.float64)
    with pytest.raises(AssertionError, match="off by"):
        replace(judged, problem=wrong).check(kernel, torch.float64)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("more", [-1, 1], ids=["short", "long"])
def test_a_wrong_tail_is_caught(planted: pytest.MonkeyPatch, more: int) -> None:
    """A mask that is one lane short, or one too long: the first is a wrong number, the second a
    write beside its place. In a process of its own, for what lies there."""
    right = builder.Code.mask
    planted.setattr(builder.Code, "mask", lambda code, count: right(code, code.add(count, more)))
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            fenced_and_compared("normalised")
        except AssertionError as error:
            os._exit(3 if ("off by" if more < 0 else "were written") in str(error) else 4)
        finally:
            os._exit(5)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 3 or (more > 0 and code in (-signal.SIGABRT, -signal.SIGSEGV)), code


def fenced_and_compared(name: str) -> None:
    """A cell's values and gradients, and its fences."""
    program, more = PROGRAMS[name]
    given = problem(program, {"I": 3, "H": 17, **more}, Steps(4, 3, (3, 3, 2, 1)))
    kernel = LlvmKernel(plan(program), torch.float64)
    fences = Fences()
    fenced(kernel, given, torch.float64, fences)
    fences.check()
    Judged.of(given).check(kernel, torch.float64)


WRONG: dict[str, Callable[..., Any]] = {
    "add": lambda code, a, b: code.build.fsub(a, b),
    "sub": lambda code, a, b: code.build.fadd(a, b),
    "mul": lambda code, a, b: a,
    "div": lambda code, a, b: code.build.fmul(a, b),
    "neg": lambda code, a: a,
    "maximum": functions.FUNCTIONS["minimum"],
    "minimum": functions.FUNCTIONS["maximum"],
    "greater": lambda code, a, b, right=functions.FUNCTIONS["greater"]: right(code, b, a),
    "equal": lambda code, a, b, right=functions.FUNCTIONS["equal"]: code.build.fsub(
        code.number(1.0), right(code, a, b)
    ),
    "floor": lambda code, a: a,
    "relu": lambda code, a: a,
    "sigmoid": functions.FUNCTIONS["tanh"],
    "tanh": functions.FUNCTIONS["sigmoid"],
    "exp": lambda code, a: a,
    "log": lambda code, a: a,
    "sqrt": lambda code, a: a,
    "spread": lambda code, a: code.build.fneg(a),
}


# Cells that have what ``every_function`` has not, or too little of.
HAVING = {"sigmoid": "lstm", "equal": "counting", "floor": "counting"}


def test_every_function_can_be_wrong() -> None:
    assert set(WRONG) == set(functions.FUNCTIONS)
    assert set(WRONG) < set(RULES)


@pytest.mark.parametrize("op", WRONG)
def test_a_wrong_function_is_caught(planted: pytest.MonkeyPatch, op: str) -> None:
    planted.setitem(functions.FUNCTIONS, op, WRONG[op])
    with pytest.raises(AssertionError, match="off by"):
        compared(HAVING.get(op, "every_function"))


# Not 1 - z or a / 2: a constant has no gradient.
FLIPS = {
    "every_function": [("mul", 0), ("mul", 1), ("sub", 0), ("sub", 1), ("tanh", 0), ("sqrt", 0)],
    "normalised": [("div", 0), ("div", 1), ("matmul", 0), ("matmul", 1), ("total", 0)],
}


@pytest.mark.parametrize(
    ("name", "op", "place"), [(name, *flip) for name, own in FLIPS.items() for flip in own]
)
def test_a_wrong_sign_in_a_derivative_is_caught(
    planted: pytest.MonkeyPatch, name: str, op: str, place: int
) -> None:
    rule = DERIVATIVES[op]

    def flipped(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
        shares = list(rule(b, o, d))
        if len(b.axes[shares[place]]) == 2:  # a matrix has no sign of its own
            shares[place] = rule(b, o, b.add("neg", d))[place]
        else:
            shares[place] = b.add("neg", shares[place])
        return tuple(shares)

    planted.setitem(DERIVATIVES, op, flipped)
    with pytest.raises(AssertionError, match="gradient of"):
        compared(name)


def test_a_wrong_place_is_caught(planted: pytest.MonkeyPatch) -> None:
    """Two kept values that stand in each other's columns in the backward pass."""
    right = backward_layout

    def wrong(planned: Any) -> Any:
        layout = right(planned)
        columns = layout.arrays[ArrayKey("saved")].columns
        columns[0], columns[1] = columns[1], columns[0]
        del layout.__dict__["_places"]  # which was worked out of the right ones
        return layout

    planted.setattr(compiled_plan, "backward_layout", wrong)
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm")


def test_a_wrong_state_is_caught(planted: pytest.MonkeyPatch) -> None:
    """The ring's other half handed out: the state of one step before."""
    visits = Steps.visits
    planted.setattr(
        Steps, "visits", lambda steps, backwards=False: visits(steps, backwards=backwards) + 1
    )
    with pytest.raises(AssertionError, match="off by"):
        compared("gru")


def test_a_missed_row_is_caught(planted: pytest.MonkeyPatch) -> None:
    """A thread's part that lacks the last row of the batch."""
    bounds = share._bounds

    def short(steps: Steps, threads: int) -> Any:
        found = bounds(steps, threads)
        found[-1] -= 1
        return found

    planted.setattr(share, "_bounds", short)
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm")


def test_a_forgotten_stretch_is_caught(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(share, "STRETCH_ROWS", 3)
    planted.setattr(share, "STRETCH_BYTES", 1)
    stretches = share._stretches

    def fewer(*args: Any, **kwargs: Any) -> Any:
        found = stretches(*args, **kwargs)
        return found[:-1]

    planted.setattr(share, "_stretches", fewer)
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm")


def test_a_product_that_lacks_a_number_is_caught(planted_in_panels: pytest.MonkeyPatch) -> None:
    """Panels that read one operand fewer than there are."""
    loop = builder.Code.loop

    def short(code: Any, start: Any, stop: Any, name: str = "i") -> Any:
        panel = code.function.name.startswith("panel_") and name == "k"
        return loop(code, start, code.sub(stop, 1) if panel else stop, name)

    planted_in_panels.setattr(builder.Code, "loop", short)
    with pytest.raises(AssertionError, match="off by"):
        compared("rnn")
