"""Programs of format 2, in which layers above the first had a program of their own.

It held the cell's equations twice: in the first layer with projections of x, above with what a
layer below gives. What is read of it is the cell, once.
"""

from collections.abc import Collection
from dataclasses import replace

from conveyor.compiler.check import check_cell
from conveyor.compiler.first_layer import BELOW, first_layer, links
from conveyor.compiler.program import Program
from conveyor.compiler.rewrite import renamed
from conveyor.errors import ProgramError


def one_cell(first: Program, above: Program) -> Program:
    """Return the cell of both programs.

    Args:
        first: of the first layer.
        above: of all other layers.

    Raises:
        ProgramError: a program is not valid, or ``first`` is not what is derived from ``above``.
    """
    check_cell(first)
    check_cell(above)
    # The first layer may project what x was in the others, too.
    others = above, _with_first_input(above, f"{next(iter(above.values_of('output')))}{BELOW}")
    cell = next((other for other in others if _is_first_layer_of(first, other)), None)
    if cell is None:
        raise ProgramError(
            f"program {first.name} is of format 2, in which layers above the first have equations "
            "of their own. This conveyor reads it where the equations differ only in what is read "
            "of the layer below, which is a projection P @ x in the first. Write it as one cell "
            "that reads c_below, the output c of the layer below."
        )
    return replace(cell, name=first.name, doc=first.doc, source=first.source)


def _with_first_input(program: Program, name: str) -> Program:
    """Return the program with its first input called by another name."""
    first = program.leaves_of("input")[0]
    changed = renamed(program, {first.name: name})
    leaves = [replace(leaf, name=name) if leaf == first else leaf for leaf in program.leaves]
    return replace(changed, leaves=tuple(leaves))


def _is_first_layer_of(first: Program, cell: Program) -> bool:
    """Return whether a program computes what is derived for the first layer of a cell, where
    vectors that it has not are 0."""
    if not links(cell):
        return False
    derived, lacking = first_layer(cell), only_of_links(cell)
    letters = {leaf for leaf in derived.leaves if leaf.name not in lacking}
    numbers: dict[object, int] = {}
    same_letters = set(first.leaves) == letters
    return same_letters and _results(first, (), numbers) == _results(derived, lacking, numbers)


def only_of_links(program: Program) -> tuple[str, ...]:
    """Return the vectors that multiply nothing but what the layer below gives. The first layer of a
    program of format 2 had none of them, which is the same as zeros."""
    linked = links(program)
    vectors = {leaf.name for leaf in program.leaves_of("vector")}
    read: dict[str, set[str]] = {name: set() for name in vectors}
    for operation in program.operations:
        for name in vectors.intersection(operation.arguments):
            others = set(operation.arguments) - {name}
            read[name] |= others if operation.op == "mul" else {""}
    return tuple(
        leaf.name
        for leaf in program.leaves_of("vector")
        if read[leaf.name] and read[leaf.name] <= linked.keys()
    )


def _results(
    program: Program, zeros: Collection[str], numbers: dict[object, int]
) -> dict[tuple[str, str], int]:
    """Return a number for what each state and output is: the same where the expression is.

    Args:
        program: a cell.
        zeros: letters that are 0.
        numbers: of the expressions that are known; new ones are added.
    """

    def number(expression: object) -> int:
        return numbers.setdefault(expression, len(numbers) + 1)

    values = {leaf.name: 0 if leaf.name in zeros else number(leaf.name) for leaf in program.leaves}
    for operation in program.operations:
        arguments = [values[name] for name in operation.arguments]
        if operation.op == "mul" and 0 in arguments:
            values[operation.name] = 0
        elif operation.op == "add" and 0 in arguments:
            values[operation.name] = max(arguments)
        else:
            values[operation.name] = number((operation.op, *arguments, operation.attribute))
    return {
        (result.role, result.of): values[result.value]
        for result in program.results
        if result.role in ("state", "output")
    }
