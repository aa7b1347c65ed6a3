"""The layout of the backward pass, which reads what the forward pass kept."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from conveyor.compiler.phases import CONSTANTS, Phase, phases
from conveyor.compiler.plan import Plan, Pointwise, Product, Stage
from conveyor.compiler.program import Operation
from conveyor.kernels.layout.placement import (
    column_of,
    join_products,
    made_by,
    memory_column,
    place_passed,
    read_by,
    read_by_phase,
    read_whole,
    side_by_side,
    state_array,
    vectors_read,
    whole_parameters,
)
from conveyor.kernels.layout.values import (
    HISTORY,
    Array,
    ArrayKey,
    Column,
    MemoryLayout,
    Outer,
    OverSteps,
    Part,
)


class _Term(NamedTuple):
    """An outer product in a matrix's gradient."""

    matrix: str
    left: str
    right: str


def backward_layout(plan: Plan) -> MemoryLayout:
    """Return the layout of the backward pass. It reads what ``forward_layout(training=True)``
    keeps."""
    program, forward = plan.gradient, plan.program
    gradients = program.values_of("gradient")
    by_name = {o.name: o for o in program.operations}
    inputs = [leaf.name for leaf in forward.leaves_of("input")]
    arrays = _arrays(plan)
    sums = tuple((leaf.name, gradients[leaf.name]) for leaf in forward.leaves_of("bias", "vector"))
    terms = [
        _Term(leaf.name, left, right)
        for leaf in forward.leaves_of("matrix")
        for left, right in _outer_terms(by_name, gradients[leaf.name])
    ]
    constants = Pointwise(tuple(o for o in program.operations if o.op in CONSTANTS))
    carried = {array.old for array in arrays.values() if array.rows == "ring"}
    after_stages = _of_vectors(plan.backward.after, forward.places)
    wanted = [value for _, value in sums]
    wanted += [value for term in terms for value in (term.left, term.right)]
    after_copies = [gradients[name] for name in (*inputs, *_reached_taps(plan))]
    read_after = {*wanted, *after_copies, *read_by(after_stages)}
    loop_stages = _of_vectors((*plan.backward.before, *plan.backward.loop), forward.places)
    copied = whole_parameters(
        program, {*wanted, *read_whole(loop_stages), *read_whole(after_stages)}
    )
    late = [gradients[f"{name}'"] for name in plan.delayed]
    copies = [
        gradients[leaf.name]
        for leaf in forward.states
        if leaf.name.removesuffix("'") not in plan.delayed
    ]
    copies += [name for name in sorted(carried) if name in read_after or name in late]
    of_memories = _of_memories(plan, by_name)
    if of_memories.over_steps:
        columns = [column_of(program, name) for name in dict.fromkeys(of_memories.read)]
        arrays[HISTORY] = Array(HISTORY, "history", columns)
        copies += of_memories.read
    handed = [name for name in late if name not in made_by(plan.backward) | carried]
    parts: dict[Part, tuple[Phase, ...]] = {
        "before": (),
        "loop": phases(
            (constants, *loop_stages), program.axes, copies, copied, of_memories.by_walks
        ),
        "after": phases((constants, *after_stages), program.axes, after_copies, handed),
    }
    layout = MemoryLayout(
        "backward", program, parts, arrays, vectors_read(program, parts.values()),
        sums, (), _only_for_inputs(parts["after"], wanted, late), reverse=True,
        places=tuple(sorted(forward.places)), over_steps=of_memories.over_steps,
    )  # fmt: skip
    place_passed(layout, wanted, copied)
    layout.outers = tuple(_joined_terms(layout, terms))
    join_products(layout)
    return layout


def _reached_taps(plan: Plan) -> tuple[str, ...]:
    """Return the taps at which a gradient arrives."""
    gradients = plan.gradient.values_of("gradient")
    return tuple([tap for tap in plan.program.values_of("tap") if tap in gradients])


class _OfMemories(NamedTuple):
    """How gradients of memories are summed: over steps, once these are done, or by walks, which add
    a value at each place to the gradient of a memory."""

    over_steps: tuple[OverSteps, ...]
    by_walks: tuple[tuple[str, str], ...]

    @property
    def read(self) -> list[str]:
        """The values that are summed over steps."""
        return [value for term in self.over_steps for value in (term.number, term.vector)]


def _of_memories(plan: Plan, by_name: Mapping[str, Operation]) -> _OfMemories:
    """Return how the gradients of memories are summed. On what nothing depends, a gradient is an
    outer product of zeros, and nothing is added."""
    gradients = plan.gradient.values_of("gradient")
    over_steps: list[OverSteps] = []
    by_walks: list[tuple[str, str]] = []
    for leaf in plan.program.memories:
        waiting = [gradients[leaf.name]]
        while waiting:
            operation = by_name[waiting.pop()]
            if operation.op == "add":
                waiting += reversed(operation.arguments)
                continue
            factors = {by_name[a].op: a for a in operation.arguments if a in by_name}
            if operation.op == "mul" and factors.keys() == {"to_units", "to_places"}:
                number, vector = (
                    by_name[factors[op]].arguments[0] for op in ("to_units", "to_places")
                )
                over_steps.append(OverSteps(leaf.name, number, vector))
            elif operation.op != "outer":
                by_walks.append((leaf.name, operation.name))
    return _OfMemories(tuple(over_steps), tuple(by_walks))


def _arrays(plan: Plan) -> dict[ArrayKey, Array]:
    """Return the arrays of inputs, memories, what was kept, gradients of outputs, states,
    gradients of inputs, of memories and of tapped values."""
    program, forward = plan.gradient, plan.program
    gradients = program.values_of("gradient")
    inputs = [leaf.name for leaf in forward.leaves_of("input")]
    arrays = [Array(ArrayKey("input", name), "all", [column_of(forward, name)]) for name in inputs]
    arrays += [
        Array(ArrayKey("memory", leaf.name), "sequence", [memory_column(leaf, leaf.name)])
        for leaf in forward.memories
    ]
    kept = [name for name in plan.kept if name not in inputs]
    if kept:
        arrays.append(Array(ArrayKey("saved"), "all", [column_of(forward, name) for name in kept]))
    upstream = {leaf.name for leaf in program.leaves_of("upstream")}
    for name, value in forward.values_of("output").items():
        gradient = f"∂{name}@out"
        if gradient in upstream:
            column = Column(gradient, column_of(forward, value).axis)
            arrays.append(Array(ArrayKey("upstream", name), "all", [column]))
    for leaf in forward.states:
        name = leaf.name.removesuffix("'")
        old, new, delayed = f"∂{name}@next", gradients[leaf.name], name in plan.delayed
        arrays.append(state_array(forward, leaf, old, new, delayed=delayed))
    for name in inputs:
        columns = [column_of(program, gradients[name])]
        arrays.append(Array(ArrayKey("output", name), "all", columns))
    for leaf in forward.memories:
        columns = [memory_column(leaf, gradients[leaf.name])]
        arrays.append(Array(ArrayKey("output", leaf.name), "sequence", columns))
    for name in _reached_taps(plan):
        columns = [column_of(program, gradients[name])]
        arrays.append(Array(ArrayKey("output", name), "all", columns))
    return {array.key: array for array in arrays}


def _of_vectors(stages: Iterable[Stage], places: frozenset[str]) -> list[Stage]:
    """Return stages without what has matrices as results; vectors at places are none."""

    def is_matrix(operation: Operation) -> bool:
        axes = operation.axes
        return len(axes) > 1 and (axes[0] not in places or operation.op == "outer")

    vectors: list[Stage] = []
    for stage in stages:
        if isinstance(stage, Product):
            vectors += [] if stage.kind == "outer" else [stage]
        else:
            vectors.append(Pointwise(tuple(o for o in stage.operations if not is_matrix(o))))
    return vectors


def _outer_terms(by_name: Mapping[str, Operation], value: str) -> list[tuple[str, str]]:
    """Return the outer products whose sum a matrix's gradient is, from left to right."""
    terms: list[tuple[str, str]] = []
    waiting = [value]
    while waiting:  # a matrix may be used thousands of times
        operation = by_name[waiting.pop()]
        if operation.op == "outer":
            left, right = operation.arguments
            terms.append((left, right))
        else:
            assert operation.op == "add"  # nothing else has a matrix as result, see operations.py
            waiting += reversed(operation.arguments)
    return terms


def _only_for_inputs(
    after: tuple[Phase, ...], wanted: Iterable[str], late: Iterable[str]
) -> frozenset[int]:
    """Return the phases that only gradients of inputs need, by number. ``late`` are values that
    the next step reads, or that are gradients of start states."""
    late = set(late)
    needed = late.union(wanted)
    numbers = set()
    for number in reversed(range(len(after))):
        if needed.intersection(after[number].made) or late.intersection(after[number].copies):
            needed |= read_by_phase(after[number])
        else:
            numbers.add(number)
    return frozenset(numbers)


def _joined_terms(layout: MemoryLayout, terms: list[_Term]) -> Iterator[Outer]:
    """Join terms of one right whose lefts stand side by side. Lefts of one matrix that is used
    twice stay apart: their sums are added later."""

    def position(term: _Term) -> tuple[str, str, str, int]:
        array, column = layout.place(term.left, "after")
        return term.right, *array.key, column

    axes = layout.program.axes
    uses = Counter(term.matrix for term in terms)
    repeated = {matrix for matrix, count in uses.items() if count > 1}
    group: list[_Term] = []
    for term in [*sorted(terms, key=position), None]:
        if group:
            last = group[-1]
            array, _ = layout.place(last.left, "after")
            fits = (
                term is not None
                and term.right == last.right
                and term.matrix not in repeated
                and last.matrix not in repeated
                and side_by_side(array, last.left, term.left)
            )
            if not fits:
                yield Outer(
                    tuple(each.matrix for each in group),
                    tuple(each.left for each in group),
                    last.right,
                    axes[last.left][0],
                    axes[last.right][0],
                )
                group = []
        if term is not None:
            group.append(term)
