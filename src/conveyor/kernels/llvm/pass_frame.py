"""What every line of a pass stands on: its arguments, sizes, arrays, threads."""

from llvmlite import ir

from conveyor.compiler.phases import CONSTANTS
from conveyor.kernels.layout.values import ArrayKey, MemoryLayout
from conveyor.kernels.llvm.abi import Abi, Argument, OfArray, OfAxis
from conveyor.kernels.llvm.barrier import write_barrier
from conveyor.kernels.llvm.builder import INT, INT32, POINTER, Code, Module
from conveyor.kernels.llvm.panel import MOST_ROWS, MOST_VECTORS

# libgomp: int omp_get_thread_num(void), omp_get_num_threads(void)
COUNT_TYPE = ir.FunctionType(INT32, [])


class Frame:
    """A pass that is being written. Sizes and addresses are read once, at its head."""

    def __init__(self, module: Module, layout: MemoryLayout) -> None:
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
            self.stride[key] = self.integer(OfArray("stride", key))
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
        most = max([MOST_VECTORS, *(product.together for product in layout.all_products)])
        products = max((len(phase.products) for _, phase in layout.phases), default=0)
        self.sums = [code.space(module.vector, most * MOST_ROWS) for _ in range(max(products, 1))]

    def integer(self, argument: Argument) -> ir.Value:
        """Return an argument."""
        return self.code.read_integer(self.given, self.numbers[argument])

    def pointer(self, argument: Argument) -> ir.Value:
        """Return an argument that is an address."""
        return self.code.read_pointer(self.given, self.numbers[argument])

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

    def share(self, count: ir.Value) -> tuple[ir.Value, ir.Value]:
        """This thread's part of so many things: from and to."""
        code = self.code
        one = code.div(code.mul(count, self.thread), self.threads)
        return one, code.div(code.mul(count, code.add(self.thread, 1)), self.threads)
