"""Matrices made of blocks: heads that do not see each other, modules that see slower ones only."""

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Blocks:
    """How a matrix is made of equal blocks, in its declaration: ``Annotated[Matrix,
    Blocks("N")]``. Rows and columns are shared out evenly; what is no block is 0, and not stored.

    Args:
        number: how many blocks there are along the rows, and as many along the columns: a whole
            number, or a letter whose size the layer is given, as in ``sizes={"N": 4}``.
        upper: False: the blocks of the diagonal, so that each part of the units reads itself alone.
            True: those above the diagonal too, so that each part also reads all parts behind it.
    """

    number: int | str
    upper: bool = False

    def places(self, number: int) -> list[tuple[int, int]]:
        """Return the row and the column of each block, in the order in which they are stored, of
        ``number`` rows of blocks."""
        everywhere = product(range(number), repeat=2)
        return [(i, j) for i, j in everywhere if i == j or (self.upper and i < j)]

    def __str__(self) -> str:
        return f"{self.number} blocks on {'and above ' * self.upper}the diagonal"


def is_number_of_blocks(number: object) -> bool:
    """Return whether this can be a number of blocks: a whole number from 1, or a letter."""
    if isinstance(number, str):
        return number.isidentifier()
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
