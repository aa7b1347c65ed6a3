"""The calling convention of compiled passes: which arguments there are, and in what order.

A pass has one argument, a table of 8-byte numbers: first what each call gives, then what depends on
sizes and steps. Code finds an argument by its key, and so does who fills the table.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from conveyor.kernels.layout.values import READ, WRITTEN, ArrayKey, MemoryLayout, PhaseKey

Scalar = Literal[
    "inputs_wanted", "barrier", "vectors", "batch", "threads", "by_rows", "outside_by_rows",
    "parity", "stretches", "pack", "visits", "first", "count", "stretch_table", "bounds", "table",
    "team_size", "thread_number", "give_way", "pack_rows", "pack_columns", "outer", "steps",
]  # fmt: skip

# Those that stand behind what each call gives.
_SIZES_AND_STEPS: tuple[Scalar, ...] = (
    "batch", "threads", "by_rows", "outside_by_rows", "parity", "stretches", "pack", "visits",
    "first", "count", "stretch_table", "bounds", "table", "team_size", "thread_number", "give_way",
    "pack_rows", "pack_columns", "outer", "steps",
)  # fmt: skip


@dataclass(frozen=True)
class OfArray:
    """An argument of an array: where it begins, how many numbers a row has; of a state also where
    its first values are read and its last are written."""

    what: Literal["address", "stride", "begin", "end"]
    key: ArrayKey


@dataclass(frozen=True)
class OfParameter:
    """The address of a stored parameter, or of its gradient. Of a vector that is the sum of two,
    ``second`` is the other one's."""

    what: Literal["matrix", "vector", "gradient"]
    name: str
    second: bool = False


@dataclass(frozen=True)
class OfOuter:
    """The address of the gradient of a matrix: by the number of the outer product and the matrix's
    place in it. Those of one outer product are read as a table."""

    number: int
    matrix: int


@dataclass(frozen=True)
class OfProduct:
    """Where a joined product's matrices are packed."""

    number: int


@dataclass(frozen=True)
class OfAxis:
    """How wide an axis is."""

    axis: str


@dataclass(frozen=True)
class OfPlaces:
    """The address of how many places each sequence has."""

    axis: str


@dataclass(frozen=True)
class OfPhase:
    """How a phase's products are cut, see ``share.Panels``."""

    what: Literal["group", "panel", "rows"]
    phase: PhaseKey


Argument = Scalar | OfArray | OfParameter | OfOuter | OfProduct | OfAxis | OfPlaces | OfPhase


@dataclass(frozen=True)
class Abi:
    """The arguments of the pass that a layout describes."""

    layout: MemoryLayout

    @cached_property
    def given(self) -> tuple[Argument, ...]:
        """The addresses of a call's own tensors: arrays that are read, arrays that are written,
        first states, last states, how many places there are."""
        layout = self.layout
        states = layout.keys("state")
        return (
            *(OfArray("address", key) for key in layout.keys(*READ)),
            *(OfArray("address", key) for key in layout.keys(*WRITTEN)),
            *(OfArray("begin", key) for key in states),
            *(OfArray("end", key) for key in states),
            *(OfPlaces(axis) for axis in layout.places),
        )

    @cached_property
    def stored(self) -> tuple[Argument, ...]:
        """The addresses in stored parameters and in their gradients."""
        layout = self.layout
        arguments: list[Argument] = [OfParameter("matrix", name) for name in layout.matrices]
        for name in layout.vectors:
            arguments += [OfParameter("vector", name, second) for second in (False, True)]
        for name, _ in layout.sums:
            arguments += [OfParameter("gradient", name, second) for second in (False, True)]
        for number, outer in enumerate(layout.outers):
            arguments += [OfOuter(number, matrix) for matrix in range(len(outer.matrices))]
        return tuple(arguments)

    @cached_property
    def regions(self) -> tuple[Argument, ...]:
        """The addresses in a call's own memory."""
        layout = self.layout
        return (
            "barrier",
            *(OfArray("address", key) for key in layout.keys("state", "passed")),
            "vectors",
            *(OfProduct(product.number) for product in layout.all_products),
        )

    @cached_property
    def numbers(self) -> dict[Argument, int]:
        """The number of every argument: first what each call gives, then what depends on sizes and
        steps alone."""
        layout = self.layout
        arguments: list[Argument] = ["inputs_wanted", *self.given, *self.stored, *self.regions]
        arguments += _SIZES_AND_STEPS
        arguments += [OfAxis(axis) for axis in layout.axes]
        arguments += [OfArray("stride", key) for key in layout.arrays]
        for key, phase in layout.phases:
            if phase.products:
                arguments += [OfPhase(what, key) for what in ("group", "panel", "rows")]
        return {argument: number for number, argument in enumerate(arguments)}
