"""Launch plans: what a call of a compiled pass needs besides its tensors, worked out once and kept.

``Sizes`` follows from how wide axes are and how parameters are stored; ``LaunchPlan`` adds the
steps of a batch. Batches of ever other lengths make a new plan at each call, but no new sizes.
"""

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Protocol

from conveyor.cells.operations import spell
from conveyor.compiler.program import Program
from conveyor.errors import ShapeError
from conveyor.kernels.layout.values import WRITTEN, ArrayKey
from conveyor.kernels.llvm import openmp
from conveyor.kernels.llvm.abi import (
    Argument,
    OfArray,
    OfAxis,
    OfOuter,
    OfParameter,
    OfPhase,
    OfProduct,
    Scalar,
)
from conveyor.kernels.llvm.barrier import BARRIER_BYTES
from conveyor.kernels.llvm.compiled_plan import CompiledPass, CompiledPlan, PassKind
from conveyor.kernels.llvm.machine import host
from conveyor.kernels.llvm.share import Share, Team, Work, rivals, share_with
from conveyor.kernels.llvm.team_tuner import TeamTuner
from conveyor.kernels.memory import LINE
from conveyor.kernels.pieces import Pieces
from conveyor.kernels.steps import Integers, Steps

# No row is a multiple of this, or rows below each other would compete for the same few places in
# the cache.
ALIASED = 1024
# Batches of ever other lengths would fill memory with launch plans; a few kB each.
MOST_PLANS = 256
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
    says of which stored parameter which byte each argument of ``Abi.stored`` is the address
    of; gradients are counted on behind the parameters. ``regions`` are the sizes of those of
    ``Abi.regions`` in bytes: for each sequence of the batch, for each row of a stretch, without
    either, and for each step of each sequence of the batch."""

    compiled: CompiledPass
    work: Work
    widths: dict[str, int]
    strides: dict[ArrayKey, int]
    arguments: list[int]
    stored: tuple[tuple[int, int], ...]
    regions: tuple[tuple[int, int, int, int], ...]
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

    def stored_at(self, addresses: tuple[int, ...]) -> bytes:
        """Return the arguments of ``Abi.stored``. Parameters mostly stay where they are: the last
        answer is kept.

        Args:
            addresses: of tensors; 0 where one is not wanted.
        """
        if self._last and (last := self._last[0])[0] == addresses:
            return last[1]
        # Index -1 is the trailing 0: a null pointer for an argument that no tensor backs.
        known = (*addresses, 0)
        packed = self._pack(
            *[known[tensor] + offset if known[tensor] else 0 for tensor, offset in self.stored]
        )
        self._last[:] = [(addresses, packed)]
        return packed

    @cached_property
    def _pack(self) -> Callable[..., bytes]:
        return struct.Struct(f"{len(self.stored)}q").pack

    @cached_property
    def kept(self) -> int | None:
        """How many numbers a row keeps for the backward pass; None if nothing is kept."""
        return self.strides.get(ArrayKey("kept"))

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """How wide the outputs are."""
        layout = self.compiled.abi.layout
        axes = [layout.arrays[key].columns[0].axis for key in layout.keys("output")]
        return tuple([self.widths[axis] if axis else 1 for axis in axes])

    @cached_property
    def written(self) -> tuple[int, ...]:
        """How wide the rows of arrays are that are written: outputs, then what is kept."""
        keys = self.compiled.abi.layout.keys(*WRITTEN)
        return tuple([self.strides[key] for key in keys])

    @cached_property
    def padded(self) -> dict[str, int]:
        """How wide rows must be, of those inputs that are read a vector of units at a time."""
        layout = self.compiled.abi.layout
        by_units = layout.read_by_units
        return {key.name: self.strides[key] for key in layout.keys("input") if key.name in by_units}


@dataclass(frozen=True)
class LaunchPlan:
    """``given`` packs whether gradients of inputs are wanted and what ``Abi.given`` lists,
    ``in_space`` what ``Abi.regions`` lists; ``rest`` are the arguments behind these and those
    that are stored, as bytes. ``regions`` says where in the call's own memory of ``space`` bytes,
    which begins at a cache line, each region is. A ``tuner`` says by which plan a call is run: by
    this one, which the rule chose, or by another."""

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
    tuner: "TeamTuner[LaunchPlan] | None" = field(default=None, repr=False, compare=False)
    _last: list[tuple[int, bytes]] = field(default_factory=list, repr=False, compare=False)

    def run(self, arguments: bytes, space: int) -> None:
        """Run the pass.

        Args:
            arguments: all of them.
            space: where the call's own memory begins, as they say it.
        """
        if self.share.threads > 1:  # threads wait for each other in the first region
            ctypes.memset(space, 0, BARRIER_BYTES)
        self.entry(arguments)

    def behind_stored(self, space: int) -> bytes:
        """Return the arguments behind those that are stored. A thread's memory mostly stays where
        it is: the last answer is kept.

        Args:
            space: where the call's own memory begins.
        """
        if self._last and (last := self._last[0])[0] == space:
            return last[1]
        packed = self.in_space(*[space + offset for offset in self.regions]) + self.rest
        self._last[:] = [(space, packed)]
        return packed


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
    sizes = zip(_axes_read(program), read, strict=True)
    widths = {axis: size for axis, size in sizes if axis is not None}
    rows = [0] * len(stored)
    for leaf in program.stored:
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


def _axes_read(program: Program) -> list[str | None]:
    """Return the axes of what a call gives sizes of: inputs, memories (two each), states; None for
    a number."""
    axes: list[str | None] = []
    for leaf in (*program.leaves_of("input"), *program.memories, *program.states):
        axes += leaf.axes or [None]
    return axes


def _spelled(axes: Sequence[str], known: Sequence[int | None]) -> str:
    """Return a shape as far as it is known, as in ``[20, H]``."""
    sizes = [axis if size is None else str(size) for axis, size in zip(axes, known, strict=True)]
    return f"[{', '.join(sizes)}]"


def make_sizes(
    compiled: CompiledPlan,
    kind: PassKind,
    widths: dict[str, int],
    stored: Sequence[Stored],
    pieces: Pieces,
) -> Sizes:
    """Work out all that does not depend on steps."""
    compiled_pass = compiled.compiled(kind)
    abi, machine, library = compiled_pass.abi, host(), compiled.library
    layout = abi.layout
    size, lanes = compiled.dtype.itemsize, machine.lanes(compiled.dtype)

    def padded(axis: str | None) -> int:
        return -(-widths[axis] // lanes) * lanes if axis else lanes

    strides: dict[ArrayKey, int] = {}
    regions: dict[Argument, tuple[int, int, int, int]] = {"barrier": (0, 0, BARRIER_BYTES, 0)}
    for key, array in layout.arrays.items():
        stride = sum(
            padded(column.axis) * (widths[column.place] if column.place else 1)
            for column in array.columns
        )
        if len(array.columns) > 1 and stride * size % ALIASED == 0:
            stride += lanes
        strides[key] = stride
        row, address = stride * size, OfArray("address", key)
        match array.rows:
            case "ring":
                regions[address] = (2 * row, 0, 0, 0)
            case "step":
                regions[address] = (row, 0, 0, 0)
            case "stretch":
                regions[address] = (0, row, 0, 0)
            case "late":
                regions[address] = (row, row, 0, 0)
            case "history":
                regions[address] = (0, 0, 0, row)
    vectors = sum(padded(layout.axis(name)) for name in layout.vectors)
    regions["vectors"] = (0, 0, vectors * size, 0)
    for product in layout.all_products:
        count = widths[product.operand_axis] * product.segments * product.together
        packed = padded(product.result_axis) * count * size
        regions[OfProduct(product.number)] = (0, 0, packed, 0)

    numbers: dict[Argument, int] = {"pack": 1, "table": library.table.ctypes.data}
    threads = openmp.threads()
    if threads:
        numbers |= {
            "team_size": threads.team_size,
            "thread_number": threads.thread_number,
            "give_way": threads.give_way,
        }
    functions: tuple[Scalar, ...] = ("pack_rows", "pack_columns", "outer")
    numbers |= {name: library.functions.address[name] for name in functions}
    numbers |= {OfAxis(axis): widths[axis] for axis in layout.axes}
    numbers |= {OfArray("stride", key): stride for key, stride in strides.items()}
    for leaf in layout.program.leaves_of("input"):
        key = ArrayKey("input", leaf.name)
        # Inputs are read as they are, unless vectors of units are read.
        if key in strides and leaf.name not in layout.read_by_units:
            numbers[OfArray("stride", key)] = widths[leaf.axes[0]] if leaf.axes else 1
    arguments = [0] * len(abi.numbers)
    for argument, number in numbers.items():
        arguments[abi.numbers[argument]] = number
    return Sizes(
        compiled_pass,
        Work.of(layout, machine, widths, size),
        widths,
        strides,
        arguments,
        tuple(_offsets(compiled_pass, stored, pieces, size)),
        tuple([regions[region] for region in abi.regions]),
        pieces,
    )


def _offsets(
    compiled: CompiledPass, stored: Sequence[Stored], pieces: Pieces, size: int
) -> list[tuple[int, int]]:
    """Return of which stored tensor which byte each argument of ``Abi.stored`` is, see
    ``Sizes.stored``."""
    layout = compiled.abi.layout
    offsets: dict[Argument, tuple[int, int]] = {}

    def put(argument: Argument, name: str, number: int, behind: int = 0) -> None:
        piece = pieces[name][number]
        shape = stored[piece.tensor].shape
        row = shape[1] if len(shape) > 1 else 1
        offsets[argument] = behind + piece.tensor, piece.first * row * size

    for name in layout.matrices:
        put(OfParameter("matrix", name), name, 0)
    for name in layout.vectors:
        for number in range(len(pieces[name])):
            put(OfParameter("vector", name, second=number > 0), name, number)
    gradients = len(stored)
    for name, _ in layout.sums:
        for number in range(len(pieces[name])):
            put(OfParameter("gradient", name, second=number > 0), name, number, gradients)
    for number, outer in enumerate(layout.outers):
        for place, matrix in enumerate(outer.matrices):
            put(OfOuter(number, place), matrix, 0, gradients)
    return [offsets.get(argument, NOWHERE) for argument in compiled.abi.stored]


def make_launch_plan(sizes: Sizes, steps: Steps, threads: int) -> LaunchPlan:
    """Work out what a call on these steps needs; no more than ``threads`` compute it."""
    team, other = rivals(sizes.work, steps, threads)
    plan = _plan_of_team(sizes, steps, team)
    if other is None:
        return plan
    return replace(plan, tuner=TeamTuner(plan, partial(_plan_of_team, sizes, steps, other)))


def _plan_of_team(sizes: Sizes, steps: Steps, team: Team) -> LaunchPlan:
    """Work out what a call on these steps needs, with a team of threads."""
    abi = sizes.compiled.abi
    layout, numbers = abi.layout, abi.numbers
    shared = share_with(sizes.work, steps, team)
    first, count = steps.visited(backwards=layout.reverse)
    visits = steps.visits(backwards=layout.reverse)
    arrays: dict[Scalar, Integers] = {
        "visits": visits,
        "first": first,
        "count": count,
        "stretch_table": shared.stretches,
        "bounds": shared.bounds,
    }
    values: dict[Argument, int] = {
        "batch": steps.batch,
        "steps": steps.steps,
        "threads": shared.threads,
        "by_rows": shared.by_rows,
        "outside_by_rows": shared.outside_by_rows,
        "stretches": len(shared.stretches),
    }
    values |= {name: _address(array) for name, array in arrays.items()}
    for phase, panels in shared.panels.items():
        values[OfPhase("group", phase)] = panels.group
        values[OfPhase("panel", phase)] = panels.panel
        values[OfPhase("rows", phase)] = panels.rows
    arguments = sizes.arguments.copy()
    for argument, value in values.items():
        arguments[numbers[argument]] = value
    at, regions = 0, []
    for of_batch, of_row, fixed, of_each in sizes.regions:
        regions.append(at)
        space = steps.batch * of_batch + shared.stretch_rows * of_row + fixed
        space += steps.batch * steps.steps * of_each
        at += -(-space // LINE) * LINE
    given = 1 + len(abi.given)
    behind = given + len(abi.stored) + len(abi.regions)
    return LaunchPlan(
        sizes,
        shared,
        struct.Struct(f"{given}q").pack,
        struct.Struct(f"{len(abi.regions)}q").pack,
        struct.pack(f"{len(arguments) - behind}q", *arguments[behind:]),
        tuple(regions),
        at,
        entry(sizes.compiled, shared.threads),
        tuple(arrays.values()),
    )


def _address(array: Integers) -> int:
    # Half the time of .ctypes.data.
    address: int = array.__array_interface__["data"][0]
    return address


def entry(compiled: CompiledPass, threads: int) -> Callable[[bytes], object]:
    """A compiled function, to be called with its arguments: at once on so many threads of
    torch's."""
    runtime = openmp.threads()
    if threads > 1 and runtime is not None:
        parallel, address = runtime.parallel, compiled.address
        return lambda arguments: parallel(address, arguments, threads, 0)
    return compiled.entry


@dataclass(frozen=True)
class LaunchPlans:
    """The launch plans of one plan's passes, kept."""

    compiled: CompiledPlan
    _sizes: dict[object, Sizes] = field(default_factory=dict, repr=False, compare=False)
    _plans: dict[tuple[Any, ...], LaunchPlan] = field(
        default_factory=dict, repr=False, compare=False
    )

    def plan(
        self,
        kind: PassKind,
        read: tuple[int, ...],
        stored: Sequence[Stored],
        pieces: Pieces,
        steps: Steps,
    ) -> LaunchPlan:
        """Return what a call needs, worked out when it is new. ``read`` are the widths of the
        inputs, then the places and the width of each memory, then the widths of the states, in the
        program's order."""
        threads = openmp.most_threads()
        shapes = tuple([each.shape for each in stored])
        key = kind, read, shapes, id(pieces), steps, threads
        plan = self._plans.get(key)
        if plan is None:
            sizes = self.sizes(kind, read, stored, pieces)
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = make_launch_plan(sizes, steps, threads)
        return plan

    def known(self, kind: PassKind, widths: Mapping[str, int], steps: Steps) -> LaunchPlan | None:
        """Return a plan of a call with axes of these widths on these steps, if there was one."""
        threads = openmp.most_threads()
        for (of_kind, _, _, _, of_steps, of_threads), plan in list(self._plans.items()):
            if (of_kind, of_steps, of_threads) == (kind, steps, threads):
                known = plan.sizes.widths
                if all(known[axis] == width for axis, width in widths.items() if axis in known):
                    return plan
        return None

    def sizes(
        self,
        kind: PassKind,
        read: tuple[int, ...],
        stored: Sequence[Stored],
        pieces: Pieces,
    ) -> Sizes:
        """Return what does not depend on steps, worked out when it is new."""
        shapes = tuple([each.shape for each in stored])
        key = kind, read, shapes, id(pieces)
        sizes = self._sizes.get(key)
        if sizes is None:
            widths = _widths(self.compiled.plan.program, read, stored, pieces)
            if len(self._sizes) >= MOST_PLANS:
                self._sizes.clear()
                self._plans.clear()
            sizes = self._sizes[key] = make_sizes(self.compiled, kind, widths, stored, pieces)
        return sizes
