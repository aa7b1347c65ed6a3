"""A layer of several heads: cells side by side on one input, none of which sees another's state."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.errors import SettingError, ShapeError
from conveyor.layers.constants import Numbers
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import for_each, main_output
from conveyor.layers.symbolic import is_symbolic, recorded


class Heads(nn.Module):
    """``heads`` cells of ``hidden_size / heads`` units each, that read the same input: as one cell
    whose recurrent matrices are block-diagonal, as in the sLSTM of Beck et al. 2024.

    Args:
        cell: see ``Recurrent``.
        input_size: features of the input, I.
        hidden_size: units of all heads together, H; a multiple of ``heads``.
        heads: how many.
        bias, batch_first, bidirectional, merge, dilation, learn_start, init, longest_dependency,
            sizes, constants, zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip,
            checkpoint, device, dtype: of each head, see ``Recurrent``. For several layers put
            several into a ``torch.nn.ModuleList``.

    Parameters are those of the heads: ``each.0.l0.U.f``.

    Raises:
        SettingError: ``hidden_size`` is not a multiple of ``heads``, or another argument is out of
            its range.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        input_size: int,
        hidden_size: int,
        heads: int,
        *,
        bias: bool = True,
        batch_first: bool = False,
        bidirectional: bool = False,
        merge: str = "concatenate",
        dilation: int = 1,
        learn_start: bool = False,
        init: str = "default",
        longest_dependency: int | None = None,
        sizes: Mapping[str, int] | None = None,
        constants: Mapping[str, Numbers] | None = None,
        zoneout: float | Mapping[str, float] = 0.0,
        recurrent_dropout: Mapping[str, float] | None = None,
        variational_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        clip: Mapping[str, float] | None = None,
        checkpoint: bool | int = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        numbers = (heads, hidden_size)
        whole = all(isinstance(each, int) and not isinstance(each, bool) for each in numbers)
        if not whole or heads < 1 or hidden_size < 1 or hidden_size % heads:
            raise SettingError(
                f"{heads!r} heads cannot share {hidden_size!r} units: expected a divisor of them."
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.batch_first = batch_first
        self.each = nn.ModuleList(
            Recurrent(
                cell,
                input_size,
                hidden_size // heads,
                bias=bias,
                batch_first=batch_first,
                bidirectional=bidirectional,
                merge=merge,
                dilation=dilation,
                learn_start=learn_start,
                init=init,
                longest_dependency=longest_dependency,
                sizes=sizes,
                constants=constants,
                zoneout=zoneout,
                recurrent_dropout=recurrent_dropout,
                variational_dropout=variational_dropout,
                weight_dropout=weight_dropout,
                clip=clip,
                checkpoint=checkpoint,
                device=device,
                dtype=dtype,
            )
            for _ in range(heads)
        )

    @property
    def output_size(self) -> int:
        """Features of the output, of all heads and both directions together."""
        return sum(head.output_size for head in self.each)  # type: ignore[misc]

    def start(self, batch: int = 1) -> tuple[Any, ...]:
        """The state before the first step, a head each."""
        return tuple(head.start(batch) for head in self.each)  # type: ignore[operator]

    def forward(
        self,
        x: Tensor,
        state: tuple[Any, ...] | None = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run the sequences, as ``Recurrent.forward`` does.

        Returns:
            The outputs of all heads side by side, and their states.

        Raises:
            ShapeError: a tensor does not fit.
        """
        if is_symbolic(x):
            whole: tuple[Tensor, tuple[Any, ...]] = recorded(
                self, x, state, lengths=lengths, reset=reset
            )
            return whole
        if isinstance(x, PackedSequence):
            raise ShapeError("Heads takes no PackedSequence. Give the padded tensor with lengths.")
        states = for_each(state, len(self.each), "heads")
        ran = [
            head(x, own, lengths=lengths, reset=reset)
            for head, own in zip(self.each, states, strict=True)
        ]
        return torch.cat([main_output(output) for output, _ in ran], -1), tuple(
            last for _, last in ran
        )
