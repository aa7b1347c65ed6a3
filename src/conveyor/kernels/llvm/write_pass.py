"""A pass as code: one function that walks a sequence, written from a layout.

For each stretch of steps: what can be done for all its rows at once, then the loop over its steps,
then what is left, gradients of weights among it. Several threads run the function at once and
share the work out by number; where one reads what another made, all wait for each other.
"""

from llvmlite import ir

from conveyor.kernels.layout.values import ArrayKey, MemoryLayout, Part, PhaseKey
from conveyor.kernels.llvm.abi import OfArray, OfPhase
from conveyor.kernels.llvm.builder import INT, INT32, POINTER, VOID, Code, Module
from conveyor.kernels.llvm.pass_frame import Frame
from conveyor.kernels.llvm.write_memories import memory_gradients
from conveyor.kernels.llvm.write_parts import do_phase
from conveyor.kernels.llvm.write_phase import Span, Stretch
from conveyor.kernels.llvm.write_states import (
    begin_states,
    behind_front,
    carry_late,
    end_states,
)
from conveyor.kernels.llvm.write_weights import gradients, pack

# A row of the table of stretches: first step, last step + 1, first row, rows.
STRETCH_COLUMNS = 4


def _groups(frame: Frame, key: PhaseKey) -> ir.Value:
    """How many groups of units a phase has; a phase without products takes them singly."""
    phase = frame.layout.phase(key)
    if phase.axis is None:
        return frame.code.add(1)
    if not phase.products:
        return frame.tiles[phase.axis]
    return frame.code.up(frame.tiles[phase.axis], frame.integer(OfPhase("group", key)))


def _parted(
    frame: Frame,
    by_rows: ir.Value,
    own: tuple[ir.Value, ir.Value],
    rows: ir.Value,
    groups: ir.Value,
) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
    """Rows from and to, groups from and to: own rows of all groups, or all rows of own."""
    code = frame.code
    begin, end = frame.share(groups)
    return (
        code.pick(by_rows, own[0], 0),
        code.pick(by_rows, own[1], rows),
        code.pick(by_rows, 0, begin),
        code.pick(by_rows, groups, end),
    )


def _outside(frame: Frame, part: Part, stretch: Stretch) -> None:
    """The phases of a stretch before or after its loop."""
    base: dict[ArrayKey, ir.Value] = {}
    for key, array in frame.layout.arrays.items():
        if array.rows == "all":
            low = frame.code.mul(stretch.low, frame.stride[key])
            base[key] = frame.code.at(frame.start[key], low)
        elif array.rows == "stretch":
            base[key] = frame.start[key]
        elif array.rows == "late":
            base[key] = behind_front(frame, key)
    rows = stretch.rows
    own = frame.share(rows)
    for number in range(len(frame.layout.parts[part])):
        phase = PhaseKey(part, number)
        parted = _parted(frame, frame.outside_by_rows, own, rows, _groups(frame, phase))
        span = Span(part, *parted, base, {}, stretch)
        if part == "after" and number in frame.layout.for_inputs:
            with frame.code.when(frame.code.compare("!=", frame.integer("inputs_wanted"), 0)):
                do_phase(frame, phase, span)
        else:
            do_phase(frame, phase, span)
        frame.barrier()


def _step(frame: Frame, step: ir.Value, low: ir.Value) -> None:
    """One step of the loop."""
    code = frame.code
    first = code.read_integer(frame.pointer("first"), step)
    count = code.read_integer(frame.pointer("count"), step)
    batch = frame.integer("batch")
    parity = code.build.and_(code.add(step, frame.integer("parity")), code.add(1))
    base: dict[ArrayKey, ir.Value] = {}
    new: dict[ArrayKey, ir.Value] = {}
    for key, array in frame.layout.arrays.items():
        start, stride = frame.start[key], frame.stride[key]
        if array.rows == "all":
            base[key] = code.at(start, code.mul(first, stride))
        elif array.rows == "stretch":
            base[key] = code.at(start, code.mul(code.sub(first, low), stride))
        elif array.rows == "late":
            front = behind_front(frame, key)
            base[key] = code.at(front, code.mul(code.sub(first, low), stride))
        elif array.rows in ("step", "sequence"):
            base[key] = start
        elif array.rows == "history":
            row = frame.integer(OfArray("stride", key))
            base[key] = code.at(start, code.mul(step, row))
        else:
            half = code.mul(batch, stride)
            base[key] = code.at(start, code.mul(parity, half))
            new[key] = code.at(start, code.mul(code.sub(1, parity), half))
    bounds = frame.pointer("bounds")
    last = code.least(code.read_integer(bounds, code.add(frame.thread, 1)), count)
    own = (
        code.least(code.read_integer(bounds, frame.thread), count),
        code.pick(frame.alone, count, last),
    )
    for numbers in _runs(frame.layout):
        if len(numbers) > 1:
            _by_rows(frame, numbers, own, base, new)
            continue
        phase = PhaseKey("loop", numbers[0])
        parted = _parted(frame, frame.by_rows, own, count, _groups(frame, phase))
        do_phase(frame, phase, Span("loop", *parted, base, new))
        with code.when(code.build.not_(frame.by_rows)):
            frame.barrier()


def _runs(layout: MemoryLayout) -> list[list[int]]:
    """Return the numbers of the loop's phases, in runs. Where there are walks over places, phases
    without products follow each other row by row: what a walk read of a memory is still in the
    cache for the next one."""
    runs: list[list[int]] = []
    go_on = False
    for number, phase in enumerate(layout.parts["loop"]):
        alone = bool(phase.products) or not layout.places
        if go_on and not alone:
            runs[-1].append(number)
        else:
            runs.append([number])
        go_on = not alone
    return runs


def _by_rows(
    frame: Frame,
    numbers: list[int],
    own: tuple[ir.Value, ir.Value],
    base: dict[ArrayKey, ir.Value],
    new: dict[ArrayKey, ir.Value],
) -> None:
    """Do phases for one of this thread's rows after the other. Rows are shared out, not units, see
    ``MemoryLayout.whole_rows``."""
    code = frame.code
    with code.loop(*own, "row") as row:
        for number in numbers:
            phase = PhaseKey("loop", number)
            groups = _groups(frame, phase)
            do_phase(
                frame, phase, Span("loop", row, code.add(row, 1), code.add(0), groups, base, new)
            )


def write_pass(module: Module, layout: MemoryLayout) -> None:
    """Write the function of a pass into a module; it is called by the layout's name."""
    frame = Frame(module, layout)
    code = frame.code
    before = _flush_denormals(code)
    with code.when(frame.works):
        pack(frame)
        begin_states(frame)
        table = frame.pointer("stretch_table")
        with code.loop(0, frame.integer("stretches"), "stretch") as stretch:
            own = code.at(table, code.mul(stretch, STRETCH_COLUMNS), INT)
            steps = Stretch(*(code.read_integer(own, n) for n in range(STRETCH_COLUMNS)))
            _outside(frame, "before", steps)
            with code.loop(steps.begin, steps.end, "step") as step:
                _step(frame, step, steps.low)
            if frame.layout.parts["after"] or frame.layout.reverse:
                frame.barrier()
                _outside(frame, "after", steps)
                gradients(frame, stretch, steps.low, steps.rows)
            frame.barrier()
            if frame.layout.late_states:
                carry_late(frame, steps)
                frame.barrier()
        if layout.over_steps:
            memory_gradients(frame)
        end_states(frame)
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
    match module.machine.family:
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
    match module.machine.family:
        case "x86":
            code.build.call(module.intrinsic("llvm.x86.sse.ldmxcsr", VOID, [POINTER]), [before])
        case "arm":
            code.build.call(module.intrinsic("llvm.aarch64.set.fpcr", VOID, [INT]), [before])
