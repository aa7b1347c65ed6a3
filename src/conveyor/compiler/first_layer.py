"""The first layer of a stack whose cell reads more than one output of the layer below.

An input called ``c_below`` is the output c of the layer below. The first layer has none below it:
there, each such input is a projection of x, as in Kalchbrenner, Danihelka & Graves 2016 (Grid long
short-term memory, section 3) and in the code of Yao et al. 2015 (Depth-gated LSTM). So its program
is derived from the cell, and the cell is written once.
"""

from dataclasses import replace

from conveyor.cells.operations import Axes
from conveyor.compiler.program import Leaf, Operation, Program

# An input of this ending is the output of that name of the layer below.
BELOW = "_below"


def links(program: Program) -> dict[str, str]:
    """Return the inputs that are outputs of the layer below, each with that output."""
    outputs = program.values_of("output")
    named = {leaf.name: leaf.name.removesuffix(BELOW) for leaf in program.leaves_of("input")}
    return {name: output for name, output in named.items() if output != name and output in outputs}


def projections(program: Program) -> dict[str, str]:
    """Return the matrices that project x in the first layer, each with the input that it makes:
    ``P`` where there is one, ``P.c`` and so on where there are several."""
    linked = links(program)
    taken = {leaf.name.partition(".")[0] for leaf in program.leaves}
    letter = "P" if "P" not in taken else "P_first"
    if len(linked) == 1:
        return dict.fromkeys([letter], next(iter(linked)))
    return {f"{letter}.{output}": name for name, output in linked.items()}


def projected(program: Program) -> str:
    """Return the name of what the first layer projects: the cell's first input, or x where that is
    of the layer below too."""
    first = program.leaves_of("input")[0]
    if first.name not in links(program) and first.axes == ("I",):
        return first.name
    return "x" if "x" not in program.axes else "x_first"


def first_layer(program: Program) -> Program:
    """Return the program of the first layer.

    Law: it computes what ``program`` does where every linked input is its projection of x.
    """
    linked = links(program)
    if not linked:
        return program
    matrices, x, outputs = projections(program), projected(program), program.values_of("output")
    width = {name: program.axes[outputs[output]] for name, output in linked.items()}
    # A linked input of axis I is as wide as the output that it is: with it all that it multiplies.
    wide = [axis for name, (axis,) in width.items() if program.axes[name] == ("I",)]
    instead = {"I": wide[0]} if wide else {}

    def renamed(axes: Axes) -> Axes:
        return tuple([instead.get(axis, axis) for axis in axes])

    leaves = [
        replace(leaf, axes=renamed(leaf.axes)) for leaf in program.leaves if leaf.name not in linked
    ]
    if x not in program.axes:
        leaves.insert(0, Leaf(x, "input", ("I",)))
    leaves += [Leaf(letter, "matrix", (*width[name], "I")) for letter, name in matrices.items()]
    operations = [
        Operation(name, "matmul", (letter, x), width[name]) for letter, name in matrices.items()
    ]
    for operation in program.operations:
        attribute = operation.attribute
        if isinstance(attribute, str):
            attribute = instead.get(attribute, attribute)
        operations.append(replace(operation, axes=renamed(operation.axes), attribute=attribute))
    return replace(program, leaves=tuple(leaves), operations=tuple(operations))
