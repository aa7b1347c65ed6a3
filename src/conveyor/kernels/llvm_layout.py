"""Where the values of a pass stand in memory: decided once per plan, without any numbers.

A value is a column of an array; an array has a row for every example and step of the whole
sequence (``all``), of the stretch of steps that is worked on (``stretch``), of one step (``step``),
or for the step before and this one by turns (``ring``). Columns begin at multiples of a vector, so
that no vector ever reads past its row; what stands in the padding is never read as a number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from conveyor.compiler.phases import CONSTANTS, Phase, phases
from conveyor.compiler.plan import Plan, Pointwise, Product, Stage
from conveyor.compiler.program import Program

Rows = Literal["all", "stretch", "step", "ring"]
Part = Literal["before", "loop", "after"]
PARTS: tuple[Part, ...] = ("before", "loop", "after")


@dataclass(frozen=True)
class Column:
    """A value in an array. ``axis`` is None for a number per example."""

    value: str
    axis: str | None


@dataclass
class Array:
    """``old`` and ``new`` are the values that a ring holds for the step before and this one."""

    name: str
    rows: Rows
    columns: list[Column] = field(default_factory=list)
    old: str = ""
    new: str = ""

    def holds(self, value: str) -> bool:
        """Whether there is a column for a value."""
        return any(column.value == value for column in self.columns)


@dataclass(frozen=True)
class Run:
    """Products whose operands stand side by side: one panel for all.

    matmul: every result has a matrix, ``operands`` is one vector. matmul_t: there is one result,
    and a matrix for each operand.
    """

    name: str
    kind: str
    matrices: tuple[str, ...]
    operands: tuple[str, ...]
    operand_axis: str
    result_axis: str

    @property
    def together(self) -> int:
        """Vectors for each vector of units: one for each joined result."""
        return len(self.matrices) if self.kind == "matmul" else 1

    @property
    def segments(self) -> int:
        """How many operands are summed over."""
        return len(self.operands)


@dataclass(frozen=True)
class Outer:
    """Gradients of matrices: lefts that stand side by side, times one right."""

    matrices: tuple[str, ...]
    lefts: tuple[str, ...]
    right: str
    left_axis: str
    right_axis: str


@dataclass
class Layout:
    """All that the code generator and the one who calls its code must agree on."""

    name: str
    program: Program
    parts: dict[Part, tuple[Phase, ...]]
    arrays: dict[str, Array]
    # The parameters read unit by unit.
    vectors: tuple[str, ...]
    sums: tuple[tuple[str, str], ...]
    outers: tuple[Outer, ...]
    # Phases after the loop, by number, that only gradients of inputs need.
    for_inputs: frozenset[int]
    reverse: bool
    runs: dict[tuple[str, ...], tuple[Run, ...]] = field(default_factory=dict)

    def axis(self, value: str) -> str | None:
        """The axis of a value; None for a number per example."""
        axes = self.program.axes[value]
        return axes[0] if axes else None

    @property
    def axes(self) -> tuple[str, ...]:
        """All axes, in a fixed order."""
        return tuple(sorted({axis for axes in self.program.axes.values() for axis in axes}))

    @property
    def whole_rows(self) -> bool:
        """Whether some value needs all units of an example at once: then one thread must have
        them all."""
        return any(p.axis is None for phases in self.parts.values() for p in phases)

    def place(self, value: str, part: Part) -> tuple[Array, int]:
        """The array and the column from which a part reads a value; states stand in rings for
        the loop alone."""
        for array in self.arrays.values():
            if array.rows == "ring":
                if array.old == value and part == "loop":
                    return array, 0
                continue
            for number, column in enumerate(array.columns):
                if column.value == value:
                    return array, number
        raise KeyError(f"{self.program.name}: {value} has no place {part} the loop")

    def stores(self, value: str) -> Iterator[tuple[Array, int]]:
        """The arrays and columns into which a value goes when it is made."""
        for array in self.arrays.values():
            if array.name.startswith("in:"):
                continue
            for number, column in enumerate(array.columns):
                if (array.new if array.rows == "ring" else column.value) == value:
                    yield array, number

    @cached_property
    def read_by_units(self) -> frozenset[str]:
        """The values that are read a vector of units at a time, and so need padded rows."""
        found = {value for _, value in self.sums}
        for phases_of_part in self.parts.values():
            for phase in phases_of_part:
                found |= {a for o in phase.operations for a in o.arguments} | set(phase.copies)
        return frozenset(found)

    def all_runs(self) -> Iterator[Run]:
        """All runs, in order."""
        for runs in self.runs.values():
            yield from runs

    @cached_property
    def matrices(self) -> tuple[str, ...]:
        """The matrices that products read."""
        return tuple(dict.fromkeys(m for run in self.all_runs() for m in run.matrices))

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The arguments that are addresses of a call's own tensors: arrays that are read, arrays
        that are made, first states, last states."""
        arrays = [array.name for array in self.arrays.values()]
        read = [name for name in arrays if name.startswith("in:")]
        made = [name for name in arrays if name.startswith("out:") or name == "kept"]
        states = [name for name in arrays if name.startswith("state:")]
        return (
            *(f"array:{name}" for name in read),
            *(f"array:{name}" for name in made),
            *(f"begin:{name}" for name in states),
            *(f"end:{name}" for name in states),
        )

    @cached_property
    def stored(self) -> tuple[str, ...]:
        """The arguments that are addresses in stored parameters and in their gradients."""
        names = [f"matrix:{name}" for name in self.matrices]
        for name in self.vectors:
            names += [f"vector:{name}", f"second:{name}"]
        for name, _ in self.sums:
            names += [f"sum:{name}", f"second_sum:{name}"]
        # The targets of one outer product are read as a table.
        for number, outer in enumerate(self.outers):
            names += [f"target:{number}:{place}" for place in range(len(outer.matrices))]
        return tuple(names)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The arguments that are addresses in a call's own memory."""
        inside = ("ring", "step", "stretch")
        arrays = [array.name for array in self.arrays.values() if array.rows in inside]
        packed = [f"packed:{run.name}" for run in self.all_runs()]
        return "barrier", *(f"array:{name}" for name in arrays), "vectors", *packed

    def arguments(self) -> dict[str, int]:
        """The number of every argument of the compiled function, by name: first what each call
        gives, then what depends on sizes alone."""
        names = ["inputs_wanted", *self.given, *self.stored, *self.regions]
        names += [
            "batch", "threads", "by_rows", "outside_by_rows", "parity", "stretches", "pack",
            "visits", "first", "count", "stretch_table", "bounds", "table",
            "team_size", "thread_number", "give_way", "pack_rows", "pack_columns", "outer",
        ]  # fmt: skip
        names += [f"width:{axis}" for axis in self.axes]
        names += [f"stride:{array.name}" for array in self.arrays.values()]
        for part in PARTS:
            for number, phase in enumerate(self.parts[part]):
                if phase.products:
                    names += [f"{what}:{part}{number}" for what in ("group", "panel", "rows")]
        return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _read_by(stages: Iterable[Stage]) -> set[str]:
    """The values that stages read."""
    found: set[str] = set()
    for stage in stages:
        if isinstance(stage, Product):
            found.update(stage.vectors)
        else:
            found.update(a for o in stage.operations for a in o.arguments)
    return found


def _stages(phase: Phase) -> tuple[Stage, ...]:
    return *phase.products, Pointwise(phase.operations)


def _reads(phase: Phase) -> set[str]:
    """The values that a phase reads."""
    return _read_by(_stages(phase)) | set(phase.copies)


def _side_by_side(array: Array, first: str, second: str) -> bool:
    values = [column.value for column in array.columns]
    if first not in values or second not in values:
        return False
    same = array.columns[values.index(first)].axis == array.columns[values.index(second)].axis
    return same and values.index(second) == values.index(first) + 1


def _make_runs(layout: Layout) -> None:
    """Cut products into runs, now that every value has its place."""
    axes = layout.program.axes
    count = 0
    for part in PARTS:
        for phase in layout.parts[part]:
            for product in phase.products:
                runs: list[Run] = []
                result_axis = axes[product.results[0]][0]
                if product.kind == "matmul":
                    (vector,) = product.vectors
                    axis = axes[vector][0]
                    runs.append(
                        Run(f"{count}", "matmul", product.matrices, (vector,), axis, result_axis)
                    )
                    count += 1
                else:
                    pairs = zip(product.matrices, product.vectors, strict=True)
                    for matrix, vector in pairs:
                        last = runs[-1] if runs else None
                        array, _ = layout.place(vector, part)
                        if last and _side_by_side(array, last.operands[-1], vector):
                            runs[-1] = Run(
                                last.name, "matmul_t", (*last.matrices, matrix),
                                (*last.operands, vector), last.operand_axis, result_axis,
                            )  # fmt: skip
                        else:
                            axis = axes[vector][0]
                            runs.append(
                                Run(f"{count}", "matmul_t", (matrix,), (vector,), axis, result_axis)
                            )
                            count += 1
                layout.runs[product.results] = tuple(runs)


def _whole_parameters(program: Program, values: Iterable[str]) -> tuple[str, ...]:
    """The biases and vectors among these values. Where all their units are needed at once they
    must stand in rows like other values."""
    found = set(values)
    return tuple(leaf.name for leaf in program.leaves_of("bias", "vector") if leaf.name in found)


def _whole_of(stages: Iterable[Stage]) -> set[str]:
    """The values of which stages read all units at once."""
    found: set[str] = set()
    for stage in stages:
        if isinstance(stage, Product):
            found.update(stage.vectors)
        else:
            found.update(a for o in stage.operations if o.op == "total" for a in o.arguments)
    return found


def _where_needed(
    layout: Layout, wanted_after: Iterable[str], copied: Iterable[str]
) -> dict[str, Rows]:
    """What must stand in rows because one phase makes it and another reads it, or the same one
    reads all its units: ``step`` where it stays within a step, else ``stretch``."""
    constants = {o.name for o in layout.program.operations if o.op in CONSTANTS}
    carried = {array.old for array in layout.arrays.values() if array.rows == "ring"}
    places = [(part, n, phase) for part in PARTS for n, phase in enumerate(layout.parts[part])]
    made = {name: (part, n) for part, n, phase in places for name in phase.made}
    needed: dict[str, Rows] = dict.fromkeys(copied, "stretch")
    for part, number, phase in places:
        whole = _whole_of(_stages(phase))
        for value in _reads(phase) - constants:
            if value in carried and part == "after":
                needed[value] = "stretch"
            elif value in made and (made[value] != (part, number) or value in whole):
                in_step = made[value][0] == part == "loop"
                needed[value] = needed.get(value, "step") if in_step else "stretch"
    for value in wanted_after:
        if value in made or value in carried:
            needed[value] = "stretch"
    return needed


def _place_what_is_passed(
    layout: Layout, wanted_after: Iterable[str], copied: Iterable[str]
) -> None:
    """Give columns of ``stretch`` and ``step`` to what needs a place. What is read side by side
    stands side by side."""
    needed = _where_needed(layout, wanted_after, copied)
    order = [
        vector
        for part in PARTS
        for phase in layout.parts[part]
        for product in phase.products
        for vector in product.vectors
    ]
    for value in dict.fromkeys((*order, *layout.program.axes)):
        kept = any(array.rows == "all" and array.holds(value) for array in layout.arrays.values())
        if value in needed and not kept:
            name = needed[value]
            array = layout.arrays.setdefault(name, Array(name, name))
            array.columns.append(_column(layout.program, value))


def _column(program: Program, value: str) -> Column:
    axes = program.axes[value]
    return Column(value, axes[0] if axes else None)


def _vectors_read(program: Program, parts: Iterable[tuple[Phase, ...]]) -> tuple[str, ...]:
    read = {value for phases in parts for phase in phases for value in _reads(phase)}
    return tuple(leaf.name for leaf in program.leaves_of("bias", "vector") if leaf.name in read)


def forward_layout(plan: Plan, *, training: bool) -> Layout:
    """The layout of the way forward; with ``training`` what the way back reads is kept."""
    program = plan.program
    dependent = program.dependent_on_state
    arrays = {
        f"in:{leaf.name}": Array(f"in:{leaf.name}", "all", [_column(program, leaf.name)])
        for leaf in program.leaves_of("input")
    }
    new_state = program.values_of("state")
    for leaf in program.states:
        of = leaf.name.removesuffix("'")
        arrays[f"state:{of}"] = Array(
            f"state:{of}", "ring", [_column(program, leaf.name)], leaf.name, new_state[of]
        )
    outputs = program.values_of("output")
    for of, value in outputs.items():
        arrays[f"out:{of}"] = Array(f"out:{of}", "all", [_column(program, value)])
    inputs = {leaf.name for leaf in program.leaves_of("input")}
    kept = [name for name in plan.kept if name not in inputs] if training else []
    if kept:
        arrays["kept"] = Array("kept", "all", [_column(program, name) for name in kept])

    made = {
        part: {
            name
            for stage in getattr(plan.forward, part)
            for name in (
                stage.results if isinstance(stage, Product) else [o.name for o in stage.operations]
            )
        }
        for part in PARTS
    }
    elsewhere = [*outputs.values(), *kept]
    copies: dict[str, list[str]] = {"before": [], "loop": list(new_state.values()), "after": []}
    for value in elsewhere:
        if not any(value in names for names in made.values()):
            copies["loop" if value in dependent else "before"].append(value)
    constants = [o for o in program.operations if o.op in CONSTANTS]
    read_after = _read_by(plan.forward.after)
    copies["loop"] += [leaf.name for leaf in program.states if leaf.name in read_after]
    copied = _whole_parameters(
        program, {v for part in PARTS for v in _whole_of(getattr(plan.forward, part))}
    )
    parts: dict[Part, tuple[Phase, ...]] = {
        part: phases(
            (Pointwise(tuple(constants)), *getattr(plan.forward, part)),
            program.axes,
            copies[part],
            copied if part == "before" else (),
        )
        for part in PARTS
    }
    layout = Layout(
        f"forward{'_training' if training else ''}",
        program, parts, arrays, _vectors_read(program, parts.values()),
        (), (), frozenset(), reverse=False,
    )  # fmt: skip
    _place_what_is_passed(layout, (), copied)
    _make_runs(layout)
    return layout


def _outer_terms(program: Program, value: str) -> list[tuple[str, str]]:
    """A matrix's gradient as a sum of outer products."""
    by_name = {o.name: o for o in program.operations}
    operation = by_name[value]
    if operation.op == "outer":
        left, right = operation.arguments
        return [(left, right)]
    assert operation.op == "add"  # nothing else has a matrix as result, see operations.py
    return [term for argument in operation.arguments for term in _outer_terms(program, argument)]


def backward_layout(plan: Plan) -> Layout:
    """The layout of the way back. It reads what ``forward_layout(training=True)`` keeps."""
    program = plan.gradient
    forward = plan.program
    gradients = program.values_of("gradient")
    inputs = [leaf.name for leaf in forward.leaves_of("input")]
    arrays: dict[str, Array] = {}
    for name in inputs:
        arrays[f"in:{name}"] = Array(f"in:{name}", "all", [_column(forward, name)])
    kept = [name for name in plan.kept if name not in inputs]
    if kept:
        arrays["in:kept"] = Array("in:kept", "all", [_column(forward, name) for name in kept])
    upstream = {leaf.name for leaf in program.leaves_of("upstream")}
    for of, value in forward.values_of("output").items():
        name = f"∂{of}@out"
        if name in upstream:
            column = Column(name, _column(forward, value).axis)
            arrays[f"in:{name}"] = Array(f"in:{name}", "all", [column])
    for leaf in forward.states:
        of = leaf.name.removesuffix("'")
        column = _column(forward, leaf.name)
        arrays[f"state:{of}"] = Array(
            f"state:{of}", "ring", [column], f"∂{of}@next", gradients[leaf.name]
        )
    for name in inputs:
        value = gradients[name]
        arrays[f"out:{name}"] = Array(f"out:{name}", "all", [_column(program, value)])
    matrices = [leaf.name for leaf in forward.leaves_of("matrix")]
    sums = tuple((leaf.name, gradients[leaf.name]) for leaf in forward.leaves_of("bias", "vector"))
    terms = [
        (matrix, *pair) for matrix in matrices for pair in _outer_terms(program, gradients[matrix])
    ]
    axes = program.axes
    in_loop = [gradients[leaf.name] for leaf in forward.states]

    def vectors_only(stages: Iterable[Stage]) -> list[Stage]:
        found: list[Stage] = []
        for stage in stages:
            if isinstance(stage, Product):
                found += [] if stage.kind == "outer" else [stage]
            else:
                found.append(Pointwise(tuple(o for o in stage.operations if len(o.axes) < 2)))
        return found

    constants = Pointwise(tuple(o for o in program.operations if o.op in CONSTANTS))
    carried = {array.old for array in arrays.values() if array.rows == "ring"}
    after_stages = vectors_only(plan.backward.after)
    wanted = [value for _, value in sums] + [name for _, *pair in terms for name in pair]
    after_copies = [gradients[name] for name in inputs]
    read_after = {*wanted, *after_copies, *_read_by(after_stages)}
    loop_stages = vectors_only((*plan.backward.before, *plan.backward.loop))
    copied = _whole_parameters(
        program, {*wanted, *_whole_of(loop_stages), *_whole_of(after_stages)}
    )
    copies = [*in_loop, *(name for name in sorted(carried) if name in read_after)]
    parts: dict[Part, tuple[Phase, ...]] = {
        "before": (),
        "loop": phases((constants, *loop_stages), axes, copies, copied),
        "after": phases((constants, *after_stages), axes, after_copies),
    }
    layout = Layout(
        "backward", program, parts, arrays, _vectors_read(program, parts.values()),
        sums, (), _only_for_inputs(parts["after"], wanted), reverse=True,
    )  # fmt: skip
    _place_what_is_passed(layout, wanted, copied)
    layout.outers = tuple(_group_outers(layout, terms))
    _make_runs(layout)
    return layout


def _only_for_inputs(after: tuple[Phase, ...], wanted: Iterable[str]) -> frozenset[int]:
    needed = set(wanted)
    idle = set()
    for number in reversed(range(len(after))):
        if needed.intersection(after[number].made):
            needed |= _reads(after[number])
        else:
            idle.add(number)
    return frozenset(idle)


def _group_outers(layout: Layout, terms: list[tuple[str, str, str]]) -> Iterator[Outer]:
    """Join terms of one right whose lefts stand side by side. Lefts of one matrix used twice
    stay apart: their sums are added later."""

    def position(term: tuple[str, str, str]) -> tuple[str, str, int]:
        array, column = layout.place(term[1], "after")
        return term[2], array.name, column

    group: list[tuple[str, str, str]] = []
    axes = layout.program.axes
    uses = Counter(matrix for matrix, *_ in terms)
    repeated = {matrix for matrix, count in uses.items() if count > 1}
    for term in [*sorted(terms, key=position), None]:
        if group:
            array, _ = layout.place(group[-1][1], "after")
            fits = (
                term is not None
                and term[2] == group[-1][2]
                and term[0] not in repeated
                and group[-1][0] not in repeated
                and _side_by_side(array, group[-1][1], term[1])
            )
            if not fits:
                first = group[0]
                yield Outer(
                    tuple(t[0] for t in group),
                    tuple(t[1] for t in group),
                    first[2],
                    axes[first[1]][0],
                    axes[first[2]][0],
                )
                group = []
        if term is not None:
            group.append(term)
