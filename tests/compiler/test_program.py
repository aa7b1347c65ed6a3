"""Programs as data: JSON and back, as text, compared; and whatever a file may hold instead."""

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, note
from hypothesis import strategies as st

import conveyor
from conveyor.cells import Cell
from conveyor.cells.initial_value import is_start
from conveyor.compiler.check import check, check_cell
from conveyor.compiler.gradient import gradient
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import FORMAT, dumps, from_json, to_json
from conveyor.compiler.trace import trace
from conveyor.errors import ProgramError, SettingError
from tests.compiler.examples import (
    ALL_CELLS,
    PROGRAMS,
    WIDTHS,
    drawn_cells,
    drawn_examples,
    plan_of,
)

GOOD = to_json(PROGRAMS["lstm_peephole"])


def through_text(program: Program) -> Program:
    """Written as JSON text and read again."""
    return from_json(json.loads(dumps(program)))


@pytest.mark.parametrize("name", ALL_CELLS)
def test_json_round_trip(name: str) -> None:
    program = PROGRAMS[name]
    assert through_text(program) == program
    assert check_cell(through_text(program)) == program


@pytest.mark.parametrize("name", ALL_CELLS)
def test_json_round_trip_of_the_gradient(name: str) -> None:
    backward = gradient(PROGRAMS[name])
    assert check(through_text(backward)) == backward


@drawn_examples(25)
@given(drawn_cells(shared=False))
def test_json_round_trip_of_a_drawn_cell(made: Cell) -> None:
    program = trace(made)
    assert through_text(program) == program


@pytest.mark.parametrize("name", ALL_CELLS)
def test_json_is_strict(name: str) -> None:
    """Neither NaN nor Infinity, which JSON does not know."""
    json.dumps(to_json(PROGRAMS[name]), allow_nan=False)


def test_json_keeps_letters_of_every_alphabet_readable() -> None:
    assert "∂h'" in dumps(gradient(PROGRAMS["rnn"]))


def test_json_keeps_constants_to_the_last_bit() -> None:
    first, *rest = PROGRAMS["lstm_coupled"].operations
    constant = next(o for o in rest if o.op == "constant")
    exact = replace(constant, attribute=0.1 + 0.2)
    program = replace(
        PROGRAMS["lstm_coupled"],
        operations=(first, *(exact if o is constant else o for o in rest)),
    )
    assert through_text(program) == program


@pytest.mark.parametrize("name", ALL_CELLS)
def test_text_names_everything(name: str) -> None:
    program = PROGRAMS[name]
    text = str(program)
    assert text.startswith(f"program {name}\n")
    for leaf in program.leaves:
        assert f"{leaf.name}[{', '.join(leaf.axes)}]" in text
    for operation in program.operations:
        if operation.op != "constant":
            assert f"\n  {operation.name}[{', '.join(operation.axes)}] = " in text
    for result in program.results:
        if result.role != "local":
            assert f"\n  {result.role} {result.of} is {result.value}" in text


def test_text_of_every_operation() -> None:
    text = str(gradient(PROGRAMS["every_operation"])) + str(PROGRAMS["every_operation"])
    for spelled in (" + ", " - ", " * ", " / ", " @ ", "ᵀ @ ", " ⊗ ", "= -", "total(", "spread("):
        assert spelled in text
    for function in ("maximum", "minimum", "greater", "relu", "exp", "log", "sqrt", "width"):
        assert f"{function}(" in text


def test_constants_that_differ_differ_in_text() -> None:
    """A program that is printed can be told from another."""
    first = PROGRAMS["lstm_coupled"]
    other = replace(
        first,
        operations=tuple(
            replace(o, attribute=1.0000001) if o.op == "constant" else o for o in first.operations
        ),
    )
    assert first != other
    assert str(first) != str(other)


@pytest.mark.parametrize("name", ALL_CELLS)
def test_equality_and_hash(name: str) -> None:
    first, second = trace(ALL_CELLS[name]), trace(ALL_CELLS[name])
    assert first is not second
    assert first == second
    assert hash(first) == hash(second)
    assert first.axes == second.axes  # cached on one side and on the other
    assert first == through_text(second)
    assert hash(first) == hash(through_text(second))


def test_programs_of_all_cells_differ() -> None:
    assert len(set(PROGRAMS.values())) == len(PROGRAMS)


def test_programs_are_copied_and_pickled() -> None:
    program = PROGRAMS["lstm"]
    assert program.axes["h"] == ("H",)
    assert copy.deepcopy(program) == program
    assert pickle.loads(pickle.dumps(program)) == program


def test_dependence_on_states() -> None:
    program = PROGRAMS["gru_reset_before"]
    assert {"h'", "r", "z", "n", "h"} <= program.dependent_on_state
    assert not {"x", "W.r", "b.r", "%1"} & program.dependent_on_state


# Refusals ------------------------------------------------------------------------------------


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(ProgramError) as caught:
        from_json({**GOOD, "format": FORMAT + 1})
    assert str(caught.value) == (
        f"this program has format {FORMAT + 1}, and this conveyor reads up to {FORMAT}. "
        "Install a newer conveyor."
    )


@pytest.mark.parametrize("number", [0, -1, 0.5, True, float("nan"), "1", None, [1], {}], ids=repr)
def test_a_format_that_no_version_wrote_is_refused(number: Any) -> None:
    with pytest.raises(ProgramError):
        from_json({**GOOD, "format": number})


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(ProgramError) as caught:
        from_json({name: value for name, value in GOOD.items() if name != key})
    assert str(caught.value) == (
        f"this is not a program: KeyError: {key!r}. "
        "Expected what conveyor.compiler.program_json.to_json writes."
    )


@pytest.mark.parametrize(
    "junk", [None, 3, 3.5, True, "lstm", [], [GOOD], {}, {"format": FORMAT}, "", b""], ids=repr
)
def test_what_is_no_program_is_refused(junk: Any) -> None:
    with pytest.raises(ProgramError, match="this is not a program"):
        from_json(junk)


@pytest.mark.parametrize(
    "change",
    [
        {"start": {"b.f": "one"}},
        {"start": {"b.f": None}},
        {"start": {"b.f": 10**400}},
        {"start": {"b.f": float("inf")}},
        {"start": [["b.f", 1.0]]},
        {"keep": {"b.f": float("inf")}},
        {"keep": {"b.f": float("nan")}},
        {"keep": {"b.f": "plus"}},
        {"results": [*GOOD["results"], ["tap", "c.tap", "c"]]},
        {"leaves": None},
        {"leaves": [["x"]]},
        {"leaves": [["x", "input", None]]},
        {"leaves": [["x", "input", ["I"], "more"]]},
        {"operations": {"a": 1}},
        {"operations": [[]]},
        {"operations": [["h", "tanh", 3, ["H"], None]]},
        {"results": [["state", "h"]]},
        {"results": "abc"},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_a_part_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProgramError):
        check_cell(from_json({**GOOD, **change}))


# Fuzz ----------------------------------------------------------------------------------------

Path = tuple[str | int, ...]


def paths(data: Any, here: Path = ()) -> list[Path]:
    """The place of everything in JSON data."""
    found = [here]
    if isinstance(data, dict):
        found += [path for key, value in data.items() for path in paths(value, (*here, key))]
    if isinstance(data, list):
        found += [path for n, value in enumerate(data) for path in paths(value, (*here, n))]
    return found


PATHS = [path for path in paths(GOOD) if path]

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**63, 10**400, 0.5, -0.0, math.inf, -math.inf, math.nan]),
    st.sampled_from(["", " ", "h", "h'", "c'", "x", "W.f", "∂h", "%1", "%%1", "q", "Q", "H", "I"]),
    st.sampled_from(["class", "_h'", "_", "b.f.g", "é", "\x00", "1", "a\nb", "'", "."]),
    st.sampled_from(["state", "output", "local", "gradient", "bias", "kept", "matmul", "outer"]),
    st.sampled_from(["constant", "spread", "width", "greater", "total", "neg", "matmul_t"]),
    st.sampled_from([[], {}, [[]], ["H"], ["H", "I"], ["h"], ["h", "c"], [None], [1], {"a": 1}]),
)


def _place(data: Any, path: Path) -> Any:
    for key in path[:-1]:
        data = data[key]
    return data


@st.composite
def mutated(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """A valid program's JSON with one to three things replaced, removed, doubled or exchanged."""
    data = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 3))):
        path, how = draw(st.sampled_from(PATHS)), draw(st.integers(0, 5))
        other = draw(st.sampled_from([p for p in PATHS if len(p) == len(path)]))
        junk = draw(JUNK)
        try:
            holder, key = _place(data, path), path[-1]
            if how == 0:
                del holder[key]
            elif how == 1 and isinstance(holder, list):
                holder.insert(int(key), copy.deepcopy(holder[int(key)]))
            elif how == 2:
                twin = _place(data, other)
                holder[key], twin[other[-1]] = twin[other[-1]], holder[key]
            else:
                holder[key] = junk
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # an earlier mutation took the place away
    return data


def assert_typed(program: Program) -> None:
    """What the annotations of Program promise."""
    for text in (program.name, program.doc, program.source):
        assert isinstance(text, str)
    for leaf in program.leaves:
        assert isinstance(leaf.name, str)
        assert all(isinstance(axis, str) for axis in leaf.axes)
    for operation in program.operations:
        assert isinstance(operation.name, str)
        assert all(isinstance(argument, str) for argument in operation.arguments)
    for result in program.results:
        assert isinstance(result.of, str)
        assert isinstance(result.value, str)
    assert all(math.isfinite(number) for _, number in program.keep)
    assert all(is_start(value) for _, value in program.start)


@drawn_examples(800)
@given(mutated())
def test_mutated_json_is_a_valid_program_or_refused(data: Any) -> None:
    try:
        program = check_cell(from_json(data))
    except ProgramError:
        return
    assert_typed(program)
    assert through_text(program) == program
    hash(program)
    str(program)


@drawn_examples(400, shrink=False)
@given(mutated())
def test_mutated_json_that_is_accepted_runs(data: Any) -> None:
    """Or is refused when the layer is made, never later and never by another error."""
    try:
        program = check_cell(from_json(data))
    except (ProgramError, TypeError, OverflowError):
        return  # the test above looks at these
    note(str(program))
    try:
        plan_of(program)
        others = {axis for leaf in program.leaves for axis in leaf.axes} - {"I", "H"}
        layer = conveyor.Recurrent(
            program, WIDTHS["I"], WIDTHS["H"], sizes=dict.fromkeys(others, 3)
        )
    except (ProgramError, SettingError):
        return
    for kind in ("equations", "latex", "program", "plan"):
        conveyor.show(program, kind)
    output, final, trace = layer(torch.zeros(3, 2, WIDTHS["I"]), trace=True)
    assert output.shape[:2] == (3, 2)
    assert all(each.shape[:2] == (1, 2) for each in final)
    assert all(each.shape[:2] == (3, 2) for each in trace.values())
