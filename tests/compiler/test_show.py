"""Cells as text: the equations that were written, LaTeX, and costs that can be counted."""

# ruff: noqa: RET504  (h = ...; return h, as in a paper)

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch

import conveyor
from conveyor.cells import (
    CELLS,
    Cell,
    Input,
    Matrix,
    State,
    Value,
    cell,
    exp,
    mean,
    relu,
    sqrt,
    total,
)
from conveyor.compiler.cost import Formula, cost
from conveyor.compiler.first_layer import first_layer
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError, UnknownCellError
from tests.cells.test_counts import COUNTS
from tests.compiler.examples import (
    ALL_CELLS,
    MORE_CELLS,
    PROGRAMS,
    WIDTHS,
    assert_equal,
    numbers_for,
    plan_of,
    run,
)
from tests.table import CASES, make_layer

Golden = Callable[[str], None]


def written(made: Cell) -> list[str]:
    """The equations in the body of a cell, as they stand in its file."""
    source = Path(made.place.file).read_text(encoding="utf-8")
    (function,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == made.name
    )
    return [
        ast.get_source_segment(source, line) or ""
        for line in function.body
        if isinstance(line, ast.Assign)
    ]


def equations_of(cell: str | Cell) -> str:
    """What is shown of a cell, less what the first layer reads in place of a layer below."""
    return conveyor.show(cell).partition("\n\nin the first layer:")[0]


# Bodies that are not equations only: they use a function of their file.
UNPACKING = {"lstm_layer_norm", "gru_layer_norm", "minlstm"}


@pytest.mark.parametrize("name", [name for name in CELLS if name not in UNPACKING])
def test_equations_are_what_was_written(name: str) -> None:
    """Up to the prime that marks the state of the step before, which a body that still needs it
    keeps as i_before."""
    shown = equations_of(name).replace("'", "").splitlines()
    lines = [line.replace("_before", "") for line in written(CELLS[name])]
    assert [line for line in shown if not line.startswith("output ")] == [
        line for line in lines if line not in ("m = m", "i, o = i, o", "i, f, o = i, f, o")
    ]
    assert shown


@pytest.mark.parametrize("name", CELLS)
def test_the_state_of_the_step_before_bears_a_prime(name: str) -> None:
    """Each state is read with a prime until it gets its new value."""
    states = [leaf.name.removesuffix("'") for leaf in trace(CELLS[name]).states]
    assigned: set[str] = set()
    kept = {
        before
        for line in written(CELLS[name])
        for before in re.findall(r"(\w+)_before(?=[, ].*=)", line)
    }
    for line in equations_of(name).splitlines():
        left, _, right = line.partition(" = ")
        if left.startswith("output "):
            continue
        words = ast.walk(ast.parse(right.replace("'", "_old"), mode="eval"))
        used = {word.id for word in words if isinstance(word, ast.Name)}
        for state in states:
            if state not in assigned:
                assert state not in used
            elif state not in kept:
                assert f"{state}_old" not in used
        assigned.add(left)


@pytest.mark.parametrize("name", ["residual", "residual_twice", "shared_matrix"])
def test_equations_of_more_cells_are_what_was_written(name: str) -> None:
    """Sums in sums, and in products: parentheses where they are needed."""
    shown = conveyor.show(MORE_CELLS[name]).replace("'", "").splitlines()
    assert shown == written(MORE_CELLS[name])


@pytest.mark.parametrize("name", ALL_CELLS)
def test_shown_equations_are_the_cell_again(name: str) -> None:
    """What is shown can be defined as a cell, which computes the same."""
    before = trace(ALL_CELLS[name])

    def renamed(text: str) -> str:
        return re.sub(r"(\w+)\[(\d)\]", r"\1_\2_old", text).replace("'", "_old")

    kinds = {"input": "Input", "state": "State", "matrix": "Matrix", "bias": "Bias"}
    letters: dict[str, str] = {}
    for leaf in before.leaves:
        family, kind = renamed(leaf.name).partition(".")[0], kinds.get(leaf.kind, "Vector")
        letters[family] = f"{family}: Annotated[{kind}, {leaf.axes[0]!r}]" if leaf.axes else ""
    for counter in before.counters:
        letters[f"{counter}_old"] = f"{counter}: Step"
    lines = [
        renamed(line)
        for line in equations_of(ALL_CELLS[name]).splitlines()
        if not line.endswith(" = 0, 1, 2, ...")
    ]
    states = before.values_of("state")
    # As it is, an old state may not be returned for another one.
    returned = [
        f"{value} + 0" if of in before.past else value
        for of, value in states.items()
        if of not in before.counters
    ]
    returned += before.values_of("output").values()
    source = [
        "@cell",
        f"def again({', '.join(letters.values())}):",
        *(f"    {line}" for line in lines if not line.startswith("output ")),
        f"    return {', '.join(renamed(value) for value in returned)}",
    ]
    names: dict[str, Any] = {n: getattr(conveyor.cells, n) for n in conveyor.cells.__all__}
    # A width is shown by its letter.
    names |= {axis: conveyor.cells.Value("width", (), axis) for axis in WIDTHS}
    names["Annotated"] = Annotated
    exec("\n".join(source), names)
    after = trace(names["again"])
    values = numbers_for(before)
    wanted = run(before, values)
    counted = {f"{counter}'" for counter in before.counters}

    def again(name: str) -> str:
        return f"{renamed(name)}'" if "'" in name and name not in counted else name

    got = run(after, {again(name): each for name, each in values.items()})
    for role in ("state", "output"):
        pairs = zip(
            (result.value for result in before.results if result.role == role),
            (result.value for result in after.results if result.role == role),
            strict=True,
        )
        for want, have in pairs:
            assert_equal(got[have], wanted[want], 1e-5, want)  # numbers are shown shortened


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_latex(golden: Golden, name: str) -> None:
    golden(conveyor.show(name, "latex"))


@pytest.mark.parametrize("name", ALL_CELLS)
def test_latex_has_matching_braces(name: str) -> None:
    text = conveyor.show(ALL_CELLS[name], "latex")
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    assert "%" not in text  # a comment in LaTeX


def test_outputs_are_named_unless_they_are_the_first_state() -> None:
    assert conveyor.show(MORE_CELLS["unchanged"]).splitlines()[-2:] == ["output y", "output h"]
    assert conveyor.show("lstm_depth_gated").splitlines()[-5:] == [
        *("output h", "output c", "", "in the first layer:", "c_below = P @ x"),
    ]
    assert "output" not in conveyor.show("lstm")


def test_parentheses_stand_where_they_change_the_meaning() -> None:
    @cell
    def grouped(x: Input, h: State, W: Matrix) -> Value:
        a = W @ x
        b = a - (h - a) - h
        d = a / (h / a) / h
        e = -(a + h) * (h - (-a))
        f = h * (W @ x) - (a * h) * (h * a)
        g = relu(a + h) / sqrt(total(a * h)) + exp(-a)
        h = b + (d + e) + (f - g)
        return h

    assert conveyor.show(grouped).replace("'", "").splitlines() == [
        "a = W @ x",
        "b = a - (h - a) - h",
        "d = a / (h / a) / h",
        "e = -(a + h) * (h - -a)",
        "f = h * (W @ x) - a * h * (h * a)",
        "g = relu(a + h) / sqrt(total(a * h)) + exp(-a)",
        "h = b + (d + e) + (f - g)",
    ]


def test_numbers_are_shown_as_they_were_written() -> None:
    @cell
    def exact(x: Input, h: State, W: Matrix) -> Value:
        h = 0.123456789 * h + 1234567.5 * (W @ x)
        return h

    assert conveyor.show(exact) == "h = 0.123456789 * h' + 1234567.5 * (W @ x)"


# Cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_parameters_are_counted(name: str) -> None:
    formula = cost(plan(first_layer(trace(CELLS[name])))).parameters
    for case in (case for case in CASES if case.cell == name):
        counted = formula.at(case.widths)
        want = COUNTS[name](case.input, case.hidden, case.sizes.get("P", 0))
        assert counted == want, case
        assert counted == sum(each.numel() for each in make_layer(case).parameters()), case


def test_the_model_of_the_articles_has_10451_parameters() -> None:
    """LSTM(50) on one feature and Dense(1): the Keras snippet of seed article 004."""
    own = cost(plan(trace(CELLS["lstm"]))).parameters.at({"H": 50, "I": 1})
    dense = sum(each.numel() for each in torch.nn.Linear(50, 1).parameters())
    assert (own, dense, own + dense) == (10_400, 51, 10_451)
    assert "10,400  = 4·H² + 4·H·I + 4·H" in conveyor.show("lstm", "cost", H=50, I=1)


@pytest.mark.parametrize("name", CELLS)
def test_multiply_adds_forward_are_the_matrices_sizes(name: str) -> None:
    """Each matrix of a built-in cell multiplies one vector a step; its gradient takes two
    products of the same size: one for the matrix, one for the vector."""
    program = trace(CELLS[name])
    costs = cost(plan(program))
    sizes = {"I": 3, "H": 5, "P": 7}
    entries = sum(sizes[leaf.axes[0]] * sizes[leaf.axes[1]] for leaf in program.leaves_of("matrix"))
    assert costs.multiply_adds.at(sizes) == entries
    assert costs.backward_multiply_adds.at(sizes) == 2 * entries


@pytest.mark.parametrize("name", ALL_CELLS)
def test_kept_numbers_are_the_widths_of_what_is_kept(name: str) -> None:
    planned = plan_of(PROGRAMS[name])
    sizes = {"I": 2, "H": 3, "P": 4}
    widths = [
        sizes[axes[0]] if axes else 1 for axes in (planned.gradient.axes[n] for n in planned.kept)
    ]
    assert cost(planned).kept.at(sizes) == sum(widths)


def test_transcendental_functions_are_counted() -> None:
    assert str(cost(plan(trace(CELLS["lstm"]))).transcendental) == "5·H"
    assert str(cost(plan(trace(CELLS["rnn_relu"]))).transcendental) == "0"


def test_pointwise_operations_are_counted_unit_by_unit() -> None:
    @cell
    def centred(x: Input, h: State, W: Matrix) -> Value:
        a = W @ x
        h = a - mean(a)
        return h

    # A sum over H units and their H differences, one division; the width itself costs nothing.
    assert str(cost(plan(trace(centred))).pointwise) == "2·H + 1"


def test_steps_and_examples_multiply_all_but_the_parameters() -> None:
    one = conveyor.show("gru", "cost", H=3, I=2).splitlines()[1:]
    many = conveyor.show("gru", "cost", H=3, I=2, T=5, B=7).splitlines()[1:]

    def numbers(lines: list[str]) -> list[int]:
        return [int(line.split("=")[0].split()[-1].replace(",", "")) for line in lines]

    first, *rest = numbers(one)
    assert numbers(many) == [first, *(35 * number for number in rest)]


def test_cost_without_sizes_is_formulas() -> None:
    text = conveyor.show("lstm_projected", "cost")
    assert text.splitlines()[:2] == [
        "cost of lstm_projected",
        "  parameters                 4·H·I + 5·H·P + 4·H",
    ]


def test_steps_and_examples_alone_are_no_sizes() -> None:
    """A number needs the widths too, so there are formulas only, as without any size."""
    assert conveyor.show("gru", "cost", T=5, B=7) == conveyor.show("gru", "cost")


def test_formulas() -> None:
    formula = Formula.of([(("H", "I"), 4), (("I", "H"), 1), ((), 2), (("H", "H"), 1), (("H",), 0)])
    assert str(formula) == "H² + 5·H·I + 2"
    assert formula.at({"H": 3, "I": 2}) == 9 + 30 + 2
    assert str(Formula.of([((), 1)])) == "1"
    assert str(Formula.of([(("H",), 1), ((), 1)])) == "H + 1"
    assert str(Formula.of([])) == "0"
    assert Formula.of([]).at({}) == 0
    assert str(Formula.of([(("H",) * 3, 1), (("H",) * 4, 2)])) == "2·H^4 + H³"


# Refusals ------------------------------------------------------------------------------------


def test_a_missing_size_is_refused() -> None:
    with pytest.raises(SettingError) as caught:
        conveyor.show("lstm", "cost", H=50)
    assert str(caught.value) == (
        "the size of axis I is not given. There are: H. Give it, as in show(cell, 'cost', I=64), "
        "or --size I=64."
    )


def test_a_size_of_the_other_case_is_suggested() -> None:
    with pytest.raises(SettingError, match=r"lstm has no axis h\. Did you mean 'H'"):
        conveyor.show("lstm", "cost", h=50, I=1)


@pytest.mark.parametrize("size", [0, -3, True, 2.5, "3"])
def test_a_size_that_is_no_number_from_one_is_refused(size: Any) -> None:
    with pytest.raises(SettingError) as caught:
        conveyor.show("lstm", "cost", H=size, I=1)
    assert str(caught.value) == f"the size H = {size!r} is not above 0, or no whole number."


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("equation", "Did you mean 'equations'?"),
        ("Latex", "Did you mean 'latex'"),
        ("xyz", "There are: cost, equations, gradient, latex, plan, program."),
    ],
)
def test_an_unknown_kind_is_refused(kind: str, hint: str) -> None:
    with pytest.raises(SettingError) as caught:
        conveyor.show("lstm", kind)
    assert str(caught.value).startswith(f"a cell cannot be shown as {kind!r}. {hint}")


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(UnknownCellError, match="Did you mean 'lstm'"):
        conveyor.show("lstmm")


@pytest.mark.parametrize("kind", ["equations", "latex", "program", "gradient", "plan", "cost"])
def test_a_name_a_cell_and_a_program_are_shown_alike(kind: str) -> None:
    made = CELLS["gru"]
    texts = {conveyor.show(each, kind) for each in ("gru", made, trace(made))}
    assert len(texts) == 1
