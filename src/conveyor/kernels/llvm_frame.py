"""What every line of a pass stands on: its arguments, sizes, arrays, threads."""

from llvmlite import ir

from conveyor.compiler.phases import CONSTANTS
from conveyor.kernels.llvm_barrier import write_barrier
from conveyor.kernels.llvm_builder import INT, INT32, POINTER, Code, Module
from conveyor.kernels.llvm_layout import Layout
from conveyor.kernels.llvm_panel import MOST_ROWS, MOST_VECTORS

# libgomp: int omp_get_thread_num(void), omp_get_num_threads(void)
COUNT_TYPE = ir.FunctionType(INT32, [])


class Frame:
    """A pass that is being written. Sizes and addresses are read once, at its head."""

    def __init__(self, module: Module, layout: Layout) -> None:
        self.layout = layout
        self.lanes = module.lanes
        self._wait = write_barrier(module)
        self.code = code = Code(module, layout.name, [("arguments", POINTER)])
        self.numbers = layout.arguments()
        self.given = code.arguments["arguments"]
        self.width = {axis: self.integer(f"width:{axis}") for axis in layout.axes}
        self.tiles = {axis: code.up(width, self.lanes) for axis, width in self.width.items()}
        self.padded = {axis: code.mul(tiles, self.lanes) for axis, tiles in self.tiles.items()}
        self.offset: dict[tuple[str, int], ir.Value] = {}
        self.stride: dict[str, ir.Value] = {}
        self.start: dict[str, ir.Value] = {}
        for array in layout.arrays.values():
            at = code.add(0)
            for number, column in enumerate(array.columns):
                self.offset[array.name, number] = at
                size = self.padded[column.axis] if column.axis else self.lanes
                at = code.add(at, size)
            self.stride[array.name] = self.integer(f"stride:{array.name}")
            self.start[array.name] = self.pointer(f"array:{array.name}")
        self.vector_offset = self._vector_offsets()
        self.constants = {o.name: o for o in layout.program.operations if o.op in CONSTANTS}
        self.thread, self.threads, self.alone, self.works = self._team()
        self.by_rows = code.compare("!=", self.integer("by_rows"), 0)
        self.outside_by_rows = code.compare("!=", self.integer("outside_by_rows"), 0)
        self.table = self.pointer("table")
        self.vectors = self.pointer("vectors")
        # Panels leave their sums here; a group is at most as many vectors as a panel has, or
        # one of each joined result.
        most = max([MOST_VECTORS, *(run.together for run in layout.all_runs())])
        products = max(
            (len(p.products) for phases in layout.parts.values() for p in phases), default=0
        )
        self.sums = [code.space(module.vector, most * MOST_ROWS) for _ in range(max(products, 1))]

    def integer(self, name: str) -> ir.Value:
        """An argument."""
        return self.code.read_integer(self.given, self.numbers[name])

    def pointer(self, name: str) -> ir.Value:
        """An argument that is an address."""
        return self.code.read_pointer(self.given, self.numbers[name])

    def _vector_offsets(self) -> dict[str, ir.Value]:
        """Where each bias and vector begins in the row that holds them all."""
        found, at = {}, self.code.add(0)
        for name in self.layout.vectors:
            found[name] = at
            at = self.code.add(at, self.padded[self.layout.program.axes[name][0]])
        return found

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
            for variable, name in ((number, "thread_number"), (size, "team_size")):
                found = code.call_address(self.pointer(name), COUNT_TYPE, [])
                code.set(variable, code.build.zext(found, INT))
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
