"""The transformations of a search: each does what it says, and mutants are cells or told apart."""

from collections import Counter
from random import Random

import pytest

from conveyor.cells.cell_registry import find
from conveyor.compiler.trace import trace
from conveyor.searching.canonical_cell import NotACell, canonical_key
from conveyor.searching.cell_graph import CellGraph, CellNode, graph_of
from conveyor.searching.cell_source import cell_source, program_from_source
from conveyor.searching.mutation import (
    ACTIVATIONS,
    COMBINATIONS,
    FEWEST,
    MOST,
    TRANSFORMATIONS,
    Draft,
    mutated,
)


def graph(name: str) -> CellGraph:
    return graph_of(trace(find(name)))


def ops(nodes: list[CellNode]) -> Counter[str]:
    return Counter(node.op for node in nodes)


def changed(name: str, transformation: str, op: str, seed: int = 0) -> tuple[Draft, int]:
    """A draft of a cell after one transformation at its first node of ``op``, and that node."""
    draft = Draft(graph(name), Random(seed))
    place = next(i for i in draft.inner() if draft.nodes[i].op == op)
    assert TRANSFORMATIONS[transformation](draft, place)
    return draft, place


def reached(draft: Draft) -> list[CellNode]:
    return [draft.nodes[place] for place in draft.inner()]


@pytest.mark.parametrize("seed", range(5))
def test_an_activation_becomes_another_of_the_same_value(seed: int) -> None:
    draft, place = changed("rnn", "activation changed", "tanh", seed)
    (root,) = set(draft.roots)
    before = draft.nodes[place].arguments[0]
    node = draft.nodes[root]
    linear = {"add", "product"}
    assert node.op in ACTIVATIONS or linear <= set(ops(reached(draft)))
    inside = [root]
    while before not in inside and len(inside) < 50:
        inside += [a for i in inside for a in draft.nodes[i].arguments if a not in inside]
    assert before in inside


def test_a_combination_becomes_another_of_the_same_two() -> None:
    draft, place = changed("rnn", "combination changed", "add")
    assert draft.nodes[place].op in set(COMBINATIONS) - {"add"}
    assert draft.nodes[place].arguments == graph("rnn").nodes[place].arguments


def test_a_value_with_one_argument_is_removed() -> None:
    draft, place = changed("rnn", "value removed", "tanh")
    assert set(draft.roots) == {graph("rnn").nodes[place].arguments[0]}
    assert "tanh" not in ops(reached(draft))


def test_a_product_of_the_input_is_never_removed() -> None:
    """The input is of another width than the state."""
    draft = Draft(graph("rnn"), Random(0))
    place = next(
        i
        for i in draft.inner()
        if draft.nodes[i].op == "product" and draft.of_input(draft.nodes[i].arguments[0])
    )
    assert not TRANSFORMATIONS["value removed"](draft, place)


def test_a_gate_multiplies_the_value_and_sees_input_and_state() -> None:
    draft, place = changed("rnn", "gate inserted", "tanh")
    (root,) = set(draft.roots)
    assert draft.nodes[root].op == "mul"
    gate, value = draft.nodes[root].arguments
    assert value == place
    assert draft.nodes[gate].op == "sigmoid"
    new = [node.name for node in draft.nodes if node.name.endswith(".m1")]
    assert sorted(new) == ["VU.m1", "VW.m1", "Vb.m1"]  # W, U and b have no gates in this cell


@pytest.mark.parametrize("name", ["lstm", "sru"])
def test_mutants_are_cells_that_can_be_written_or_are_told_why_not(name: str) -> None:
    random, parent = Random(1), graph(name)
    seen: Counter[str] = Counter()
    for number in range(60):
        result = mutated(parent, random)
        if result is None:
            continue
        child, done = result
        assert FEWEST <= len(done) <= MOST
        seen.update(done)
        if not isinstance(canonical_key(child), NotACell):
            program_from_source(cell_source(child, f"m{number}", "A mutant.", ""), f"m{number}")
    assert set(seen) == set(TRANSFORMATIONS)


def test_the_same_random_numbers_make_the_same_mutants() -> None:
    parent = graph("lstm")
    first, second = (
        [mutated(parent, random) for _ in range(20)] for random in (Random(5), Random(5))
    )
    assert first == second
    assert first != [mutated(parent, Random(6)) for _ in range(20)]


def test_the_parent_is_left_as_it_is() -> None:
    parent = graph("gru")
    before = parent.nodes
    random = Random(2)
    for _ in range(30):
        mutated(parent, random)
    assert parent.nodes is before
    assert parent == graph("gru")
