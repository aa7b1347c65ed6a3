"""How wide the inputs of a cell are: one number, or one by name."""

from collections.abc import Mapping
from typing import NamedTuple

from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.program import Leaf, Program
from conveyor.errors import SettingError
from conveyor.layers.checks import check_whole


class InputSizes(NamedTuple):
    """How wide inputs are.

    Args:
        as_given: as a layer says it: a number where the cell has one input, otherwise by name.
        axes: widths of axes besides I and H that inputs have.
    """

    as_given: int | dict[str, int]
    axes: dict[str, int]


def first_input(program: Program) -> Leaf:
    """Return the input of a cell that goes up the layers."""
    return first_layer(program).leaves_of("input")[0]


def _read(program: Program) -> list[Leaf]:
    """Return what a layer is given: the main input, then the others, then memories."""
    first = first_layer(program)
    return [*first.leaves_of("input"), *first.memories]


def read_input_size(
    program: Program,
    input_size: int | Mapping[str, int],
    *,
    hidden_size: int,
    num_layers: int,
    sizes: Mapping[str, int],
) -> InputSizes:
    """Return how wide a cell's inputs are.

    Args:
        program: the cell's.
        input_size: features of the input, or of each by name.
        hidden_size, num_layers: of the layer.
        sizes: of other axes, by axis.

    Raises:
        SettingError: it does not fit the cell's inputs, or the cell's first input has another axis
            than I.
    """
    inputs = _read(program)
    main, *others = inputs
    names = ", ".join(leaf.name for leaf in inputs)
    if main.axes not in (("I",), ("H",)):
        raise SettingError(
            f"{program.name}: its first input {main.name} has axis {main.axes[0]}; expected I, "
            f"which Recurrent sets for each layer, or H. Declare it as {main.name}: Input."
        )
    if isinstance(input_size, Mapping):
        widths = dict(input_size)
        if widths.keys() != {leaf.name for leaf in inputs}:
            below = "".join(
                f" {name} is what the layer below gives."
                for name in links(program)
                if name in widths
            )
            raise SettingError(
                f"input_size names {', '.join(map(str, widths)) or 'nothing'}; "
                f"{program.name} reads {names}.{below}"
            )
        check_whole(**{f"input_size of {name}": size for name, size in widths.items()})
    else:
        if others:
            example = ", ".join(f'"{leaf.name}": 8' for leaf in inputs)
            raise SettingError(
                f"input_size is {input_size!r}; {program.name} reads {names}. Give the features of "
                f"each by name, as {{{example}}}."
            )
        check_whole(input_size=input_size)
        widths = {main.name: input_size}
    if main.axes == ("H",) and widths[main.name] != hidden_size:
        raise SettingError(
            f"{program.name}: its input {main.name} is read unit by unit, and is "
            f"{widths[main.name]} wide; expected {hidden_size}, the hidden size."
        )
    known = {**sizes, "I": widths[main.name], "H": hidden_size}
    for leaf in others:
        axis = leaf.axes[-1]
        if axis == "I" and num_layers > 1:
            raise SettingError(
                f"{program.name}: {leaf.name} is as wide as {main.name}, [I], which differs from "
                "layer to layer. Give it an axis of its own, as "
                f'{leaf.name}: Annotated[Input, "J"], or use num_layers=1.'
            )
        if known.setdefault(axis, widths[leaf.name]) != widths[leaf.name]:
            raise SettingError(
                f"input_size of {leaf.name} is {widths[leaf.name]}; axis {axis} of "
                f"{program.name} is {known[axis]} wide."
            )
    by_name = {leaf.name: widths[leaf.name] for leaf in inputs}
    axes = {leaf.axes[-1] for leaf in others} - {"I", "H"}
    return InputSizes(
        by_name if others else widths[main.name], {axis: known[axis] for axis in axes}
    )
