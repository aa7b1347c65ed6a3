"""A pass as code: one function that walks a sequence, written from a layout.

For each chunk of steps: what can be done for all its rows at once, then the loop over its steps,
then what is left, gradients of weights among it. Several threads run the function at once and
share the work out by number; where one reads what another made, all wait for each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from conveyor.compiler.phases import CONSTANTS, Phase
from conveyor.compiler.program import Operation
from conveyor.kernels import llvm_math
from conveyor.kernels.llvm_builder import INT, INT32, POINTER, VOID, Code, Module
from conveyor.kernels.llvm_layout import PARTS, Layout, Part, Run
from conveyor.kernels.llvm_panel import (
    MOST_ROWS,
    MOST_VECTORS,
    OUTER_ARGUMENTS,
    PACK_ARGUMENTS,
    call_panel,
)

OUTER_TYPE = ir.FunctionType(VOID, [kind for _, kind in OUTER_ARGUMENTS])
PACK_TYPE = ir.FunctionType(VOID, [kind for _, kind in PACK_ARGUMENTS])
# libgomp: int omp_get_thread_num(void); void GOMP_barrier(void)
THREAD_NUMBER_TYPE = ir.FunctionType(INT32, [])
BARRIER_TYPE = ir.FunctionType(VOID, [])

# A row of the table of chunks: first step, last step + 1, first row, rows.
CHUNK_COLUMNS = 4

Vector = ir.Value


def _greater(code: Code, left: Vector, right: Vector) -> Vector:
    more = code.build.fcmp_ordered(">", left, right)
    return code.build.select(more, code.number(1.0), code.number(0.0))


def _relu(code: Code, value: Vector) -> Vector:
    # Asked this way round, NaN stays NaN.
    return code.build.select(
        code.build.fcmp_ordered("<", value, code.number(0.0)), code.number(0.0), value
    )


def _extreme(sign: str) -> Callable[[Code, Vector, Vector], Vector]:
    def choose(code: Code, left: Vector, right: Vector) -> Vector:
        chosen = code.build.select(code.build.fcmp_ordered(sign, left, right), left, right)
        nan = code.build.fcmp_unordered("uno", left, left)
        return code.build.select(nan, left, chosen)

    return choose


# How each operation that works unit by unit is done on vectors.
FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "add": lambda code, a, b: code.build.fadd(a, b),
    "sub": lambda code, a, b: code.build.fsub(a, b),
    "mul": lambda code, a, b: code.build.fmul(a, b),
    "div": lambda code, a, b: code.build.fdiv(a, b),
    "neg": lambda code, a: code.build.fneg(a),
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "greater": _greater,
    "relu": _relu,
    "sigmoid": llvm_math.sigmoid,
    "tanh": llvm_math.tanh,
    "exp": llvm_math.exp,
    "log": llvm_math.log,
    "sqrt": lambda code, a: code.call("sqrt", a),
    "spread": lambda code, a: a,  # a number is in every lane already
}


@dataclass(frozen=True)
class _Span:
    """What part of a phase a thread does: rows from and to, units from and to (in groups of
    vectors), and where row 0 of each array is."""

    part: Part
    row_from: ir.Value
    row_to: ir.Value
    group_from: ir.Value
    group_to: ir.Value
    base: dict[str, ir.Value]
    # Where the new row of a ring is; ``base`` has the old.
    new: dict[str, ir.Value]


class _Writer:
    """Writes one pass."""

    def __init__(self, module: Module, layout: Layout) -> None:
        self.layout = layout
        self.lanes = module.lanes
        self.code = code = Code(module, layout.name, [("arguments", POINTER)])
        self.numbers = layout.arguments()
        self._given = code.arguments["arguments"]
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
        self.threads = self.integer("threads")
        self.thread = self._thread_number()
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

    # What was given --------------------------------------------------------------------------

    def integer(self, name: str) -> ir.Value:
        return self.code.read_integer(self._given, self.numbers[name])

    def pointer(self, name: str) -> ir.Value:
        return self.code.read_pointer(self._given, self.numbers[name])

    def _vector_offsets(self) -> dict[str, ir.Value]:
        """Where each bias and vector begins in the row that holds them all."""
        found, at = {}, self.code.add(0)
        for name in self.layout.vectors:
            found[name] = at
            at = self.code.add(at, self.padded[self.layout.program.axes[name][0]])
        return found

    def _thread_number(self) -> ir.Value:
        code = self.code
        found = code.variable(code.add(0))
        with code.when(code.compare(">", self.threads, 1)):
            number = code.call_address(self.pointer("thread_number"), THREAD_NUMBER_TYPE, [])
            code.set(found, code.build.zext(number, INT))
        return code.get(found)

    def barrier(self) -> None:
        """All threads wait until all are here."""
        with self.code.when(self.code.compare(">", self.threads, 1)):
            self.code.call_address(self.pointer("barrier"), BARRIER_TYPE, [])

    def share(self, count: ir.Value) -> tuple[ir.Value, ir.Value]:
        """This thread's part of so many things: from and to."""
        code = self.code
        one = code.div(code.mul(count, self.thread), self.threads)
        return one, code.div(code.mul(count, code.add(self.thread, 1)), self.threads)

    # Packing ----------------------------------------------------------------------------------

    def pack(self) -> None:
        """Lay out the weights as panels read them, and the vectors with padding."""
        code = self.code
        with code.when(code.compare("!=", self.integer("pack"), 0)):
            for part in PARTS:
                for number, phase in enumerate(self.layout.parts[part]):
                    for product in phase.products:
                        for run in self.layout.runs[product.results]:
                            self._pack_run(run, f"{part}{number}")
            for name in self.layout.vectors:
                self._pack_vector(name, code.at(self.vectors, self.vector_offset[name]))

    # States -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Put the first state where either step, the one before or this one, is read: rows
        that join later find it in the half that is then the old one."""
        self._each_state("begin", self._begin_row)
        self.barrier()

    def _begin_row(self, name: str, row: ir.Value, unit: ir.Value, mask: ir.Value) -> None:
        code, stride = self.code, self.stride[name]
        given = self.pointer(f"begin:{name}")
        value = code.variable(code.number(0.0))
        with code.when(code.compare("!=", code.build.ptrtoint(given, INT), 0)):
            width = self.width_of_ring(name)
            place = code.at(given, code.add(code.mul(row, width), unit))
            code.set(value, code.load_masked(place, mask))
        for half in range(2):
            rows = code.add(code.mul(self.integer("batch"), half), row)
            place = code.at(self.start[name], code.add(code.mul(rows, stride), unit))
            code.store(code.get(value), place)

    def end(self) -> None:
        """Hand out the last state of every row."""
        self._each_state("end", self._end_row)

    def _end_row(self, name: str, row: ir.Value, unit: ir.Value, mask: ir.Value) -> None:
        code = self.code
        target = self.pointer(f"end:{name}")
        visits = code.read_integer(self.pointer("visits"), row)
        half = code.build.and_(code.add(visits, self.integer("parity")), code.add(1))
        rows = code.add(code.mul(self.integer("batch"), half), row)
        value = code.load(
            code.at(self.start[name], code.add(code.mul(rows, self.stride[name]), unit))
        )
        place = code.at(target, code.add(code.mul(row, self.width_of_ring(name)), unit))
        code.store_masked(value, place, mask)

    def width_of_ring(self, name: str) -> ir.Value:
        """Units of a state; one if it is a number."""
        axis = self.layout.arrays[name].columns[0].axis
        return self.width[axis] if axis else self.code.add(1)

    def _each_state(
        self, what: str, write: Callable[[str, ir.Value, ir.Value, ir.Value], None]
    ) -> None:
        """Write this thread's rows of each state, unless the caller keeps them himself: then
        what he gave is -1."""
        code = self.code
        for array in self.layout.arrays.values():
            if array.rows != "ring":
                continue
            given = self.integer(f"{what}:{array.name}")
            with code.when(code.compare("!=", given, -1)):
                begin, end = self.share(self.integer("batch"))
                width = self.width_of_ring(array.name)
                with code.loop(begin, end, "row") as row:
                    with code.loop(0, code.up(width, self.lanes), "tile") as tile:
                        unit = code.mul(tile, self.lanes)
                        mask = code.mask(code.sub(width, unit))
                        write(array.name, row, unit, mask)

    def _pack_vector(self, name: str, target: ir.Value) -> None:
        code, axis = self.code, self.layout.program.axes[name][0]
        first, second = self.pointer(f"vector:{name}"), self.pointer(f"second:{name}")
        two = code.compare("!=", code.build.ptrtoint(second, INT), 0)
        begin, end = self.share(self.tiles[axis])
        with code.loop(begin, end, "tile") as tile:
            unit = code.mul(tile, self.lanes)
            mask = code.mask(code.sub(self.width[axis], unit))
            value = code.variable(code.load_masked(code.at(first, unit), mask))
            with code.when(two):
                other = code.load_masked(code.at(second, unit), mask)
                code.set(value, code.build.fadd(code.get(value), other))
            code.store(code.get(value), code.at(target, unit))

    def _pack_run(self, run: Run, phase: str) -> None:
        code, lanes = self.code, self.lanes
        group, most = self.integer(f"group:{phase}"), self.integer(f"panel:{phase}")
        packed = self.pointer(f"packed:{run.name}")
        k = self.width[run.operand_axis]
        units = self.width[run.result_axis]
        tiles = self.tiles[run.result_axis]
        begin, end = self.share(tiles)
        rows = self.pointer("pack_rows" if run.kind == "matmul" else "pack_columns")
        with code.loop(begin, end, "tile") as tile:
            first = code.mul(code.div(tile, group), group)
            in_group = code.mul(code.least(group, code.sub(tiles, first)), run.together)
            unit = code.mul(tile, lanes)
            for number, matrix in enumerate(run.matrices):
                vector = code.sub(tile, first)
                if run.kind == "matmul":
                    vector = code.add(code.mul(vector, run.together), number)
                panel = code.mul(code.div(vector, most), most)
                width = code.least(most, code.sub(in_group, panel))
                place = code.mul(
                    code.add(code.mul(first, run.together), panel), run.segments, k, lanes
                )
                place = code.add(place, code.mul(code.sub(vector, panel), lanes))
                step = code.mul(width, lanes)
                source = self.pointer(f"matrix:{matrix}")
                if run.kind == "matmul":
                    source = code.at(source, code.mul(unit, k))
                    row = k
                else:
                    source = code.at(source, unit)
                    row = units
                    place = code.add(place, code.mul(number, k, step))
                left = code.sub(units, unit)
                given = [source, row, left, k, code.at(packed, place), step]
                code.call_address(rows, PACK_TYPE, given)

    # Phases -----------------------------------------------------------------------------------

    def phase(self, part: Part, number: int, span: _Span) -> None:
        phase = self.layout.parts[part][number]
        if phase.axis is None:
            with self.code.loop(span.row_from, span.row_to, "row") as row:
                self._numbers(phase, span, row)
        elif phase.products:
            self._with_products(phase, f"{part}{number}", span)
        else:
            with self.code.loop(span.row_from, span.row_to, "row") as row:
                with self.code.loop(span.group_from, span.group_to, "tile") as tile:
                    self._unit(phase, span, row, tile, {})

    def _with_products(self, phase: Phase, name: str, span: _Span) -> None:
        code, lanes = self.code, self.lanes
        assert phase.axis is not None
        group, most = self.integer(f"group:{name}"), self.integer(f"panel:{name}")
        most_rows = self.integer(f"rows:{name}")
        tiles = self.tiles[phase.axis]
        count = code.sub(span.row_to, span.row_from)
        blocks = code.up(count, most_rows)
        with code.loop(span.group_from, span.group_to, "group") as number:
            first = code.mul(number, group)
            here = code.least(group, code.sub(tiles, first))
            with code.loop(0, blocks, "block") as block:
                # As equal as can be: a block of one row would waste what a panel can do.
                begin = code.add(span.row_from, code.div(code.mul(block, count), blocks))
                end = code.add(span.row_from, code.div(code.mul(code.add(block, 1), count), blocks))
                rows = code.sub(end, begin)
                for place, product in enumerate(phase.products):
                    for later, run in enumerate(self.layout.runs[product.results]):
                        self._panels(
                            run, span, self.sums[place], first, here, most, begin, rows, later > 0
                        )
                with code.loop(0, rows, "row") as row, code.loop(0, here, "tile") as tile:
                    values: dict[str, Vector] = {}
                    for place, product in enumerate(phase.products):
                        together = len(product.results) if product.kind == "matmul" else 1
                        width = code.mul(here, together)
                        at = code.add(code.mul(row, width), code.mul(tile, together))
                        for v, result in enumerate(product.results):
                            address = code.at(self.sums[place], code.mul(code.add(at, v), lanes))
                            values[result] = code.load(address)
                    self._unit(phase, span, code.add(begin, row), code.add(first, tile), values)

    def _panels(
        self,
        run: Run,
        span: _Span,
        sums: ir.Value,
        first: ir.Value,
        here: ir.Value,
        most: ir.Value,
        begin: ir.Value,
        rows: ir.Value,
        more: bool,
    ) -> None:
        code, lanes = self.code, self.lanes
        array, column = self.layout.place(run.operands[0], span.part)
        stride = self.stride[array.name]
        a = code.at(
            span.base[array.name],
            code.add(code.mul(begin, stride), self.offset[array.name, column]),
        )
        k = self.width[run.operand_axis]
        width = code.mul(here, run.together)
        packed = self.pointer(f"packed:{run.name}")
        start = code.mul(first, run.together)
        with code.loop(0, code.up(width, most), "panel") as panel:
            vector = code.mul(panel, most)
            vectors = code.least(most, code.sub(width, vector))
            call_panel(
                code,
                self.table,
                vectors,
                rows,
                a=a,
                a_row=stride,
                a_k=code.add(1),
                segments=code.add(run.segments),
                a_segment=self.padded[run.operand_axis],
                count=k,
                b=code.at(packed, code.mul(code.add(start, vector), run.segments, k, lanes)),
                b_k=code.mul(vectors, lanes),
                c=code.at(sums, code.mul(vector, lanes)),
                c_row=code.mul(width, lanes),
                more=code.add(int(more)),
            )

    def _address(
        self, base: dict[str, ir.Value], array: str, column: int, row: ir.Value, tile: ir.Value
    ) -> ir.Value:
        code = self.code
        number_each = self.layout.arrays[array].columns[column].axis is None
        unit = 0 if number_each else code.mul(tile, self.lanes)
        return code.at(
            base[array],
            code.add(code.mul(row, self.stride[array]), self.offset[array, column], unit),
        )

    def _value(
        self, name: str, span: _Span, row: ir.Value, tile: ir.Value, values: dict[str, Vector]
    ) -> Vector:
        """A value at a row, for the units of one vector; a number is in every lane."""
        if name in values:
            return values[name]
        code = self.code
        if name in self.constants:
            operation = self.constants[name]
            if operation.op == "constant":
                assert isinstance(operation.attribute, int | float)
                values[name] = code.number(float(operation.attribute))
            else:
                width = self.width[str(operation.attribute)]
                number = code.build.sitofp(width, code.module.number)
                values[name] = code.splat(number)
            return values[name]
        if name in self.vector_offset:
            at = code.add(self.vector_offset[name], code.mul(tile, self.lanes))
            values[name] = code.load(code.at(self.vectors, at))
            return values[name]
        array, column = self.layout.place(name, span.part)
        address = self._address(span.base, array.name, column, row, tile)
        if array.columns[column].axis is None:
            values[name] = code.splat(code.load_number(address))
        else:
            values[name] = code.load(address)
        return values[name]

    def _keep(self, name: str, span: _Span, row: ir.Value, tile: ir.Value, value: Vector) -> None:
        for array, column in self.layout.stores(name):
            if array.name in span.new:
                base = span.new
            elif array.name in span.base and array.rows != "ring":
                base = span.base
            else:
                continue  # a ring outside of the loop: the loop's own copy writes it
            self.code.store(value, self._address(base, array.name, column, row, tile))

    def _unit(
        self,
        phase: Phase,
        span: _Span,
        row: ir.Value,
        tile: ir.Value,
        values: dict[str, Vector],
    ) -> None:
        """The pointwise work of a phase for the units of one vector."""
        for name in [name for product in phase.products for name in product.results]:
            self._keep(name, span, row, tile, values[name])
        for operation in phase.operations:
            if operation.op in CONSTANTS:
                continue
            arguments = [self._value(a, span, row, tile, values) for a in operation.arguments]
            values[operation.name] = FUNCTIONS[operation.op](self.code, *arguments)
            self._keep(operation.name, span, row, tile, values[operation.name])
        for name in phase.copies:
            self._keep(name, span, row, tile, self._value(name, span, row, tile, values))

    def _numbers(self, phase: Phase, span: _Span, row: ir.Value) -> None:
        """The operations on numbers per example; sums over units are made here."""
        values: dict[str, Vector] = {}
        nowhere = self.code.add(0)
        for operation in phase.operations:
            if operation.op in CONSTANTS:
                continue
            if operation.op == "total":
                values[operation.name] = self._total(operation, span, row)
            else:
                arguments = [
                    self._value(a, span, row, nowhere, values) for a in operation.arguments
                ]
                values[operation.name] = FUNCTIONS[operation.op](self.code, *arguments)
            self._keep(operation.name, span, row, nowhere, values[operation.name])
        for name in phase.copies:
            self._keep(name, span, row, nowhere, self._value(name, span, row, nowhere, values))

    def _total(self, operation: Operation, span: _Span, row: ir.Value) -> Vector:
        code = self.code
        (argument,) = operation.arguments
        axis = self.layout.program.axes[argument][0]
        total = code.variable(code.number(0.0))
        with code.loop(0, self.tiles[axis], "tile") as tile:
            value = self._value(argument, span, row, tile, {})
            mask = code.mask(code.sub(self.width[axis], code.mul(tile, self.lanes)))
            value = code.build.select(mask, value, code.number(0.0))
            code.set(total, code.build.fadd(code.get(total), value))
        return code.sum_of_lanes(code.get(total))

    # The walk ---------------------------------------------------------------------------------

    def _groups(self, part: Part, number: int) -> ir.Value:
        """How many groups of units a phase has; a phase without products takes them singly."""
        phase = self.layout.parts[part][number]
        if phase.axis is None:
            return self.code.add(1)
        if not phase.products:
            return self.tiles[phase.axis]
        return self.code.up(self.tiles[phase.axis], self.integer(f"group:{part}{number}"))

    def _parted(
        self, by_rows: ir.Value, own: tuple[ir.Value, ir.Value], rows: ir.Value, groups: ir.Value
    ) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
        """Rows from and to, groups from and to: own rows of all groups, or all rows of own."""
        code = self.code
        begin, end = self.share(groups)
        return (
            code.pick(by_rows, own[0], 0),
            code.pick(by_rows, own[1], rows),
            code.pick(by_rows, 0, begin),
            code.pick(by_rows, groups, end),
        )

    def outside(self, part: Part, low: ir.Value, rows: ir.Value) -> None:
        """The phases of a chunk before or after its loop."""
        base = {}
        for array in self.layout.arrays.values():
            name = array.name
            if array.rows == "all":
                at = self.code.mul(low, self.stride[name])
                base[name] = self.code.at(self.start[name], at)
            elif array.rows == "chunk":
                base[name] = self.start[name]
        own = self.share(rows)
        for number in range(len(self.layout.parts[part])):
            parted = self._parted(self.outside_by_rows, own, rows, self._groups(part, number))
            span = _Span(part, *parted, base, {})
            if part == "after" and number in self.layout.for_inputs:
                with self.code.when(self.code.compare("!=", self.integer("inputs_wanted"), 0)):
                    self.phase(part, number, span)
            else:
                self.phase(part, number, span)
            self.barrier()

    def step(self, step: ir.Value, low: ir.Value) -> None:
        """One step of the loop."""
        code = self.code
        first = code.read_integer(self.pointer("first"), step)
        count = code.read_integer(self.pointer("count"), step)
        batch = self.integer("batch")
        parity = code.build.and_(code.add(step, self.integer("parity")), code.add(1))
        base, new = {}, {}
        for array in self.layout.arrays.values():
            name, start, stride = array.name, self.start[array.name], self.stride[array.name]
            if array.rows == "all":
                base[name] = code.at(start, code.mul(first, stride))
            elif array.rows == "chunk":
                base[name] = code.at(start, code.mul(code.sub(first, low), stride))
            elif array.rows == "step":
                base[name] = start
            else:
                half = code.mul(batch, stride)
                base[name] = code.at(start, code.mul(parity, half))
                new[name] = code.at(start, code.mul(code.sub(1, parity), half))
        bounds = self.pointer("bounds")
        own = (
            code.least(code.read_integer(bounds, self.thread), count),
            code.least(code.read_integer(bounds, code.add(self.thread, 1)), count),
        )
        for number in range(len(self.layout.parts["loop"])):
            parted = self._parted(self.by_rows, own, count, self._groups("loop", number))
            self.phase("loop", number, _Span("loop", *parted, base, new))
            with code.when(code.build.not_(self.by_rows)):
                self.barrier()

    def gradients(self, chunk: ir.Value, low: ir.Value, rows: ir.Value) -> None:
        """Add a chunk's share to the gradients of parameters."""
        code = self.code
        later = code.compare(">", chunk, 0)
        for name, value in self.layout.sums:
            axis = self.layout.program.axes[value][0]
            begin, end = self.share(self.tiles[axis])
            targets = [self.pointer(f"sum:{name}"), self.pointer(f"second_sum:{name}")]
            wanted = [code.compare("!=", code.build.ptrtoint(target, INT), 0) for target in targets]
            end = code.pick(wanted[0], end, begin)
            with code.loop(begin, end, "tile") as tile:
                unit = code.mul(tile, self.lanes)
                mask = code.mask(code.sub(self.width[axis], unit))
                before = code.variable(code.number(0.0))
                with code.when(later):
                    code.set(before, code.load_masked(code.at(targets[0], unit), mask))
                total = code.variable(code.number(0.0))
                with code.loop(0, rows, "row") as row:
                    span = _Span("after", row, row, tile, tile, self._bases(low), {})
                    each = self._value(value, span, row, tile, {})
                    code.set(total, code.build.fadd(code.get(total), each))
                new = code.build.fadd(code.get(before), code.get(total))
                code.store_masked(new, code.at(targets[0], unit), mask)
                with code.when(wanted[1]):
                    code.store_masked(new, code.at(targets[1], unit), mask)
        seen: set[str] = set()
        for number, outer in enumerate(self.layout.outers):
            left = self.layout.place(outer.lefts[0], "after")
            right = self.layout.place(outer.right, "after")
            bases = self._bases(low)
            begin, end = self.share(self.width[outer.left_axis])
            # A matrix that is used twice has two sums; the second is added to the first.
            again = (
                code.add(1) if seen.intersection(outer.matrices) else code.build.zext(later, INT)
            )
            seen.update(outer.matrices)
            given = {
                "left": code.at(bases[left[0].name], self.offset[left[0].name, left[1]]),
                "left_row": self.stride[left[0].name],
                "left_step": self.padded[outer.left_axis],
                "left_from": begin,
                "left_to": end,
                "right": code.at(bases[right[0].name], self.offset[right[0].name, right[1]]),
                "right_row": self.stride[right[0].name],
                "right_units": self.width[outer.right_axis],
                "rows": rows,
                "targets": code.at(self._given, self.numbers[f"target:{number}:0"], INT),
                "count": code.add(len(outer.matrices)),
                "add": again,
                "table": self.table,
            }
            code.call_address(
                self.pointer("outer"), OUTER_TYPE, [given[name] for name, _ in OUTER_ARGUMENTS]
            )

    def _bases(self, low: ir.Value) -> dict[str, ir.Value]:
        """Where the first row of a chunk is."""
        return {
            name: self.start[name]
            if array.rows == "chunk"
            else self.code.at(self.start[name], self.code.mul(low, self.stride[name]))
            for name, array in self.layout.arrays.items()
            if array.rows in ("all", "chunk")
        }

    def walk(self) -> None:
        """The whole function."""
        code = self.code
        before = _flush_denormals(code)
        self.pack()
        self.begin()
        table = self.pointer("chunk_table")
        with code.loop(0, self.integer("chunks"), "chunk") as chunk:
            own = code.at(table, code.mul(chunk, CHUNK_COLUMNS), INT)
            begin, end, low, rows = (code.read_integer(own, n) for n in range(CHUNK_COLUMNS))
            self.outside("before", low, rows)
            with code.loop(begin, end, "step") as step:
                self.step(step, low)
            if self.layout.parts["after"] or self.layout.reverse:
                self.barrier()
                self.outside("after", low, rows)
                self.gradients(chunk, low, rows)
            self.barrier()
        self.end()
        _restore(code, before)
        code.finish()


# Bits of x86's control register: results that are denormal become zero, operands too.
X86_FLUSH = 0x8040
# The bit of AArch64's.
ARM_FLUSH = 1 << 24


def _flush_denormals(code: Code) -> ir.Value:
    """Denormal numbers are slow and mean nothing here: from now on they are zero. Returns what
    ``_restore`` needs to give the caller his own mode back."""
    module = code.module
    match module.machine.flushes:
        case "x86":
            place = code.space(INT32)
            get = module.intrinsic("llvm.x86.sse.stmxcsr", VOID, [POINTER])
            code.build.call(get, [place])
            mode = code.build.load(place, typ=INT32)
            other = code.space(INT32)
            flushed = code.build.or_(mode, ir.Constant(INT32, X86_FLUSH))
            code.build.store(flushed, other)
            code.build.call(module.intrinsic("llvm.x86.sse.ldmxcsr", VOID, [POINTER]), [other])
            return place
        case "arm":
            mode = code.build.call(module.intrinsic("llvm.aarch64.get.fpcr", INT, []), [])
            flushed = code.build.or_(mode, ir.Constant(INT, ARM_FLUSH))
            code.build.call(module.intrinsic("llvm.aarch64.set.fpcr", VOID, [INT]), [flushed])
            return mode
        case _:
            return code.add(0)


def _restore(code: Code, before: ir.Value) -> None:
    module = code.module
    match module.machine.flushes:
        case "x86":
            code.build.call(module.intrinsic("llvm.x86.sse.ldmxcsr", VOID, [POINTER]), [before])
        case "arm":
            code.build.call(module.intrinsic("llvm.aarch64.set.fpcr", VOID, [INT]), [before])


def write_pass(module: Module, layout: Layout) -> None:
    """Write the function of a pass into a module; it is called by the layout's name."""
    _Writer(module, layout).walk()
