"""Each pass: its law once, as text; and that it keeps every value of every program."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, note

from conveyor.cells import CELLS, Cell
from conveyor.compiler.check import check
from conveyor.compiler.gradient import gradient
from conveyor.compiler.program import Leaf, Operation, Program, Result
from conveyor.compiler.rewrite import Builder
from conveyor.compiler.simplify import (
    PASSES,
    drop_neutral,
    drop_unused,
    fold_constants,
    share_equal,
    simplify,
    without_bias,
)
from conveyor.compiler.trace import trace
from tests.compiler.examples import (
    ALL_CELLS,
    PROGRAMS,
    assert_equal,
    drawn_cells,
    drawn_examples,
    moderate,
    numbers_for,
    results,
)

# The passes replace equals by equals and change no order.
BOUND = 1e-12

Write = Callable[[Builder], str]


def program_that(write: Write) -> Program:
    """A cell of state h and input x, both of width H, whose output y is what ``write`` writes."""
    leaves = (
        Leaf("x", "input", ("H",)),
        Leaf("h'", "state", ("H",)),
        Leaf("b", "bias", ("H",)),
    )
    builder = Builder({leaf.name: leaf.axes for leaf in leaves})
    output = write(builder)
    made = Result("state", "h", "h'"), Result("output", "y", output)
    return check(Program("made", "", "", leaves, tuple(builder.operations), made))


def body(program: Program) -> list[str]:
    """The lines of the operations and of the output."""
    lines = str(program).splitlines()
    first = 1 + max(n for n, line in enumerate(lines) if line.startswith(("  state  ", "  bias  ")))
    return [line.strip() for line in lines[first:] if not line.startswith("  state h is")]


def text(rewrite: Callable[[Program], Program], write: Write) -> list[str]:
    """The body after a rewrite; the program before it has the same values."""
    before = program_that(write)
    after = check(rewrite(before))
    compare_values(before, after)
    return body(after)


def compare_values(before: Program, after: Program) -> None:
    """Every result has the value it had; numbers are drawn for the leaves of the first."""
    values = numbers_for(before)
    wanted = results(before, values)
    got = results(after, {leaf.name: values[leaf.name] for leaf in after.leaves})
    assert got.keys() == wanted.keys()
    for name, want in wanted.items():
        assert_equal(got[name], want, BOUND, name)


# Laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "sign", "number"), [("add", "+", "5"), ("sub", "-", "-1"), ("mul", "*", "6")]
)
def test_constants_are_folded(op: str, sign: str, number: str) -> None:
    def write(b: Builder) -> str:
        return b.add("mul", "x", b.add(op, b.constant(2.0), b.constant(3.0)), name="y")

    assert body(program_that(write)) == [f"%3[] = 2 {sign} 3", "y[H] = x * %3", "output y is y"]
    assert text(fold_constants, write) == [f"y[H] = x * {number}", "output y is y"]


def test_constants_that_fold_are_folded_further() -> None:
    def write(b: Builder) -> str:
        five = b.add("add", b.constant(2.0), b.constant(3.0))
        return b.add("mul", b.add("sub", five, b.constant(0.5)), "x", name="y")

    assert text(simplify, write) == ["y[H] = 4.5 * x", "output y is y"]


def test_vectors_of_constants_are_not_folded_into_numbers() -> None:
    """2 spread over H plus 3 has the width H still."""

    def write(b: Builder) -> str:
        spread = b.add("spread", b.constant(2.0), attribute="H")
        return b.add("add", spread, b.constant(3.0), name="y")

    assert text(fold_constants, write) == [
        "%2[H] = spread(2, H)",
        "y[H] = %2 + 3",
        "output y is y",
    ]


@pytest.mark.parametrize(
    ("op", "left", "right"),
    [
        ("add", "h'", 0.0),
        ("add", 0.0, "h'"),
        ("sub", "h'", 0.0),
        ("mul", "h'", 1.0),
        ("mul", 1.0, "h'"),
        ("div", "h'", 1.0),
    ],
)
def test_neutral_numbers_are_dropped(op: str, left: str | float, right: str | float) -> None:
    def write(b: Builder) -> str:
        names = [n if isinstance(n, str) else b.constant(n) for n in (left, right)]
        return b.add(op, *names)

    assert text(drop_neutral, write) == ["output y is h'"]


@pytest.mark.parametrize(
    ("op", "left", "right"), [("sub", 0.0, "h'"), ("div", 1.0, "h'"), ("mul", "h'", 0.0)]
)
def test_numbers_that_are_not_neutral_stay(op: str, left: str | float, right: str | float) -> None:
    """0 - a is no a; and a * 0 is NaN where a is."""

    def write(b: Builder) -> str:
        names = [n if isinstance(n, str) else b.constant(n) for n in (left, right)]
        return b.add(op, *names, name="y")

    assert text(drop_neutral, write) == body(program_that(write))


def test_neutral_vectors_are_dropped() -> None:
    def write(b: Builder) -> str:
        return b.add("add", "h'", b.add("spread", b.constant(0.0), attribute="H"))

    assert text(drop_neutral, write)[-1] == "output y is h'"


def test_a_number_plus_a_vector_of_zeros_keeps_its_width() -> None:
    def write(b: Builder) -> str:
        zeros = b.add("spread", b.constant(0.0), attribute="H")
        return b.add("add", b.add("total", "h'", name="s"), zeros, name="y")

    assert text(drop_neutral, write)[-2:] == ["y[H] = s + %2", "output y is y"]


@pytest.mark.parametrize(("times", "want"), [(2, "h'"), (4, "h'")])
def test_even_negations_are_dropped(times: int, want: str) -> None:
    def write(b: Builder) -> str:
        name = "h'"
        for _ in range(times):
            name = b.add("neg", name)
        return name

    assert text(simplify, write) == [f"output y is {want}"]


def test_three_negations_are_one() -> None:
    def write(b: Builder) -> str:
        return b.add("neg", b.add("neg", b.add("neg", "x")), name="y")

    assert text(simplify, write) == ["%1[H] = -x", "output y is %1"]


def test_equal_operations_are_shared() -> None:
    def write(b: Builder) -> str:
        first, second = b.add("mul", "x", "b", name="p"), b.add("mul", "x", "b", name="q")
        return b.add("add", first, b.add("tanh", second), name="y")

    assert text(share_equal, write) == [
        "p[H] = x * b",
        "%1[H] = tanh(p)",
        "y[H] = p + %1",
        "output y is y",
    ]


def test_equal_operations_of_equal_operations_are_shared() -> None:
    def write(b: Builder) -> str:
        return b.add("sub", *(b.add("tanh", b.add("neg", "x")) for _ in range(2)), name="y")

    assert text(share_equal, write) == [
        "%1[H] = -x",
        "%2[H] = tanh(%1)",
        "y[H] = %2 - %2",
        "output y is y",
    ]


def test_numbers_that_differ_are_not_shared() -> None:
    def write(b: Builder) -> str:
        first, second = (b.add("constant", attribute=n) for n in (1.0, 1.0 + 1e-12))
        return b.add("mul", b.add("sub", first, second), "x", name="y")

    program = share_equal(program_that(write))
    assert {o.attribute for o in program.operations if o.op == "constant"} == {1.0, 1.0 + 1e-12}


def test_spreads_over_other_axes_are_not_shared() -> None:
    def write(b: Builder) -> str:
        s = b.add("total", "x", name="s")
        first, second = (b.add("spread", s, attribute=axis) for axis in ("H", "P"))
        sums = [b.add("total", each) for each in (first, second)]
        return b.add("add", *sums, name="y")

    assert len(text(share_equal, write)) == 7


def test_what_nothing_needs_is_dropped() -> None:
    def write(b: Builder) -> str:
        b.add("tanh", b.add("mul", "x", "b", name="p"), name="q")
        return b.add("neg", "x", name="y")

    assert text(drop_unused, write) == ["y[H] = -x", "output y is y"]


def test_what_the_user_named_is_kept_for_traces() -> None:
    program = trace(CELLS["lstm_projected"])
    simple = simplify(program)
    assert simple.values_of("local").keys() == program.values_of("local").keys()


# All programs --------------------------------------------------------------------------------

BOTH = [pytest.param(name, kind) for name in ALL_CELLS for kind in ("program", "gradient")]


def program_or_gradient(name: str, kind: str) -> Program:
    return PROGRAMS[name] if kind == "program" else gradient(PROGRAMS[name])


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: str(rewrite.__name__))
@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_pass_keeps_every_value(
    rewrite: Callable[[Program], Program], name: str, kind: str
) -> None:
    program = program_or_gradient(name, kind)
    compare_values(program, check(rewrite(program)))


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_simplify_keeps_every_value_and_leaf(name: str, kind: str) -> None:
    program = program_or_gradient(name, kind)
    simple = simplify(program)
    assert simple.leaves == program.leaves
    compare_values(program, simple)


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_simplify_twice_is_simplify_once(name: str, kind: str) -> None:
    once = simplify(program_or_gradient(name, kind))
    assert simplify(once) == once


# Their papers say one thing twice: 2 r, f + i, log f + m, or a mean of the same.
SAID_TWICE = {"ur_lstm", "minlstm", "lstm_layer_norm", "gru_layer_norm", "slstm"}
# A number that is written twice is one operation after.
NUMBERS_TWICE = {"lstm_1997", "janet", "sru"}


@pytest.mark.parametrize("name", [name for name in CELLS if name not in SAID_TWICE])
def test_the_built_in_cells_are_simple_already(name: str) -> None:
    """Nobody wrote a superfluous operation in them."""

    def operations(program: Program) -> int:
        return len([o for o in program.operations if o.op != "constant"])

    assert operations(simplify(PROGRAMS[name])) == operations(PROGRAMS[name])
    if name not in NUMBERS_TWICE:
        assert len(simplify(PROGRAMS[name]).operations) == len(PROGRAMS[name].operations)


@drawn_examples(75)
@given(drawn_cells(shared=True))
def test_simplify_keeps_every_value_of_a_drawn_cell(made: Cell) -> None:
    program = trace(made)
    note(str(program))
    assume(moderate(program, numbers_for(program)))
    compare_values(program, simplify(program))


# Without bias --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL_CELLS)
def test_without_bias_equals_zero_biases(name: str) -> None:
    program = PROGRAMS[name]
    bare = without_bias(program)
    assert not bare.leaves_of("bias")
    values = numbers_for(program)
    for leaf in program.leaves_of("bias"):
        values[leaf.name] = torch.zeros_like(values[leaf.name])
    wanted = results(program, values)
    got = results(bare, {leaf.name: values[leaf.name] for leaf in bare.leaves})
    assert got.keys() == wanted.keys()
    for what, want in wanted.items():
        assert_equal(got[what], want, BOUND, what)


def test_without_bias_adds_no_zeros() -> None:
    bare = without_bias(PROGRAMS["lstm"])
    assert {o.op for o in bare.operations} == {"matmul", "add", "mul", "sigmoid", "tanh"}
    assert len(bare.operations) == len(PROGRAMS["lstm"].operations) - len(
        PROGRAMS["lstm"].leaves_of("bias")
    )


def test_without_bias_forgets_start_values_of_biases() -> None:
    bare = without_bias(PROGRAMS["lstm"])
    assert bare.start == ()
    assert bare.keep == ()


def test_without_bias_of_a_cell_without_bias_is_the_cell() -> None:
    program = PROGRAMS["unchanged"]
    assert without_bias(program) == program


def test_start_values_of_other_parameters_stay() -> None:
    program = replace(PROGRAMS["lstm_peephole"], start=(("b.f", 1.0), ("p.f", 0.5)))
    assert without_bias(program).start == (("p.f", 0.5),)


def test_an_operation_named_like_a_new_one_is_not_overwritten() -> None:
    """``without_bias`` names its zeros %n; a program may hold any of these names."""
    program = program_that(lambda b: b.add("add", "x", "b"))
    high = replace(
        program,
        operations=(Operation("%2", "add", ("x", "b"), ("H",)),),
        results=(Result("state", "h", "%2"), Result("output", "y", "%2")),
    )
    assert body(without_bias(check(high))) == ["output y is x"]
