"""The loop of a cell that looks at a memory, apart from what is done once for each sequence.

Machine code walks over steps, and inside a step over places. What depends on memories alone is done
once for each sequence, by torch, before it: to the loop, its results come from outside. A vector
for each place is one more memory; what is no vector at places is an input that is the same at all
steps of its sequence.

What costs nothing is left in the loop: a vector that meets every place, the number of a place.
What is done once at each place by itself, such as a product with its vector, is a program without
states whose rows are places: machine code can run it, and its bits depend on no number of threads.
"""

from dataclasses import dataclass, replace

from conveyor.cells.operations import RULES
from conveyor.compiler.check import check
from conveyor.compiler.delays import dependent
from conveyor.compiler.observe import ONE
from conveyor.compiler.program import (
    TAP,
    UNIT_KINDS,
    Leaf,
    LeafKind,
    Operation,
    Program,
    Result,
)
from conveyor.compiler.rewrite import renamed
from conveyor.compiler.simplify import drop_unused, simplify

_PRODUCTS = ("matmul", "matmul_t", "outer", "outer_of_places")


@dataclass(frozen=True)
class Apart:
    """The program of the loop. It reads ``memories`` and ``inputs`` besides: by its names, the
    values of the whole program that they are. ``at_places`` are programs for some of these, whose
    inputs are memories; their outputs are called as the values. ``whole_trace`` says that no local
    name was lost."""

    program: Program
    memories: dict[str, str]
    inputs: dict[str, str]
    at_places: tuple[Program, ...]
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
    heavy = _leading_to_places(program, heavy)
    results = [
        result
        for result in program.results
        if result.role not in ("local", "tap")
        or (result.value not in heavy and len(program.axes[result.value]) < 2)
    ]
    light = tuple([o for o in program.operations if o.name not in heavy])
    rest = drop_unused(replace(program, operations=light, results=tuple(results))).operations
    for operation in rest:
        if operation.op in _PRODUCTS and len(program.axes[operation.arguments[1]]) > 1:
            return (
                "it has no products with a vector at each place of a memory at every step: "
                f"{operation.arguments[0]} @ ... in the cell. What depends on the memory alone is "
                "done once."
            )
    read = {a for o in rest for a in o.arguments} | {result.value for result in results}
    leaves = [
        leaf for leaf in program.leaves if leaf.kind in ("input", "state") or leaf.name in read
    ]
    memories = {leaf.name: leaf.name for leaf in leaves if leaf.kind == "memory"}
    inputs: dict[str, str] = {}
    totals: list[Operation] = []
    # A leaf keeps its name in gradients, where operations without a name are counted anew.
    instead: dict[str, str] = {}
    for number, name in enumerate(o.name for o in program.operations if o.name in heavy & read):
        axes = program.axes[name]
        kind: LeafKind = "memory" if len(axes) == 2 else "input"
        leaf = Leaf(name, kind, axes)
        if not axes:  # an input is no number
            leaf = Leaf(f"once.{number}", "input", (ONE,))
            totals.append(Operation(name, "total", (leaf.name,), ()))
        elif name.startswith("%"):
            leaf = replace(leaf, name=f"once.{number}")
            instead[name] = leaf.name
        leaves.append(leaf)
        (memories if kind == "memory" else inputs)[leaf.name] = name
    names = {leaf.name for leaf in leaves}
    states = {leaf.name.removesuffix("'") for leaf in program.states}
    loop = replace(
        renamed(replace(program, operations=(*totals, *rest), results=tuple(results)), instead),
        leaves=tuple(leaves),
        start=tuple((key, value) for key, value in program.start if key in names | states),
        keep=tuple((key, value) for key, value in program.keep if key in names),
        blocks=tuple((key, blocks) for key, blocks in program.blocks if key in names),
    )
    walked = {leaf.axes[0] for leaf in leaves if leaf.kind == "memory"}
    left = {axis for axes in loop.axes.values() for axis in axes} & program.places
    if left - walked:
        return (
            "it has no walk without vectors: the cell reads no vector of a memory at every step, "
            f"only numbers for the places {', '.join(sorted(left - walked))}."
        )
    lost = len(program.results) - len(results)
    taps = any(leaf.name.endswith(TAP) for leaf in leaves)
    at_places = _at_places(program, [name for name in memories.values() if name in heavy])
    return Apart(simplify(loop), memories, inputs, at_places, whole_trace=not lost and not taps)


def _leading_to_places(program: Program, heavy: set[str]) -> set[str]:
    """Return those of heavy values that are computed over places, and those that lead there. What
    is made of them alone, such as the product of a matrix and a weighted sum, is of machine code,
    whose bits depend on no number of threads."""
    kept: set[str] = set()
    read: set[str] = set()
    for operation in reversed(program.operations):
        names = (operation.name, *operation.arguments)
        over_places = any(program.places.intersection(program.axes[name]) for name in names)
        if operation.name in heavy and (over_places or operation.name in read):
            kept.add(operation.name)
            read.update(operation.arguments)
    return kept


def _at_places(program: Program, wanted: list[str]) -> tuple[Program, ...]:
    """Return programs, one for each axis of places, for those of the wanted values that are made at
    each place by itself, of what stands there and of parameters."""
    kinds = {leaf.name: leaf.kind for leaf in program.leaves}
    alone = {leaf.name for leaf in program.memories}
    alone |= {o.name for o in program.operations if o.op == "constant"}
    # A vector that meets every place is, at one of them, itself.
    itself: dict[str, str] = {}
    operations: list[Operation] = []
    for operation in program.operations:
        arguments = tuple([itself.get(name, name) for name in operation.arguments])
        if operation.op == "constant":
            operations.append(operation)
        elif operation.op == "to_places" and kinds.get(arguments[0]) in UNIT_KINDS:
            itself[operation.name] = arguments[0]
            alone.add(arguments[0])
        elif len(operation.axes) == 2 and (
            (operation.op == "matmul" and arguments[1] in alone)
            or (RULES[operation.op].unit_by_unit and alone.issuperset(arguments))
        ):
            alone.add(operation.name)
            operations.append(replace(operation, arguments=arguments, axes=operation.axes[1:]))
    programs = []
    for place in sorted(program.places):
        results = [
            Result("output", name, name)
            for name in wanted
            if name in alone and program.axes[name][0] == place
        ]
        if results:
            bare = replace(program, results=tuple(results), start=(), keep=(), blocks=())
            made = drop_unused(replace(bare, operations=tuple(operations)))
            read = {a for o in made.operations for a in o.arguments}
            leaves = [
                replace(leaf, kind="input", axes=leaf.axes[1:]) if leaf.kind == "memory" else leaf
                for leaf in program.leaves
                if leaf.name in read
            ]
            programs.append(check(replace(made, leaves=tuple(leaves))))
    return tuple(programs)
