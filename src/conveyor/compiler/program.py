"""A program: one time step of a cell, as data.

A program lists the leaves (what comes from outside), then operations, each of which names its
result once, then the results that matter. It can be printed, compared, written as JSON and
read again; it holds no code. ``conveyor.compiler.check`` says which programs are valid.

Names: a state of the step before carries a prime, ``h'``; a value without a name of the user's
is ``%1``, ``%2``, ...; a gradient is marked ``∂``, and one that arrives from the output or from the
next step ``∂h@out``, ``∂h@next``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from conveyor.cells.blocks import Blocks
from conveyor.cells.initial_value import Start
from conveyor.cells.operations import EPSILON, Axes

LeafKind = Literal[
    "input", "state", "memory", "matrix", "bias", "vector", "constant", "kept", "upstream"
]
# A ``tap`` asks for the gradient by a value, see ``observe``.
Role = Literal["state", "output", "local", "gradient", "tap"]

PARAMETER_KINDS: tuple[LeafKind, ...] = ("matrix", "bias", "vector")
# Behind a local name: what asks for the gradient by it.
TAP = ".tap"

# Parameters are learned, constants are not; a layer stores both.
STORED_KINDS: tuple[LeafKind, ...] = (*PARAMETER_KINDS, "constant")
# What is read unit by unit, the same for all examples.
UNIT_KINDS: tuple[LeafKind, ...] = ("bias", "vector", "constant")


@dataclass(frozen=True)
class Leaf:
    """A value from outside. ``kept`` and ``upstream`` occur in gradients only: what the forward
    step computed, and the gradients that arrive from the output and from the step after."""

    name: str
    kind: LeafKind
    axes: Axes


@dataclass(frozen=True)
class Operation:
    """``name = op(arguments)``. ``attribute`` is the number of a constant or an axis."""

    name: str
    op: str
    arguments: tuple[str, ...]
    axes: Axes
    attribute: float | str | None = None


@dataclass(frozen=True)
class Result:
    """``value`` is the ``role`` of ``of``: the new value of state h, the gradient of W.f, ..."""

    role: Role
    of: str
    value: str


@dataclass(frozen=True)
class Program:
    """One time step of the cell ``name``; or, made from that, one step of its gradient.

    ``start`` and ``keep`` are as in ``conveyor.cells.Cell``. ``blocks`` are the matrices that are
    made of blocks; operations read them whole.
    """

    name: str
    doc: str
    source: str
    leaves: tuple[Leaf, ...]
    operations: tuple[Operation, ...]
    results: tuple[Result, ...]
    start: tuple[tuple[str, Start], ...] = ()
    keep: tuple[tuple[str, int], ...] = ()
    blocks: tuple[tuple[str, Blocks], ...] = ()

    def leaves_of(self, *kinds: LeafKind) -> tuple[Leaf, ...]:
        """The leaves of these kinds, in order."""
        return tuple(leaf for leaf in self.leaves if leaf.kind in kinds)

    @property
    def parameters(self) -> tuple[Leaf, ...]:
        """What is learned: matrices, biases and vectors."""
        return self.leaves_of(*PARAMETER_KINDS)

    @property
    def stored(self) -> tuple[Leaf, ...]:
        """What a layer stores: parameters and constants."""
        return self.leaves_of(*STORED_KINDS)

    @property
    def states(self) -> tuple[Leaf, ...]:
        """What is handed from step to step; a state's leaf is named with a prime."""
        return self.leaves_of("state")

    @cached_property
    def counters(self) -> frozenset[str]:
        """The states that count steps, by name without primes: one number of each example."""
        return frozenset(leaf.name.removesuffix("'") for leaf in self.states if not leaf.axes)

    @cached_property
    def past(self) -> dict[str, tuple[str, int]]:
        """The states that hold another's value of k steps before, which are called ``h_k``: the
        other's name and k."""
        new = self.values_of("state")
        names = [leaf.name.removesuffix("'") for leaf in self.states]
        past: dict[str, tuple[str, int]] = {}
        for of in names:
            before, steps = of, 2
            while (name := f"{of}_{steps}") in names and new.get(name) == f"{before}'":
                past[name] = (of, steps)
                before, steps = name, steps + 1
        return past

    def values_of(self, role: Role) -> dict[str, str]:
        """What each result of this role is of, and the value that it is."""
        return {result.of: result.value for result in self.results if result.role == role}

    @cached_property
    def start_states(self) -> dict[str, float]:
        """What states start at that do not start at 0, by name without primes."""
        names = {leaf.name.removesuffix("'") for leaf in self.states}
        return {
            name: float(value)
            for name, value in self.start
            if name in names and isinstance(value, int | float) and value != 0
        }

    @property
    def memories(self) -> tuple[Leaf, ...]:
        """What is looked at at every step."""
        return self.leaves_of("memory")

    @cached_property
    def places(self) -> frozenset[str]:
        """The axes that are places of memories: how many there are, a call says."""
        return frozenset(leaf.axes[0] for leaf in self.memories)

    @cached_property
    def size_letters(self) -> frozenset[str]:
        """The letters whose sizes a layer needs: the axes but for places, and the numbers of
        blocks."""
        numbers = {blocks.number for _, blocks in self.blocks}
        letters = {number for number in numbers if isinstance(number, str)}
        axes = {axis for leaf in self.leaves for axis in leaf.axes}
        return frozenset((axes | letters) - self.places)

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """The axes of every name."""
        leaves = {leaf.name: leaf.axes for leaf in self.leaves}
        return leaves | {operation.name: operation.axes for operation in self.operations}

    @cached_property
    def dependent_on_state(self) -> frozenset[str]:
        """All names whose value depends on a state of the step before."""
        found = {leaf.name for leaf in self.states}
        for operation in self.operations:
            if found.intersection(operation.arguments):
                found.add(operation.name)
        return frozenset(found)

    def __str__(self) -> str:
        lines = [f"program {self.name}"]
        in_blocks = {name: f"; {blocks}" for name, blocks in self.blocks}
        for kind in dict.fromkeys(leaf.kind for leaf in self.leaves):
            names = [
                f"{leaf.name}[{', '.join(leaf.axes)}{in_blocks.get(leaf.name, '')}]"
                for leaf in self.leaves_of(kind)
            ]
            lines.append(f"  {kind:<8} {'  '.join(names)}")
        constants = literals(self.operations)
        for operation in self.operations:
            if operation.name not in constants:
                axes = f"[{', '.join(operation.axes)}]"
                lines.append(f"  {operation.name}{axes} = {spelled(operation, constants)}")
        for result in self.results:
            if result.role != "local":
                lines.append(f"  {result.role} {result.of} is {result.value}")
        return "\n".join(lines)


def literals(operations: Iterable[Operation]) -> dict[str, str]:
    """The constants among the operations, as they are written in text."""
    return {o.name: number_text(o.attribute) for o in operations if o.op == "constant"}


def number_text(number: object) -> str:
    """A number in as few digits as give it back: 2, 0.1, 1e-05."""
    assert isinstance(number, int | float)
    # Below 1e15 a float holds every whole number, and repr writes no exponent.
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "matmul": "@", "weighted_sum": "@"}


def spelled(operation: Operation, text_of: dict[str, str]) -> str:
    """The right-hand side of an operation; arguments are spelled as in ``text_of``."""
    arguments = [text_of.get(name, name) for name in operation.arguments]
    if operation.op in SIGNS:
        return f" {SIGNS[operation.op]} ".join(arguments)
    if operation.op == "neg":
        return f"-{arguments[0]}"
    if operation.op == "matmul_t":
        return f"{arguments[0]}ᵀ @ {arguments[1]}"
    if operation.op == "outer":
        return f"{arguments[0]} ⊗ {arguments[1]}"
    if operation.op in ("width", "places", "spread", "to_places", "to_units"):
        arguments.append(str(operation.attribute))
    if operation.op == "present":
        arguments.append(number_text(operation.attribute))
    if operation.op == "normalise":
        arguments = normalised(arguments, operation.attribute)
    return f"{operation.op}({', '.join(arguments)})"


def normalised(arguments: list[str], epsilon: float | str | None) -> list[str]:
    """The arguments of ``normalise`` as they are written in equations."""
    value, *over = arguments
    # Of one vector, a tuple has a comma behind it.
    spelled_over = [f"over=({', '.join(over)}{',' * (len(over) == 1)})"] if over else []
    usual = epsilon == EPSILON
    return [value, *spelled_over, *([] if usual else [f"epsilon={number_text(epsilon)}"])]
