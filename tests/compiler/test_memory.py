"""Programs of cells that look at a memory: what they may say, their gradients, texts and files."""

import json
import re
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

from conveyor.cells import (
    Bias,
    Cell,
    Input,
    Matrix,
    Memory,
    State,
    Value,
    bahdanau,
    cell,
    exp,
    graves_window,
    luong,
    maximum,
    mean,
    normalise,
    places,
    relu,
    softmax,
    tanh,
    total,
)
from conveyor.compiler.check import check_cell
from conveyor.compiler.gradient import gradient
from conveyor.compiler.lower import lowered
from conveyor.compiler.plan import Pointwise, plan, produced
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import FORMAT, dumps, from_json, to_json
from conveyor.compiler.show import show
from conveyor.compiler.simplify import simplify
from conveyor.compiler.trace import trace
from conveyor.errors import CellError, ProgramError
from conveyor.kernels.reference import evaluate, widths

BATCH = 3
COUNTS = torch.tensor([[2.0], [4.0], [1.0]])
SIZES = {"I": 3, "H": 4, "L": 4, "D": 5, "A": 2, "K": 3}


@cell
def of_everything(
    x: Input, h: State, memory: Annotated[Memory, "L", "H"], W: Matrix, U: Matrix
) -> tuple[Value, Value]:
    """Every operation that meets places, with gradients by each of its arguments."""
    size = mean(h)
    near = maximum(U.a @ memory, h) - size
    scores = total(near * memory) / (1 + places(memory)) + mean(near) * size
    scaled = scores * relu(near) + exp(-normalise(scores))
    a = softmax(scores)
    h = tanh(W @ x + a @ scaled + (a * a) @ memory + mean(scores) + total(scores) * h)
    return h, h


# Operations of places that have a derivative rule.
OF_PLACES = ("present", "to_places", "to_units", "weighted_sum")

CELLS = [bahdanau, luong, graves_window, of_everything]
each_cell = pytest.mark.parametrize("of", CELLS, ids=lambda of: of.name)


def numbers(program: Program) -> dict[str, Tensor]:
    """Numbers for the leaves of a program, each with gradients; some places are padding."""
    source = torch.Generator().manual_seed(4)
    values = {}
    for leaf in program.leaves:
        shape = [SIZES[axis] for axis in leaf.axes]
        if leaf.kind in ("input", "state", "memory"):
            shape = [BATCH, *shape]
        drawn = torch.randn(shape, generator=source, dtype=torch.float64)
        if leaf.kind == "memory":
            drawn[torch.arange(SIZES["L"]) >= COUNTS] = 0.0
        values[leaf.name] = drawn.requires_grad_()
    return values


def computed(program: Program, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """All values of a program."""
    whole = {**values, "@L": COUNTS.double()}
    like = torch.zeros(BATCH, 1, dtype=torch.float64)
    evaluate(program.operations, whole, {**SIZES, **widths(program, values)}, like)
    return whole


def compare_with_autograd(of: Cell) -> None:
    """The gradient program of a cell, against autograd."""
    program = simplify(lowered(trace(of)))
    values = numbers(program)
    after = computed(program, values)
    backward = gradient(program)
    source = torch.Generator().manual_seed(8)
    upstream: dict[str, Tensor] = {}
    loss = torch.zeros(())
    for mark, role in (("out", "output"), ("next", "state")):
        for name, value in program.values_of("output" if role == "output" else "state").items():
            factor = torch.randn(after[value].shape, generator=source, dtype=torch.float64)
            upstream[f"∂{name}@{mark}"] = factor
            loss = loss + (after[value] * factor).sum()
    expected = torch.autograd.grad(loss, list(values.values()))
    found = computed(backward, {**after, **upstream})
    gradients = backward.values_of("gradient")
    for leaf, of_autograd in zip(program.leaves, expected, strict=True):
        share = found[gradients[leaf.name]]
        if leaf.kind not in ("input", "state", "memory"):
            share = share.expand(BATCH, *share.shape[-len(leaf.axes) :]).sum(0)
        torch.testing.assert_close(share, of_autograd, rtol=1e-10, atol=1e-11)


@each_cell
def test_the_gradient_is_that_of_autograd(of: Cell) -> None:
    compare_with_autograd(of)


def test_every_rule_of_places_is_tried() -> None:
    tried = {o.op for of in CELLS for o in simplify(lowered(trace(of))).operations}
    assert tried.issuperset(OF_PLACES)


@each_cell
def test_a_program_is_written_and_read(of: Cell) -> None:
    program = trace(of)
    data = json.loads(dumps(program))
    assert data["format"] == FORMAT == 5
    assert check_cell(from_json(data)) == program
    assert show(from_json(data)) == show(of)


@each_cell
def test_what_depends_on_the_memory_alone_is_done_once(of: Cell) -> None:
    planned = plan(trace(of))
    once, places_of = produced(planned.forward.once), planned.program.places
    made_of = {o.name: o.arguments for o in planned.program.operations}
    memories = {leaf.name for leaf in planned.program.memories}
    changing = {leaf.name for leaf in planned.program.leaves_of("input", "state")}

    def sources(name: str) -> set[str]:
        return set.union({name}, *map(sources, made_of.get(name, ())))

    for name, axes in planned.program.axes.items():
        if name in made_of and places_of.intersection(axes):
            assert (name in once) == (not sources(name) & changing), name
    assert not produced(planned.forward.before) & {
        name for name in made_of if sources(name) & memories
    }
    for stage in planned.forward.after:
        if isinstance(stage, Pointwise):
            assert not any(places_of.intersection(o.axes) for o in stage.operations)


def test_readouts_of_what_was_seen_leave_the_loop() -> None:
    @cell
    def reading(
        x: Input, h: State, memory: Memory, W: Matrix, R: Annotated[Matrix, "P"]
    ) -> tuple[Value, Value]:
        """What is seen is read out, and no step needs that."""
        h = tanh(W.x @ x + W.h @ h)
        seen = R @ (softmax(total((W.q @ h) * (W.m @ memory))) @ memory)
        return h, seen

    forward = plan(trace(reading)).forward
    assert "seen" in produced(forward.after)


def test_equations_are_printed_as_they_are_written() -> None:
    assert show(bahdanau).splitlines()[:3] == [
        "e = total(v * tanh(W_a @ s' + U_a @ memory))",
        "a = softmax(e)",
        "c = a @ memory",
    ]
    assert "away = k - (places(memory) + 1)" in show(graves_window)
    latex = show(bahdanau, "latex")
    assert r"a_{t,j} &= \mathrm{softmax}_j(e_{t,j})" in latex
    assert r"c_t &= \sum_j a_{t,j} \mathrm{memory}_{j}" in latex
    assert (
        r"\sum_k \left(v \odot \tanh(W_{a} s_{t-1} + U_{a} \mathrm{memory}_{j})\right)_k" in latex
    )
    assert r"k_t - (j + 1)" in show(graves_window, "latex")


def test_costs_count_places() -> None:
    text = show(bahdanau, "cost")
    assert re.search(r"multiply-adds once +B·\(A·D·L\)", text)
    assert "T·B·(A·H + 3·D·H + D·L + 3·H² + 3·H·I)" in text
    assert "backward" not in text
    numbers = show(bahdanau, "cost", I=1, H=2, A=3, D=4, L=5, T=6, B=7)
    assert re.search(rf"multiply-adds once +{7 * 3 * 4 * 5} ", numbers)
    planned = show(bahdanau, "plan")
    assert "the loop apart from what is done once, as machine code runs it" in planned
    assert "a, c, r, z, %25, n: A + D + 5·H + I + 2·L + 1 numbers" in planned
    assert "∂e = present(%41, 0)" in planned
    assert "as machine code runs it\n    once.0 = %2\n" in planned


def _refused(write: str, says: str) -> None:
    """Define a cell with a line of equations, which must be refused."""
    names: dict[str, Any] = {"Input": Input, "Matrix": Matrix, "Memory": Memory, "State": State}
    names["Bias"] = Bias
    names |= {"tanh": tanh, "places": places, "softmax": softmax, "total": total}
    code = (
        "def wrong(x: Input, h: State, memory: Memory, W: Matrix, U: Matrix, b: Bias):\n"
        f"    {write}\n    return h, h\n"
    )
    exec(code, names)
    with pytest.raises(CellError, match=re.escape(says)):
        cell(names["wrong"])


@pytest.mark.parametrize(
    ("write", "says"),
    [
        ("h = tanh(W @ x + memory @ h)", "only a Matrix stands left of @"),
        ("h = W @ x + memory @ softmax(total(U @ memory))", "as in a @ memory"),
        ("h = tanh(W @ x + h @ memory)", "needs a number and a vector for each place, got [H]"),
        ("h = W @ x + memory", "the widths [L, D] and [H] cannot agree"),
        ("h = W @ x + total(memory)", "[L, H]"),
        ("h = W @ x + softmax(memory)", "softmax is over the units of a vector, got [L, D]"),
        ("h = W @ x + places(x)", "input x [I] has no places"),
        ("h = W @ x + places(W)", "has no places"),
        ("h = tanh(W @ x)", "wrong: no equation reads memory, a memory [L, D]."),
        (
            "h = W @ x + (softmax(total(U @ memory) + b) @ memory)",
            "total(...) [L] is a number for each place, and b is [H], a vector",
        ),
        ("h = W @ x + (softmax(b - total(memory)) @ memory)", "and b is [H], a vector"),
    ],
)
def test_what_cannot_be_said_of_a_memory_is_refused(write: str, says: str) -> None:
    _refused(write, says)


def test_a_memory_has_two_axes() -> None:
    def one_width(x: Input, h: State, memory: Annotated[Memory, "D"], W: Matrix) -> Value:
        return tanh(W @ x)

    with pytest.raises(CellError, match="a Memory places and a width"):
        cell(one_width)


def test_only_memories_have_places() -> None:
    def weights(x: Input, h: State, memory: Annotated[Memory, "L", "H"], W: Matrix) -> object:
        h = tanh(W @ x)
        a = softmax(total(memory * h))
        return h, a

    with pytest.raises(ProgramError, match=r"output a is \[L\], a number for each place"):
        trace(cell(weights))

    def remembered(
        x: Input, h: State, u: Annotated[State, "L"], memory: Annotated[Memory, "L", "H"], W: Matrix
    ) -> object:
        h = tanh(W @ x + u @ memory)
        return h, softmax(total(memory * h))

    with pytest.raises(CellError, match=r"state u \[L\], and L is how many places a memory has"):
        cell(remembered)

    def of_h(x: Input, h: State, memory: Annotated[Memory, "H", "D"], W: Matrix) -> Value:
        return tanh(W @ x)

    with pytest.raises(CellError, match=r"state h \[H\], and H is how many places"):
        cell(of_h)
    data = to_json(trace(luong))
    data["leaves"].append(["u", "input", ["L"]])
    with pytest.raises(ProgramError, match=r"input u is \[L\], and L is how many places"):
        check_cell(from_json(data))


def test_a_file_may_not_use_a_matrix_unit_by_unit() -> None:
    data = to_json(trace(bahdanau))
    for operation in data["operations"]:
        if operation[1] == "weighted_sum":
            operation[1:4] = ["total", ["U_a"], ["A"]]
    with pytest.raises(ProgramError, match="cannot be used unit by unit"):
        check_cell(from_json(data))


def test_a_learned_vector_may_meet_the_numbers_of_places() -> None:
    """Such as centres: how far a place is from each of them."""

    @cell
    def centred(
        x: Input, h: State, memory: Annotated[Memory, "L", "H"], b: Bias, W: Matrix
    ) -> Value:
        near = exp(-((places(memory) - b) * (places(memory) - b)))
        return tanh(W @ x + total(near) @ memory)

    assert "places" in str(trace(centred))
