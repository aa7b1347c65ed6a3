"""Matrices that are stored as blocks and read whole.

Targets read a matrix [H, H]. One that is made of blocks is stored without the others, which are 0,
and put together for each call. So the machine also multiplies by these zeros. ``conveyor.Heads``
runs each head by itself, and is faster where heads are wide.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from conveyor.cells.blocks import Blocks
from conveyor.compiler.program import Leaf, Program
from conveyor.errors import SettingError, ShapeError


class BlockMatrix(NamedTuple):
    """How one matrix is stored.

    Args:
        number: how many blocks there are along the rows, and along the columns.
        upper: whether there are blocks above the diagonal.
        shape: as it is stored: [blocks, rows, columns].
    """

    number: int
    upper: bool
    shape: tuple[int, int, int]

    @property
    def places(self) -> list[tuple[int, int]]:
        """The row and the column of each block, in the order in which they are stored."""
        return Blocks(self.number, self.upper).places(self.number)

    def whole(self, blocks: Tensor) -> Tensor:
        """Return the matrix [rows, columns] of its blocks, differentiable."""
        number, (_, height, width) = self.number, self.shape
        if self.upper:
            rows, columns = torch.triu_indices(number, number, device=blocks.device)
        else:
            rows = columns = torch.arange(number, device=blocks.device)
        squares = blocks.new_zeros(number, number, height, width)
        squares = squares.index_put((rows, columns), blocks)
        return squares.transpose(1, 2).reshape(number * height, number * width)


# By the names of the matrices.
BlockMatrices = Mapping[str, BlockMatrix]


def block_matrices(program: Program, sizes: Mapping[str, int]) -> BlockMatrices:
    """Return how the matrices of a program that are made of blocks are stored.

    Args:
        program: the cell's.
        sizes: of the axes and of the numbers of blocks.

    Raises:
        SettingError: rows or columns cannot be shared out evenly.
    """
    leaves = {leaf.name: leaf for leaf in program.leaves}
    return {name: _block_matrix(leaves[name], each, sizes) for name, each in program.blocks}


def _block_matrix(leaf: Leaf, blocks: Blocks, sizes: Mapping[str, int]) -> BlockMatrix:
    number = sizes[blocks.number] if isinstance(blocks.number, str) else blocks.number
    for axis in leaf.axes:
        if sizes[axis] % number:
            raise SettingError(
                f"{leaf.name} is made of {number} blocks along its {sizes[axis]} units of axis "
                f"{axis}: expected a divisor of {sizes[axis]}."
            )
    rows, columns = (sizes[axis] // number for axis in leaf.axes)
    return BlockMatrix(number, blocks.upper, (len(blocks.places(number)), rows, columns))


def check_blocks(stored: Tensor, form: BlockMatrix, path: str) -> None:
    """Check the shape of a stored matrix.

    Raises:
        ShapeError: it is not [blocks, rows, columns].
    """
    if stored.shape != form.shape:
        raise ShapeError(
            f"parameter {path} is {list(stored.shape)}; expected {list(form.shape)} by the layer's "
            "sizes: blocks, rows and columns. Give it that shape, or change the sizes along with "
            "all parameters."
        )
