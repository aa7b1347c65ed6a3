"""The gradient program against central differences and against torch's autograd."""

# ruff: noqa: RET504  (a cell's letters are its arguments; h = ...; return h)

from collections.abc import Callable, Mapping

import pytest
import torch
from hypothesis import assume, given, note
from torch import Tensor

from conveyor.cells import (
    Cell,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    cell,
    maximum,
    minimum,
    relu,
    tanh,
)
from conveyor.compiler.gradient import DERIVATIVES, gradient
from conveyor.compiler.program import Leaf, Operation, Program, Result
from conveyor.compiler.trace import trace
from conveyor.errors import ProgramError
from tests.compiler.examples import (
    BATCH,
    PROGRAMS,
    WIDTHS,
    Values,
    assert_equal,
    drawn_cells,
    drawn_examples,
    like,
    moderate,
    numbers_for,
    run,
)
from tests.compiler.test_memory import OF_PLACES

# Central differences of float64: their own error is about STEP² + 1e-16 / STEP.
STEP = 1e-5
BOUND_DIFFERENCES = 1e-7
# Both sides are exact but for rounding; sums are added in another order.
BOUND_AUTOGRAD = 1e-10


def upstream_for(program: Program, values: Mapping[str, Tensor]) -> Values:
    """Random gradients that arrive from above, by the names of the gradient's leaves."""
    source = torch.Generator().manual_seed(99)
    after = run(program, values)
    found = {}
    for mark, role in (("out", "output"), ("next", "state")):
        for of, value in program.values_of("output" if role == "output" else "state").items():
            width = after[value].shape[-1]
            found[f"∂{of}@{mark}"] = like(source, BATCH, width)
    return found


def loss(program: Program, values: Mapping[str, Tensor], upstream: Values) -> Tensor:
    """The number whose gradient arrives from above as ``upstream``."""
    after = run(program, values)
    terms = [
        (after[value] * upstream[f"∂{of}@{mark}"]).sum()
        for mark, of, value in (
            *(("out", of, value) for of, value in program.values_of("output").items()),
            *(("next", of, value) for of, value in program.values_of("state").items()),
        )
    ]
    return torch.stack(terms).sum()


def whole_batch(share: Tensor, leaf: Leaf) -> Tensor:
    """A parameter's gradient is the sum of every example's."""
    if leaf.kind in ("input", "state"):
        return share
    return share.expand(BATCH, *(WIDTHS[axis] for axis in leaf.axes)).sum(0)


def by_program(
    program: Program, values: Mapping[str, Tensor], upstream: Values
) -> dict[str, Tensor]:
    """The gradient of every leaf as the gradient program gives it."""
    backward = gradient(program)
    known = {**run(program, values), **upstream}
    found = run(backward, {leaf.name: known[leaf.name] for leaf in backward.leaves})
    given_for = backward.values_of("gradient")
    learned = [leaf for leaf in program.leaves if leaf.kind != "constant"]
    assert list(given_for) == [leaf.name for leaf in learned]
    return {leaf.name: whole_batch(found[given_for[leaf.name]], leaf) for leaf in learned}


def by_differences(program: Program, values: Values, upstream: Values) -> dict[str, Tensor]:
    """The gradient of every leaf, entry by entry, from two values of the loss each."""
    found = {}
    for name, at in values.items():
        slopes = torch.zeros_like(at)
        for entry in range(at.numel()):
            losses = []
            for sign in (1, -1):
                moved = at.clone()
                moved.view(-1)[entry] += sign * STEP
                losses.append(loss(program, {**values, name: moved}, upstream))
            slopes.view(-1)[entry] = (losses[0] - losses[1]) / (2 * STEP)
        found[name] = slopes
    return found


def by_autograd(program: Program, values: Values, upstream: Values) -> dict[str, Tensor]:
    """The gradient of every leaf as torch finds it through the forward program."""
    watched = {name: each.clone().requires_grad_() for name, each in values.items()}
    whole = loss(program, watched, upstream)
    if not whole.requires_grad:
        return {name: torch.zeros_like(each) for name, each in values.items()}
    shares = torch.autograd.grad(whole, list(watched.values()), allow_unused=True)
    return {
        name: torch.zeros_like(each) if share is None else share
        for (name, each), share in zip(values.items(), shares, strict=True)
    }


Way = Callable[[Program, Values, Values], dict[str, Tensor]]


def compare_gradient(
    program: Program, other: Way, bound: float, values: Values | None = None
) -> None:
    """Every leaf's gradient by the gradient program equals the other way's."""
    at = numbers_for(program) if values is None else values
    upstream = upstream_for(program, at)
    got, want = by_program(program, at, upstream), other(program, at, upstream)
    constants = {leaf.name for leaf in program.leaves_of("constant")}
    assert got.keys() == want.keys() - constants
    for name in got:
        each = want[name]
        assert_equal(got[name], each, bound, f"gradient of {name}")


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradient_equals_differences(name: str) -> None:
    compare_gradient(PROGRAMS[name], by_differences, BOUND_DIFFERENCES)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradient_equals_autograd(name: str) -> None:
    compare_gradient(PROGRAMS[name], by_autograd, BOUND_AUTOGRAD)


def test_every_derivative_rule_is_tried() -> None:
    """``spread`` cannot be written in a cell; it has a test of its own below. Those of memories are
    tried in test_memory."""
    tried = {o.op for program in PROGRAMS.values() for o in program.operations}
    assert DERIVATIVES.keys() - tried == {"spread", *OF_PLACES}


def program_of_operations(*operations: Operation) -> Program:
    """A cell h = tanh(h' + x2), where x2 of width H is an input, followed by the operations; its
    output is the last of them."""
    first = Operation("h", "tanh", ("%0",), ("H",))
    return Program(
        "made",
        "",
        "",
        (Leaf("x2", "input", ("H",)), Leaf("h'", "state", ("H",)), Leaf("b", "bias", ("H",))),
        (Operation("%0", "add", ("h'", "x2"), ("H",)), first, *operations),
        (Result("state", "h", "h"), Result("output", "y", operations[-1].name)),
    )


def test_gradient_of_spread() -> None:
    made = program_of_operations(
        Operation("s", "total", ("h",), ()),
        Operation("t", "spread", ("s",), ("P",), "P"),
        Operation("u", "mul", ("t", "t"), ("P",)),
        Operation("y", "total", ("u",), ()),
    )
    compare_gradient(made, by_autograd, BOUND_AUTOGRAD)
    compare_gradient(made, by_differences, BOUND_DIFFERENCES)


def test_gradient_through_width() -> None:
    made = program_of_operations(
        Operation("w", "width", (), (), "P"), Operation("y", "mul", ("w", "h"), ("H",))
    )
    compare_gradient(made, by_autograd, BOUND_AUTOGRAD)


def test_greater_is_flat() -> None:
    made = program_of_operations(
        Operation("g", "greater", ("h", "b"), ("H",)), Operation("y", "mul", ("g", "h"), ("H",))
    )
    compare_gradient(made, by_autograd, BOUND_AUTOGRAD)


def test_an_operation_without_derivative_rule_is_refused() -> None:
    made = program_of_operations(
        Operation("g", "outer", ("h", "b"), ("H", "H")),
        Operation("y", "matmul_t", ("g", "h"), ("H",)),
    )
    with pytest.raises(ProgramError, match=r"program made: \w+ has no derivative rule\."):
        gradient(made)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_takes_no_transcendental_function(name: str) -> None:
    """Rules use results, so that a step backwards needs no exponential."""
    used = {o.op for o in gradient(PROGRAMS[name]).operations}
    assert not used & {"exp", "log", "sigmoid", "sqrt", "tanh"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_reads_every_leaf_that_it_lists(name: str) -> None:
    backward = gradient(PROGRAMS[name])
    read = {a for o in backward.operations for a in o.arguments}
    read |= {result.value for result in backward.results}
    assert {leaf.name for leaf in backward.leaves} <= read


def test_any_letters_may_be_used_beside_upstream_gradients() -> None:
    """A matrix may be called as one likes: what arrives has names that no letter can have."""

    @cell
    def named(x: Input, h: State, y: Matrix, n: Matrix) -> Value:
        h = tanh(y.h @ x + n.h @ h)
        return h

    compare_gradient(trace(named), by_autograd, BOUND_AUTOGRAD)


# Ties ----------------------------------------------------------------------------------------


@cell
def ties(x: Input, h: State, W: Matrix, p: Vector) -> tuple[Value, ...]:
    """Equal arguments and kinks at which the tests put every number."""
    a = maximum(h, p.a)
    b = minimum(h, p.a)
    c = relu(h - p.a)
    d = maximum(a, 0) + minimum(h, 0.5) + maximum(h, h)
    h = h * (W @ x)
    return h, a, b, c, d


@pytest.mark.parametrize("at", [0.0, 0.5, -1.0])
def test_ties_are_shared_as_in_torch(at: float) -> None:
    program = trace(ties)
    values = numbers_for(program)
    values["h'"], values["p.a"] = (torch.full_like(values[n], at) for n in ("h'", "p.a"))
    compare_gradient(program, by_autograd, 0.0, values)


# Drawn cells ---------------------------------------------------------------------------------


@drawn_examples(150)
@given(drawn_cells(shared=False))
def test_gradient_of_a_drawn_cell_equals_autograd(made: Cell) -> None:
    program = trace(made)
    note(str(program))
    values = numbers_for(program)
    assume(moderate(program, values))
    compare_gradient(program, by_autograd, BOUND_AUTOGRAD)


@drawn_examples(50)
@given(drawn_cells(shared=True))
def test_gradient_of_a_drawn_cell_whose_weights_are_shared(made: Cell) -> None:
    program = trace(made)
    note(str(program))
    values = numbers_for(program)
    assume(moderate(program, values))
    compare_gradient(program, by_autograd, BOUND_AUTOGRAD)
