"""A cell as a graph whose values are all as wide as its state: what a search over cells changes.

A product with a matrix is a node of one argument, as it is in Jozefowicz, Zaremba & Sutskever
2015: which matrix it is says the node's name. Nodes are numbers' positions in a tuple, arguments
before what they are arguments of.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from conveyor.cells.initial_value import Start
from conveyor.cells.operations import RULES
from conveyor.compiler.program import Program
from conveyor.errors import SettingError

# What has no arguments. All but constants have a name.
LEAVES = ("input", "state", "bias", "vector", "constant")
# Parameters, which are learned.
PARAMETERS = ("product", "bias", "vector")

# Values that a node of a graph may compute: unit by unit, and a product with a matrix.
_OPERATIONS = frozenset(op for op, rule in RULES.items() if rule.unit_by_unit) | {"product"}


@dataclass(frozen=True)
class CellNode:
    """A value of a step.

    Args:
        op: one of ``LEAVES``, ``"product"``, or an operation that works unit by unit.
        arguments: the positions of the nodes that it is computed from.
        name: of a leaf, its letter; of a product, the matrix.
        number: of a constant.
        label: what equations call the value; empty where it has no name.
    """

    op: str
    arguments: tuple[int, ...] = ()
    name: str = ""
    number: float = 0.0
    label: str = ""


@dataclass(frozen=True)
class CellGraph:
    """One step of a cell with one input.

    Args:
        states: the letters of the states.
        nodes: its values, arguments first.
        new: the node of each state's new value.
        output: the node of what the cell gives.
        start: start values of parameters and states, see ``conveyor.cells.cell``.
    """

    states: tuple[str, ...]
    nodes: tuple[CellNode, ...]
    new: tuple[int, ...]
    output: int
    start: tuple[tuple[str, Start], ...] = ()

    @property
    def roots(self) -> tuple[int, ...]:
        """The nodes that a step is for: new states, and the output."""
        return (*self.new, self.output)

    def needed(self, roots: Iterable[int]) -> set[int]:
        """Return these nodes and all that they are computed from."""
        return needed(self.nodes, roots)

    def uses(self) -> list[int]:
        """Return how often each node is an argument or a root."""
        count = [0] * len(self.nodes)
        for node in self.nodes:
            for argument in node.arguments:
                count[argument] += 1
        for root in self.roots:
            count[root] += 1
        return count


def needed(nodes: Sequence[CellNode], roots: Iterable[int]) -> set[int]:
    """Return the roots and all nodes that they are computed from."""
    there: set[int] = set()
    waiting = list(roots)
    while waiting:
        place = waiting.pop()
        if place not in there:
            there.add(place)
            waiting.extend(nodes[place].arguments)
    return there


def in_order(
    states: tuple[str, ...],
    nodes: Sequence[CellNode],
    new: Sequence[int],
    output: int,
    start: tuple[tuple[str, Start], ...],
) -> CellGraph | None:
    """Return the graph of nodes in any order, without those that nothing needs; None where a value
    would be computed from itself."""
    there = needed(nodes, (*new, output))
    waits_for = {place: len(set(nodes[place].arguments)) for place in there}
    users: dict[int, list[int]] = {place: [] for place in there}
    for place in there:
        for argument in set(nodes[place].arguments):
            users[argument].append(place)
    ready = sorted(place for place, number in waits_for.items() if not number)
    places: dict[int, int] = {}
    ordered: list[CellNode] = []
    while ready:
        place = heapq.heappop(ready)  # as they were written, as far as that goes
        node = nodes[place]
        places[place] = len(ordered)
        ordered.append(replace(node, arguments=tuple(places[a] for a in node.arguments)))
        for user in users[place]:
            waits_for[user] -= 1
            if not waits_for[user]:
                heapq.heappush(ready, user)
    if len(ordered) < len(there):
        return None
    names = {node.name for node in ordered} | set(states)
    return CellGraph(
        states,
        tuple(ordered),
        tuple(places[place] for place in new),
        places[output],
        tuple((name, value) for name, value in start if name in names),
    )


def graph_of(program: Program) -> CellGraph:
    """Return the graph of a cell's program.

    Raises:
        SettingError: the cell has what no graph has: another width than that of its input and its
            state, a memory, several inputs, blocks, a count of steps or operations on all units.
    """
    _check_graphable(program)
    nodes: list[CellNode] = []
    places: dict[str, int] = {}

    def add(name: str, node: CellNode) -> None:
        places[name] = len(nodes)
        nodes.append(node)

    matrices = {leaf.name for leaf in program.leaves_of("matrix")}
    for leaf in program.leaves:
        if leaf.name not in matrices:
            add(leaf.name, CellNode(leaf.kind, name=leaf.name.removesuffix("'")))
    for operation in program.operations:
        label = "" if operation.name.startswith("%") else operation.name
        if operation.op == "constant":
            assert isinstance(operation.attribute, int | float)  # see RULES
            add(operation.name, CellNode("constant", number=float(operation.attribute)))
        elif operation.op == "matmul":
            matrix, vector = operation.arguments
            add(operation.name, CellNode("product", (places[vector],), matrix, label=label))
        else:
            arguments = tuple(places[argument] for argument in operation.arguments)
            add(operation.name, CellNode(operation.op, arguments, label=label))
    states = tuple(leaf.name.removesuffix("'") for leaf in program.states)
    new = program.values_of("state")
    output = next(iter(program.values_of("output").values()))
    graph = in_order(
        states, nodes, [places[new[state]] for state in states], places[output], program.start
    )
    assert graph is not None  # a program lists arguments first
    return graph


def _check_graphable(program: Program) -> None:
    """Raise if the program has what no graph has."""
    widths = {axis for axes in program.axes.values() for axis in axes}
    lacking = [
        (len(program.leaves_of("input")) != 1, "several inputs"),
        (bool(program.memories), "a memory"),
        (bool(program.blocks), "a matrix made of blocks"),
        (bool(program.counters), "a count of steps"),
        (bool(program.leaves_of("constant")), "constants of its units"),
        (not widths <= {"I", "H"}, "a width besides those of the input and the state"),
        (len(program.values_of("output")) != 1, "several outputs"),
    ]
    for has, what in lacking:
        if has:
            raise SettingError(
                f"the cell {program.name} has {what}; the search changes cells of one input whose "
                "values are all as wide as the state. Begin with another, as lstm or gru."
            )
    for operation in program.operations:
        if operation.op not in (*_OPERATIONS, "matmul", "constant"):
            raise SettingError(
                f"the cell {program.name} uses {operation.op}, which works on all units at once; "
                "the search changes what works unit by unit. Begin with another, as lstm or gru."
            )
