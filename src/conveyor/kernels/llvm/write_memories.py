"""Gradients of memories as code, as far as they are products that are summed over steps: a number
for each place times a vector.

They are summed when all steps are done, each sequence by the thread that did its steps: then a
gradient goes through the cache once, and not at every step.
"""

from llvmlite import ir

from conveyor.kernels.layout.values import HISTORY, ArrayKey
from conveyor.kernels.llvm.abi import OfArray, OfPlaces
from conveyor.kernels.llvm.builder import INT
from conveyor.kernels.llvm.panel import OUTER_ARGUMENTS
from conveyor.kernels.llvm.pass_frame import Frame
from conveyor.kernels.llvm.write_weights import OUTER_TYPE


def memory_gradients(frame: Frame) -> None:
    """Add the sums of this thread's sequences to the gradients of memories."""
    code, layout = frame.code, frame.layout
    bounds, batch = frame.pointer("bounds"), frame.integer("batch")
    begin = code.read_integer(bounds, frame.thread)
    end = code.pick(frame.alone, batch, code.read_integer(bounds, code.add(frame.thread, 1)))
    row = frame.integer(OfArray("stride", HISTORY))
    target = code.space(INT)
    with code.loop(begin, end, "sequence") as sequence:
        first, count = _steps(frame, sequence)
        history = code.at(
            frame.start[HISTORY],
            code.add(code.mul(sequence, frame.stride[HISTORY]), code.mul(first, row)),
        )
        for term in layout.over_steps:
            key = ArrayKey("output", term.memory)
            column = layout.arrays[key].columns[0]
            assert column.axis is not None
            assert column.place is not None
            place = code.at(frame.start[key], code.mul(sequence, frame.stride[key]))
            code.build.store(code.build.ptrtoint(place, INT), target)
            given = {
                "left": code.at(history, _offset(frame, term.number)),
                "left_row": row,
                "left_step": code.add(0),
                "left_from": code.add(0),
                "left_to": code.read_integer(frame.pointer(OfPlaces(column.place)), sequence),
                "right": code.at(history, _offset(frame, term.vector)),
                "right_row": row,
                "right_units": frame.padded[column.axis],
                "rows": count,
                "targets": target,
                "count": code.add(1),
                "add": code.add(1),  # to zeros, or to what walks have added
                "table": frame.table,
            }
            code.call_address(
                frame.pointer("outer"), OUTER_TYPE, [given[name] for name, _ in OUTER_ARGUMENTS]
            )


def _offset(frame: Frame, value: str) -> ir.Value:
    number = frame.layout.arrays[HISTORY].number(value)
    assert number is not None
    return frame.offset[HISTORY, number]


def _steps(frame: Frame, sequence: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The first step that a sequence takes part in, of those in the order in which they are done,
    and how many these are: it is there from the first on, or until the last."""
    code = frame.code
    steps, rows = frame.integer("steps"), frame.pointer("count")
    count = code.variable(code.add(0))
    with code.loop(0, steps, "step") as step:
        there = code.compare(">", code.read_integer(rows, step), sequence)
        code.set(count, code.add(code.get(count), code.build.zext(there, INT)))
    from_first = code.compare(">", code.read_integer(rows, 0), sequence)
    return code.pick(from_first, 0, code.sub(steps, code.get(count))), code.get(count)
