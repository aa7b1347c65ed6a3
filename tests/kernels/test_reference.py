"""The reference target: every operation, and sequence = step = the program word for word."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from conveyor.cells import CELLS, Cell
from conveyor.cells.operations import RULES, WORDS
from conveyor.compiler.lower import lowered
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.simplify import without_bias
from conveyor.compiler.trace import trace
from conveyor.errors import TargetError
from conveyor.kernels.kernel import InitialState
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.reference import Reference, ReferenceKernel, evaluate
from conveyor.kernels.select import select, use_target
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Placement
from tests import table
from tests.kernels.programs import LAW_PROGRAMS, PROGRAMS, leaves, of_a_layer, rows_of
from tests.kinds import LAW_CELLS
from tests.layers.named import assert_same, draw

CPU = torch.device("cpu")

# Float64: the same operations in another order of sums, over at most 33 steps that do not make
# errors grow. A few units of 2e-16 each.
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}

# Every operation, written once more: on one example's vectors a and b of H units, positive
# numbers p, x of I inputs, a matrix M of [H, I], one number n of shape [1]; q begins as a does. Of
# L places w are numbers, m vectors of I and k of H.
EXPECTED: dict[str, tuple[tuple[str, ...], float | str | None, Callable[..., Tensor]]] = {
    "constant": ((), 2.5, lambda: torch.tensor(2.5).double()),
    "width": ((), "H", lambda: torch.tensor(4.0).double()),
    "add": (("a", "b"), None, lambda a, b: a + b),
    "sub": (("a", "b"), None, lambda a, b: a - b),
    "mul": (("a", "b"), None, lambda a, b: a * b),
    "div": (("a", "p"), None, lambda a, p: a / p),
    "neg": (("a",), None, lambda a: -a),
    "maximum": (("a", "b"), None, lambda a, b: torch.where(a >= b, a, b)),
    "minimum": (("a", "b"), None, lambda a, b: torch.where(a <= b, a, b)),
    "greater": (("a", "b"), None, lambda a, b: torch.where(a > b, 1.0, 0.0).double()),
    "equal": (("a", "q"), None, lambda a, q: torch.where(a == q, 1.0, 0.0).double()),
    "floor": (("a",), None, lambda a: a.long().double() - (a < a.long()).double()),
    "relu": (("a",), None, lambda a: torch.where(a > 0, a, 0.0)),
    "sigmoid": (("a",), None, lambda a: 1 / (1 + (-a).exp())),
    "tanh": (("a",), None, lambda a: 1 - 2 / ((2 * a).exp() + 1)),
    "exp": (("a",), None, lambda a: torch.e**a),
    "log": (("p",), None, lambda p: torch.log2(p) / math.log2(math.e)),
    "sqrt": (("p",), None, lambda p: p**0.5),
    "total": (("a",), None, lambda a: torch.stack([a[0] + a[1] + a[2] + a[3]])),
    "largest": (("a",), None, lambda a: torch.stack([a.sort().values[-1]])),
    "spread": (("n",), "H", lambda n: torch.stack([n[0]] * 4)),
    "matmul": (("M", "x"), None, lambda M, x: torch.stack([(row * x).sum() for row in M])),
    "matmul_t": (("M", "a"), None, lambda M, a: torch.stack([(row * a).sum() for row in M.T])),
    "outer": (("a", "x"), None, lambda a, x: torch.stack([each * x for each in a])),
    "places": ((), "L", lambda: torch.tensor([0.0, 1.0, 2.0]).double()),
    "weighted_sum": (("w", "m"), None, lambda w, m: w[0] * m[0] + w[1] * m[1] + w[2] * m[2]),
    "to_places": (("x",), "L", lambda x: torch.stack([x, x, x])),
    "to_units": (("w",), "I", lambda w: torch.stack([torch.stack([each] * 5) for each in w])),
    "present": (("w",), 0.5, lambda w: w),  # all are, see layers/test_memory.py for those that lack
    "total_of_places": (("m",), None, lambda m: m[0] + m[1] + m[2]),
    "outer_of_places": (
        ("k", "m"),
        None,
        lambda k, m: torch.stack([sum(k[n, h] * m[n] for n in range(3)) for h in range(4)]),
    ),
}
# Operations that must know what their axes are.
AXES = {"present": ("L",)}
WIDTHS = {"H": 4, "I": 5, "L": 3}


def test_every_operation_of_the_language_is_here() -> None:
    assert sorted(EXPECTED) == sorted(RULES.keys() - set(WORDS))


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)], ids=["one", "batch", "time-batch"])
@pytest.mark.parametrize("op", EXPECTED)
def test_every_operation_is_known_to_the_reference(op: str, leading: tuple[int, ...]) -> None:
    arguments, attribute, expected = EXPECTED[op]
    given = {
        "a": draw(*leading, 4, seed=1),
        "b": draw(*leading, 4, seed=2),
        "p": draw(*leading, 4, seed=3).abs() + 0.1,
        "x": draw(*leading, 5, seed=4),
        "n": draw(*leading, 1, seed=5),
        "M": draw(4, 5, seed=6),
        "w": draw(*leading, 3, seed=7),
        "m": draw(*leading, 3, 5, seed=8),
        "k": draw(*leading, 3, 4, seed=9),
    }
    given["q"] = torch.cat([given["a"][..., :1], given["b"][..., 1:]], -1)
    values = dict(given)
    operation = Operation("y", op, arguments, AXES.get(op, ()), attribute)
    evaluate([operation], values, WIDTHS, given["a"])
    for place in itertools.product(*map(range, leading)):
        own = [given[name] if name == "M" else given[name][place] for name in arguments]
        got = values["y"][place] if arguments else values["y"]
        # Float64, and another formula of one function: a few units of 2.2e-16.
        torch.testing.assert_close(got, expected(*own), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("op", EXPECTED)
def test_no_operation_changes_the_type(op: str, dtype: torch.dtype) -> None:
    arguments, attribute, _ = EXPECTED[op]
    shapes = {"M": (4, 5), "x": (3, 5), "n": (3, 1), "w": (3, 3), "m": (3, 3, 5), "k": (3, 3, 4)}
    values = {name: torch.ones(shapes.get(name, (3, 4)), dtype=dtype) for name in arguments}
    like = torch.ones(3, 4, dtype=dtype)
    evaluate([Operation("y", op, arguments, AXES.get(op, ()), attribute)], values, WIDTHS, like)
    assert values["y"].dtype == dtype


@pytest.mark.parametrize(
    ("op", "a", "b", "slopes"),
    [
        ("maximum", 1.0, 1.0, (0.5, 0.5)),
        ("minimum", 1.0, 1.0, (0.5, 0.5)),
        ("maximum", 2.0, 1.0, (1.0, 0.0)),
        ("minimum", 2.0, 1.0, (0.0, 1.0)),
        ("relu", 0.0, None, (0.0,)),
    ],
)
def test_slopes_where_there_is_a_choice(
    op: str, a: float, b: float | None, slopes: tuple[float, ...]
) -> None:
    given = {
        name: torch.tensor([number], requires_grad=True)
        for name, number in (("a", a), ("b", b))
        if number is not None
    }
    values: dict[str, Tensor] = dict(given)
    evaluate([Operation("y", op, tuple(given), ("H",), None)], values, {"H": 1}, values["a"])
    got = torch.autograd.grad(values["y"].sum(), list(given.values()))
    assert tuple(each.item() for each in got) == slopes


# A whole cell ------------------------------------------------------------------------------------


def word_for_word(
    program: Program,
    inputs: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    widths: Mapping[str, int],
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Outputs, final state, local names: the program, as the user wrote it, step by step; only
    words of the language are written out."""
    program = lowered(program)
    like = next(iter(inputs.values()))
    steps, batch = like.shape[:2]
    state = dict(start)
    seen: dict[str, dict[str, list[Tensor]]] = {"output": {}, "local": {}}
    for t in range(steps):
        values = {**parameters, **{name: each[t] for name, each in inputs.items()}}
        values |= {f"{name}'": each for name, each in state.items()}
        evaluate(program.operations, values, widths, like)
        for role in ("output", "local"):
            for name, value in program.values_of(role).items():
                seen[role].setdefault(name, []).append(values[value].expand(batch, -1))
        state = {
            name: values[v].expand(batch, -1) for name, v in program.values_of("state").items()
        }
    outputs, local = (
        {name: torch.stack(each) for name, each in seen[role].items()} for role in seen
    )
    return outputs, state, local


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_sequence_is_the_program_word_for_word(name: str, bias: bool) -> None:
    program, sizes = PROGRAMS[name]
    program = program if bias else without_bias(program)
    for steps, batch, reads, hidden in ((1, 1, 1, 1), (7, 3, 2, 5), (3, 2, 5, 3)):
        widths = {"I": reads, "H": hidden, **sizes}
        inputs, start, parameters = leaves(program, widths, steps, batch)
        outputs, final, local = word_for_word(program, inputs, start, parameters, widths)
        kernel = Reference().compile(plan(program), torch.float64)
        for observe in (False, True):
            got = kernel.sequence(
                rows_of(inputs),
                InitialState.of(of_a_layer(start)),
                Parameters.of(parameters),
                steps=Steps(steps, batch),
                observe=observe,
            )
            assert_same(got.outputs, rows_of(outputs), **CLOSE)
            assert_same(got.final, of_a_layer(final), **CLOSE)
            assert_same(got.observed, rows_of(local) if observe else {}, **CLOSE)


@pytest.mark.parametrize("name", LAW_PROGRAMS)
def test_step_equals_sequence(name: str) -> None:
    program, sizes = PROGRAMS[name]
    inputs, state, parameters = leaves(program, {"I": 2, "H": 5, **sizes}, 7, 3)
    kernel = Reference().compile(plan(program), torch.float64)
    stored, state = Parameters.of(parameters), of_a_layer(state)
    whole = kernel.sequence(
        rows_of(inputs), InitialState.of(state), stored, steps=Steps(7, 3), observe=False
    )
    for t in range(7):
        read = {name: each[t] for name, each in inputs.items()}
        outputs, state = kernel.step(read, InitialState.of(state), stored)
        at = {name: each.view(7, 3, -1)[t] for name, each in whole.outputs.items()}
        assert_same(outputs, at, **CLOSE)
    assert_same(state, whole.final, **CLOSE)


@pytest.mark.parametrize("name", LAW_CELLS)
def test_step_equals_sequence_at_every_size_of_the_table(name: str) -> None:
    for case in table.CASES:
        if case.cell == name:
            compare_step_with_sequence(case)


def compare_step_with_sequence(case: table.Case) -> None:
    program = trace(CELLS[case.cell])
    inputs, state, parameters = leaves(program, case.widths, case.steps, case.batch)
    kernel = ReferenceKernel(plan(program))
    stored, steps = Parameters.of(parameters), Steps(case.steps, case.batch)
    state = of_a_layer(state)
    whole = kernel.sequence(
        rows_of(inputs), InitialState.of(state), stored, steps=steps, observe=False
    )
    outputs = []
    for t in range(case.steps):
        now = {name: values[t] for name, values in inputs.items()}
        output, state = kernel.step(now, InitialState.of(state), stored)
        outputs.append(output)
    stacked = {name: torch.cat([each[name] for each in outputs]) for name in outputs[0]}
    assert_same(stacked, whole.outputs, **CLOSE)
    assert_same(state, whole.final, **CLOSE)


def test_a_kernel_holds_no_tensors_between_calls() -> None:
    program = trace(CELLS["gru"])
    kernel = Reference().compile(plan(program), torch.float64)
    inputs, start, parameters = leaves(program, {"I": 2, "H": 3}, 4, 2)
    rows, steps = rows_of(inputs), Steps(4, 2)
    with torch.inference_mode():
        kernel.sequence(
            rows,
            InitialState.of(of_a_layer(start)),
            Parameters.of(parameters),
            steps=steps,
            observe=True,
        )
    needed = {name: each.requires_grad_() for name, each in parameters.items()}
    got = kernel.sequence(
        rows, InitialState.of(of_a_layer(start)), Parameters.of(needed), steps=steps, observe=False
    )
    torch.autograd.grad(got.outputs["h"].sum(), list(needed.values()))


# Selection ---------------------------------------------------------------------------------------


@pytest.fixture
def gru_plan() -> Plan:
    cell: Cell = CELLS["gru"]
    return plan(trace(cell))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64, torch.uint8], ids=str)
def test_other_numbers_than_floating_point_are_refused(gru_plan: Plan, dtype: torch.dtype) -> None:
    refusal = Reference().refuses(gru_plan, Placement(CPU, dtype))
    assert refusal == f"it computes with floating-point numbers, not {dtype}."
    with pytest.raises(TargetError) as caught:
        select(gru_plan, Placement(CPU, dtype))
    text = str(caught.value)
    assert text.startswith(f"no target can run gru on cpu in {dtype}:\n")
    assert f"\n  reference: {refusal}" in text
    assert f"\n  llvm: it computes in float32 and float64, not {dtype}." in text
    assert "\n  triton: kernels for GPUs" in text


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
@pytest.mark.parametrize("device", ["cpu", "cuda:1", "meta"])
def test_any_floating_point_anywhere(gru_plan: Plan, device: str, dtype: torch.dtype) -> None:
    place = Placement(torch.device(device), dtype)
    assert Reference().refuses(gru_plan, place) is None
    with use_target("reference"):
        assert select(gru_plan, place).target.name == "reference"
