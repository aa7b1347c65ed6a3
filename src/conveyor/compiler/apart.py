"""The loop of a cell that looks at a memory, apart from what is done once for each sequence.

Machine code walks over steps, and inside a step over places. What depends on memories alone is done
once for each sequence, by torch, before it: to the loop, its results come from outside. A vector
for each place is one more memory; what is no vector at places is an input that is the same at all
steps of its sequence.

What costs nothing is left in the loop: a vector that meets every place, the number of a place.
"""

from dataclasses import dataclass, replace

from conveyor.compiler.delays import dependent
from conveyor.compiler.observe import ONE
from conveyor.compiler.program import TAP, Leaf, LeafKind, Operation, Program
from conveyor.compiler.simplify import simplify

_PRODUCTS = ("matmul", "matmul_t", "outer", "outer_of_places")


@dataclass(frozen=True)
class Apart:
    """The program of the loop. It reads ``memories`` and ``inputs`` besides: by its names, the
    values of the whole program that they are. ``whole_trace`` says that no local name was lost."""

    program: Program
    memories: dict[str, str]
    inputs: dict[str, str]
    whole_trace: bool


def apart(program: Program, once: frozenset[str]) -> Apart | str:
    """Return the loop of a program apart, or a sentence that says why no walk over places can do
    it.

    Args:
        program: of a cell, its words written out.
        once: what is done once for each sequence.
    """
    of_memories = dependent(program, [leaf.name for leaf in program.memories])
    heavy: set[str] = set()
    for operation in program.operations:
        made_of_heavy = heavy.intersection(operation.arguments)
        if operation.name in once and (
            operation.name in of_memories or operation.op in _PRODUCTS or made_of_heavy
        ):
            heavy.add(operation.name)
    rest = [o for o in program.operations if o.name not in heavy]
    for operation in rest:
        if operation.op in _PRODUCTS and len(program.axes[operation.arguments[1]]) > 1:
            return (
                "it has no products with a vector at each place of a memory at every step: "
                f"{operation.arguments[0]} @ ... in the cell. What depends on the memory alone is "
                "done once."
            )
    results = [
        result
        for result in program.results
        if result.role not in ("local", "tap")
        or (result.value not in heavy and len(program.axes[result.value]) < 2)
    ]
    read = {a for o in rest for a in o.arguments} | {result.value for result in results}
    leaves = [
        leaf for leaf in program.leaves if leaf.kind in ("input", "state") or leaf.name in read
    ]
    memories = {leaf.name: leaf.name for leaf in leaves if leaf.kind == "memory"}
    inputs: dict[str, str] = {}
    totals: list[Operation] = []
    for number, name in enumerate(o.name for o in program.operations if o.name in heavy & read):
        axes = program.axes[name]
        kind: LeafKind = "memory" if len(axes) == 2 else "input"
        leaf = Leaf(name, kind, axes)
        if not axes:  # an input is no number
            leaf = Leaf(f"once.{number}", "input", (ONE,))
            totals.append(Operation(name, "total", (leaf.name,), ()))
        leaves.append(leaf)
        (memories if kind == "memory" else inputs)[leaf.name] = name
    names = {leaf.name for leaf in leaves}
    states = {leaf.name.removesuffix("'") for leaf in program.states}
    loop = replace(
        program,
        leaves=tuple(leaves),
        operations=(*totals, *rest),
        results=tuple(results),
        start=tuple((key, value) for key, value in program.start if key in names | states),
        keep=tuple((key, value) for key, value in program.keep if key in names),
        blocks=tuple((key, blocks) for key, blocks in program.blocks if key in names),
    )
    walked = {leaf.axes[0] for leaf in leaves if leaf.kind == "memory"}
    left = {axis for axes in loop.axes.values() for axis in axes} & program.places
    if left - walked:
        return "it walks over places of a memory, and no memory is left that has them."
    lost = len(program.results) - len(results)
    taps = any(leaf.name.endswith(TAP) for leaf in leaves)
    return Apart(simplify(loop), memories, inputs, whole_trace=not lost and not taps)
