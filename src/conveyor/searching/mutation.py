"""Change a cell at random: the transformations of Jozefowicz, Zaremba & Sutskever 2015, section
3.3, and one that adds a gate.

A mutant may be no cell, or one that is known. ``canonical_cell`` tells.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from conveyor.searching.cell_graph import CellGraph, CellNode, in_order, needed

# What a linear map may have on its diagonal besides its matrix: Linear(a, x) = W x + b + a x.
DIAGONALS = (0.0, 1.0, 0.9, 1.1)
ACTIVATIONS = ("tanh", "sigmoid", "relu")
COMBINATIONS = ("add", "sub", "mul")

# So many transformations make a mutant.
FEWEST, MOST = 1, 3

# How often a transformation is drawn that cannot be done where it was drawn, before a mutant is
# given up: each can be done at a third of an LSTM's nodes or more.
TRIES = 30


class Draft:
    """A graph that is being changed: nodes in any order."""

    def __init__(self, graph: CellGraph, random: Random) -> None:
        self.states, self.start = graph.states, graph.start
        self.nodes = list(graph.nodes)
        self.new, self.output = list(graph.new), graph.output
        self.random = random

    @property
    def roots(self) -> list[int]:
        """The new states and the output."""
        return [*self.new, self.output]

    def inner(self) -> list[int]:
        """The nodes that are computed, of those that the step needs."""
        return sorted(i for i in needed(self.nodes, self.roots) if self.nodes[i].arguments)

    def add(self, op: str, *arguments: int, name: str = "", number: float = 0.0) -> int:
        """Add a node, and return its place."""
        self.nodes.append(CellNode(op, arguments, name, number))
        return len(self.nodes) - 1

    def parameter(self, family: str) -> str:
        """Return the name of a new parameter of a family: W.1, W.2, ... are written W.m1, W.m2."""
        taken = {node.name for node in self.nodes}
        number = 1
        while f"{family}.m{number}" in taken:
            number += 1
        return f"{family}.m{number}"

    def of_input(self, value: int) -> bool:
        """Return whether a node is the input, which is of another width than all others."""
        return self.nodes[value].op == "input"

    def product(self, value: int) -> int:
        """Add a new matrix times a value."""
        family = "W" if self.of_input(value) else "U"
        return self.add("product", value, name=self.parameter(self.spare(family)))

    def linear(self, value: int, diagonal: float) -> int:
        """Add W value + b + diagonal value; of the input, which is of another width, W x + b."""
        sum_ = self.add(
            "add", self.product(value), self.add("bias", name=self.parameter(self.spare("b")))
        )
        if diagonal == 0 or self.of_input(value):
            return sum_
        if diagonal != 1:
            value = self.add("mul", self.add("constant", number=diagonal), value)
        return self.add("add", sum_, value)

    def spare(self, family: str) -> str:
        """Return a letter for parameters of this family that nothing else bears: the usual one, or
        with a V in front where the cell uses it otherwise, or without gates."""
        kinds = {"W": "product", "U": "product", "b": "bias"}
        others = {
            node.name
            for node in self.nodes
            if node.name.partition(".")[0] == family
            and (node.op != kinds[family] or "." not in node.name)
        }
        return f"V{family}" if others else family

    def activated(self, value: int) -> int:
        """Add a random activation of a value; of the input, one of the linear ones."""
        number = self.random.randrange(len(ACTIVATIONS) + len(DIAGONALS))
        if number >= len(ACTIVATIONS):
            return self.linear(value, DIAGONALS[number - len(ACTIVATIONS)])
        of = self.linear(value, 0.0) if self.of_input(value) else value
        return self.add(ACTIVATIONS[number], of)

    def ancestor(self, node: int, without: set[int]) -> int | None:
        """Return a random node that this one is computed from, as wide as the state; None if there
        is none outside ``without``."""
        values = [
            place
            for place in sorted(needed(self.nodes, self.nodes[node].arguments) - without)
            if self.nodes[place].op not in ("constant", "bias", "vector")
        ]
        if not values:
            return None
        place = self.random.choice(values)
        return self.linear(place, 0.0) if self.of_input(place) else place

    def above(self, node: int) -> set[int]:
        """Return the nodes that are computed from this one, and itself."""
        return {place for place in self.inner() if node in needed(self.nodes, [place])} | {node}

    def put(self, node: int, instead: int) -> None:
        """Let all that uses a node use another instead, but for what the other is computed from."""
        inside = needed(self.nodes, [instead])
        for place, user in enumerate(self.nodes):
            if node in user.arguments and (place not in inside or node == instead):
                arguments = tuple(instead if a == node else a for a in user.arguments)
                self.nodes[place] = replace(user, arguments=arguments)
        self.new = [instead if place == node else place for place in self.new]
        self.output = instead if self.output == node else self.output


def _change_activation(draft: Draft, node: int) -> bool:
    """f(a) → g(a), of an activation or a product with a matrix."""
    value = draft.nodes[node]
    if value.op not in (*ACTIVATIONS, "product"):
        return False
    draft.put(node, draft.activated(value.arguments[0]))
    return True


def _change_combination(draft: Draft, node: int) -> bool:
    """a + b → a - b or a * b, and likewise of others."""
    value = draft.nodes[node]
    if value.op not in COMBINATIONS:
        return False
    other = draft.random.choice([op for op in COMBINATIONS if op != value.op])
    draft.nodes[node] = replace(value, op=other)
    return True


def _insert_activation(draft: Draft, node: int) -> bool:
    """f(a, b) → f(g(a), b)."""
    value = draft.nodes[node]
    place = draft.random.randrange(len(value.arguments))
    argument = value.arguments[place]
    if draft.nodes[argument].op in ("constant", "bias", "vector"):
        return False
    activated = draft.activated(argument)
    if draft.of_input(argument) and value.op == "product":
        return False  # a product of the input is a linear map of it already
    arguments = (*value.arguments[:place], activated, *value.arguments[place + 1 :])
    draft.nodes[node] = replace(value, arguments=arguments)
    return True


def _delete(draft: Draft, node: int) -> bool:
    """f(a) → a, of a node with one argument."""
    value = draft.nodes[node]
    if len(value.arguments) != 1 or draft.of_input(value.arguments[0]):
        return False
    draft.put(node, value.arguments[0])
    return True


def _replace_by_ancestor(draft: Draft, node: int) -> bool:
    """A node → a random value that it is computed from."""
    ancestor = draft.ancestor(node, set())
    if ancestor is None:
        return False
    draft.put(node, ancestor)
    return True


def _combine_ancestors(draft: Draft, node: int) -> bool:
    """A node → a + b, a - b or a * b of a random value that it is computed from and one that
    another random node is computed from."""
    other = draft.random.choice(draft.inner())
    above = draft.above(node)
    left, right = draft.ancestor(node, set()), draft.ancestor(other, above)
    if left is None or right is None:
        return False
    draft.put(node, draft.add(draft.random.choice(COMBINATIONS), left, right))
    return True


def _insert_gate(draft: Draft, node: int) -> bool:
    """a → sigmoid(W x + U h + b) * a, with h the old value of a random state."""
    if draft.nodes[node].op == "product":
        return False  # a gate of a part of a sum; one of the sum is drawn as often
    x = next((i for i, n in enumerate(draft.nodes) if n.op == "input"), None)
    letter = draft.random.choice(draft.states)
    h = next((i for i, n in enumerate(draft.nodes) if n.op == "state" and n.name == letter), None)
    if x is None or h is None:
        return False
    sum_ = draft.add("add", draft.product(x), draft.product(h))
    sum_ = draft.add("add", sum_, draft.add("bias", name=draft.parameter(draft.spare("b"))))
    draft.put(node, draft.add("mul", draft.add("sigmoid", sum_), node))
    return True


TRANSFORMATIONS: dict[str, Callable[[Draft, int], bool]] = {
    "activation changed": _change_activation,
    "combination changed": _change_combination,
    "activation inserted": _insert_activation,
    "value removed": _delete,
    "replaced by an ancestor": _replace_by_ancestor,
    "replaced by two ancestors": _combine_ancestors,
    "gate inserted": _insert_gate,
}


def mutated(graph: CellGraph, random: Random) -> tuple[CellGraph, tuple[str, ...]] | None:
    """Return a graph with one to three random transformations, and which they were; None where
    what came out computes a value from itself, or none could be done.

    Args:
        graph: of the parent.
        random: draws what changes, and where.
    """
    draft = Draft(graph, random)
    done: list[str] = []
    rounds = random.randint(FEWEST, MOST)
    for _ in range(TRIES):
        if len(done) == rounds:
            break
        inner = draft.inner()
        if not inner:
            break
        name = random.choice(list(TRANSFORMATIONS))
        if TRANSFORMATIONS[name](draft, random.choice(inner)):
            done.append(name)
    if not done:
        return None
    changed = in_order(draft.states, draft.nodes, draft.new, draft.output, draft.start)
    return None if changed is None else (_without_dead_states(changed), tuple(done))


def _without_dead_states(graph: CellGraph) -> CellGraph:
    """Return the graph without states that its output does not depend on, at any step."""
    alive: set[str] = set()
    roots = [graph.output]
    while True:
        nodes = graph.needed(roots)
        letters = {graph.nodes[i].name for i in nodes if graph.nodes[i].op == "state"}
        if letters <= alive:
            break
        alive |= letters
        roots += [place for s, place in zip(graph.states, graph.new, strict=True) if s in alive]
    kept = [i for i, state in enumerate(graph.states) if state in alive]
    smaller = in_order(
        tuple(graph.states[i] for i in kept),
        graph.nodes,
        [graph.new[i] for i in kept],
        graph.output,
        graph.start,
    )
    assert smaller is not None  # it has fewer nodes than the graph
    return smaller
