"""States as code: how rings, and the rows in front of what is read late, are filled before a pass
and emptied after it."""

from collections.abc import Callable
from typing import Literal

from llvmlite import ir

from conveyor.kernels.layout.values import ArrayKey
from conveyor.kernels.llvm.abi import OfArray
from conveyor.kernels.llvm.builder import INT
from conveyor.kernels.llvm.pass_frame import Frame
from conveyor.kernels.llvm.write_phase import Stretch


def begin_states(frame: Frame) -> None:
    """Put the first state where either step, the one before or this one, is read: rows
    that join later find it in the half that is then the old one."""
    _each_state(frame, "begin", _begin_row)
    frame.barrier()


def _begin_row(frame: Frame, key: ArrayKey, row: ir.Value, unit: ir.Value, mask: ir.Value) -> None:
    code, stride = frame.code, frame.stride[key]
    given = frame.pointer(OfArray("begin", key))
    value = code.variable(code.number(0.0))
    with code.when(code.compare("!=", code.build.ptrtoint(given, INT), 0)):
        width = _width(frame, key)
        place = code.at(given, code.add(code.mul(row, width), unit))
        code.set(value, code.load_masked(place, mask))
    halves = 2 if frame.layout.arrays[key].rows == "ring" else 1
    for half in range(halves):
        rows = code.add(code.mul(frame.integer("batch"), half), row)
        place = code.at(frame.start[key], code.add(code.mul(rows, stride), unit))
        code.store(code.get(value), place)


def end_states(frame: Frame) -> None:
    """Hand out the last state of every row."""
    _each_state(frame, "end", _end_row)


def _end_row(frame: Frame, key: ArrayKey, row: ir.Value, unit: ir.Value, mask: ir.Value) -> None:
    code = frame.code
    target = frame.pointer(OfArray("end", key))
    rows = row
    if frame.layout.arrays[key].rows == "ring":
        visits = code.read_integer(frame.pointer("visits"), row)
        half = code.build.and_(code.add(visits, frame.integer("parity")), code.add(1))
        rows = code.add(code.mul(frame.integer("batch"), half), row)
    value = code.load(code.at(frame.start[key], code.add(code.mul(rows, frame.stride[key]), unit)))
    place = code.at(target, code.add(code.mul(row, _width(frame, key)), unit))
    code.store_masked(value, place, mask)


def behind_front(frame: Frame, key: ArrayKey) -> ir.Value:
    """Return where the rows of the stretch begin in an array that is read late."""
    code = frame.code
    return code.at(frame.start[key], code.mul(frame.integer("batch"), frame.stride[key]))


def carry_late(frame: Frame, stretch: Stretch) -> None:
    """Put the last row of each sequence in a stretch in front, where the next stretch reads it;
    after the last stretch it is the state. Each thread does its own part of the sequences."""
    code = frame.code
    first, count = frame.pointer("first"), frame.pointer("count")
    begin, end = frame.share(frame.integer("batch"))
    with code.loop(stretch.begin, stretch.end, "step") as step:
        at = code.sub(code.read_integer(first, step), stretch.low)
        rows = code.read_integer(count, step)
        is_last = code.compare("==", code.add(step, 1), stretch.end)
        later = code.pick(is_last, step, code.add(step, 1))
        go_on = code.pick(is_last, 0, code.read_integer(count, later))
        with code.loop(code.most(begin, go_on), code.least(end, rows), "sequence") as sequence:
            for key in frame.layout.late_states:
                stride = frame.stride[key]
                axis = frame.layout.arrays[key].columns[0].axis
                assert axis is not None  # states are vectors
                source = code.at(behind_front(frame, key), code.mul(code.add(at, sequence), stride))
                target = code.at(frame.start[key], code.mul(sequence, stride))
                with code.loop(0, frame.tiles[axis], "tile") as tile:
                    unit = code.mul(tile, frame.lanes)
                    code.store(code.load(code.at(source, unit)), code.at(target, unit))


def _width(frame: Frame, key: ArrayKey) -> ir.Value:
    """Units of a state; one if it is a number."""
    axis = frame.layout.arrays[key].columns[0].axis
    return frame.width[axis] if axis else frame.code.add(1)


def _each_state(
    frame: Frame,
    what: Literal["begin", "end"],
    write: Callable[[Frame, ArrayKey, ir.Value, ir.Value, ir.Value], None],
) -> None:
    """Write this thread's rows of each state, unless the caller keeps them himself: then
    what he gave is -1."""
    code = frame.code
    for key in frame.layout.keys("state"):
        given = frame.integer(OfArray(what, key))
        with code.when(code.compare("!=", given, -1)):
            begin, end = frame.share(frame.integer("batch"))
            width = _width(frame, key)
            tiles = code.up(width, frame.lanes)
            with code.loop(begin, end, "row") as row, code.loop(0, tiles, "tile") as tile:
                unit = code.mul(tile, frame.lanes)
                mask = code.mask(code.sub(width, unit))
                write(frame, key, row, unit, mask)
