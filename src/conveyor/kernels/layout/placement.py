"""What stands in rows because one phase makes it and another reads it, and which products stand
side by side: the rules that both passes share."""

from collections.abc import Iterable

from conveyor.cells.operations import REDUCTIONS
from conveyor.compiler.delays import DELAY
from conveyor.compiler.phases import CONSTANTS, Phase
from conveyor.compiler.plan import Pass, Pointwise, Product, Stage
from conveyor.compiler.program import UNIT_KINDS, Leaf, Program
from conveyor.kernels.layout.values import (
    Array,
    ArrayKey,
    Column,
    JoinedProduct,
    MemoryLayout,
    Part,
    Rows,
)


def column_of(program: Program, value: str) -> Column:
    """Return the column that a value takes."""
    axes = program.axes[value]
    return Column(value, axes[0] if axes else None)


def memory_column(memory: Leaf, value: str) -> Column:
    """Return the column of a value that has the axes of a memory."""
    place, axis = memory.axes
    return Column(value, axis, place)


def read_by(stages: Iterable[Stage]) -> set[str]:
    """Return the values that stages read."""
    values: set[str] = set()
    for stage in stages:
        if isinstance(stage, Product):
            values.update(stage.vectors)
        else:
            # What is read late stands in an array of its own.
            values.update(a for o in stage.operations if o.op != DELAY for a in o.arguments)
    return values


def state_array(program: Program, state: Leaf, old: str, new: str, *, delayed: bool) -> Array:
    """Return the array of a state.

    Args:
        program: has the state.
        state: its leaf.
        old: what it is before a step of the pass.
        new: what it is after it.
        delayed: whether no loop carries it.
    """
    key = ArrayKey("state", state.name.removesuffix("'"))
    rows: Rows = "late" if delayed else "ring"
    return Array(key, rows, [column_of(program, state.name)], old, new)


def made_by(done: Pass) -> set[str]:
    """Return the values that a pass makes."""
    return {
        name
        for stage in (*done.before, *done.loop, *done.after)
        for name in (
            stage.results if isinstance(stage, Product) else [o.name for o in stage.operations]
        )
    }


def _stages(phase: Phase) -> tuple[Stage, ...]:
    return *phase.products, Pointwise(phase.operations)


def read_by_phase(phase: Phase) -> set[str]:
    """Return the values that a phase reads."""
    return read_by(_stages(phase)) | set(phase.copies)


def read_whole(stages: Iterable[Stage]) -> set[str]:
    """Return the values of which stages read all units at once."""
    values: set[str] = set()
    for stage in stages:
        if isinstance(stage, Product):
            values.update(stage.vectors)
        else:
            values.update(a for o in stage.operations if o.op in REDUCTIONS for a in o.arguments)
    return values


def whole_parameters(program: Program, values: Iterable[str]) -> tuple[str, ...]:
    """Return the biases, vectors and constants among values of which all units are read at once:
    they stand in rows like other values."""
    whole = set(values)
    return tuple(leaf.name for leaf in program.leaves_of(*UNIT_KINDS) if leaf.name in whole)


def vectors_read(program: Program, parts: Iterable[tuple[Phase, ...]]) -> tuple[str, ...]:
    """Return the biases, vectors and constants that phases read unit by unit."""
    values = {value for phases in parts for phase in phases for value in read_by_phase(phase)}
    return tuple(leaf.name for leaf in program.leaves_of(*UNIT_KINDS) if leaf.name in values)


def _rows_of_passed(
    layout: MemoryLayout, wanted_after: Iterable[str], copied: Iterable[str]
) -> dict[str, Rows]:
    """Return what must stand in rows because one phase makes it and another reads it, or the same
    one reads all its units: in ``step`` where it stays within a step, otherwise in ``stretch``."""
    constants = {o.name for o in layout.program.operations if o.op in CONSTANTS}
    carried = {array.old for array in layout.arrays.values() if array.rows == "ring"}
    maker = {value: key for key, phase in layout.phases for value in phase.made}
    rows: dict[str, Rows] = dict.fromkeys(copied, "stretch")
    for key, phase in layout.phases:
        whole = read_whole(_stages(phase))
        for value in read_by_phase(phase) - constants:
            if value in carried and key.part == "after":
                rows[value] = "stretch"
            elif value in maker and (maker[value] != key or value in whole):
                in_step = maker[value].part == key.part == "loop"
                rows[value] = rows.get(value, "step") if in_step else "stretch"
    for value in wanted_after:
        if value in maker or value in carried:
            rows[value] = "stretch"
    return rows


def place_passed(layout: MemoryLayout, wanted_after: Iterable[str], copied: Iterable[str]) -> None:
    """Give columns of ``stretch`` and ``step`` to what passes from one phase to another. What is
    read side by side stands side by side.

    Args:
        layout: has its phases and all other arrays.
        wanted_after: values that gradients of parameters read.
        copied: parameters that stand in rows.
    """
    rows = _rows_of_passed(layout, wanted_after, copied)
    order = [
        vector for _, phase in layout.phases for product in phase.products
        for vector in product.vectors
    ]  # fmt: skip
    in_all = {
        column.value for array in layout.arrays.values() if array.rows == "all"
        for column in array.columns
    }  # fmt: skip
    for value in dict.fromkeys((*order, *layout.program.axes)):
        if value in rows and value not in in_all:
            key = ArrayKey("passed", rows[value])
            array = layout.arrays.setdefault(key, Array(key, rows[value]))
            array.append(column_of(layout.program, value))


def side_by_side(array: Array, first: str, second: str) -> bool:
    """Return whether the second of two values stands right after the first, on the same axis."""
    left, right = array.number(first), array.number(second)
    if left is None or right is None:
        return False
    return right == left + 1 and array.columns[left].axis == array.columns[right].axis


def join_products(layout: MemoryLayout) -> None:
    """Join products whose operands stand side by side, once every value has its column."""
    count = 0
    for key, phase in layout.phases:
        for product in phase.products:
            if product.kind == "matmul":
                products = [_whole(layout, product, count)]
            else:
                products = _joined(layout, product, key.part, count)
            count += len(products)
            layout.joined[product.results] = tuple(products)


def _whole(layout: MemoryLayout, product: Product, number: int) -> JoinedProduct:
    """Return a product of one operand with all its matrices."""
    axes = layout.program.axes
    (vector,) = product.vectors
    result_axis = axes[product.results[0]][0]
    return JoinedProduct(
        number, "matmul", product.matrices, (vector,), axes[vector][0], result_axis
    )


def _joined(layout: MemoryLayout, product: Product, part: Part, number: int) -> list[JoinedProduct]:
    """Return a sum of products, joined where operands stand side by side; ``number`` is that of the
    first."""
    axes = layout.program.axes
    result_axis = axes[product.results[0]][0]
    products: list[JoinedProduct] = []
    for matrix, vector in zip(product.matrices, product.vectors, strict=True):
        last = products[-1] if products else None
        array, _ = layout.place(vector, part)
        # In the loop, what a step was handed is read where states are, though a copy of it may
        # stand beside others for what comes after.
        here = last is not None and layout.place(last.operands[-1], part)[0] is array
        if last and here and side_by_side(array, last.operands[-1], vector):
            products[-1] = JoinedProduct(
                last.number, "matmul_t", (*last.matrices, matrix), (*last.operands, vector),
                last.operand_axis, result_axis,
            )  # fmt: skip
        else:
            axis = axes[vector][0]
            products.append(
                JoinedProduct(
                    number + len(products), "matmul_t", (matrix,), (vector,), axis, result_axis
                )
            )
    return products
