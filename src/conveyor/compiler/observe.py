"""A cell whose every local name is an output, and one that asks for the gradient by each."""

from dataclasses import replace
from itertools import count

from conveyor.cells.operations import Axes
from conveyor.compiler.check import check
from conveyor.compiler.program import TAP, Leaf, Operation, Program, Result
from conveyor.compiler.rewrite import numbered

MARK = ".local"

# A tap, as an input, has this axis where it is added to a number per example, for an input is no
# number.
ONE = "One"


def observed(program: Program) -> Program:
    """The program with one more output, ``f.local``, for every local name f. What has places is 0
    at those that are padding."""
    seen: list[Result] = []
    more: list[Operation] = []
    free = (name for name in (f"%{n}" for n in count(1)) if name not in program.axes)
    for of, value in program.values_of("local").items():
        axes, there = program.axes[value], value
        if program.places.intersection(axes):
            there = next(free)
            more.append(Operation(there, "present", (value,), axes, 0.0))
        seen.append(Result("output", f"{of}{MARK}", there))
    operations = (*program.operations, *more)
    return replace(program, operations=operations, results=(*program.results, *seen))


def taps(program: Program) -> dict[str, str]:
    """Return the tap of each local name. Names of one value share it; a count of steps, which
    nothing changes, has none."""
    states = program.values_of("state")
    counts = {value for name, value in states.items() if name in program.counters}
    counts |= {leaf.name for leaf in program.states if not leaf.axes}
    of_values: dict[str, str] = {}
    local = program.values_of("local")
    for name, value in local.items():
        if value not in counts:
            of_values.setdefault(value, f"{name}{TAP}")
    return {name: of_values[value] for name, value in local.items() if value in of_values}


def tapped(program: Program) -> Program:
    """Return the program with a tap of every value that has a local name: the gradient by the value
    is asked for, on every way that it takes through the sequence."""
    local = program.values_of("local")
    asked = {tap: local[name] for name, tap in taps(program).items()}
    results = (Result("tap", tap, value) for tap, value in asked.items())
    return replace(program, results=(*program.results, *results))


def with_tap_inputs(program: Program) -> Program:
    """Return a tapped program in which an input is added to every tapped value.

    Law: where these inputs are 0 it computes what ``program`` does, and the gradient by such an
    input is that by the value.
    """
    inputs = {value: tap for tap, value in program.values_of("tap").items()}
    free = (name for name in (f"%{n}" for n in count(1)) if name not in program.axes)
    instead: dict[str, str] = {}
    leaves, operations = list(program.leaves), list[Operation]()

    def add(raw: str, name: str, tap: str, axes: Axes) -> None:
        """Let ``name`` be what ``raw`` is, and its input."""
        leaves.append(Leaf(tap, "input", axes or (ONE,)))
        term = tap
        if not axes:
            term = next(free)
            operations.append(Operation(term, "total", (tap,), ()))
        elif program.places.intersection(axes):  # at padding there is nothing to add to
            term = next(free)
            operations.append(Operation(term, "present", (tap,), axes, 0.0))
        operations.append(Operation(name, "add", (raw, term), axes))

    for leaf in program.leaves:
        if leaf.name in inputs:
            instead[leaf.name] = next(free)
            add(leaf.name, instead[leaf.name], inputs[leaf.name], leaf.axes)
    for operation in program.operations:
        arguments = tuple([instead.get(name, name) for name in operation.arguments])
        changed = replace(operation, arguments=arguments)
        if operation.name in inputs:
            raw = next(free)
            operations.append(replace(changed, name=raw))
            add(raw, operation.name, inputs[operation.name], operation.axes)
        else:
            operations.append(changed)
    results = [
        replace(result, value=instead.get(result.value, result.value))
        for result in program.results
        if result.role != "tap"
    ]
    changed_program = replace(
        program, leaves=tuple(leaves), operations=tuple(operations), results=tuple(results)
    )
    return check(numbered(changed_program))
