"""THE table: every built-in cell at odd sizes, and layers, inputs and states drawn for it.

Everything is drawn from a seed made of the case's id, in float64: the same case always has the
same numbers, and a float32 layer has the float64 layer's numbers, rounded.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import conveyor
from conveyor.cells import CELLS

# Odd sizes, single ones, and widths on both sides of one SIMD register of 16 float32.
# T, B, I, H, and P for cells with a projection: narrower and wider than H.
SIZES = (
    (1, 1, 1, 1, 1),
    (7, 3, 2, 5, 4),
    (3, 5, 9, 1, 2),
    (2, 1, 3, 33, 17),
    (33, 2, 3, 17, 19),
)

# Axes besides I and H.
MORE_AXES = {
    name: tuple(sorted({axis for leaf in cell.leaves for axis in leaf.axes} - {"I", "H"}))
    for name, cell in CELLS.items()
}


@dataclass(frozen=True)
class Case:
    """One cell at one size. ``sizes`` is what ``Recurrent`` takes under that name."""

    cell: str
    steps: int
    batch: int
    input: int
    hidden: int
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        more = "".join(f"-{axis}{size}" for axis, size in self.sizes.items())
        return f"{self.cell}-T{self.steps}-B{self.batch}-I{self.input}-H{self.hidden}{more}"

    @property
    def widths(self) -> dict[str, int]:
        """How wide each axis of the cell is, I and H included."""
        return {"I": self.input, "H": self.hidden, **self.sizes}


CASES = [
    Case(cell, steps, batch, read, hidden, dict.fromkeys(MORE_AXES[cell], projected))
    for cell in CELLS
    for steps, batch, read, hidden, projected in SIZES
]

# One case of every cell, of middling size and no two widths equal.
MIDDLING = [case for case in CASES if case.steps == 7]


def generator(case: Case, purpose: str) -> torch.Generator:
    """The source of random numbers of a case, one for each purpose."""
    return torch.Generator().manual_seed(zlib.crc32(f"{case} {purpose}".encode()))


def uniform(shape: tuple[int, ...] | torch.Size, source: torch.Generator) -> Tensor:
    """Float64 numbers, uniform in ±1."""
    return torch.rand(shape, generator=source, dtype=torch.float64) * 2 - 1


def make_layer(case: Case, dtype: torch.dtype = torch.float64, **kwargs: Any) -> conveyor.Recurrent:
    """The case's layer with every parameter random, biases and peepholes too: uniform in ±1,
    matrices in ±1/√columns, so that rounding does not grow over the steps."""
    layer = conveyor.Recurrent(
        case.cell, case.input, case.hidden, sizes=case.sizes, dtype=dtype, **kwargs
    )
    source = generator(case, "parameters")
    with torch.no_grad():
        for parameter in layer.parameters():
            columns = parameter.shape[1] if parameter.dim() > 1 else 1
            parameter.copy_(uniform(parameter.shape, source) / columns**0.5)
    return layer


def make_input(case: Case, dtype: torch.dtype = torch.float64) -> Tensor:
    """A batch of sequences, [T, B, I]."""
    shape = (case.steps, case.batch, case.input)
    return uniform(shape, generator(case, "input")).to(dtype)


def make_state(case: Case, layer: conveyor.Recurrent, batch: int | None = None) -> Any:
    """A start state of the layer: random, so neither zero nor the same in two places."""
    source = generator(case, "state")
    zeros = layer.start(case.batch if batch is None else batch)
    return type(zeros)(*(uniform(each.shape, source).to(each.dtype) for each in zeros))
