"""A walk over the places of a memory as code: for each row the places of its sequence, and at each
place its vector, a vector of units after the other.

A row of a step is a sequence: the first rows of a memory are those of the step. Sums over units are
numbers for each place, 0 at padding; sums over places are added up in the row that they are for,
place after place. So are gradients of memories, step after step, by the one thread that has the
sequence.
"""

from dataclasses import dataclass, replace

from llvmlite import ir

from conveyor.cells.operations import REDUCTIONS
from conveyor.compiler.phases import CONSTANTS, Phase
from conveyor.compiler.program import Operation
from conveyor.kernels.layout.values import ArrayKey, PhaseKey
from conveyor.kernels.llvm.abi import OfPlaces
from conveyor.kernels.llvm.builder import Variable, Vector
from conveyor.kernels.llvm.functions import FUNCTIONS, REDUCED
from conveyor.kernels.llvm.pass_frame import Frame
from conveyor.kernels.llvm.write_phase import Span, Spot, read, stored_at

OVER_PLACES = ("weighted_sum", "total_of_places")


@dataclass(frozen=True)
class _Place:
    """A place of a row's sequence, and a vector of its units."""

    spot: Spot
    place: ir.Value


def write_walk(frame: Frame, key: PhaseKey, span: Span) -> None:
    """Write a thread's part of a walk."""
    code, phase = frame.code, frame.layout.phase(key)
    assert phase.place is not None
    assert phase.axis is not None
    assert span.part == "loop"  # where rows are sequences
    tiles = frame.tiles[phase.axis]
    operations = [o for o in phase.operations if o.op not in CONSTANTS]
    over_units = [o for o in operations if o.op in REDUCTIONS]
    over_places = [o for o in operations if o.op in OVER_PLACES]
    with code.loop(span.row_from, span.row_to, "row") as row:
        spot = Spot(span, row, code.add(0))
        count = code.read_integer(frame.pointer(OfPlaces(phase.place)), row)
        for operation in over_units:
            _clear(frame, operation, spot, frame.tiles[phase.place])
        for operation in over_places:
            _clear(frame, operation, spot, tiles)
        with code.loop(0, count, "place") as place:
            sums = {o.name: code.variable(code.number(REDUCED[o.op][1])) for o in over_units}
            with code.loop(0, tiles, "tile") as tile:
                here = _Place(replace(spot, tile=tile), place)
                _at_place(frame, phase, operations, here, sums)
            for operation in over_units:
                _put_number(frame, operation, spot, place, code.get(sums[operation.name]))
        for operation in over_places:
            _hand_on(frame, operation, spot, tiles)


def _clear(frame: Frame, operation: Operation, spot: Spot, tiles: ir.Value) -> None:
    """Begin a sum with zeros, in the first of its places in memory; numbers for each place in
    all."""
    code = frame.code
    targets = stored_at(frame, operation.name, spot)
    with code.loop(0, tiles, "tile") as tile:
        unit = code.mul(tile, frame.lanes)
        for target in targets if operation.op in REDUCTIONS else targets[:1]:
            code.store(code.number(0.0), code.at(target, unit))


def _hand_on(frame: Frame, operation: Operation, spot: Spot, tiles: ir.Value) -> None:
    """Copy a sum over places to where else it is to be."""
    code = frame.code
    first, *others = stored_at(frame, operation.name, spot)
    if others:
        with code.loop(0, tiles, "tile") as tile:
            unit = code.mul(tile, frame.lanes)
            value = code.load(code.at(first, unit))
            for other in others:
                code.store(value, code.at(other, unit))


def _put_number(
    frame: Frame, operation: Operation, spot: Spot, place: ir.Value, lanes: Vector
) -> None:
    """Store a number of a place, which all lanes together make."""
    code = frame.code
    join = REDUCED[operation.op][0]
    joined = code.joined_lanes(lanes, lambda left, right: join(code, left, right))
    number = code.first_lane(joined)
    for target in stored_at(frame, operation.name, spot):
        code.store(number, code.at(target, place))


def _at_place(
    frame: Frame,
    phase: Phase,
    operations: list[Operation],
    here: _Place,
    sums: dict[str, Variable],
) -> None:
    """Do all operations of a walk at a place, for the units of one vector."""
    code, spot = frame.code, here.spot
    values: dict[str, Vector] = {}
    vectors: dict[str, Vector] = {}

    def vector(name: str) -> Vector:
        """A value of the row, for these units; a number is in every lane."""
        return read(frame, name, spot, vectors)

    def at_place(name: str) -> Vector:
        """A vector at this place."""
        if name not in values:
            values[name] = (
                vector(name) if name in frame.constants else _of_memory(frame, name, here)
            )
        return values[name]

    unit = code.mul(spot.tile, frame.lanes)
    for operation in operations:
        name, arguments = operation.name, operation.arguments
        match operation.op:
            case "to_places":
                values[name] = vector(*arguments)
            case "to_units":
                values[name] = _number(frame, arguments[0], here)
            case "present":
                values[name] = at_place(*arguments)
            case "weighted_sum" | "total_of_places":
                target = code.at(stored_at(frame, name, replace(spot, tile=code.add(0)))[0], unit)
                added = at_place(arguments[-1])
                before = code.load(target)
                if operation.op == "weighted_sum":
                    after = code.fma(_number(frame, arguments[0], here), added, before)
                else:
                    after = code.build.fadd(before, added)
                code.store(after, target)
            case op if op in REDUCTIONS:
                join, neutral = REDUCED[op]
                axis = phase.axis
                assert axis is not None
                mask = code.mask(code.sub(frame.width[axis], unit))
                value = code.build.select(mask, at_place(*arguments), code.number(neutral))
                code.set(sums[name], join(code, code.get(sums[name]), value))
            case op:
                values[name] = FUNCTIONS[op](code, *[at_place(a) for a in arguments])
    for memory, value in phase.added:
        target = _in_array(frame, ArrayKey("output", memory), here)
        code.store(code.build.fadd(code.load(target), at_place(value)), target)


def _number(frame: Frame, name: str, here: _Place) -> Vector:
    """The number that a value has at this place, in every lane."""
    code = frame.code
    array, column = frame.layout.place(name, here.spot.span.part)
    row = code.mul(here.spot.row, frame.stride[array.key])
    at = code.add(row, frame.offset[array.key, column], here.place)
    return code.splat(code.load_number(code.at(here.spot.span.base[array.key], at)))


def _of_memory(frame: Frame, name: str, here: _Place) -> Vector:
    """The vector of a memory at this place."""
    return frame.code.load(_in_array(frame, ArrayKey("memory", name), here))


def _in_array(frame: Frame, key: ArrayKey, here: _Place) -> ir.Value:
    """The address of this place in an array that is as a memory is."""
    code = frame.code
    axis = frame.layout.arrays[key].columns[0].axis
    assert axis is not None
    row = code.mul(here.spot.row, frame.stride[key])
    unit = code.mul(here.spot.tile, frame.lanes)
    at = code.add(row, code.mul(here.place, frame.padded[axis]), unit)
    return code.at(here.spot.span.base[key], at)
