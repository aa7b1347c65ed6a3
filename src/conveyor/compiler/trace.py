"""From a cell, as its body wrote it, to a program."""

from conveyor.cells.definition import Cell, reachable
from conveyor.cells.language import Node
from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Leaf, Operation, Program, Result


def _leaf_name(node: Node) -> str:
    return node.name + ("'" if node.kind == "state" else "")


def trace(cell: Cell) -> Program:
    """The program of a cell: inputs, states and used parameters, then one operation a line.

    A value bears the name of the local variable that held it at the end; the new value of a
    state bears the state's name, and the old one the name with a prime. A state that becomes
    what has a name already, as in ``m = h``, is a result and a local of that name.
    """
    outputs = {name: cell.locals[name] for name in cell.outputs}
    nodes = reachable([*cell.new_states.values(), *cell.locals.values()])
    used = {id(node) for node in nodes}
    leaves = [
        Leaf(_leaf_name(node), node.kind, node.axes)
        for node in cell.leaves
        if node.kind and (id(node) in used or node.kind in ("input", "state", "memory"))
    ]
    names = {id(node): _leaf_name(node) for node in cell.leaves}
    for name, node in cell.new_states.items():
        names.setdefault(id(node), name)
    taken = {leaf.name for leaf in leaves} | cell.new_states.keys()
    for name, node in cell.locals.items():
        if name not in taken and id(node) not in names:
            names[id(node)] = name
            taken.add(name)
    operations: list[Operation] = []
    temporaries = 0
    for node in nodes:
        if node.kind:
            continue
        if id(node) not in names:
            temporaries += 1
            names[id(node)] = f"%{temporaries}"
        arguments = tuple(names[id(argument)] for argument in node.arguments)
        operations.append(Operation(names[id(node)], node.op, arguments, node.axes, node.attribute))
    results = [Result("state", name, names[id(node)]) for name, node in cell.new_states.items()]
    first = next(iter(cell.new_states))
    outputs = outputs or {first: cell.new_states[first]}
    results += [Result("output", name, names[id(node)]) for name, node in outputs.items()]
    local = {**cell.locals, **cell.new_states}
    # What is a vector for each place of a memory is no row of a trace.
    results += [
        Result("local", name, names[id(node)])
        for name, node in sorted(local.items(), key=lambda item: item[1].order)
        if len(node.axes) < 2
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
            tuple(
                (node.name, node.blocks) for node in cell.leaves if node.blocks and id(node) in used
            ),
        )
    )
