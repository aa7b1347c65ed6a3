"""From a cell, as its body wrote it, to a program."""

from conveyor.cells.language import Cell, Value
from conveyor.cells.language import Leaf as Letter
from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Leaf, Operation, Program, Result


def _reachable(roots: list[Value]) -> list[Value]:
    """Everything the roots are made of, in the order in which it was written."""
    found: dict[int, Value] = {}
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if id(value) not in found:
            found[id(value)] = value
            waiting.extend(value.arguments)
    return sorted(found.values(), key=lambda value: value.order)


def trace(cell: Cell) -> Program:
    """The program of a cell: inputs, states and used parameters, then one operation a line.

    A value bears the name of the local variable that held it at the end; the new value of a
    state bears the state's name, and the old one the name with a prime.
    """
    values = _reachable([*cell.new_states.values(), *cell.locals.values()])
    used = {id(value) for value in values}
    leaves = [
        Leaf(letter.name + ("'" if letter.kind == "state" else ""), letter.kind, letter.axes)
        for letter in cell.leaves
        if id(letter) in used or letter.kind in ("input", "state")
    ]
    taken = {leaf.name for leaf in leaves}
    names: dict[int, str] = {
        id(letter): letter.name + ("'" if letter.kind == "state" else "") for letter in cell.leaves
    }
    for name, value in (*cell.new_states.items(), *cell.locals.items()):
        if name not in taken and not isinstance(value, Letter):
            names.setdefault(id(value), name)
    operations: list[Operation] = []
    temporaries = 0
    for value in values:
        if isinstance(value, Letter):
            continue
        if id(value) not in names:
            temporaries += 1
            names[id(value)] = f"%{temporaries}"
        operations.append(
            Operation(
                names[id(value)],
                value.op,
                tuple(names[id(argument)] for argument in value.arguments),
                value.axes,
                value.attribute,
            )
        )
    states = {state: names[id(value)] for state, value in cell.new_states.items()}
    outputs = cell.outputs or (next(iter(states)),)
    results = [Result("state", state, value) for state, value in states.items()]
    results += [
        Result("output", name, states.get(name) or names[id(cell.locals[name])]) for name in outputs
    ]
    results += [
        Result("local", name, names[id(value)])
        for name, value in sorted(cell.locals.items(), key=lambda item: item[1].order)
    ]
    return check_cell(
        Program(
            cell.name,
            cell.doc,
            cell.source,
            tuple(leaves),
            tuple(operations),
            tuple(results),
            tuple(cell.start.items()),
            tuple(cell.keep.items()),
        )
    )
