"""A cell's parameters as they are stored: which rows of which tensors each of them is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True)
class Piece:
    """Some rows of a stored tensor."""

    tensor: int
    first: int
    rows: int


# Of which rows of which tensors each parameter is the sum.
Pieces = Mapping[str, tuple[Piece, ...]]


@dataclass(frozen=True)
class Parameters:
    """A cell's parameters as they are stored.

    ``tensors`` are what is learned; ``pieces`` says of which rows of which tensors each of the
    cell's parameters is the sum. torch.nn.LSTM stores all gates in one tensor, and two biases
    that are added.
    """

    tensors: tuple[Tensor, ...]
    pieces: Pieces

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> "Parameters":
        """Return parameters that are a tensor each."""
        pieces = {
            name: (Piece(number, 0, len(tensor)),)
            for number, (name, tensor) in enumerate(tensors.items())
        }
        return Parameters(tuple(tensors.values()), pieces)

    @cached_property
    def by_name(self) -> dict[str, Tensor]:
        """Each parameter as a tensor, differentiable."""

        def rows_of(piece: Piece) -> Tensor:
            stored = self.tensors[piece.tensor]
            if piece.rows == len(stored):
                return stored
            return stored.narrow(0, piece.first, piece.rows)

        values = {}
        for name, pieces in self.pieces.items():
            values[name] = rows_of(pieces[0])
            for piece in pieces[1:]:
                values[name] = values[name] + rows_of(piece)
        return values


def is_plain(parameters: Parameters) -> bool:
    """Return whether every row of every stored tensor is a row of just one parameter, matrices are
    one piece each, and biases and vectors at most two, not both of one tensor."""
    covered: dict[int, list[tuple[int, int]]] = {}
    for pieces in parameters.pieces.values():
        matrix = parameters.tensors[pieces[0].tensor].dim() > 1
        if len(pieces) > (1 if matrix else 2) or len({p.tensor for p in pieces}) < len(pieces):
            return False
        if len({piece.rows for piece in pieces}) > 1:
            return False
        for piece in pieces:
            covered.setdefault(piece.tensor, []).append((piece.first, piece.first + piece.rows))
    for number, tensor in enumerate(parameters.tensors):
        end = 0
        for first, stop in sorted(covered.get(number, [])):
            if first != end:
                return False
            end = stop
        if end != len(tensor):
            return False
    return True
