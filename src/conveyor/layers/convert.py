"""Parameters as torch.nn stores them, by the names of the cells. The only place that knows
torch's order of gates."""

from collections.abc import Mapping

import torch
from torch import Tensor

# torch.nn.LSTM stores i, f, g, o below each other; torch.nn.GRU r, z, n; torch.nn.RNN one.
TORCH_GATES: dict[str, tuple[str, ...]] = {
    "lstm": ("i", "f", "g", "o"),
    "lstm_projected": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
    "rnn": ("",),
    "rnn_relu": ("",),
}


def _by_gate(family: str, stored: Tensor, gates: tuple[str, ...]) -> dict[str, Tensor]:
    names = [f"{family}.{gate}" if gate else family for gate in gates]
    return dict(zip(names, torch.chunk(stored, len(gates)), strict=True))


def from_torch(cell: str, stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One layer's parameters by the cell's names, from one layer's tensors of torch.nn.

    Args:
        cell: the cell's name.
        stored: ``weight_ih``, ``weight_hh``, and where there are biases ``bias_ih`` and
            ``bias_hh``, and for a projection ``weight_hr``.

    torch has two biases per gate that are added to each other; the cells have one. In its GRU
    the second bias of the candidate stands inside the reset product: ``b.hn``.
    """
    gates = TORCH_GATES[cell]
    found = _by_gate("W", stored["weight_ih"], gates) | _by_gate("U", stored["weight_hh"], gates)
    if "weight_hr" in stored:
        found["R"] = stored["weight_hr"]
    if "bias_ih" in stored:
        if cell == "gru":
            of_input = _by_gate("b", stored["bias_ih"], gates)
            of_state = _by_gate("b", stored["bias_hh"], gates)
            found |= {name: of_input[name] + of_state[name] for name in ("b.r", "b.z")}
            found |= {"b.n": of_input["b.n"], "b.hn": of_state["b.n"]}
        else:
            found |= _by_gate("b", stored["bias_ih"] + stored["bias_hh"], gates)
    return found
