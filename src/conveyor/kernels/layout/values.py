"""Where the values of a pass stand in memory: decided once per plan, without any numbers.

A value is a column of an array. An array has a row for every example and step of the whole sequence
(``all``), of the stretch of steps that is worked on (``stretch``), of one step (``step``), or for
the step before and this one by turns (``ring``); or a row for every sequence, which is that of its
example at every step (``sequence``), or one for every step of each sequence, these below each other
(``history``). One that is read a step late (``late``) has a row
for every sequence, as it was when the stretch began, and then those of the stretch. Columns begin
at multiples of a vector, so that no vector reads past its row; what stands in the padding is never
read as a number.

Nothing here knows how code is generated: every code generator can use it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from conveyor.compiler.phases import Phase
from conveyor.compiler.program import Program

Rows = Literal["all", "stretch", "step", "ring", "late", "sequence", "history"]
Part = Literal["before", "loop", "after"]
PARTS: tuple[Part, ...] = ("before", "loop", "after")

# What an array is for. The forward pass reads inputs and writes outputs and what it keeps; the
# backward pass reads inputs, what was kept and the gradients of outputs (upstream), and writes the
# gradients of inputs and of memories (outputs). States are carried from step to step; other values
# are passed from one phase to another.
Role = Literal["input", "memory", "saved", "upstream", "output", "kept", "state", "passed"]
READ: tuple[Role, ...] = ("input", "memory", "saved", "upstream")
WRITTEN: tuple[Role, ...] = ("output", "kept")


class ArrayKey(NamedTuple):
    """Names an array: its role, and of what input, output or state it is."""

    role: Role
    name: str = ""


# What is summed over the steps of each sequence when these are done.
HISTORY = ArrayKey("passed", "history")


class PhaseKey(NamedTuple):
    """Names a phase: the part of the pass that it belongs to, and its number there."""

    part: Part
    number: int


@dataclass(frozen=True)
class Column:
    """A value in an array. ``axis`` is None for a number per example. A vector for each place of a
    memory has the axis of the places as ``place``."""

    value: str
    axis: str | None
    place: str | None = None


@dataclass
class Array:
    """An array of a pass. ``old`` and ``new`` are the values of a state for the step before and
    this one: what a ring holds by turns; of what is late, ``new`` stands there."""

    key: ArrayKey
    rows: Rows
    columns: list[Column] = field(default_factory=list)
    old: str = ""
    new: str = ""
    # The number of each value's first column: a cell of thousands of values asks as often.
    _numbers: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for number, column in enumerate(self.columns):
            self._numbers.setdefault(column.value, number)

    def append(self, column: Column) -> None:
        """Add a column at the end."""
        self._numbers.setdefault(column.value, len(self.columns))
        self.columns.append(column)

    def number(self, value: str) -> int | None:
        """Return the number of a value's column; None if there is none."""
        return self._numbers.get(value)


@dataclass(frozen=True)
class JoinedProduct:
    """Products whose operands stand side by side, so that one panel computes all of them.

    matmul: every result has a matrix, ``operands`` is one vector. matmul_t: there is one result,
    and a matrix for each operand.
    """

    number: int
    kind: str
    matrices: tuple[str, ...]
    operands: tuple[str, ...]
    operand_axis: str
    result_axis: str

    @property
    def together(self) -> int:
        """Vectors for each vector of units: one for each joined result."""
        return len(self.matrices) if self.kind == "matmul" else 1

    @property
    def segments(self) -> int:
        """How many operands are summed over."""
        return len(self.operands)


@dataclass(frozen=True)
class Outer:
    """Gradients of matrices: lefts that stand side by side, times one right."""

    matrices: tuple[str, ...]
    lefts: tuple[str, ...]
    right: str
    left_axis: str
    right_axis: str


@dataclass(frozen=True)
class OverSteps:
    """A term of a memory's gradient that is a product, summed over the steps of each sequence: a
    number for each place times a vector."""

    memory: str
    number: str
    vector: str


@dataclass
class MemoryLayout:
    """What code and its caller must agree on: the phases of a pass and the arrays between them."""

    name: str
    program: Program
    parts: dict[Part, tuple[Phase, ...]]
    arrays: dict[ArrayKey, Array]
    # The parameters read unit by unit.
    vectors: tuple[str, ...]
    sums: tuple[tuple[str, str], ...]
    outers: tuple[Outer, ...]
    # Phases after the loop, by number, that only gradients of inputs need.
    for_inputs: frozenset[int]
    reverse: bool
    # The axes that are places of memories, and sums for their gradients.
    places: tuple[str, ...] = ()
    over_steps: tuple[OverSteps, ...] = ()
    joined: dict[tuple[str, ...], tuple[JoinedProduct, ...]] = field(default_factory=dict)

    def axis(self, value: str) -> str | None:
        """The axis of a value; None for a number per example."""
        axes = self.program.axes[value]
        return axes[0] if axes else None

    @property
    def axes(self) -> tuple[str, ...]:
        """All axes, in a fixed order."""
        return tuple(sorted({axis for axes in self.program.axes.values() for axis in axes}))

    @property
    def whole_rows(self) -> bool:
        """Whether some value needs all units of an example at once, as what is done place by place
        does: then one thread must have them all."""
        walks = bool(self.places)
        return walks or any(p.axis is None for phases in self.parts.values() for p in phases)

    def place(self, value: str, part: Part) -> tuple[Array, int]:
        """The array and the column from which a part reads a value; states stand in rings for
        the loop alone."""
        if part == "loop" and value in self._rings:
            return self._rings[value], 0
        if value not in self._places:
            raise KeyError(f"{self.program.name}: {value} has no place {part} the loop")
        return self._places[value]

    def stores(self, value: str) -> Sequence[tuple[Array, int]]:
        """The arrays and columns into which a value goes when it is made."""
        return self._stores.get(value, ())

    def late(self, value: str) -> Array:
        """The array from which a value is read that is another one, a step late."""
        return self._late[value]

    # These are asked for when every value has its column.

    @cached_property
    def _late(self) -> dict[str, Array]:
        return {array.old: array for array in self.arrays.values() if array.rows == "late"}

    @cached_property
    def _rings(self) -> dict[str, Array]:
        return {array.old: array for array in self.arrays.values() if array.rows == "ring"}

    @cached_property
    def _places(self) -> dict[str, tuple[Array, int]]:
        places: dict[str, tuple[Array, int]] = {}
        for array in self.arrays.values():
            if array.rows not in ("ring", "late", "history"):
                for number, column in enumerate(array.columns):
                    places.setdefault(column.value, (array, number))
        return places

    @cached_property
    def _stores(self) -> dict[str, list[tuple[Array, int]]]:
        stores: dict[str, list[tuple[Array, int]]] = {}
        for array in self.arrays.values():
            if array.key.role not in READ:
                for number, column in enumerate(array.columns):
                    value = array.new if array.rows in ("ring", "late") else column.value
                    stores.setdefault(value, []).append((array, number))
        return stores

    @cached_property
    def read_by_units(self) -> frozenset[str]:
        """The values that are read a vector of units at a time, and so need padded rows."""
        values = {value for _, value in self.sums}
        for _, phase in self.phases:
            values |= {a for o in phase.operations for a in o.arguments} | set(phase.copies)
        return frozenset(values)

    @property
    def phases(self) -> Iterator[tuple[PhaseKey, Phase]]:
        """All phases, in order."""
        for part in PARTS:
            for number, phase in enumerate(self.parts[part]):
                yield PhaseKey(part, number), phase

    def phase(self, key: PhaseKey) -> Phase:
        """The phase of a key."""
        return self.parts[key.part][key.number]

    def products(self, phase: Phase) -> Iterator[JoinedProduct]:
        """The joined products of a phase, in order."""
        for product in phase.products:
            yield from self.joined[product.results]

    @property
    def all_products(self) -> Iterator[JoinedProduct]:
        """All joined products, in order."""
        for products in self.joined.values():
            yield from products

    def keys(self, *roles: Role) -> list[ArrayKey]:
        """The keys of the arrays of some roles, in order."""
        return [key for key in self.arrays if key.role in roles]

    @cached_property
    def late_states(self) -> tuple[ArrayKey, ...]:
        """The keys of the arrays of states that no loop carries."""
        return tuple(key for key, array in self.arrays.items() if array.rows == "late")

    @cached_property
    def matrices(self) -> tuple[str, ...]:
        """The matrices that products read."""
        return tuple(dict.fromkeys(m for product in self.all_products for m in product.matrices))
