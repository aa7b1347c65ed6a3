"""The layout of the forward pass, and of what it keeps for the backward pass."""

from conveyor.compiler.phases import CONSTANTS, Phase, phases
from conveyor.compiler.plan import Plan, Pointwise, Product
from conveyor.compiler.program import Program
from conveyor.kernels.layout.placement import (
    column_of,
    join_products,
    place_passed,
    read_by,
    read_whole,
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
    copies = _copies(plan, kept)
    parts: dict[Part, tuple[Phase, ...]] = {
        part: phases(
            (constants, *getattr(plan.forward, part)),
            program.axes,
            copies[part],
            copied if part == "before" else (),
        )
        for part in PARTS
    }
    layout = MemoryLayout(
        f"forward{'_training' if training else ''}",
        program, parts, _arrays(program, kept), vectors_read(program, parts.values()),
        (), (), frozenset(), reverse=False,
    )  # fmt: skip
    place_passed(layout, (), copied)
    join_products(layout)
    return layout


def _arrays(program: Program, kept: list[str]) -> dict[ArrayKey, Array]:
    """Return the arrays of inputs, states, outputs and what is kept."""
    arrays = [
        Array(ArrayKey("input", leaf.name), "all", [column_of(program, leaf.name)])
        for leaf in program.leaves_of("input")
    ]
    new_state = program.values_of("state")
    for leaf in program.states:
        name = leaf.name.removesuffix("'")
        key, columns = ArrayKey("state", name), [column_of(program, leaf.name)]
        arrays.append(Array(key, "ring", columns, leaf.name, new_state[name]))
    for name, value in program.values_of("output").items():
        arrays.append(Array(ArrayKey("output", name), "all", [column_of(program, value)]))
    if kept:
        arrays.append(Array(ArrayKey("kept"), "all", [column_of(program, name) for name in kept]))
    return {array.key: array for array in arrays}


def _copies(plan: Plan, kept: list[str]) -> dict[str, list[str]]:
    """Return the values that a part of the pass copies to where they are written, without making
    them."""
    program = plan.program
    dependent = program.dependent_on_state
    makes = {
        name
        for part in PARTS
        for stage in getattr(plan.forward, part)
        for name in (
            stage.results if isinstance(stage, Product) else [o.name for o in stage.operations]
        )
    }
    copies: dict[str, list[str]] = {
        "before": [],
        "loop": list(program.values_of("state").values()),
        "after": [],
    }
    for value in (*program.values_of("output").values(), *kept):
        if value not in makes:
            copies["loop" if value in dependent else "before"].append(value)
    after = read_by(plan.forward.after)
    copies["loop"] += [leaf.name for leaf in program.states if leaf.name in after]
    return copies
