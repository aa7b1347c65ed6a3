"""The rules that every program obeys. Each pass of the compiler ends here, and so does every
program that is read from a file."""

import re
from keyword import iskeyword
from typing import NoReturn, get_args

from conveyor.cells.blocks import is_number_of_blocks
from conveyor.cells.initial_value import finite, is_start
from conveyor.cells.operations import RULES, Axes, AxesError, result_axes, spell
from conveyor.compiler.first_layer import links
from conveyor.compiler.program import (
    TAP,
    Leaf,
    LeafKind,
    Operation,
    Program,
    Role,
)
from conveyor.errors import ProgramError

# Letters of any alphabet, gates after a point; ∂, %, the prime and @ as in program.py.
_NAME = re.compile(r"∂?(%\d+|[^\W\d]\w*)(\.\w+)?('|@out|@next)?")
_AXIS = re.compile(r"[^\W\d]\w*")

# How many axes a leaf may have, by its kind; others have one. What is kept of a step may be a
# vector for each place of a memory.
_DIMENSIONS: dict[LeafKind, tuple[int, ...]] = {
    "matrix": (2,),
    "memory": (2,),
    "state": (0, 1),
    "upstream": (0, 1),
    "kept": (0, 1, 2),
}

# A cell of the literature has fewer than 100 operations. Planning takes time with their number:
# 5,000 take about two seconds. A file that holds more is more likely to be wrong.
MOST_OPERATIONS = 5_000


def _raise(program: Program, what: str) -> NoReturn:
    raise ProgramError(f"program {program.name}: {what}")


def _check_leaf(program: Program, leaf: Leaf) -> None:
    if leaf.kind not in get_args(LeafKind):
        _raise(program, f"leaf {leaf.name} has the unknown kind {leaf.kind!r}.")
    named = all(isinstance(axis, str) and _AXIS.fullmatch(axis) for axis in leaf.axes)
    if not named or len(leaf.axes) not in _DIMENSIONS.get(leaf.kind, (1,)):
        _raise(program, f"{leaf.kind} {leaf.name} has the axes {leaf.axes!r}.")


def _check_operation(
    program: Program, operation: Operation, axes: dict[str, Axes], matrices: set[str]
) -> None:
    """``axes`` are those of the names defined before it; ``matrices`` are parameters."""
    for argument in operation.arguments:
        if not isinstance(argument, str) or argument not in axes:
            _raise(program, f"{operation.name} uses {argument!r}, which is not defined before it.")
    attribute = operation.attribute
    if not isinstance(operation.op, str) or operation.op not in RULES:
        _raise(program, f"{operation.name}: there is no operation {operation.op!r}")
    wanted = RULES[operation.op].attribute
    is_axis = isinstance(attribute, str) and _AXIS.fullmatch(attribute) is not None
    if not {"number": finite(attribute), "axis": is_axis, None: attribute is None}[wanted]:
        _raise(program, f"{operation.name} carries {attribute!r}, {operation.op} wants {wanted}.")
    try:
        got = result_axes(operation.op, tuple(axes[a] for a in operation.arguments), attribute)
    except AxesError as error:
        raise ProgramError(f"program {program.name}: {operation.name}: {error}") from error
    others = operation.arguments if operation.op not in ("matmul", "matmul_t") else ()
    for argument in matrices.intersection(others):
        _raise(
            program,
            f"{operation.name}: a matrix {spell(axes[argument])} cannot be used unit by unit; "
            "multiply it: W @ x",
        )
    if got != operation.axes:
        _raise(program, f"{operation.name} claims the axes {operation.axes}, it has {got}.")


def _check_results(program: Program, axes: dict[str, Axes]) -> None:
    seen: set[tuple[str, str]] = set()
    for result in program.results:
        if result.role not in get_args(Role):
            _raise(program, f"a result has the unknown role {result.role!r}.")
        if not isinstance(result.of, str) or (result.role, result.of) in seen:
            _raise(program, f"{result.role} {result.of!r} is no name, or given twice.")
        if not isinstance(result.value, str) or result.value not in axes:
            _raise(program, f"{result.role} {result.of} is {result.value!r}: not defined.")
        if result.role == "output" and len(axes[result.value]) > 1:
            _raise(program, f"output {result.of} is a matrix.")
        seen.add((result.role, result.of))
    new = program.values_of("state")
    for state in () if program.values_of("gradient") else program.states:
        name = state.name.removesuffix("'")
        if axes.get(new.get(name, "")) != state.axes:
            _raise(program, f"state {name} has no new value of axes {state.axes}.")


def _check_numbers(program: Program) -> None:
    learned = {leaf.name for leaf in program.parameters}
    stored = {leaf.name for leaf in program.stored}
    states = {leaf.name.removesuffix("'") for leaf in program.states}
    for key, value in program.start:
        if key not in stored | states:
            _raise(program, f"a start value is given to {key!r}, which is no parameter.")
        if not is_start(value) or (key in states and not isinstance(value, int | float)):
            _raise(program, f"start of {key} is {value!r}; expected a number.")
    for key, number in program.keep:
        if key not in learned:
            _raise(program, f"keep names {key!r}, which is no parameter.")
        if not finite(number):
            _raise(program, f"keep of {key} is {number!r}; expected a number.")


def _check_blocks(program: Program) -> None:
    matrices = {leaf.name for leaf in program.leaves_of("matrix")}
    for name, blocks in program.blocks:
        if name not in matrices:
            _raise(program, f"{name} is made of blocks, and is no matrix.")
        if not is_number_of_blocks(blocks.number) or not isinstance(blocks.upper, bool):
            _raise(program, f"{name} is made of {blocks.number!r} blocks; expected a number.")
    if len({name for name, _ in program.blocks}) < len(program.blocks):
        _raise(program, "a matrix is said twice to be made of blocks.")


def check(program: Program) -> Program:
    """Return the program unchanged if it is valid.

    Raises:
        ProgramError: it is not; the text names the rule and the place.
    """
    axes: dict[str, Axes] = {}
    things: tuple[Leaf | Operation, ...] = (*program.leaves, *program.operations)
    matrices: set[str] = set()
    for thing in things:
        if not isinstance(thing.name, str) or not _NAME.fullmatch(thing.name):
            _raise(program, f"{thing.name!r} is not a name.")
        if thing.name in axes:
            _raise(program, f"{thing.name} is defined twice.")
        if isinstance(thing, Leaf):
            _check_leaf(program, thing)
            if thing.kind == "matrix":
                matrices.add(thing.name)
        else:
            _check_operation(program, thing, axes, matrices)
        axes[thing.name] = thing.axes
    _check_results(program, axes)
    _check_numbers(program)
    _check_blocks(program)
    return program


def check_cell(program: Program) -> Program:
    """As ``check``, for a program that is to be a layer: it needs an input, a state, an output,
    and one new value for each state.

    Raises:
        ProgramError: it is not valid, or not a cell.
    """
    size = len(program.operations) + len(program.leaves)
    if size > MOST_OPERATIONS:
        _raise(
            program,
            f"it has {size:,} operations and letters, gates counted each; a cell may have "
            f"{MOST_OPERATIONS:,}. Make it of fewer, or of several layers.",
        )
    check(program)
    if program.leaves_of("kept", "upstream") or program.values_of("gradient"):
        _raise(program, "this is a gradient, not a cell.")
    if not program.leaves_of("input") or not program.states or not program.values_of("output"):
        _raise(program, "a cell has an input, a state and an output.")
    known = {axis for leaf in program.leaves for axis in leaf.axes}
    for operation in program.operations:
        if isinstance(operation.attribute, str) and operation.attribute not in known:
            _raise(program, f"{operation.name} is over axis {operation.attribute}: no leaf has it.")
    for state in program.states:
        name = state.name.removesuffix("'")
        usable = name.isidentifier() and not iskeyword(name) and not name.startswith("_")
        if not state.name.endswith("'") or not usable:
            _raise(program, f"{state.name} is no name of an old state: expected h' and the like.")
    names = {state.name.removesuffix("'") for state in program.states}
    for name in program.values_of("state").keys() - names:
        _raise(program, f"{name} is given a new value and is no state.")
    _check_links(program)
    _check_places(program)
    return program


def _check_places(program: Program) -> None:
    """Check that places are of memories only, and that a memory has a width besides: how many
    places there are is not known when a layer is made."""
    if not program.memories:
        return
    places = program.places
    for leaf in program.leaves:
        axes = leaf.axes[1:] if leaf.kind == "memory" else leaf.axes
        if not leaf.name.endswith(TAP) and places.intersection(axes):
            _raise(
                program,
                f"{leaf.kind} {leaf.name} is {spell(leaf.axes)}, and {', '.join(sorted(places))} "
                "is how many places a memory has, which a call says. Give it another width.",
            )
    for name, value in program.values_of("output").items():
        if places.intersection(program.axes[value]):
            _raise(
                program,
                f"output {name} is {spell(program.axes[value])}, a number for each place of a "
                "memory, and an output has a width of its own. It is in the trace: trace=True.",
            )


def _check_links(program: Program) -> None:
    """Check that what is read of the layer below is as wide as the output that it is. The first
    input may have axis I: it is the output of both directions."""
    outputs, first = program.values_of("output"), program.leaves_of("input")[0]
    for name, output in links(program).items():
        axes, given = program.axes[name], program.axes[outputs[output]]
        main = name == first.name and output == next(iter(outputs)) and axes == ("I",)
        if len(given) != 1 or not (axes == given or main):
            _raise(
                program,
                f"{name} is {spell(axes)}, and the output {output} of the layer below is "
                f"{spell(given)}.",
            )
