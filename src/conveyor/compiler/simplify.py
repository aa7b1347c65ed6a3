"""Rewrites that keep the value. The docstring of each states its law, before → after."""

from collections.abc import Callable
from dataclasses import replace

from conveyor.compiler.check import check
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.rewrite import Builder, numbered, renamed

_FOLDS: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def _numbers(operations: tuple[Operation, ...]) -> dict[str, float]:
    """The names that stand for a number that is known: constants, alone or spread."""
    known: dict[str, float] = {}
    for operation in operations:
        if operation.op == "constant":
            known[operation.name] = float(operation.attribute or 0.0)
        elif operation.op == "spread" and operation.arguments[0] in known:
            known[operation.name] = known[operation.arguments[0]]
    return known


def fold_constants(program: Program) -> Program:
    """2 + 3 → 5, and likewise - and *."""
    known = _numbers(program.operations)

    def folded(operation: Operation) -> Operation:
        values = [known[a] for a in operation.arguments if a in known]
        if operation.op not in _FOLDS or len(values) < 2 or operation.axes:
            return operation
        known[operation.name] = _FOLDS[operation.op](*values)
        return replace(operation, op="constant", arguments=(), attribute=known[operation.name])

    return replace(program, operations=tuple(folded(o) for o in program.operations))


def drop_neutral(program: Program) -> Program:
    """a + 0 → a,  0 + a → a,  a - 0 → a,  a * 1 → a,  1 * a → a,  a / 1 → a,  -(-a) → a."""
    known = _numbers(program.operations)
    by_name = {o.name: o for o in program.operations}
    instead: dict[str, str] = {}
    for operation in program.operations:
        arguments = [instead.get(a, a) for a in operation.arguments]
        numbers = [known.get(a) for a in arguments]
        same: str | None = None
        match operation.op:
            case "add":
                same = (
                    arguments[0] if numbers[1] == 0 else arguments[1] if numbers[0] == 0 else None
                )
            case "sub" if numbers[1] == 0:
                same = arguments[0]
            case "mul":
                same = (
                    arguments[0] if numbers[1] == 1 else arguments[1] if numbers[0] == 1 else None
                )
            case "div" if numbers[1] == 1:
                same = arguments[0]
            case "neg":
                inner = by_name.get(arguments[0])
                same = inner.arguments[0] if inner and inner.op == "neg" else None
        if same is not None and program.axes[same] == operation.axes:
            instead[operation.name] = instead.get(same, same)
    return _replaced(program, instead)


def share_equal(program: Program) -> Program:
    """p = a * b; q = a * b → p = a * b, and q is p."""
    seen: dict[tuple[object, ...], str] = {}
    instead: dict[str, str] = {}
    for operation in program.operations:
        arguments = tuple(instead.get(a, a) for a in operation.arguments)
        key = (operation.op, arguments, operation.attribute, operation.axes)
        if key in seen:
            instead[operation.name] = seen[key]
        else:
            seen[key] = operation.name
    return _replaced(program, instead)


def drop_unused(program: Program) -> Program:
    """p = a * b, and nothing needs p → nothing."""
    needed = {result.value for result in program.results}
    kept = []
    for operation in reversed(program.operations):
        if operation.name in needed:
            needed.update(operation.arguments)
            kept.append(operation)
    return replace(program, operations=tuple(reversed(kept)))


def _replaced(program: Program, instead: dict[str, str]) -> Program:
    """The program with every use of a name in ``instead`` turned to its stand-in."""
    if not instead:
        return program
    kept = replace(
        program, operations=tuple(o for o in program.operations if o.name not in instead)
    )
    return renamed(kept, instead)


PASSES = (fold_constants, drop_neutral, share_equal, drop_unused)


def simplify(program: Program) -> Program:
    """Apply all passes until none changes anything, and check what they made."""
    while True:
        before = program
        for rewrite in PASSES:
            program = rewrite(program)
        if program == before:
            return check(numbered(program))


def without_bias(program: Program) -> Program:
    """W @ x + b → W @ x for every bias b: the cell of ``bias=False``."""
    biases = program.leaves_of("bias")
    if not biases:
        return program
    names = {leaf.name for leaf in biases}
    builder = Builder({leaf.name: leaf.axes for leaf in program.leaves if leaf.name not in names})
    for operation in program.operations:  # so that new names cannot meet old ones
        builder.axes[operation.name] = operation.axes
    zero = builder.add("constant", attribute=0.0)
    instead = {leaf.name: builder.add("spread", zero, attribute=leaf.axes[0]) for leaf in biases}
    bare = renamed(program, instead)
    return simplify(
        replace(
            bare,
            leaves=tuple(leaf for leaf in program.leaves if leaf.name not in names),
            operations=(*builder.operations, *bare.operations),
            start=tuple((key, number) for key, number in program.start if key not in names),
            keep=tuple((key, sign) for key, sign in program.keep if key not in names),
        )
    )
