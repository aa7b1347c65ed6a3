"""Each rule of the checker, broken once; what comes from a file may hold anything."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from conveyor.compiler.check import MOST_OPERATIONS, check, check_cell
from conveyor.compiler.gradient import gradient
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Leaf, LeafKind, Operation, Program, Result, Role
from conveyor.errors import ProgramError
from tests.compiler.examples import ALL_CELLS, PROGRAMS

LSTM = PROGRAMS["lstm"]


def with_leaf(*leaves: Leaf) -> Program:
    """The LSTM with more leaves."""
    return replace(LSTM, leaves=(*LSTM.leaves, *leaves))


def with_operation(*operations: Operation) -> Program:
    """The LSTM with more operations at its end."""
    return replace(LSTM, operations=(*LSTM.operations, *operations))


def with_result(*results: Result) -> Program:
    """The LSTM with more results."""
    return replace(LSTM, results=(*LSTM.results, *results))


def with_first(**changes: Any) -> Program:
    """The LSTM with its first operation, %1 = W.f @ x, changed."""
    first, *rest = LSTM.operations
    return replace(LSTM, operations=(replace(first, **changes), *rest))


def bias(name: str) -> Leaf:
    return Leaf(name, "bias", ("H",))


def test_the_first_operation_is_the_one_the_tests_change() -> None:
    assert LSTM.operations[0] == Operation("%1", "matmul", ("W.f", "x"), ("H",))
    assert LSTM.axes["U.f"] == ("H", "H")


@pytest.mark.parametrize("name", ALL_CELLS)
def test_valid_programs_pass_unchanged(name: str) -> None:
    program = PROGRAMS[name]
    assert check(program) is program
    assert check_cell(program) is program


TOO_LARGE = {
    "operations": with_operation(
        *(Operation(f"z{n}", "neg", ("h",), ("H",)) for n in range(MOST_OPERATIONS))
    ),
    "leaves": with_leaf(*(bias(f"z{n}") for n in range(MOST_OPERATIONS))),
}


@pytest.mark.parametrize("what", TOO_LARGE)
def test_a_cell_too_large_is_refused_with_its_size_and_the_limit(what: str) -> None:
    program = TOO_LARGE[what]
    size = len(program.operations) + len(program.leaves)
    with pytest.raises(ProgramError, match=f"it has {size:,} .* a cell may have 5,000"):
        check_cell(program)


@pytest.mark.parametrize("name", ALL_CELLS)
def test_valid_gradients_pass_unchanged(name: str) -> None:
    backward = gradient(PROGRAMS[name])
    assert check(backward) is backward


BROKEN: dict[str, tuple[Program, str]] = {
    "leaf without a name": (with_leaf(bias("")), "'' is not a name."),
    "leaf of a bad name": (with_leaf(bias("b f")), "'b f' is not a name."),
    "leaf of three parts": (with_leaf(bias("b.f.g")), "'b.f.g' is not a name."),
    "name with a line break": (with_leaf(bias("b\n")), "'b\\n' is not a name."),
    "operation of a bad name": (with_first(name="1%"), "'1%' is not a name."),
    "two leaves of one name": (with_leaf(bias("b.f")), "b.f is defined twice."),
    "operation named as a leaf": (with_first(name="b.f"), "b.f is defined twice."),
    "two operations of one name": (
        with_operation(Operation("f", "neg", ("h",), ("H",))),
        "f is defined twice.",
    ),
    "leaf of an unknown kind": (
        with_leaf(Leaf("q", cast(LeafKind, "weight"), ("H",))),
        "leaf q has the unknown kind 'weight'.",
    ),
    "bias of two axes": (
        with_leaf(Leaf("q", "bias", ("H", "H"))),
        "bias q has the axes ('H', 'H').",
    ),
    "matrix of one axis": (with_leaf(Leaf("q", "matrix", ("H",))), "matrix q has the axes ('H',)."),
    "input of no axis": (with_leaf(Leaf("q", "input", ())), "input q has the axes ()."),
    "state of two axes": (
        with_leaf(Leaf("q'", "state", ("H", "H"))),
        "state q' has the axes ('H', 'H').",
    ),
    "vector of three axes": (
        with_leaf(Leaf("q", "vector", ("H", "H", "H"))),
        "vector q has the axes ('H', 'H', 'H').",
    ),
    "kept of three axes": (
        with_leaf(Leaf("q", "kept", ("H", "H", "H"))),
        "kept q has the axes ('H', 'H', 'H').",
    ),
    "upstream of two axes": (
        with_leaf(Leaf("q", "upstream", ("H", "H"))),
        "upstream q has the axes ('H', 'H').",
    ),
    "axis that is no letter": (with_leaf(Leaf("q", "bias", ("4",))), "bias q has the axes ('4',)."),
    "axis that is a number": (
        with_leaf(Leaf("q", "bias", cast("tuple[str]", (4,)))),
        "bias q has the axes (4,).",
    ),
    "undefined argument": (
        with_first(arguments=("W.f", "y")),
        "%1 uses 'y', which is not defined before it.",
    ),
    "argument defined later": (
        with_first(arguments=("W.f", "h")),
        "%1 uses 'h', which is not defined before it.",
    ),
    "operation of itself": (
        with_operation(Operation("q", "neg", ("q",), ("H",))),
        "q uses 'q', which is not defined before it.",
    ),
    "unknown operation": (with_first(op="softplus"), "%1: there is no operation 'softplus'"),
    "too few arguments": (
        with_first(arguments=("W.f",)),
        "%1: matmul takes 2 arguments, got 1",
    ),
    "too many arguments": (
        with_operation(Operation("q", "tanh", ("h", "c"), ("H",))),
        "q: tanh takes 1 arguments, got 2",
    ),
    "claimed axes": (
        with_first(axes=("I",)),
        "%1 claims the axes ('I',), it has ('H',).",
    ),
    "claimed axes of a number": (
        with_operation(Operation("q", "total", ("h",), ("H",))),
        "q claims the axes ('H',), it has ().",
    ),
    "constant without a number": (
        with_operation(Operation("q", "constant", (), ())),
        "q carries None, constant wants number.",
    ),
    "constant of text": (
        with_operation(Operation("q", "constant", (), (), "1")),
        "q carries '1', constant wants number.",
    ),
    "constant NaN": (
        with_operation(Operation("q", "constant", (), (), float("nan"))),
        "q carries nan, constant wants number.",
    ),
    "constant infinity": (
        with_operation(Operation("q", "constant", (), (), float("-inf"))),
        "q carries -inf, constant wants number.",
    ),
    "width of a number": (
        with_operation(Operation("q", "width", (), (), 3.0)),
        "q carries 3.0, width wants axis.",
    ),
    "width of no axis": (
        with_operation(Operation("q", "width", (), (), "H I")),
        "q carries 'H I', width wants axis.",
    ),
    "spread over nothing": (
        with_operation(
            Operation("s", "total", ("h",), ()), Operation("q", "spread", ("s",), ("H",))
        ),
        "q carries None, spread wants axis.",
    ),
    "attribute that nobody wants": (
        with_operation(Operation("q", "tanh", ("h",), ("H",), 1.0)),
        "q carries 1.0, tanh wants None.",
    ),
    "widths that disagree": (
        with_operation(Operation("q", "add", ("h", "x"), ("H",))),
        "q: the widths [H] and [I] cannot agree",
    ),
    "matrix unit by unit": (
        with_operation(Operation("q", "tanh", ("W.f",), ("H", "I"))),
        "q: a matrix [H, I] cannot be used unit by unit; multiply it: W @ x",
    ),
    "product of vectors": (
        with_operation(Operation("q", "matmul", ("h", "x"), ("H",))),
        "q: a matrix product needs a matrix and a vector, got [H] and [I]",
    ),
    "product of a number": (
        with_operation(
            Operation("s", "total", ("h",), ()), Operation("q", "matmul", ("U.f", "s"), ("H",))
        ),
        "q: a matrix product needs a matrix and a vector, got [H, H] and one number",
    ),
    "product of the wrong width": (
        with_operation(Operation("q", "matmul", ("W.f", "h"), ("H",))),
        "q: the matrix [H, I] takes a vector [I], got [H]",
    ),
    "transposed product of the wrong width": (
        with_operation(Operation("q", "matmul_t", ("W.f", "x"), ("H",))),
        "q: the matrix [I, H] takes a vector [H], got [I]",
    ),
    "transposed product of a vector": (
        with_operation(Operation("q", "matmul_t", ("h", "h"), ("H",))),
        "q: a transposed product needs a matrix, got [H]",
    ),
    "outer product of a matrix": (
        with_operation(Operation("q", "outer", ("U.f", "h"), ("H", "H"))),
        "q: an outer product needs two vectors, got [H, H] and [H]",
    ),
    "total of a number": (
        with_operation(Operation("s", "total", ("h",), ()), Operation("q", "total", ("s",), ())),
        "q: a sum over units needs a vector, got one number",
    ),
    "total of a matrix": (
        with_operation(Operation("q", "total", ("U.f",), ())),
        "q: a matrix [H, H] cannot be used unit by unit; multiply it: W @ x",
    ),
    "spread of a vector": (
        with_operation(Operation("q", "spread", ("h",), ("H",), "H")),
        "q: spread needs one number, got [H]",
    ),
    "result of an unknown role": (
        with_result(Result(cast(Role, "loss"), "h", "h")),
        "a result has the unknown role 'loss'.",
    ),
    "result that is not defined": (
        with_result(Result("output", "y", "y")),
        "output y is 'y': not defined.",
    ),
    "state without a new value": (
        replace(LSTM, results=tuple(r for r in LSTM.results if r != Result("state", "c", "c"))),
        "state c has no new value of axes ('H',).",
    ),
    "state with a new value of other axes": (
        replace(
            LSTM,
            results=tuple(
                replace(r, value="x") if r == Result("state", "h", "h") else r for r in LSTM.results
            ),
        ),
        "state h has no new value of axes ('H',).",
    ),
    "start value of no parameter": (
        replace(LSTM, start=(("b.q", 1.0),)),
        "a start value is given to 'b.q', which is no parameter.",
    ),
    "start value of an input": (
        replace(LSTM, start=(("x", 1.0),)),
        "a start value is given to 'x', which is no parameter.",
    ),
    "keep of no parameter": (
        replace(LSTM, keep=(("f", 1),)),
        "keep names 'f', which is no parameter.",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_rule_is_kept(what: str) -> None:
    program, text = BROKEN[what]
    with pytest.raises(ProgramError) as caught:
        check(program)
    assert str(caught.value) == f"program lstm: {text}"


def test_a_start_value_that_is_no_number_is_refused_for_that() -> None:
    with pytest.raises(ProgramError, match="nan"):
        check(replace(LSTM, start=(("b.f", float("nan")),)))


NO_CELL: dict[str, Callable[[], Program]] = {
    "input": lambda: replace(
        PROGRAMS["no_parameters"],
        leaves=PROGRAMS["no_parameters"].leaves_of("state"),
        operations=(),
        results=(Result("state", "h", "h'"), Result("output", "h", "h'")),
    ),
    "state": lambda: replace(
        PROGRAMS["no_parameters"],
        leaves=PROGRAMS["no_parameters"].leaves_of("input"),
        operations=(),
        results=(Result("output", "x", "x"),),
    ),
    "output": lambda: replace(LSTM, results=tuple(r for r in LSTM.results if r.role != "output")),
}


@pytest.mark.parametrize("lacks", NO_CELL)
def test_a_cell_needs_an_input_a_state_and_an_output(lacks: str) -> None:
    program = check(NO_CELL[lacks]())
    with pytest.raises(ProgramError) as caught:
        check_cell(program)
    name = program.name
    assert str(caught.value) == f"program {name}: a cell has an input, a state and an output."


@pytest.mark.parametrize(
    "program",
    [
        with_leaf(Leaf("q", "kept", ("H",))),
        with_leaf(Leaf("q", "upstream", ("H",))),
        with_result(Result("gradient", "h'", "h")),
    ],
    ids=["kept", "upstream", "gradient"],
)
def test_a_gradient_is_no_cell(program: Program) -> None:
    check(program)
    with pytest.raises(ProgramError, match="this is a gradient, not a cell"):
        check_cell(program)


# A name, a result or a leaf of a wrong Python type: JSON can hold it everywhere.
WRONG_TYPES: dict[str, Program] = {
    "leaf name is a list": with_leaf(bias(cast(str, ["q"]))),
    "leaf name is nothing": with_leaf(bias(cast(str, None))),
    "leaf kind is a list": with_leaf(Leaf("q", cast(LeafKind, ["bias"]), ("H",))),
    "operation name is a number": with_first(name=1),
    "operation is a list": with_first(op=["matmul"]),
    "operation is a dictionary": with_first(op={}),
    "argument is a list": with_first(arguments=(["W.f"], "x")),
    "argument is a dictionary": with_first(arguments=({}, "x")),
    "attribute is a list": with_operation(Operation("q", "constant", (), (), cast(float, [1.0]))),
    "attribute is too large": with_operation(Operation("q", "constant", (), (), 10**400)),
    "role is a list": with_result(Result(cast(Role, ["local"]), "h", "h")),
    "result is of a list": with_result(Result("local", cast(str, ["h"]), "h")),
    "result is of nothing": with_result(Result("local", cast(str, None), "h")),
    "output is of a number": with_result(Result("output", cast(str, 3), "h")),
    "value is a list": with_result(Result("local", "q", cast(str, ["h"]))),
    "start value is text": replace(LSTM, start=(("b.f", cast(float, "1")),)),
    "start value is too large": replace(LSTM, start=(("b.f", 10**400),)),
}


@pytest.mark.parametrize("what", WRONG_TYPES)
def test_wrong_type_is_refused(what: str) -> None:
    with pytest.raises(ProgramError):
        check_cell(WRONG_TYPES[what])


def renamed_state(name: str, new: str) -> Program:
    """The LSTM with its state h called otherwise, before and after the step."""

    def other(text: str) -> str:
        return {"h'": name, "h": new}.get(text, text)

    return replace(
        LSTM,
        leaves=tuple(replace(leaf, name=other(leaf.name)) for leaf in LSTM.leaves),
        operations=tuple(
            replace(o, name=other(o.name), arguments=tuple(other(a) for a in o.arguments))
            for o in LSTM.operations
        ),
        results=tuple(
            Result(r.role, new.removeprefix("%") if r.of == "h" else r.of, other(r.value))
            for r in LSTM.results
        ),
    )


# Programs that keep every rule above and would break, or mislead, the layer they are given to.
MISLEADING: dict[str, Program] = {
    "state without a prime": replace(
        renamed_state("h", "%99"),
        results=tuple(
            Result(r.role, r.of, "%99" if r.value == "h" else r.value) for r in LSTM.results
        ),
    ),
    "new value of a state that is none": with_result(Result("state", "q", "c")),
    "two new values of one state": with_result(Result("state", "h", "c")),
    "two outputs of one name": with_result(Result("output", "h", "c")),
    "leaf named as a gradient": with_leaf(bias("∂h'")),
    "output that is a matrix": with_result(Result("output", "q", "W.f")),
    "axis that no leaf has": with_operation(Operation("q", "width", (), (), "Q")),
    "spread over an axis that no leaf has": with_operation(
        Operation("s", "total", ("h",), ()), Operation("q", "spread", ("s",), ("Q",), "Q")
    ),
    "operation for gradients": replace(
        with_operation(
            Operation("q", "outer", ("h", "c"), ("H", "H")),
            Operation("y", "matmul", ("q", "h"), ("H",)),
        ),
        results=(*LSTM.results, Result("output", "y", "y")),
    ),
}


@pytest.mark.parametrize("what", MISLEADING)
def test_misleading_cell_is_refused(what: str) -> None:
    with pytest.raises(ProgramError):
        plan(check_cell(MISLEADING[what]))


@pytest.mark.parametrize("what", ["y.h", "n.h"])
def test_a_parameter_named_as_upstream_gradients_are_can_be_planned(what: str) -> None:
    """A cell may call a matrix y or n, with a gate h."""
    program = with_leaf(Leaf(what, "matrix", ("H", "H")))
    plan(check_cell(program))
