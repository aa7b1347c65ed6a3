"""A phase as code: panels of products, then the pointwise work on what they left in the cache."""

from dataclasses import dataclass, replace

from llvmlite import ir

from conveyor.cells.operations import REDUCTIONS
from conveyor.compiler.delays import DELAY
from conveyor.compiler.phases import CONSTANTS, Phase
from conveyor.compiler.program import Operation
from conveyor.kernels.layout.values import Array, ArrayKey, JoinedProduct, Part, PhaseKey
from conveyor.kernels.llvm.abi import OfPhase, OfPlaces, OfProduct
from conveyor.kernels.llvm.builder import Vector
from conveyor.kernels.llvm.functions import FUNCTIONS, REDUCED
from conveyor.kernels.llvm.panel import call_panel
from conveyor.kernels.llvm.pass_frame import Frame


@dataclass(frozen=True)
class Stretch:
    """Steps from and to, in the order in which they are done, the first of their rows in the whole
    sequence, and how many rows they have."""

    begin: ir.Value
    end: ir.Value
    low: ir.Value
    rows: ir.Value


@dataclass(frozen=True)
class Span:
    """What part of a phase a thread does: rows from and to, units from and to (in groups of
    vectors), and where row 0 of each array is."""

    part: Part
    row_from: ir.Value
    row_to: ir.Value
    group_from: ir.Value
    group_to: ir.Value
    base: dict[ArrayKey, ir.Value]
    # Where the new row of a ring is; ``base`` has the old.
    new: dict[ArrayKey, ir.Value]
    # Outside of the loop.
    stretch: Stretch | None = None


@dataclass(frozen=True)
class _Block:
    """Rows and vectors of units that are done at once: the first row and how many, the first
    vector and how many, and how many vectors a panel has at most."""

    row: ir.Value
    rows: ir.Value
    tile: ir.Value
    tiles: ir.Value
    panel: ir.Value


@dataclass(frozen=True)
class Spot:
    """One row and one vector of units; and the row of the step before, in arrays that are read
    late."""

    span: Span
    row: ir.Value
    tile: ir.Value
    late: ir.Value | None = None


def write_phase(frame: Frame, key: PhaseKey, span: Span) -> None:
    """Write a thread's part of a phase."""
    code, phase = frame.code, frame.layout.phase(key)
    if phase.products:
        _with_products(frame, phase, key, span)
        return
    if phase.delays:
        _by_steps(frame, phase, span)
        return
    with code.loop(span.row_from, span.row_to, "row") as row:
        if phase.axis is None:
            _unit(frame, phase, Spot(span, row, code.add(0)), {})
        else:
            with code.loop(span.group_from, span.group_to, "tile") as tile:
                _unit(frame, phase, Spot(span, row, tile), {})


def _by_steps(frame: Frame, phase: Phase, span: Span) -> None:
    """Write a phase that reads values of the step before. Sequences that begin, here or in the
    stretch, read the row that stands in front for them."""
    code, stretch = frame.code, span.stretch
    assert stretch is not None
    first, count = frame.pointer("first"), frame.pointer("count")
    with code.loop(stretch.begin, stretch.end, "step") as step:
        at = code.sub(code.read_integer(first, step), stretch.low)
        rows = code.read_integer(count, step)
        begins = code.compare("==", step, stretch.begin)
        before = code.pick(begins, step, code.sub(step, 1))
        at_before = code.sub(code.read_integer(first, before), stretch.low)
        go_on = code.pick(begins, 0, code.least(code.read_integer(count, before), rows))
        begin, end = code.most(at, span.row_from), code.least(code.add(at, rows), span.row_to)
        with code.loop(begin, end, "row") as row:
            sequence = code.sub(row, at)
            inside = code.add(at_before, sequence)
            in_front = code.sub(sequence, frame.integer("batch"))
            late = code.pick(code.compare("<", sequence, go_on), inside, in_front)
            with code.loop(span.group_from, span.group_to, "tile") as tile:
                _unit(frame, phase, Spot(span, row, tile, late), {})


def _late(frame: Frame, operation: Operation, spot: Spot) -> Vector:
    """What a value was in the step before."""
    assert spot.late is not None
    array = frame.layout.late(operation.name)
    place = replace(spot, row=spot.late)
    return frame.code.load(_address(frame, spot.span.base, array, 0, place))


def _with_products(frame: Frame, phase: Phase, key: PhaseKey, span: Span) -> None:
    code, lanes = frame.code, frame.lanes
    assert phase.axis is not None
    group, panel = (frame.integer(OfPhase(what, key)) for what in ("group", "panel"))
    count = code.sub(span.row_to, span.row_from)
    blocks = code.up(count, frame.integer(OfPhase("rows", key)))
    with code.loop(span.group_from, span.group_to, "group") as number:
        first = code.mul(number, group)
        here = code.least(group, code.sub(frame.tiles[phase.axis], first))
        with code.loop(0, blocks, "block") as which:
            # As equal as can be: a block of one row would waste what a panel can do.
            begin = code.add(span.row_from, code.div(code.mul(which, count), blocks))
            end = code.add(span.row_from, code.div(code.mul(code.add(which, 1), count), blocks))
            block = _Block(begin, code.sub(end, begin), first, here, panel)
            for sums, product in zip(frame.sums, phase.products, strict=False):
                for later, joined in enumerate(frame.layout.joined[product.results]):
                    _panels(frame, joined, span, sums, block, more=later > 0)
            with code.loop(0, block.rows, "row") as row, code.loop(0, here, "tile") as tile:
                values: dict[str, Vector] = {}
                for sums, product in zip(frame.sums, phase.products, strict=False):
                    together = len(product.results) if product.kind == "matmul" else 1
                    width = code.mul(here, together)
                    at = code.add(code.mul(row, width), code.mul(tile, together))
                    for v, result in enumerate(product.results):
                        place = code.at(sums, code.mul(code.add(at, v), lanes))
                        values[result] = code.load(place)
                spot = Spot(span, code.add(begin, row), code.add(first, tile))
                _unit(frame, phase, spot, values)


def _panels(
    frame: Frame,
    product: JoinedProduct,
    span: Span,
    sums: ir.Value,
    block: _Block,
    *,
    more: bool,
) -> None:
    """Write the sums of joined products; with ``more`` they are added to what is there."""
    code, lanes = frame.code, frame.lanes
    array, column = frame.layout.place(product.operands[0], span.part)
    stride = frame.stride[array.key]
    corner = code.add(code.mul(block.row, stride), frame.offset[array.key, column])
    k = frame.width[product.operand_axis]
    width = code.mul(block.tiles, product.together)
    packed = frame.pointer(OfProduct(product.number))
    start = code.mul(block.tile, product.together)
    with code.loop(0, code.up(width, block.panel), "panel") as panel:
        vector = code.mul(panel, block.panel)
        vectors = code.least(block.panel, code.sub(width, vector))
        call_panel(
            code,
            frame.table,
            vectors,
            block.rows,
            a=code.at(span.base[array.key], corner),
            a_row=stride,
            a_k=code.add(1),
            segments=code.add(product.segments),
            a_segment=frame.padded[product.operand_axis],
            count=k,
            b=code.at(packed, code.mul(code.add(start, vector), product.segments, k, lanes)),
            b_k=code.mul(vectors, lanes),
            c=code.at(sums, code.mul(vector, lanes)),
            c_row=code.mul(width, lanes),
            more=code.add(int(more)),
        )


def _address(
    frame: Frame, base: dict[ArrayKey, ir.Value], array: Array, column: int, spot: Spot
) -> ir.Value:
    code = frame.code
    number_each = array.columns[column].axis is None
    unit = 0 if number_each else code.mul(spot.tile, frame.lanes)
    row = code.mul(spot.row, frame.stride[array.key])
    return code.at(base[array.key], code.add(row, frame.offset[array.key, column], unit))


def read(frame: Frame, name: str, spot: Spot, values: dict[str, Vector]) -> Vector:
    """A value at a row, for the units of one vector; a number is in every lane. What was read
    or made here before is in ``values``."""
    if name in values:
        return values[name]
    code = frame.code
    if name in frame.constants:
        operation = frame.constants[name]
        if operation.op == "constant":
            assert isinstance(operation.attribute, int | float)
            values[name] = code.number(float(operation.attribute))
        else:
            axis = str(operation.attribute)
            width = _places(frame, axis, spot) if axis in frame.layout.places else frame.width[axis]
            values[name] = code.splat(code.build.sitofp(width, code.module.number))
    elif name in frame.vector_offset:
        at = code.add(frame.vector_offset[name], code.mul(spot.tile, frame.lanes))
        values[name] = code.load(code.at(frame.vectors, at))
    else:
        array, column = frame.layout.place(name, spot.span.part)
        address = _address(frame, spot.span.base, array, column, spot)
        if array.columns[column].axis is None:
            values[name] = code.splat(code.load_number(address))
        else:
            values[name] = code.load(address)
    return values[name]


def stored_at(frame: Frame, name: str, spot: Spot) -> list[ir.Value]:
    """Return all addresses at which a value is stored; outside of the loop a state has none."""
    addresses = []
    for array, column in frame.layout.stores(name):
        places = spot.span.new if array.rows == "ring" else spot.span.base
        if array.key in places:
            addresses.append(_address(frame, places, array, column, spot))
    return addresses


def _keep(frame: Frame, name: str, spot: Spot, value: Vector) -> None:
    for address in stored_at(frame, name, spot):
        frame.code.store(value, address)


def _places(frame: Frame, axis: str, spot: Spot) -> ir.Value:
    """How many places the sequence of a row has. In the loop a row is a sequence."""
    assert spot.span.part == "loop"
    return frame.code.read_integer(frame.pointer(OfPlaces(axis)), spot.row)


def _present(frame: Frame, operation: Operation, spot: Spot, value: Vector) -> Vector:
    """A number for each place, and another one at those that are padding."""
    code = frame.code
    assert isinstance(operation.attribute, int | float)
    count = _places(frame, operation.axes[0], spot)
    there = code.mask(code.sub(count, code.mul(spot.tile, frame.lanes)))
    return code.build.select(there, value, code.number(float(operation.attribute)))


def _numbers_of_places(frame: Frame, spot: Spot) -> Vector:
    """The number of each place, from 0."""
    code = frame.code
    first = code.build.sitofp(code.mul(spot.tile, frame.lanes), code.module.number)
    return code.build.fadd(code.splat(first), code.lane_numbers())


def _unit(frame: Frame, phase: Phase, spot: Spot, values: dict[str, Vector]) -> None:
    """The pointwise work of a phase for the units of one vector, or for a number per example;
    sums over units are made there."""
    for name in [name for product in phase.products for name in product.results]:
        _keep(frame, name, spot, values[name])
    for operation in phase.operations:
        if operation.op in CONSTANTS:
            continue
        if operation.op in REDUCTIONS:
            made = _reduced(frame, operation, spot)
        elif operation.op == DELAY:
            made = _late(frame, operation, spot)
        elif operation.op == "places":
            made = _numbers_of_places(frame, spot)
        else:
            arguments = [read(frame, a, spot, values) for a in operation.arguments]
            if operation.op == "present":
                made = _present(frame, operation, spot, *arguments)
            else:
                made = FUNCTIONS[operation.op](frame.code, *arguments)
        values[operation.name] = made
        _keep(frame, operation.name, spot, made)
    for name in phase.copies:
        _keep(frame, name, spot, read(frame, name, spot, values))


def _reduced(frame: Frame, operation: Operation, spot: Spot) -> Vector:
    """One number of all units; what stands in the padding changes none."""
    code = frame.code
    (argument,) = operation.arguments
    axis = frame.layout.program.axes[argument][0]
    join, neutral = REDUCED[operation.op]
    reduced = code.variable(code.number(neutral))
    with code.loop(0, frame.tiles[axis], "tile") as tile:
        value = read(frame, argument, replace(spot, tile=tile), {})
        mask = code.mask(code.sub(frame.width[axis], code.mul(tile, frame.lanes)))
        value = code.build.select(mask, value, code.number(neutral))
        code.set(reduced, join(code, code.get(reduced), value))
    return code.joined_lanes(code.get(reduced), lambda left, right: join(code, left, right))
