"""The clockwork network: modules of units that tick at their own periods.

Koutník, Greff, Gomez & Schmidhuber 2014, A clockwork RNN. A module reads the input, itself and all
slower modules, as they were one step before, and only when its period divides the step; between
its ticks it stays what it is. So a slow module depends on no faster one, and can be run first,
over its own ticks only: each module is a layer on a shorter sequence, and what does not tick costs
nothing.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.errors import SettingError, ShapeError
from conveyor.layers.checks import check_whole
from conveyor.layers.lengths import read_lengths
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.request import check_tensor
from conveyor.layers.state import main_output
from conveyor.layers.symbolic import is_symbolic, recorded


class ClockState(NamedTuple):
    """The states of all modules, the fastest first; how many steps were done, None where sequences
    of different length did different ones; and the modules' last outputs, [B, units] each."""

    modules: tuple[Any, ...]
    step: int | None
    outputs: tuple[Tensor, ...]


class Clockwork(nn.Module):
    """Modules of a cell that tick at different periods.

    Args:
        input_size: features of the input, I.
        hidden_size: units of all modules together, H: shared out evenly, the rest to the fastest,
            as in the paper.
        periods: of the modules, in steps, rising, as in ``(1, 2, 4, 8)``.
        cell: of each module; the paper's is ``"rnn"``.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        init: see ``Recurrent``.

    Parameters are those of the modules: ``modules_by_period.0.l0.W`` of the fastest, whose columns
    are the input's features and then the units of the slower modules, the next slower first.

    Raises:
        SettingError: there are no periods, they do not rise, or there are more of them than units.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: Sequence[int],
        *,
        cell: str | Cell | Program = "rnn",
        batch_first: bool = False,
        init: str = "default",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole(input_size=input_size)
        listed = isinstance(periods, Sequence) and not isinstance(periods, str)
        whole = listed and all(
            isinstance(each, int) and not isinstance(each, bool) for each in periods
        )
        rising = whole and all(a < b for a, b in pairwise(periods))
        if not rising or not periods or periods[0] < 1:
            raise SettingError(
                f"periods are {periods!r}; expected rising whole numbers from 1, as in (1, 2, 4)."
            )
        if not isinstance(hidden_size, int) or hidden_size < len(periods):
            raise SettingError(
                f"{len(periods)} modules cannot share {hidden_size!r} units: each needs one."
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.periods, self.batch_first = tuple(periods), batch_first
        each, more = divmod(hidden_size, len(periods))
        self.units = tuple(each + (place < more) for place in range(len(periods)))
        self.modules_by_period = nn.ModuleList(
            Recurrent(
                cell,
                input_size + sum(self.units[place + 1 :]),
                units,
                init=init,
                device=device,
                dtype=dtype,
            )
            for place, units in enumerate(self.units)
        )

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.hidden_size

    def start(self, batch: int = 1) -> ClockState:
        """The state before the first step, for so many sequences."""
        layers = [self._layer(place) for place in range(len(self.periods))]
        states = tuple(layer.start(batch) for layer in layers)
        like = next(self.parameters())
        return ClockState(
            states, 0, tuple(like.new_zeros(batch, layer.output_size) for layer in layers)
        )

    def _layer(self, place: int) -> Recurrent:
        layer = self.modules_by_period[place]
        assert isinstance(layer, Recurrent)
        return layer

    def forward(
        self,
        x: Tensor,
        state: ClockState | None = None,
        *,
        lengths: Tensor | list[int] | None = None,
    ) -> tuple[Tensor, ClockState]:
        """Run the sequences.

        Args:
            x: [T, B, input_size]; [B, T, input_size] with ``batch_first``.
            state: what ``start`` gives or a call returned: a sequence may come in parts.
            lengths: how many steps of each sequence count, 0 to T. Outputs after a sequence's end
                are exact zeros, its final state is the one at its end.

        Returns:
            The outputs of all modules, [T, B, hidden_size], the fastest first, and the state.
            Sequences of different length cannot be gone on with, for their clocks differ.

        Raises:
            ShapeError: a tensor does not fit.
        """
        if is_symbolic(x):
            whole: tuple[Tensor, ClockState] = recorded(self, x, state, lengths=lengths)
            return whole
        if isinstance(x, PackedSequence):
            raise ShapeError(
                "Clockwork takes no PackedSequence. Give the padded tensor with lengths."
            )
        check_tensor("the input", x)
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"the input is {list(x.shape)}; expected [T, B, {self.input_size}]"
                f"{' with B first' if self.batch_first else ''}."
            )
        x = x.transpose(0, 1) if self.batch_first else x
        steps, batch = x.shape[:2]
        state = self.start(batch) if state is None else state
        several = isinstance(state, ClockState) and all(
            isinstance(part, tuple | list) and len(part) == len(self.periods)
            for part in (state.modules, state.outputs)
        )
        if not several:
            raise ShapeError("the state is none of this layer's: layer.start(batch) makes one.")
        if state.step is None:
            raise ShapeError(
                "the state is that of sequences of different length, whose clocks differ: it "
                "cannot be gone on with."
            )
        if steps == 0:
            together = x.new_zeros(0, batch, self.hidden_size)
            return together.transpose(0, 1) if self.batch_first else together, state
        begun = state.step
        count = None
        if lengths is not None:
            count = torch.from_numpy(read_lengths(lengths, steps, batch)).to(x.device)
        # Of slower modules, at each step: what they were one step before.
        before: list[Tensor] = []
        outputs: list[Tensor] = []
        states: list[Any] = []
        for place in reversed(range(len(self.periods))):
            output, own = self._module(place, [x, *before], state, begun, count)
            outputs.insert(0, output)
            states.insert(0, own)
            shifted = torch.cat([state.outputs[place][None], output[:-1]])
            before.insert(0, shifted)
        pairs = zip(outputs, state.outputs, strict=True)
        last = tuple(self._last(each, count, old) for each, old in pairs)
        together = torch.cat(outputs, -1)
        if count is not None:
            valid = torch.arange(steps, device=x.device)[:, None] < count
            together = together * valid.to(x)[..., None]
        together = together.transpose(0, 1) if self.batch_first else together
        alike = count is None or bool((count == steps).all())
        return together, ClockState(tuple(states), begun + steps if alike else None, last)

    def _module(
        self, place: int, reads: list[Tensor], state: ClockState, begun: int, count: Tensor | None
    ) -> tuple[Tensor, Any]:
        """A module's output at every step, held between its ticks, and its state; ``begun`` steps
        were done before. ``reads`` are the input and all slower modules, [T, B, width]."""
        steps, period = len(reads[0]), self.periods[place]
        first = -begun % period
        held, own = state.outputs[place][None], state.modules[place]
        if first >= steps:
            return held.expand(steps, -1, -1), own
        ticks = None if count is None else (-((first - count) // period)).clamp(min=0)
        # Put together at its ticks only: moving the rest would take longer than the arithmetic.
        ticked = [each[first::period] for each in reads]
        x = torch.cat(ticked, -1) if len(ticked) > 1 else ticked[0]
        outputs, own = self._layer(place)(x, own, lengths=ticks)
        output = main_output(outputs)
        if ticks is not None:  # behind its end a sequence holds its last output
            output = self._held(output, ticks, held[0])
        spread = output.repeat_interleave(period, 0)[: steps - first]
        return torch.cat([held.expand(first, -1, -1), spread]), own

    @staticmethod
    def _held(output: Tensor, ticks: Tensor, before: Tensor) -> Tensor:
        """The output at each tick; behind a sequence's last, that one."""
        whole = torch.cat([before[None], output])
        ticked = torch.arange(1, len(whole), device=output.device)[:, None]
        each = torch.arange(output.shape[1], device=output.device)
        return whole[torch.minimum(ticked, ticks), each]

    @staticmethod
    def _last(output: Tensor, count: Tensor | None, before: Tensor) -> Tensor:
        """The output at each sequence's end."""
        if count is None:
            return output[-1]
        each = torch.arange(output.shape[1], device=output.device)
        return torch.cat([before[None], output])[count, each]
