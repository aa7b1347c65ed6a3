"""The layer of a voice that looks at the text by what stands there and by where it has looked."""

from typing import Any

import torch
from torch import Tensor, nn

from conveyor.layers.recurrent import Recurrent
from conveyor.networks.attention import AttendedMemory, Attention

# Filters over the weights of the step before, and letters to either side that they see: 31 in all,
# as in Shen et al. 2018 (Tacotron 2). A text has far fewer places than a recording, for which the
# 100 of Chorowski et al. 2015 are.
_FILTERS, _REACH = 10, 15


class LocationLayer(nn.Module):
    """An LSTM that reads what it saw at the step before, and whose output is the query of an
    attention that knows where it has looked (Chorowski et al. 2015, section 2.1).

    Args:
        reads: numbers that are read at each step.
        memory_size: numbers of a place of the text.
        hidden: units.
    """

    def __init__(self, reads: int, memory_size: int, hidden: int) -> None:
        super().__init__()
        self.layer = Recurrent("lstm", reads + memory_size, hidden)
        self.attention = Attention(hidden, memory_size, "location", filters=_FILTERS, reach=_REACH)

    @property
    def output_size(self) -> int:
        """Numbers of an output."""
        return self.layer.output_size

    def step(
        self, read: Tensor, memory: AttendedMemory, state: Any = None
    ) -> tuple[Tensor, Tensor, Any]:
        """Return the output of a step, [B, hidden]; what it sees, [B, memory_size]; and the state:
        that of the LSTM, what it sees, and the weights, [1, B, U].

        Args:
            read: [B, reads].
            memory: the text, made ready by ``attention``.
            state: of the step before; None at the first, which saw nothing.
        """
        if state is None:
            state = (None, memory.values.new_zeros(memory.values.shape[1:]), None)
        inner, seen, weights = state
        output, inner = self.layer.step(torch.cat([read, seen], -1), inner)
        means, weights = self.attention(output.unsqueeze(0), memory, weights)
        return output, means[0], (inner, means[0], weights)

    def forward(self, read: Tensor, memory: AttendedMemory) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs, [S, B, hidden]; what each step sees, [S, B, memory_size]; and the
        weights, [S, B, U].

        Args:
            read: [S, B, reads].
            memory: see ``step``.
        """
        state, outputs, seen, weights = None, [], [], []
        for each in read:
            output, sees, state = self.step(each, memory, state)
            outputs.append(output)
            seen.append(sees)
            weights.append(state[2][0])
        return torch.stack(outputs), torch.stack(seen), torch.stack(weights)
