"""Parameters as torch.nn stores them, by the names of the cells. The only place that knows
torch's order of gates."""

from collections.abc import Mapping
from functools import cache

from conveyor.kernels.pieces import Piece

# torch.nn.LSTM stores i, f, g, o below each other; torch.nn.GRU r, z, n; torch.nn.RNN one.
TORCH_GATES: dict[str, tuple[str, ...]] = {
    "lstm": ("i", "f", "g", "o"),
    "lstm_projected": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
    "rnn": ("",),
    "rnn_relu": ("",),
}


def torch_kinds(*, bias: bool, projected: bool) -> tuple[str, ...]:
    """The kinds of tensors that one layer of torch.nn has, without ``_l0``."""
    kinds = ("weight_ih", "weight_hh")
    return kinds + ("bias_ih", "bias_hh") * bias + ("weight_hr",) * projected


@cache
def torch_pieces(
    cell: str, hidden_size: int, proj_size: int, bias: bool
) -> Mapping[str, tuple[Piece, ...]]:
    """Where the cell's parameters are in the tensors that ``torch_kinds`` names.

    torch has two biases per gate that are added to each other; the cells have one. In its GRU
    the second bias of the candidate stands inside the reset product: ``b.hn``.
    """
    gates = TORCH_GATES[cell]
    kinds = torch_kinds(bias=bias, projected=proj_size > 0)
    pieces: dict[str, tuple[Piece, ...]] = {}
    for place, name in enumerate(gates):
        dotted = f".{name}" if name else ""

        def gate(kind: str, first: int = place * hidden_size) -> Piece:
            return Piece(kinds.index(kind), first, hidden_size)

        pieces[f"W{dotted}"] = (gate("weight_ih"),)
        pieces[f"U{dotted}"] = (gate("weight_hh"),)
        if bias and cell == "gru" and name == "n":
            pieces["b.n"], pieces["b.hn"] = (gate("bias_ih"),), (gate("bias_hh"),)
        elif bias:
            pieces[f"b{dotted}"] = gate("bias_ih"), gate("bias_hh")
    if proj_size:
        pieces["R"] = (Piece(kinds.index("weight_hr"), 0, proj_size),)
    return pieces
