"""Parts of a pass, written where they stand, or as functions where the pass is long."""

from collections.abc import Callable
from dataclasses import replace

from llvmlite import ir

from conveyor.compiler.delays import DELAY
from conveyor.kernels.layout.values import ArrayKey, MemoryLayout, Part, PhaseKey
from conveyor.kernels.llvm.builder import INT, POINTER, Code
from conveyor.kernels.llvm.pass_frame import Frame, Touched, in_parts
from conveyor.kernels.llvm.write_phase import Span, Stretch, write_phase
from conveyor.kernels.llvm.write_walk import write_walk


def do_part(frame: Frame, name: str, write: Callable[[Frame], None]) -> None:
    """Do what ``write`` writes; it asks for no array, and shares out by threads."""
    if not in_parts(frame.layout):
        write(frame)
        return
    kinds = [("arguments", POINTER), ("thread", INT), ("threads", INT)]
    code = _function(frame, name, kinds)
    part = frame.part(code, Touched())
    part.thread, part.threads = code.arguments["thread"], code.arguments["threads"]
    write(part)
    code.finish()
    frame.code.build.call(code.function, [frame.given, frame.thread, frame.threads])


def do_phase(frame: Frame, key: PhaseKey, span: Span) -> None:
    """Do a thread's part of a phase."""
    write = write_phase if frame.layout.phase(key).place is None else write_walk
    if not in_parts(frame.layout):
        write(frame, key, span)
        return
    touched = _touched(frame.layout, key)
    arrays = dict.fromkeys(array for array, _ in touched.columns)
    # Each argument by its name, with what it is in the pass.
    numbers = {
        "row_from": span.row_from, "row_to": span.row_to,
        "group_from": span.group_from, "group_to": span.group_to,
    }  # fmt: skip
    if span.stretch is not None:
        steps = span.stretch
        numbers |= {"begin": steps.begin, "end": steps.end, "low": steps.low, "rows": steps.rows}
    base = {array: span.base[array] for array in arrays if array in span.base}
    new = {array: span.new[array] for array in arrays if array in span.new}
    pointers = {f"base_{n}": value for n, value in enumerate(base.values())}
    pointers |= {f"new_{n}": value for n, value in enumerate(new.values())}
    kinds = [("arguments", POINTER), *((name, INT) for name in numbers)]
    code = _function(frame, f"{key.part}_{key.number}", [*kinds, *((n, POINTER) for n in pointers)])
    passed = code.arguments
    write(
        frame.part(code, touched),
        key,
        replace(
            span,
            row_from=passed["row_from"],
            row_to=passed["row_to"],
            group_from=passed["group_from"],
            group_to=passed["group_to"],
            base={array: passed[f"base_{n}"] for n, array in enumerate(base)},
            new={array: passed[f"new_{n}"] for n, array in enumerate(new)},
            stretch=None
            if span.stretch is None
            else Stretch(passed["begin"], passed["end"], passed["low"], passed["rows"]),
        ),
    )
    code.finish()
    frame.code.build.call(code.function, [frame.given, *numbers.values(), *pointers.values()])


def _function(frame: Frame, name: str, arguments: list[tuple[str, ir.Type]]) -> Code:
    """Begin a function that LLVM leaves one."""
    code = Code(frame.module, f"{frame.layout.name}_{name}", arguments, private=True)
    code.function.attributes.add("noinline")
    return code


def _touched(layout: MemoryLayout, key: PhaseKey) -> Touched:
    """Return what a phase reads and writes."""
    phase = layout.phase(key)
    read = [name for product in layout.products(phase) for name in product.operands]
    read += [a for o in phase.operations for a in o.arguments]
    read += phase.copies
    columns: dict[tuple[ArrayKey, int], None] = {}
    for name in (*phase.made, *phase.copies):
        columns |= dict.fromkeys((array.key, number) for array, number in layout.stores(name))
    for operation in phase.operations:
        if operation.op == DELAY:
            columns[layout.late(operation.name).key, 0] = None
    for name in read:
        columns |= _place(layout, name, key.part)
    for memory, _ in phase.added:
        columns[ArrayKey("output", memory), 0] = None
    vectors = [name for name in dict.fromkeys(read) if name in layout.vectors]
    return Touched(tuple(columns), tuple(vectors), len(phase.products))


def _place(layout: MemoryLayout, name: str, part: Part) -> dict[tuple[ArrayKey, int], None]:
    """Return the column where a value is read; none if it stands in no array, or is not read from
    one in this part."""
    try:
        array, number = layout.place(name, part)
    except KeyError:  # a constant, a vector, or what the phase makes itself
        return {}
    return {(array.key, number): None}
