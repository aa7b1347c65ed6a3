"""Planted bugs must be caught, by the very comparisons that the tests use.

A comparison that passes on a wrong cell, a wrong gradient or a wrong plan protects nobody.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

import pytest

import conveyor
from conveyor.cells.operations import RULES
from conveyor.compiler.check import check_cell
from conveyor.compiler.gradient import DERIVATIVES
from conveyor.compiler.plan import Pass, Plan, Pointwise, Product, plan
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.rewrite import Builder
from tests.cells.test_oracles import compare_with_oracle
from tests.compiler.examples import PROGRAMS
from tests.compiler.test_gradient import (
    BOUND_AUTOGRAD,
    BOUND_DIFFERENCES,
    by_autograd,
    by_differences,
    compare_gradient,
)
from tests.compiler.test_memory import OF_PLACES, compare_with_autograd, of_everything
from tests.compiler.test_plan import compare_plan, compare_stages
from tests.table import MIDDLING, Case, make_layer


@pytest.fixture(scope="module", autouse=True)
def on_the_reference() -> Iterator[None]:
    """What is compared is the tests' own; machine code of each wrong program would take longest."""
    with conveyor.use_target("reference"):
        yield


LSTM = next(case for case in MIDDLING if case.cell == "lstm")
GRU = next(case for case in MIDDLING if case.cell == "gru")


def layer_of(program: Program, case: Case) -> conveyor.Recurrent:
    """A layer that runs another program with the parameters of the case's layer."""
    layer = conveyor.Recurrent(
        program, case.input, case.hidden, sizes=case.sizes, dtype=make_layer(case)._weight().dtype
    )
    layer.load_state_dict(make_layer(case).state_dict())
    return layer


def exchanged(program: Program, first: str, second: str) -> Program:
    """The program with two arguments taking each other's places wherever they are read."""
    other = {first: second, second: first}
    return check_cell(
        replace(
            program,
            operations=tuple(
                replace(o, arguments=tuple(other.get(a, a) for a in o.arguments))
                for o in program.operations
            ),
        )
    )


def changed(program: Program, name: str, change: Callable[[Operation], Operation]) -> Program:
    """The program with one operation changed."""
    return check_cell(
        replace(
            program,
            operations=tuple(change(o) if o.name == name else o for o in program.operations),
        )
    )


# Cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", MIDDLING, ids=str)
def test_the_right_program_passes(case: Case) -> None:
    compare_with_oracle(case, layer_of(PROGRAMS[case.cell], case))


@pytest.mark.parametrize("family", ["W", "U", "b"])
@pytest.mark.parametrize(("first", "second"), list(combinations("figo", 2)))
def test_exchanged_gates_are_caught(family: str, first: str, second: str) -> None:
    broken = exchanged(PROGRAMS["lstm"], f"{family}.{first}", f"{family}.{second}")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(LSTM, layer_of(broken, LSTM))


@pytest.mark.parametrize("family", ["W", "U", "b"])
@pytest.mark.parametrize(("first", "second"), list(combinations("rzn", 2)))
def test_exchanged_gates_of_the_gru_are_caught(family: str, first: str, second: str) -> None:
    broken = exchanged(PROGRAMS["gru"], f"{family}.{first}", f"{family}.{second}")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(GRU, layer_of(broken, GRU))


def test_exchanged_biases_of_the_grus_candidate_are_caught() -> None:
    """One is inside the reset gate's product, the other outside."""
    broken = exchanged(PROGRAMS["gru"], "b.n", "b.hn")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(GRU, layer_of(broken, GRU))


def test_exchanged_states_are_caught() -> None:
    broken = exchanged(PROGRAMS["lstm"], "h'", "c'")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(LSTM, layer_of(broken, LSTM))


def test_a_peephole_at_the_old_state_is_caught() -> None:
    """The output gate's peephole sees the new one."""
    case = next(case for case in MIDDLING if case.cell == "lstm_peephole")
    program = PROGRAMS["lstm_peephole"]
    (at,) = (o.name for o in program.operations if o.arguments == ("p.o", "c"))
    broken = changed(program, at, lambda o: replace(o, arguments=("p.o", "c'")))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(case, layer_of(broken, case))


def test_the_other_update_rule_of_the_gru_is_caught() -> None:
    """z and 1 - z change places in Chung et al."""
    program = PROGRAMS["gru"]
    rest = next(o.name for o in program.operations if o.op == "sub")
    other = {rest: "z", "z": rest}

    def turned(operation: Operation) -> Operation:
        if operation.op != "mul":
            return operation
        return replace(operation, arguments=tuple(other.get(a, a) for a in operation.arguments))

    broken = replace(program, operations=tuple(turned(o) for o in program.operations))
    assert sum(o != t for o, t in zip(program.operations, broken.operations, strict=True)) == 2
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(GRU, layer_of(broken, GRU))


@pytest.mark.parametrize("name", [o.name for o in PROGRAMS["lstm"].operations if o.op == "add"])
def test_every_flipped_sign_of_the_lstm_is_caught(name: str) -> None:
    broken = changed(PROGRAMS["lstm"], name, lambda o: replace(o, op="sub"))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare_with_oracle(LSTM, layer_of(broken, LSTM))


# Gradients -----------------------------------------------------------------------------------

# Which of the results of a rule are flipped: each argument's.
FLIPS = [
    (op, place)
    for op in DERIVATIVES
    if op != "spread" and op not in OF_PLACES  # no cell can be written with the first
    for place in range(RULES[op].arity)
]


def flip(monkeypatch: pytest.MonkeyPatch, op: str, place: int) -> None:
    """One sign in one derivative rule. A matrix has no sign of its own: its vector is negated."""
    rule = DERIVATIVES[op]

    def flipped(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
        shares = list(rule(b, o, d))
        if len(b.axes[shares[place]]) == 2:
            shares[place] = rule(b, o, b.add("neg", d))[place]
        else:
            shares[place] = b.add("neg", shares[place])
        return tuple(shares)

    monkeypatch.setitem(DERIVATIVES, op, flipped)


@pytest.mark.parametrize(("op", "place"), FLIPS)
def test_a_flipped_sign_in_a_derivative_is_caught(
    monkeypatch: pytest.MonkeyPatch, op: str, place: int
) -> None:
    program = PROGRAMS["every_operation"]
    compare_gradient(program, by_differences, BOUND_DIFFERENCES)
    flip(monkeypatch, op, place)
    with pytest.raises(AssertionError, match="gradient of "):
        compare_gradient(program, by_differences, BOUND_DIFFERENCES)
    with pytest.raises(AssertionError, match="gradient of "):
        compare_gradient(program, by_autograd, BOUND_AUTOGRAD)


@pytest.mark.parametrize(
    ("op", "place"), [(op, place) for op in OF_PLACES for place in range(RULES[op].arity)]
)
def test_a_flipped_sign_in_a_derivative_of_places_is_caught(
    monkeypatch: pytest.MonkeyPatch, op: str, place: int
) -> None:
    flip(monkeypatch, op, place)
    with pytest.raises(AssertionError, match="not close"):
        compare_with_autograd(of_everything)


@pytest.mark.parametrize("op", ["sigmoid", "tanh", "add", "mul", "matmul"])
def test_a_flipped_sign_is_caught_in_the_lstm(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    flip(monkeypatch, op, 0)
    with pytest.raises(AssertionError, match="gradient of "):
        compare_gradient(PROGRAMS["lstm"], by_differences, BOUND_DIFFERENCES)


def test_a_forgotten_share_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """x * x has the derivative 2 x, not x."""

    def half(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
        left, right = o.arguments
        zero = b.add("mul", d, b.constant(0.0))
        return b.add("mul", d, right), zero if left == right else b.add("mul", d, left)

    monkeypatch.setitem(DERIVATIVES, "mul", half)
    with pytest.raises(AssertionError, match="gradient of "):
        compare_gradient(PROGRAMS["layer_norm"], by_differences, BOUND_DIFFERENCES)


# Plans ---------------------------------------------------------------------------------------

PLANNED = {name: plan(PROGRAMS[name]) for name in ("lstm", "gru_reset_before")}

STAGES = [
    (name, way, phase, number)
    for name, planned in PLANNED.items()
    for way in ("forward", "backward")
    for phase in ("before", "loop", "after")
    for number in range(len(getattr(getattr(planned, way), phase)))
]


def with_pass(planned: Plan, way: str, other: Pass) -> Plan:
    """The plan with another pass forward, or backward."""
    forward = way == "forward"
    return replace(planned, forward=other) if forward else replace(planned, backward=other)


def without_stage(planned: Plan, way: str, phase: str, number: int) -> Plan:
    """The plan less one stage."""
    done: Pass = getattr(planned, way)
    stages = getattr(done, phase)
    fewer = stages[:number] + stages[number + 1 :]
    return with_pass(planned, way, replace(done, **{phase: fewer}))


def test_there_are_stages_to_drop() -> None:
    assert {stage[:3] for stage in STAGES} >= {
        (name, way, phase)
        for name in PLANNED
        for way, phase in (
            ("forward", "before"),
            ("forward", "loop"),
            ("backward", "loop"),
            ("backward", "after"),
        )
    }


@pytest.mark.parametrize(("name", "way", "phase", "number"), STAGES)
def test_a_dropped_stage_is_caught(name: str, way: str, phase: str, number: int) -> None:
    planned = PLANNED[name]
    compare_plan(PROGRAMS[name], planned)
    broken = without_stage(planned, way, phase, number)
    # What is read and was never made is missing; what only is a result is missed by its name.
    with pytest.raises((KeyError, AssertionError)):
        compare_plan(PROGRAMS[name], broken)
    dropped = getattr(getattr(planned, way), phase)[number]
    if isinstance(dropped, Pointwise) and all(o.op == "constant" for o in dropped.operations):
        return
    program = planned.program if way == "forward" else planned.gradient
    with pytest.raises(AssertionError):
        compare_stages(program, getattr(broken, way))


def rotated(stage: Product) -> Product:
    """A joined product whose results are called by each other's names."""
    return replace(stage, results=(*stage.results[1:], stage.results[0]))


@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("name", PLANNED)
def test_exchanged_results_of_a_joined_product_are_caught(name: str, way: str) -> None:
    planned = PLANNED[name]
    done: Pass = getattr(planned, way)
    phase = "before" if way == "forward" else "after"
    stages = tuple(
        rotated(stage) if isinstance(stage, Product) and len(stage.results) > 1 else stage
        for stage in getattr(done, phase)
    )
    assert stages != getattr(done, phase)
    broken = with_pass(planned, way, replace(done, **{phase: stages}))
    with pytest.raises(AssertionError, match=r"gradient of|output"):
        compare_plan(PROGRAMS[name], broken)


@pytest.mark.parametrize("name", PLANNED)
def test_a_kept_value_that_is_forgotten_is_caught(name: str) -> None:
    planned = PLANNED[name]
    for forgotten in planned.kept:
        fewer = tuple(each for each in planned.kept if each != forgotten)
        with pytest.raises(KeyError, match=forgotten):
            compare_plan(PROGRAMS[name], replace(planned, kept=fewer))


def test_an_operation_done_too_early_is_caught() -> None:
    """A stage before the loop cannot read a state."""
    planned = PLANNED["lstm"]
    early, *rest = planned.forward.loop
    moved = replace(planned.forward, before=(*planned.forward.before, early), loop=tuple(rest))
    with pytest.raises(KeyError, match="h'"):
        compare_plan(PROGRAMS["lstm"], replace(planned, forward=moved))


def test_pointwise_stages_in_the_wrong_order_are_caught() -> None:
    planned = PLANNED["lstm"]
    last = planned.forward.loop[-1]
    assert isinstance(last, Pointwise)
    turned = Pointwise(tuple(reversed(last.operations)))
    loop = (*planned.forward.loop[:-1], turned)
    with pytest.raises(KeyError):
        compare_plan(
            PROGRAMS["lstm"], replace(planned, forward=replace(planned.forward, loop=loop))
        )


# Golden files --------------------------------------------------------------------------------


def test_a_missing_golden_file_is_a_failure(
    golden: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--update-golden"):
        pytest.skip("would write the file")
    with pytest.raises(pytest.fail.Exception, match="is missing"):
        golden("text")


def test_a_golden_file_that_differs_is_a_failure(
    golden: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    """The file of this test holds another text."""
    if request.config.getoption("--update-golden"):
        pytest.skip("would write the file")
    with pytest.raises(AssertionError):
        golden("text")
