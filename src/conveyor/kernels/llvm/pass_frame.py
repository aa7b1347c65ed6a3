"""What every line of a pass stands on: its arguments, sizes, arrays, threads."""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from typing import NamedTuple

from llvmlite import ir

from conveyor.compiler.phases import CONSTANTS
from conveyor.kernels.layout.values import ArrayKey, MemoryLayout
from conveyor.kernels.llvm.abi import Abi, Argument, OfArray, OfAxis
from conveyor.kernels.llvm.barrier import write_barrier
from conveyor.kernels.llvm.builder import INT, INT32, POINTER, Code, Module
from conveyor.kernels.llvm.panel import MOST_ROWS, MOST_VECTORS

# libgomp: int omp_get_thread_num(void), omp_get_num_threads(void)
COUNT_TYPE = ir.FunctionType(INT32, [])


# LLVM takes more than twice as long for a function that is twice as long. No built-in cell has
# more than 16; from 24 on, functions take less time to compile than one does, and as long to run.
MOST_PHASES_IN_A_FUNCTION = 24


def in_parts(layout: MemoryLayout) -> bool:
    """Return whether a pass is so long that its phases are functions of their own."""
    return sum(map(len, layout.parts.values())) > MOST_PHASES_IN_A_FUNCTION


class Touched(NamedTuple):
    """What a part of a pass asks the places of, and how many products it sums at once."""

    columns: Sequence[tuple[ArrayKey, int]] = ()
    vectors: Sequence[str] = ()
    products: int = 0


def _counted(axes: Sequence[str | None]) -> Iterator[tuple[tuple[str | None, int], ...]]:
    """Yield how many of each axis stand before each."""
    counts: Counter[str | None] = Counter()
    for axis in axes:
        yield tuple(counts.items())
        counts[axis] += 1


class Frame:
    """A pass that is being written. Sizes and addresses are read once, at its head."""

    def __init__(self, module: Module, layout: MemoryLayout) -> None:
        self.module = module
        self.layout = layout
        self.lanes = module.lanes
        self._wait = write_barrier(module)
        self.code = code = Code(module, layout.name, [("arguments", POINTER)])
        self.numbers = Abi(layout).numbers
        self.given = code.arguments["arguments"]
        self.width = {axis: self.integer(OfAxis(axis)) for axis in layout.axes}
        self.tiles = {axis: code.up(width, self.lanes) for axis, width in self.width.items()}
        self.padded = {axis: code.mul(tiles, self.lanes) for axis, tiles in self.tiles.items()}
        self.offset: dict[tuple[ArrayKey, int], ir.Value] = {}
        self.stride: dict[ArrayKey, ir.Value] = {}
        self.start: dict[ArrayKey, ir.Value] = {}
        for key, array in layout.arrays.items():
            at = code.add(0)
            for number, column in enumerate(array.columns):
                self.offset[key, number] = at
                size = self.padded[column.axis] if column.axis else self.lanes
                at = code.add(at, size)
            self.stride[key] = self._row_stride(key)
            self.start[key] = self.pointer(OfArray("address", key))
        self.vector_offset = self._vector_offsets()
        self.constants = {o.name: o for o in layout.program.operations if o.op in CONSTANTS}
        self.thread, self.threads, self.alone, self.works = self._team()
        self.by_rows = code.compare("!=", self.integer("by_rows"), 0)
        self.outside_by_rows = code.compare("!=", self.integer("outside_by_rows"), 0)
        self.table = self.pointer("table")
        self.vectors = self.pointer("vectors")
        # Panels leave their sums here; a group is at most as many vectors as a panel has, or
        # one of each joined result.
        self._most = max([MOST_VECTORS, *(product.together for product in layout.all_products)])
        products = max((len(phase.products) for _, phase in layout.phases), default=0)
        if in_parts(layout):
            products = 0  # each has its own
        self.sums = [code.space(kind, size) for kind, size in self._space(max(products, 1))]

    def _space(self, products: int) -> list[tuple[ir.Type, int]]:
        """Return what the sums of so many products of a phase take."""
        return [(self.module.vector, self._most * MOST_ROWS)] * products

    def integer(self, argument: Argument) -> ir.Value:
        """Return an argument."""
        return self.code.read_integer(self.given, self.numbers[argument])

    def pointer(self, argument: Argument) -> ir.Value:
        """Return an argument that is an address."""
        return self.code.read_pointer(self.given, self.numbers[argument])

    def _row_stride(self, key: ArrayKey) -> ir.Value:
        """Return how many numbers lie between the rows of two examples of a step."""
        stride = self.integer(OfArray("stride", key))
        if self.layout.arrays[key].rows == "history":
            return self.code.mul(stride, self.integer("steps"))
        return stride

    def _vector_offsets(self) -> dict[str, ir.Value]:
        """Return where each bias and vector begins in the row that holds them all."""
        offsets, at = {}, self.code.add(0)
        for name in self.layout.vectors:
            offsets[name] = at
            at = self.code.add(at, self.padded[self.layout.program.axes[name][0]])
        return offsets

    def _team(self) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
        """This thread's number, how many threads there are, whether one does the work of all, and
        whether this one has anything to do.

        The runtime may lend fewer threads than it was asked for: inside another parallel region,
        or where the environment sets a limit. Then the first does everything.
        """
        code = self.code
        wanted = self.integer("threads")
        number = code.variable(code.add(0))
        size = code.variable(code.add(1))
        with code.when(code.compare(">", wanted, 1)):
            for variable, function in (
                (number, self.pointer("thread_number")),
                (size, self.pointer("team_size")),
            ):
                count = code.call_address(function, COUNT_TYPE, [])
                code.set(variable, code.build.zext(count, INT))
        alone = code.compare("!=", code.get(size), wanted)
        works = code.build.or_(code.build.not_(alone), code.compare("==", code.get(number), 0))
        return code.get(number), code.pick(alone, 1, wanted), alone, works

    def barrier(self) -> None:
        """All threads wait until all are here."""
        with self.code.when(self.code.compare(">", self.threads, 1)):
            given = [self.pointer("barrier"), self.threads, self.pointer("give_way")]
            self.code.build.call(self._wait, given)

    def part(self, code: Code, touched: Touched) -> "Frame":
        """Return a frame for a function of a part of the pass. Its first argument is the pass's
        own, and it reads anew what it needs of that: what a long pass reads once, at its head,
        would be carried along through all of it.

        Args:
            code: of the function.
            touched: the columns and vectors whose places it asks for.
        """
        part = copy(self)
        part.code, part.given = code, code.arguments["arguments"]
        layout, lanes = self.layout, self.lanes
        part.width = {axis: part.integer(OfAxis(axis)) for axis in layout.axes}
        part.tiles = {axis: code.up(width, lanes) for axis, width in part.width.items()}
        part.padded = {axis: code.mul(tiles, lanes) for axis, tiles in part.tiles.items()}
        keys = dict.fromkeys(key for key, _ in touched.columns)
        part.stride = {key: part._row_stride(key) for key in keys}
        part.start = {key: part.pointer(OfArray("address", key)) for key in keys}
        part.offset = {
            (key, number): part._behind(self._before_column[key][number])
            for key, number in touched.columns
        }
        part.vector_offset = {
            name: part._behind(self._before_vector[name]) for name in touched.vectors
        }
        part.table = part.pointer("table")
        part.vectors = part.pointer("vectors")
        part.sums = [code.space(kind, size) for kind, size in self._space(touched.products)]
        return part

    def _behind(self, counts: tuple[tuple[str | None, int], ...]) -> ir.Value:
        """Return how many numbers are in so many columns of each axis."""
        code = self.code
        sizes = [
            code.mul(count, self.padded[axis] if axis else self.lanes) for axis, count in counts
        ]
        return code.add(0, *sizes)

    @cached_property
    def _before_column(self) -> dict[ArrayKey, list[tuple[tuple[str | None, int], ...]]]:
        """How many columns of each axis stand before each column of an array."""
        before = {}
        for key, array in self.layout.arrays.items():
            before[key] = list(_counted([column.axis for column in array.columns]))
        return before

    @cached_property
    def _before_vector(self) -> dict[str, tuple[tuple[str | None, int], ...]]:
        """How many vectors of each axis stand before each."""
        names = self.layout.vectors
        axes = [self.layout.program.axes[name][0] for name in names]
        return dict(zip(names, _counted(axes), strict=True))

    def share(self, count: ir.Value) -> tuple[ir.Value, ir.Value]:
        """This thread's part of so many things: from and to."""
        code = self.code
        one = code.div(code.mul(count, self.thread), self.threads)
        return one, code.div(code.mul(count, code.add(self.thread, 1)), self.threads)
