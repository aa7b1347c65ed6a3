"""Programs for the tests of kernels, and numbers to run them on."""

from collections.abc import Mapping

from torch import Tensor

from conveyor.cells import CELLS
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from tests.kernels.odd_cells import ODD
from tests.kinds import LAW_CELLS
from tests.layers.named import draw
from tests.table import MORE_AXES

# Each with the widths of axes other than I and H.
PROGRAMS: dict[str, tuple[Program, dict[str, int]]] = {
    **{name: (trace(cell), dict.fromkeys(MORE_AXES[name], 4)) for name, cell in CELLS.items()},
    **{
        f"{name}, first layer": (first_layer(trace(cell)), dict.fromkeys(MORE_AXES[name], 4))
        for name, cell in CELLS.items()
        if links(trace(cell))
    },
    **{name: (trace(cell), sizes) for name, (cell, sizes) in ODD.items()},
}

# The programs that laws run on which do not look into equations: one of every kind of built-in
# cell, and the odd cells, each of which is of a kind of its own.
LAW_PROGRAMS = [
    name for name in PROGRAMS if name.removesuffix(", first layer") in LAW_CELLS or name in ODD
]


def leaves(
    program: Program, widths: Mapping[str, int], steps: int, batch: int
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Inputs [T, B, I], start states [B, width] and parameters."""
    drawn: dict[str, dict[str, Tensor]] = {"input": {}, "state": {}, "parameter": {}}
    for seed, leaf in enumerate(program.leaves):
        shape = [widths[axis] for axis in leaf.axes]
        kind = leaf.kind if leaf.kind in drawn else "parameter"
        if leaf.kind == "state":
            shape = shape or [1]  # a number of each example
        leading = {"input": [steps, batch], "state": [batch]}.get(kind, [])
        values = draw(*leading, *shape, seed=seed)
        if len(shape) > 1:
            values = values / shape[1] ** 0.5
        drawn[kind][leaf.name.removesuffix("'")] = values
    return drawn["input"], drawn["state"], drawn["parameter"]


def rows_of(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """[T, B, width] as rows."""
    return {name: each.flatten(0, 1) for name, each in values.items()}


def of_a_layer(states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """[B, width] to [1, B, width], as kernels take and give states."""
    return {name: each.unsqueeze(0) for name, each in states.items()}
