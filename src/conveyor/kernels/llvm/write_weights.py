"""Weights as code: how they are packed before a pass, and how their gradients are summed."""

from functools import partial

from llvmlite import ir

from conveyor.kernels.layout.values import ArrayKey, JoinedProduct, PhaseKey
from conveyor.kernels.llvm.abi import OfOuter, OfParameter, OfPhase, OfProduct
from conveyor.kernels.llvm.builder import INT, VOID
from conveyor.kernels.llvm.panel import OUTER_ARGUMENTS, PACK_ARGUMENTS
from conveyor.kernels.llvm.pass_frame import Frame
from conveyor.kernels.llvm.write_parts import do_part
from conveyor.kernels.llvm.write_phase import Span, Spot, read

OUTER_TYPE = ir.FunctionType(VOID, [kind for _, kind in OUTER_ARGUMENTS])
PACK_TYPE = ir.FunctionType(VOID, [kind for _, kind in PACK_ARGUMENTS])

# A sum of many numbers one after the other loses digits with their number; of 32 at a time with
# the root of it (Higham 1993, The accuracy of floating point summation).
ROWS_IN_A_SUM = 32


def pack(frame: Frame) -> None:
    """Lay out the weights as panels read them, and the vectors with padding."""
    code = frame.code
    with code.when(code.compare("!=", frame.integer("pack"), 0)):
        for key, phase in frame.layout.phases:
            for product in frame.layout.products(phase):
                do_part(frame, f"pack_{product.number}", partial(_pack_product, product, key))
        for name in frame.layout.vectors:
            _pack_vector(frame, name, code.at(frame.vectors, frame.vector_offset[name]))


def _pack_vector(frame: Frame, name: str, target: ir.Value) -> None:
    code, axis = frame.code, frame.layout.program.axes[name][0]
    first, second = (frame.pointer(OfParameter("vector", name, which)) for which in (False, True))
    two = code.compare("!=", code.build.ptrtoint(second, INT), 0)
    begin, end = frame.share(frame.tiles[axis])
    with code.loop(begin, end, "tile") as tile:
        unit = code.mul(tile, frame.lanes)
        mask = code.mask(code.sub(frame.width[axis], unit))
        value = code.variable(code.load_masked(code.at(first, unit), mask))
        with code.when(two):
            other = code.load_masked(code.at(second, unit), mask)
            code.set(value, code.build.fadd(code.get(value), other))
        code.store(code.get(value), code.at(target, unit))


def _pack_product(product: JoinedProduct, phase: PhaseKey, frame: Frame) -> None:
    code, lanes = frame.code, frame.lanes
    group, most = (frame.integer(OfPhase(what, phase)) for what in ("group", "panel"))
    packed = frame.pointer(OfProduct(product.number))
    k = frame.width[product.operand_axis]
    units = frame.width[product.result_axis]
    tiles = frame.tiles[product.result_axis]
    begin, end = frame.share(tiles)
    rows = frame.pointer("pack_rows" if product.kind == "matmul" else "pack_columns")
    with code.loop(begin, end, "tile") as tile:
        first = code.mul(code.div(tile, group), group)
        in_group = code.mul(code.least(group, code.sub(tiles, first)), product.together)
        unit = code.mul(tile, lanes)
        for number, matrix in enumerate(product.matrices):
            vector = code.sub(tile, first)
            if product.kind == "matmul":
                vector = code.add(code.mul(vector, product.together), number)
            panel = code.mul(code.div(vector, most), most)
            width = code.least(most, code.sub(in_group, panel))
            place = code.mul(
                code.add(code.mul(first, product.together), panel), product.segments, k, lanes
            )
            place = code.add(place, code.mul(code.sub(vector, panel), lanes))
            step = code.mul(width, lanes)
            source = frame.pointer(OfParameter("matrix", matrix))
            if product.kind == "matmul":
                source = code.at(source, code.mul(unit, k))
                row = k
            else:
                source = code.at(source, unit)
                row = units
                place = code.add(place, code.mul(number, k, step))
            left = code.sub(units, unit)
            given = [source, row, left, k, code.at(packed, place), step]
            code.call_address(rows, PACK_TYPE, given)


def gradients(frame: Frame, stretch: ir.Value, low: ir.Value, rows: ir.Value) -> None:
    """Add a stretch's share to the gradients of parameters."""
    code = frame.code
    later = code.compare(">", stretch, 0)
    for name, value in frame.layout.sums:
        axis = frame.layout.program.axes[value][0]
        begin, end = frame.share(frame.tiles[axis])
        # A bias may be stored as two that are added: both get the gradient, or the one that
        # wants it.
        first, second = (
            frame.pointer(OfParameter("gradient", name, which)) for which in (False, True)
        )
        target = code.build.select(_is_there(frame, first), first, second)
        both = code.build.and_(_is_there(frame, first), _is_there(frame, second))
        end = code.pick(_is_there(frame, target), end, begin)
        with code.loop(begin, end, "tile") as tile:
            unit = code.mul(tile, frame.lanes)
            mask = code.mask(code.sub(frame.width[axis], unit))
            before = code.variable(code.number(0.0))
            with code.when(later):
                code.set(before, code.load_masked(code.at(target, unit), mask))
            total = code.variable(code.number(0.0))
            bases = _bases(frame, low)
            with code.loop(0, code.up(rows, ROWS_IN_A_SUM), "part") as part:
                first = code.mul(part, ROWS_IN_A_SUM)
                own = code.variable(code.number(0.0))
                with code.loop(first, code.least(code.add(first, ROWS_IN_A_SUM), rows)) as row:
                    span = Span("after", row, row, tile, tile, bases, {})
                    each = read(frame, value, Spot(span, row, tile), {})
                    code.set(own, code.build.fadd(code.get(own), each))
                code.set(total, code.build.fadd(code.get(total), code.get(own)))
            new = code.build.fadd(code.get(before), code.get(total))
            code.store_masked(new, code.at(target, unit), mask)
            with code.when(both):
                code.store_masked(new, code.at(second, unit), mask)
    seen: set[str] = set()
    for number, outer in enumerate(frame.layout.outers):
        left = frame.layout.place(outer.lefts[0], "after")
        right = frame.layout.place(outer.right, "after")
        bases = _bases(frame, low)
        begin, end = frame.share(frame.width[outer.left_axis])
        # A matrix that is used twice has two sums; the second is added to the first.
        again = code.add(1) if seen.intersection(outer.matrices) else code.build.zext(later, INT)
        seen.update(outer.matrices)
        given = {
            "left": code.at(bases[left[0].key], frame.offset[left[0].key, left[1]]),
            "left_row": frame.stride[left[0].key],
            "left_step": frame.padded[outer.left_axis],
            "left_from": begin,
            "left_to": end,
            "right": code.at(bases[right[0].key], frame.offset[right[0].key, right[1]]),
            "right_row": frame.stride[right[0].key],
            "right_units": frame.width[outer.right_axis],
            "rows": rows,
            "targets": code.at(frame.given, frame.numbers[OfOuter(number, 0)], INT),
            "count": code.add(len(outer.matrices)),
            "add": again,
            "table": frame.table,
        }
        code.call_address(
            frame.pointer("outer"), OUTER_TYPE, [given[name] for name, _ in OUTER_ARGUMENTS]
        )


def _is_there(frame: Frame, address: ir.Value) -> ir.Value:
    return frame.code.compare("!=", frame.code.build.ptrtoint(address, INT), 0)


def _bases(frame: Frame, low: ir.Value) -> dict[ArrayKey, ir.Value]:
    """Return where the first row of a stretch is."""
    return {
        key: frame.start[key]
        if array.rows == "stretch"
        else frame.code.at(frame.start[key], frame.code.mul(low, frame.stride[key]))
        for key, array in frame.layout.arrays.items()
        if array.rows in ("all", "stretch")
    }
