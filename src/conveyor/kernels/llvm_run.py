"""Running a compiled pass: memory, arguments, threads.

All that depends on sizes alone is worked out once and kept (``Recipe``); a call fills in
addresses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from conveyor.cells.operations import spell
from conveyor.compiler.program import Program
from conveyor.errors import ShapeError
from conveyor.kernels import openmp
from conveyor.kernels.llvm_compile import Compiled, Pass, Way
from conveyor.kernels.llvm_layout import Layout
from conveyor.kernels.llvm_machine import host
from conveyor.kernels.llvm_share import Share, share
from conveyor.kernels.steps import Integers, Steps
from conveyor.kernels.target import Parameters, Piece

# Memory for one call begins at multiples of a cache line, and no row is a multiple of this, or
# rows below each other would compete for the same few places in the cache.
LINE = 64
ALIASED = 1024
# Batches of ever other lengths would fill memory with recipes; a few kB each.
MOST_RECIPES = 256
# The address of what is not wanted; with any offset added it is below 0, which becomes 0.
NOWHERE = -(1 << 62)


@dataclass(frozen=True)
class Recipe:
    """What a call on these sizes needs. ``given`` holds the arguments that are no addresses;
    ``regions`` says where in the call's own memory arrays and packed weights are."""

    compiled: Pass
    share: Share
    given: Integers
    regions: tuple[Integers, Integers]
    # Arguments that are addresses in the stored parameters: number, tensor, offset in bytes.
    stored: tuple[Integers, Integers, Integers]
    space: int
    strides: dict[str, int]
    widths: dict[str, int]
    lanes: int
    # Arguments that a call gives itself, in this order: see ``slot_names``.
    slots: Integers
    inputs_wanted: int
    entry: Callable[[int], object]
    # Kept alive: their addresses are in ``given``, and the identity of the pieces is what a
    # recipe is found by.
    arrays: tuple[Integers, ...] = field(repr=False)
    pieces: Mapping[str, tuple[Piece, ...]] = field(repr=False)


def _add_parameter_widths(widths: dict[str, int], program: Program, parameters: Parameters) -> None:
    """Add how wide the axes of parameters are, and see that all agree: machine code would read
    beside a tensor that is smaller than another says."""
    for leaf in program.parameters:
        piece = parameters.pieces[leaf.name][0]
        shape = (piece.rows, *parameters.tensors[piece.tensor].shape[1:])
        expected = tuple(
            widths.get(axis, size) for axis, size in zip(leaf.axes, shape, strict=False)
        )
        if shape != expected or len(shape) != len(leaf.axes):
            raise ShapeError(
                f"{program.name}: parameter {leaf.name} is {list(shape)}; "
                f"expected {list(expected)}: {spell(leaf.axes)}."
            )
        widths.update(zip(leaf.axes, shape, strict=True))


def make_recipe(
    compiled: Compiled,
    way: Way,
    widths: dict[str, int],
    parameters: Parameters,
    steps: Steps,
    *,
    threads: int,
) -> Recipe:
    """Work out what a call on these sizes needs."""
    made = compiled.way(way)
    layout, machine = made.layout, host()
    size = compiled.dtype.itemsize
    lanes = machine.lanes(compiled.dtype)
    shared = share(layout, machine, widths, steps, size=size, most_threads=threads)
    given = np.zeros(len(made.numbers), dtype=np.int64)
    regions: list[tuple[int, int]] = []
    at = 0

    def put(name: str, value: int) -> None:
        given[made.numbers[name]] = value

    def region(name: str, numbers: int) -> None:
        nonlocal at
        regions.append((made.numbers[name], at))
        at += -(-numbers * size // LINE) * LINE

    def padded(axis: str | None) -> int:
        return -(-widths[axis] // lanes) * lanes if axis else lanes

    first, count = steps.visited(backwards=layout.reverse)
    visits = steps.visits(backwards=layout.reverse)
    bounds, stretches = shared.bounds, shared.stretches
    threads_of = openmp.threads()
    library = compiled.library
    for name, number in {
        "batch": steps.batch,
        "threads": shared.threads,
        "by_rows": shared.by_rows,
        "outside_by_rows": shared.outside_by_rows,
        "stretches": len(stretches),
        "pack": 1,
        "inputs_wanted": 1,
        "visits": visits.ctypes.data,
        "first": first.ctypes.data,
        "count": count.ctypes.data,
        "stretch_table": stretches.ctypes.data,
        "bounds": bounds.ctypes.data,
        "table": library.table.ctypes.data,
        "team_size": threads_of.team_size if threads_of else 0,
        "thread_number": threads_of.thread_number if threads_of else 0,
        "barrier": threads_of.barrier if threads_of else 0,
        **{n: library.functions.address[n] for n in ("pack_rows", "pack_columns", "outer")},
        **{f"width:{axis}": widths[axis] for axis in layout.axes},
    }.items():
        put(name, int(number))
    strides: dict[str, int] = {}
    for array in layout.arrays.values():
        stride = sum(padded(column.axis) for column in array.columns)
        if len(array.columns) > 1 and stride * size % ALIASED == 0:
            stride += lanes
        strides[array.name] = stride
        put(f"stride:{array.name}", stride)
        if array.rows == "ring":
            region(f"array:{array.name}", 2 * steps.batch * stride)
        elif array.rows == "step":
            region(f"array:{array.name}", steps.batch * stride)
        elif array.rows == "stretch":
            region(f"array:{array.name}", int(stretches[:, 3].max()) * stride)
    region("vectors", sum(padded(layout.axis(name)) for name in layout.vectors))
    for run in layout.all_runs():
        k = widths[run.operand_axis] * run.segments
        region(f"packed:{run.name}", padded(run.result_axis) * run.together * k)
    for phase, panels in shared.panels.items():
        put(f"group:{phase}", panels.group)
        put(f"panel:{phase}", panels.panel)
        put(f"rows:{phase}", panels.rows)
    where = np.array(regions, dtype=np.int64).reshape(-1, 2)
    return Recipe(
        made,
        shared,
        given,
        (where[:, 0].copy(), where[:, 1].copy()),
        _stored(made, parameters, size),
        at + LINE,
        strides,
        widths,
        lanes,
        _slots(made),
        made.numbers["inputs_wanted"],
        entry(made, shared.threads),
        (first, count, visits, bounds, stretches),
        parameters.pieces,
    )


@dataclass(frozen=True)
class Runner:
    """Calls the passes of one plan. Recipes are kept by sizes."""

    compiled: Compiled
    _recipes: dict[object, Recipe] = field(default_factory=dict, repr=False, compare=False)

    def recipe(
        self,
        way: Way,
        inputs: tuple[int, ...],
        states: tuple[int, ...],
        parameters: Parameters,
        steps: Steps,
    ) -> Recipe:
        """The recipe for these widths of inputs and of states, in the program's order; made now
        if it is new."""
        threads = openmp.most_threads()
        sizes = (
            way,
            inputs,
            states,
            tuple([each.shape for each in parameters.tensors]),
            id(parameters.pieces),
            steps,
            threads,
        )
        found = self._recipes.get(sizes)
        if found is None:
            program = self.compiled.plan.program
            leaves = (*program.leaves_of("input"), *program.states)
            given = zip(leaves, (*inputs, *states), strict=True)
            widths = {axis: width for leaf, width in given for axis in leaf.axes}
            _add_parameter_widths(widths, program, parameters)
            if len(self._recipes) >= MOST_RECIPES:
                self._recipes.clear()
            found = make_recipe(self.compiled, way, widths, parameters, steps, threads=threads)
            self._recipes[sizes] = found
        return found


def call(
    recipe: Recipe,
    stored: Sequence[Tensor | None],
    addresses: list[int],
    *,
    inputs_wanted: bool = True,
) -> None:
    """Run a pass.

    Args:
        stored: the stored parameters, and behind them their gradients, None where not wanted.
        addresses: the arguments that ``Recipe.slots`` lists.
    """
    given = recipe.given.copy()
    space = torch.empty(recipe.space, dtype=torch.uint8)
    numbers, offsets = recipe.regions
    given[numbers] = offsets + (space.data_ptr() + LINE - 1) // LINE * LINE
    numbers, tensors, offsets = recipe.stored
    pointers = np.array([NOWHERE if t is None else t.data_ptr() for t in stored], dtype=np.int64)
    given[numbers] = np.maximum(pointers[tensors] + offsets, 0)
    given[recipe.slots] = addresses
    given[recipe.inputs_wanted] = inputs_wanted
    recipe.entry(given.ctypes.data)


def entry(compiled: Pass, threads: int) -> Callable[[int], object]:
    """A compiled function, to be called with the address of its arguments: at once on so many
    threads of torch's."""
    runtime = openmp.threads()
    if threads > 1 and runtime is not None:
        parallel, address = runtime.parallel, compiled.address
        return lambda arguments: parallel(address, arguments, threads, 0)
    return compiled.entry


def slot_names(layout: Layout) -> list[str]:
    """What a call gives itself: addresses of arrays outside, and of first and last states."""
    arrays = [a.name for a in layout.arrays.values()]
    given = [name for name in arrays if name.startswith("in:")]
    made = [name for name in arrays if name.startswith("out:") or name == "kept"]
    states = [name for name in arrays if name.startswith("state:")]
    return [
        *(f"array:{name}" for name in given),
        *(f"stride:{name}" for name in given),
        *(f"array:{name}" for name in made),
        *(f"begin:{name}" for name in states),
        *(f"end:{name}" for name in states),
    ]


def _slots(made: Pass) -> Integers:
    return np.array([made.numbers[name] for name in slot_names(made.layout)], dtype=np.int64)


def _stored(made: Pass, parameters: Parameters, size: int) -> tuple[Integers, Integers, Integers]:
    """Which argument is which tensor's address plus so many bytes: weights that are packed, and
    in the way back places of gradients, whose tensors are counted on behind the weights'."""
    layout = made.layout
    found: list[tuple[int, int, int]] = []

    def put(argument: str, name: str, place: int, behind: int = 0) -> None:
        piece = parameters.pieces[name][place]
        shape = parameters.tensors[piece.tensor].shape
        row = shape[1] if len(shape) > 1 else 1
        found.append((made.numbers[argument], behind + piece.tensor, piece.first * row * size))

    for name in layout.matrices:
        put(f"matrix:{name}", name, 0)
    for name in layout.vectors:
        put(f"vector:{name}", name, 0)
        if len(parameters.pieces[name]) > 1:
            put(f"second:{name}", name, 1)
    behind = len(parameters.tensors)
    for name, _ in layout.sums:
        put(f"sum:{name}", name, 0, behind)
        if len(parameters.pieces[name]) > 1:
            put(f"second_sum:{name}", name, 1, behind)
    for number, outer in enumerate(layout.outers):
        for place, matrix in enumerate(outer.matrices):
            put(f"target:{number}:{place}", matrix, 0, behind)
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()
