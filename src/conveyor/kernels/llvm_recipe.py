"""What a call of a compiled pass needs besides its tensors, worked out once and kept.

``Sizes`` is what follows from how wide things are and how parameters are stored; ``Recipe`` adds
the steps of a batch. Sequences of ever other lengths make a new recipe at each call, but no new
sizes.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from conveyor.cells.operations import spell
from conveyor.compiler.program import Program
from conveyor.errors import ShapeError
from conveyor.kernels import openmp
from conveyor.kernels.llvm_barrier import BARRIER_BYTES
from conveyor.kernels.llvm_compile import Compiled, Pass, Way
from conveyor.kernels.llvm_machine import host
from conveyor.kernels.llvm_share import Share, Work, share
from conveyor.kernels.memory import LINE
from conveyor.kernels.steps import Integers, Steps
from conveyor.kernels.target import Pieces

# No row is a multiple of this, or rows below each other would compete for the same few places in
# the cache.
ALIASED = 1024
# Batches of ever other lengths would fill memory with recipes; a few kB each.
MOST_RECIPES = 256
# A place in no tensor: the argument is 0.
NOWHERE = (-1, 0)


class Stored(Protocol):
    """All that is to be known of a stored tensor."""

    @property
    def shape(self) -> Sequence[int]:
        """How long it is on each axis."""


@dataclass(frozen=True)
class Sizes:
    """``arguments`` are those that neither steps nor tensors give, 0 where they do. ``stored``
    says of which stored parameter which byte each argument of ``Layout.stored`` is the address
    of; gradients are counted on behind the parameters. ``regions`` are the sizes of those of
    ``Layout.regions`` in bytes: for each sequence of the batch, for each row of a stretch, and
    without either."""

    compiled: Pass
    work: Work
    widths: dict[str, int]
    strides: dict[str, int]
    arguments: list[int]
    stored: tuple[tuple[int, int], ...]
    regions: tuple[tuple[int, int, int], ...]
    # The identity of the pieces is what sizes are found by.
    pieces: Pieces = field(repr=False)
    _last: list[tuple[tuple[int, ...], bytes]] = field(
        default_factory=list, repr=False, compare=False
    )
    _checked: list[tuple[int, ...]] = field(default_factory=list, repr=False, compare=False)

    def knows(self, addresses: tuple[int, ...]) -> bool:
        """Return whether the stored parameters at these addresses were the last to be looked at.
        Memory that is freed or changes in size gets another address."""
        return bool(self._checked) and self._checked[0] == addresses

    def know(self, addresses: tuple[int, ...]) -> None:
        """Note that the memory at these addresses is as large as it must be."""
        self._checked[:] = [addresses]

    def stored_at(self, places: tuple[int, ...]) -> bytes:
        """The arguments of ``Layout.stored``, of the addresses of tensors; 0 where one is not
        wanted. Parameters mostly stay where they are: the last answer is kept."""
        if self._last and (last := self._last[0])[0] == places:
            return last[1]
        # What is in no tensor is in the one behind the last, which is nowhere.
        known = (*places, 0)
        found = [known[tensor] + offset if known[tensor] else 0 for tensor, offset in self.stored]
        packed = self._pack(*found)
        self._last[:] = [(places, packed)]
        return packed

    @cached_property
    def _pack(self) -> Callable[..., bytes]:
        return struct.Struct(f"{len(self.stored)}q").pack

    @cached_property
    def kept(self) -> int | None:
        """How many numbers a row keeps for the way back; None if nothing is kept."""
        return self.strides.get("kept")

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """How wide the outputs are."""
        arrays = self.compiled.layout.arrays.values()
        axes = [array.columns[0].axis for array in arrays if array.name.startswith("out:")]
        return tuple([self.widths[axis] if axis else 1 for axis in axes])

    @cached_property
    def made(self) -> tuple[int, ...]:
        """How wide the rows of arrays are that are made: outputs, then what is kept."""
        names = [name for name in self.strides if name.startswith("out:") or name == "kept"]
        return tuple([self.strides[name] for name in names])

    @cached_property
    def padded(self) -> dict[str, int]:
        """How wide rows must be, of those inputs that are read a vector of units at a time."""
        by_units = self.compiled.layout.read_by_units
        return {
            name.removeprefix("in:"): stride
            for name, stride in self.strides.items()
            if name.removeprefix("in:") in by_units
        }


@dataclass(frozen=True)
class Recipe:
    """``given`` packs whether gradients of inputs are wanted and what ``Layout.given`` lists,
    ``in_space`` what ``Layout.regions`` lists; ``rest`` are the arguments behind these and those
    that are stored, as bytes. ``regions`` says where in the call's own memory of ``space`` bytes
    each region is."""

    sizes: Sizes
    share: Share
    given: Callable[..., bytes]
    in_space: Callable[..., bytes]
    rest: bytes
    regions: tuple[int, ...]
    space: int
    entry: Callable[[bytes], object]
    # Kept alive: their addresses are in ``rest``.
    arrays: tuple[Integers, ...] = field(repr=False)


def _widths(
    program: Program,
    read: tuple[int, ...],
    stored: Sequence[Stored],
    pieces: Pieces,
) -> dict[str, int]:
    """Return the width of every axis.

    Raises:
        ShapeError: a stored tensor is not exactly as wide and tall as its parameters are: machine
            code would read and write beside it.
    """
    leaves = (*program.leaves_of("input"), *program.states)
    widths = {axis: width for leaf, width in zip(leaves, read, strict=True) for axis in leaf.axes}
    rows = [0] * len(stored)
    for leaf in program.parameters:
        for piece in pieces[leaf.name]:
            whole = tuple(stored[piece.tensor].shape)
            shape = (piece.rows, *whole[1:])
            known = [widths.get(axis) for axis in leaf.axes]
            fits = len(whole) == len(leaf.axes) and all(
                width in (None, size) for width, size in zip(known, shape, strict=True)
            )
            if not fits or piece.first + piece.rows > whole[0]:
                raise ShapeError(
                    f"{program.name}: parameter {leaf.name} is rows {piece.first} to "
                    f"{piece.first + piece.rows} of a tensor of {list(whole)}; expected "
                    f"{_spelled(leaf.axes, known)} of its own: {spell(leaf.axes)}."
                )
            widths.update(zip(leaf.axes, shape, strict=True))
            rows[piece.tensor] = max(rows[piece.tensor], piece.first + piece.rows)
    for tensor, needed in zip(stored, rows, strict=True):
        if tensor.shape[0] != needed:
            raise ShapeError(
                f"{program.name}: a tensor of parameters is {list(tensor.shape)}; expected "
                f"{[needed, *tensor.shape[1:]]}, the rows of its parameters."
            )
    return widths


def _spelled(axes: Sequence[str], known: Sequence[int | None]) -> str:
    """Return a shape as far as it is known, as in ``[20, H]``."""
    sizes = [axis if size is None else str(size) for axis, size in zip(axes, known, strict=True)]
    return f"[{', '.join(sizes)}]"


def make_sizes(
    compiled: Compiled,
    way: Way,
    widths: dict[str, int],
    stored: Sequence[Stored],
    pieces: Pieces,
) -> Sizes:
    """Work out all that does not depend on steps."""
    made = compiled.way(way)
    layout, machine, library = made.layout, host(), compiled.library
    size, lanes = compiled.dtype.itemsize, machine.lanes(compiled.dtype)
    arguments = [0] * len(made.numbers)

    def padded(axis: str | None) -> int:
        return -(-widths[axis] // lanes) * lanes if axis else lanes

    strides: dict[str, int] = {}
    own: dict[str, tuple[int, int, int]] = {"barrier": (0, 0, BARRIER_BYTES)}
    for array in layout.arrays.values():
        stride = sum(padded(column.axis) for column in array.columns)
        if len(array.columns) > 1 and stride * size % ALIASED == 0:
            stride += lanes
        strides[array.name] = stride
        each = stride * size
        match array.rows:
            case "ring":
                own[f"array:{array.name}"] = (2 * each, 0, 0)
            case "step":
                own[f"array:{array.name}"] = (each, 0, 0)
            case "stretch":
                own[f"array:{array.name}"] = (0, each, 0)
    vectors = sum(padded(layout.axis(name)) for name in layout.vectors)
    own["vectors"] = (0, 0, vectors * size)
    for run in layout.all_runs():
        k = widths[run.operand_axis] * run.segments
        own[f"packed:{run.name}"] = (0, 0, padded(run.result_axis) * run.together * k * size)

    threads = openmp.threads()
    for name, number in {
        "pack": 1,
        "table": library.table.ctypes.data,
        "team_size": threads.team_size if threads else 0,
        "thread_number": threads.thread_number if threads else 0,
        "give_way": threads.give_way if threads else 0,
        **{n: library.functions.address[n] for n in ("pack_rows", "pack_columns", "outer")},
        **{f"width:{axis}": widths[axis] for axis in layout.axes},
        **{f"stride:{name}": stride for name, stride in strides.items()},
        # Inputs are read as they are, unless vectors of units are read.
        **{
            f"stride:in:{leaf.name}": widths[leaf.axes[0]] if leaf.axes else 1
            for leaf in layout.program.leaves_of("input")
            if f"in:{leaf.name}" in strides and leaf.name not in layout.read_by_units
        },
    }.items():
        arguments[made.numbers[name]] = number
    return Sizes(
        made,
        Work.of(layout, machine, widths, size),
        widths,
        strides,
        arguments,
        tuple(_places(made, stored, pieces, size)),
        tuple([own[name] for name in layout.regions]),
        pieces,
    )


def _places(
    made: Pass, stored: Sequence[Stored], pieces: Pieces, size: int
) -> list[tuple[int, int]]:
    """See ``Sizes.stored``."""
    layout = made.layout
    found: dict[str, tuple[int, int]] = {}

    def put(argument: str, name: str, place: int, behind: int = 0) -> None:
        piece = pieces[name][place]
        shape = stored[piece.tensor].shape
        row = shape[1] if len(shape) > 1 else 1
        found[argument] = behind + piece.tensor, piece.first * row * size

    for name in layout.matrices:
        put(f"matrix:{name}", name, 0)
    for name in layout.vectors:
        put(f"vector:{name}", name, 0)
        if len(pieces[name]) > 1:
            put(f"second:{name}", name, 1)
    behind = len(stored)
    for name, _ in layout.sums:
        put(f"sum:{name}", name, 0, behind)
        if len(pieces[name]) > 1:
            put(f"second_sum:{name}", name, 1, behind)
    for number, outer in enumerate(layout.outers):
        for place, matrix in enumerate(outer.matrices):
            put(f"target:{number}:{place}", matrix, 0, behind)
    return [found.get(argument, NOWHERE) for argument in layout.stored]


def make_recipe(sizes: Sizes, steps: Steps, threads: int) -> Recipe:
    """Work out what a call on these steps needs."""
    made = sizes.compiled
    layout, numbers = made.layout, made.numbers
    shared = share(sizes.work, steps, most_threads=threads)
    first, count = steps.visited(backwards=layout.reverse)
    visits = steps.visits(backwards=layout.reverse)
    arrays = {
        "visits": visits,
        "first": first,
        "count": count,
        "stretch_table": shared.stretches,
        "bounds": shared.bounds,
    }
    arguments = sizes.arguments.copy()
    for name, number in {
        "batch": steps.batch,
        "threads": shared.threads,
        "by_rows": shared.by_rows,
        "outside_by_rows": shared.outside_by_rows,
        "stretches": len(shared.stretches),
        **{name: _address(array) for name, array in arrays.items()},
    }.items():
        arguments[numbers[name]] = number
    for phase, panels in shared.panels.items():
        arguments[numbers[f"group:{phase}"]] = panels.group
        arguments[numbers[f"panel:{phase}"]] = panels.panel
        arguments[numbers[f"rows:{phase}"]] = panels.rows
    at, regions = 0, []
    for of_batch, of_row, fixed in sizes.regions:
        regions.append(at)
        space = steps.batch * of_batch + shared.stretch_rows * of_row + fixed
        at += -(-space // LINE) * LINE
    given = 1 + len(layout.given)
    behind = given + len(layout.stored) + len(layout.regions)
    return Recipe(
        sizes,
        shared,
        struct.Struct(f"{given}q").pack,
        struct.Struct(f"{len(layout.regions)}q").pack,
        struct.pack(f"{len(arguments) - behind}q", *arguments[behind:]),
        tuple(regions),
        at + LINE,
        entry(made, shared.threads),
        tuple(arrays.values()),
    )


def _address(array: Integers) -> int:
    # Half the time of .ctypes.data.
    address: int = array.__array_interface__["data"][0]
    return address


def entry(compiled: Pass, threads: int) -> Callable[[bytes], object]:
    """A compiled function, to be called with its arguments: at once on so many threads of
    torch's."""
    runtime = openmp.threads()
    if threads > 1 and runtime is not None:
        parallel, address = runtime.parallel, compiled.address
        return lambda arguments: parallel(address, arguments, threads, 0)
    return compiled.entry


@dataclass(frozen=True)
class Recipes:
    """The recipes of one plan's passes, kept."""

    compiled: Compiled
    _sizes: dict[object, Sizes] = field(default_factory=dict, repr=False, compare=False)
    _recipes: dict[object, Recipe] = field(default_factory=dict, repr=False, compare=False)

    def recipe(
        self,
        way: Way,
        read: tuple[int, ...],
        stored: Sequence[Stored],
        pieces: Pieces,
        steps: Steps,
    ) -> Recipe:
        """What a call needs; made now if it is new. ``read`` are the widths of the inputs, then
        of the states, in the program's order."""
        threads = openmp.most_threads()
        shapes = tuple([each.shape for each in stored])
        key = way, read, shapes, id(pieces), steps, threads
        found = self._recipes.get(key)
        if found is None:
            sizes = self.sizes(way, read, stored, pieces)
            if len(self._recipes) >= MOST_RECIPES:
                self._recipes.clear()
            found = self._recipes[key] = make_recipe(sizes, steps, threads)
        return found

    def sizes(
        self,
        way: Way,
        read: tuple[int, ...],
        stored: Sequence[Stored],
        pieces: Pieces,
    ) -> Sizes:
        """What does not depend on steps; made now if it is new."""
        shapes = tuple([each.shape for each in stored])
        key = way, read, shapes, id(pieces)
        found = self._sizes.get(key)
        if found is None:
            widths = _widths(self.compiled.plan.program, read, stored, pieces)
            if len(self._sizes) >= MOST_RECIPES:
                self._sizes.clear()
                self._recipes.clear()
            found = self._sizes[key] = make_sizes(self.compiled, way, widths, stored, pieces)
        return found
