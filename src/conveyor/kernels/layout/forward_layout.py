"""The layout of the forward pass, and of what it keeps for the backward pass."""

from conveyor.compiler.phases import CONSTANTS, Phase, phases
from conveyor.compiler.plan import Plan, Pointwise
from conveyor.kernels.layout.placement import (
    column_of,
    join_products,
    made_by,
    memory_column,
    place_passed,
    read_by,
    read_whole,
    state_array,
    vectors_read,
    whole_parameters,
)
from conveyor.kernels.layout.values import PARTS, Array, ArrayKey, MemoryLayout, Part


def forward_layout(plan: Plan, *, training: bool) -> MemoryLayout:
    """Return the layout of the forward pass.

    Args:
        plan: what is computed.
        training: whether what the backward pass reads is kept.
    """
    program = plan.program
    inputs = {leaf.name for leaf in program.leaves_of("input")}
    kept = [name for name in plan.kept if name not in inputs] if training else []
    copied = whole_parameters(
        program, {v for part in PARTS for v in read_whole(getattr(plan.forward, part))}
    )
    constants = Pointwise(tuple(o for o in program.operations if o.op in CONSTANTS))
    makes = made_by(plan.forward)
    copies = _copies(plan, kept, makes)
    new = program.values_of("state")
    late = [new[name] for name in plan.delayed if new[name] not in makes]
    parts: dict[Part, tuple[Phase, ...]] = {
        part: phases(
            (constants, *getattr(plan.forward, part)),
            program.axes,
            copies[part],
            (*copied, *late) if part == "before" else (),
        )
        for part in PARTS
    }
    layout = MemoryLayout(
        f"forward{'_training' if training else ''}",
        program, parts, _arrays(plan, kept), vectors_read(program, parts.values()),
        (), (), frozenset(), reverse=False, places=tuple(sorted(program.places)),
    )  # fmt: skip
    place_passed(layout, (), copied)
    join_products(layout)
    return layout


def _arrays(plan: Plan, kept: list[str]) -> dict[ArrayKey, Array]:
    """Return the arrays of inputs, memories, states, outputs and what is kept."""
    program = plan.program
    arrays = [
        Array(ArrayKey("input", leaf.name), "all", [column_of(program, leaf.name)])
        for leaf in program.leaves_of("input")
    ]
    arrays += [
        Array(ArrayKey("memory", leaf.name), "sequence", [memory_column(leaf, leaf.name)])
        for leaf in program.memories
    ]
    new_state = program.values_of("state")
    for leaf in program.states:
        name = leaf.name.removesuffix("'")
        new, delayed = new_state[name], name in plan.delayed
        arrays.append(state_array(program, leaf, leaf.name, new, delayed=delayed))
    for name, value in program.values_of("output").items():
        arrays.append(Array(ArrayKey("output", name), "all", [column_of(program, value)]))
    if kept:
        arrays.append(Array(ArrayKey("kept"), "all", [column_of(program, name) for name in kept]))
    return {array.key: array for array in arrays}


def _copies(plan: Plan, kept: list[str], makes: set[str]) -> dict[str, list[str]]:
    """Return the values that a part of the pass copies to where they are written, without making
    them."""
    program = plan.program
    dependent = program.dependent_on_state
    new = program.values_of("state")
    carried = [
        leaf.name for leaf in program.states if leaf.name.removesuffix("'") not in plan.delayed
    ]
    copies: dict[str, list[str]] = {
        "before": [],
        "loop": [new[name.removesuffix("'")] for name in carried],
        "after": [],
    }
    for value in (*program.values_of("output").values(), *kept):
        if value not in makes:
            copies["loop" if value in dependent else "before"].append(value)
    after = read_by(plan.forward.after)
    copies["loop"] += [name for name in carried if name in after]
    return copies
