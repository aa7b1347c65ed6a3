"""The rules that every program obeys. Each pass of the compiler ends here, and so does every
program that is read from a file."""

import math
import re
from typing import NoReturn, get_args

from conveyor.cells.operations import RULES, Axes, AxesError, result_axes
from conveyor.compiler.program import (
    PARAMETER_KINDS,
    Leaf,
    LeafKind,
    Operation,
    Program,
    Role,
)
from conveyor.errors import ProgramError

# Letters of any alphabet, gates after a point, ∂ and % as in program.py, one prime at the end.
_NAME = re.compile(r"∂?(%\d+|[^\W\d]\w*)(\.\w+)?'?")
_AXIS = re.compile(r"[^\W\d]\w*")

# A cell of the literature has fewer than 100 operations. A file with more than this is refused
# before it can use up memory or time.
MOST_OPERATIONS = 10_000


def _refuse(program: Program, what: str) -> NoReturn:
    raise ProgramError(f"program {program.name}: {what}")


def _check_leaf(program: Program, leaf: Leaf) -> None:
    if leaf.kind not in get_args(LeafKind):
        _refuse(program, f"leaf {leaf.name} has the unknown kind {leaf.kind!r}.")
    named = all(isinstance(axis, str) and _AXIS.fullmatch(axis) for axis in leaf.axes)
    expected = {"matrix": (2,), "kept": (0, 1), "upstream": (0, 1)}.get(leaf.kind, (1,))
    if not named or len(leaf.axes) not in expected:
        _refuse(program, f"{leaf.kind} {leaf.name} has the axes {leaf.axes!r}.")


def _check_operation(program: Program, operation: Operation, axes: dict[str, Axes]) -> None:
    """``axes`` are those of the names defined before it."""
    for argument in operation.arguments:
        if argument not in axes:
            _refuse(program, f"{operation.name} uses {argument!r}, which is not defined before it.")
    attribute, wanted = operation.attribute, None
    if isinstance(operation.op, str) and operation.op in RULES:
        wanted = RULES[operation.op].attribute
    is_number = isinstance(attribute, int | float) and math.isfinite(attribute)
    is_axis = isinstance(attribute, str) and _AXIS.fullmatch(attribute) is not None
    if not {"number": is_number, "axis": is_axis, None: attribute is None}[wanted]:
        _refuse(program, f"{operation.name} carries {attribute!r}, {operation.op} wants {wanted}.")
    try:
        got = result_axes(operation.op, tuple(axes[a] for a in operation.arguments), attribute)
    except AxesError as error:
        raise ProgramError(f"program {program.name}: {operation.name}: {error}") from error
    if got != operation.axes:
        _refuse(program, f"{operation.name} claims the axes {operation.axes}, it has {got}.")


def _check_results(program: Program, axes: dict[str, Axes]) -> None:
    for result in program.results:
        if result.role not in get_args(Role):
            _refuse(program, f"a result has the unknown role {result.role!r}.")
        if result.value not in axes:
            _refuse(program, f"{result.role} {result.of} is {result.value!r}: not defined.")
    new = program.values_of("state")
    for state in program.states:
        name = state.name.removesuffix("'")
        if not program.values_of("gradient") and axes.get(new.get(name, "")) != state.axes:
            _refuse(program, f"state {name} has no new value of axes {state.axes}.")
    parameters = {leaf.name for leaf in program.leaves if leaf.kind in PARAMETER_KINDS}
    for key, number in (*program.start, *program.keep):
        if key not in parameters or not math.isfinite(number):
            _refuse(program, f"a start value is given to {key!r}, which is no parameter.")


def check(program: Program) -> Program:
    """Return the program unchanged if it is valid.

    Raises:
        ProgramError: it is not; the text names the rule and the place.
    """
    if len(program.operations) + len(program.leaves) > MOST_OPERATIONS:
        _refuse(program, f"it has more than {MOST_OPERATIONS} operations and leaves.")
    axes: dict[str, Axes] = {}
    things: tuple[Leaf | Operation, ...] = (*program.leaves, *program.operations)
    for thing in things:
        if not isinstance(thing.name, str) or not _NAME.fullmatch(thing.name):
            _refuse(program, f"{thing.name!r} is not a name.")
        if thing.name in axes:
            _refuse(program, f"{thing.name} is defined twice.")
        if isinstance(thing, Leaf):
            _check_leaf(program, thing)
        else:
            _check_operation(program, thing, axes)
        axes[thing.name] = thing.axes
    _check_results(program, axes)
    return program


def check_cell(program: Program) -> Program:
    """As ``check``, for a program that is to be a layer: it needs an input, a state, an output.

    Raises:
        ProgramError: it is not valid, or not a cell.
    """
    check(program)
    if not program.leaves_of("input") or not program.states or not program.values_of("output"):
        raise ProgramError(f"program {program.name}: a cell has an input, a state and an output.")
    if program.leaves_of("kept", "upstream") or program.values_of("gradient"):
        raise ProgramError(f"program {program.name}: this is a gradient, not a cell.")
    return program
