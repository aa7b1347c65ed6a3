"""Layers of different cells and widths on top of each other, with connections around them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped
from torch.nn.utils.rnn import PackedSequence

from conveyor.cells.definition import Cell
from conveyor.compiler.first_layer import links
from conveyor.compiler.program import Program
from conveyor.errors import SettingError, ShapeError, counted, did_you_mean
from conveyor.layers.checks import check_probability
from conveyor.layers.constants import Numbers
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import for_each, main_output
from conveyor.layers.symbolic import is_symbolic, recorded

AROUND = ("nothing", "residual", "highway")

# The highway's gate begins mostly shut, so that a layer hands on what it reads: Srivastava, Greff &
# Schmidhuber 2015 take -1 to -3.
HIGHWAY_BIAS = -1.0

AnyCell = str | Cell | Program


class _Around(nn.Module):
    """What goes around a layer: its input, projected where the layer is not as wide."""

    def __init__(self, reads: int, gives: int, *, gate: bool, **factory: Any) -> None:
        super().__init__()
        self.project = nn.Linear(reads, gives, bias=False, **factory) if reads != gives else None
        self.gate = nn.Linear(reads, gives, **factory) if gate else None
        if self.gate is not None:
            nn.init.constant_(self.gate.bias, HIGHWAY_BIAS)

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """Return what leaves the layer.

        Args:
            x: what the layer read, [..., reads].
            output: what it gave, [..., gives].

        Raises:
            ShapeError: a parameter was changed and no longer fits; torch would broadcast it.
        """
        self._check_parameters(x.shape[-1], output.shape[-1])
        past = x if self.project is None else self.project(x)
        if past.shape != output.shape:
            raise ShapeError(
                f"a layer gives {counted(output.shape[-1], 'feature')} and {past.shape[-1]} go "
                "around it; expected as many. Make a new Stacked, which projects what goes around."
            )
        if self.gate is None:
            return output + past
        share = torch.sigmoid(self.gate(x))
        return share * output + (1 - share) * past

    def _check_parameters(self, reads: int, gives: int) -> None:
        for name, linear in (("project", self.project), ("gate", self.gate)):
            if linear is None:
                continue
            for what, expected in (("weight", (gives, reads)), ("bias", (gives,))):
                tensor = getattr(linear, what, None)
                if tensor is not None and tensor.shape != expected:
                    raise ShapeError(
                        f"{name}.{what} around a layer is {list(tensor.shape)}; expected "
                        f"{list(expected)}: what the layer gives and what it reads."
                    )


def _check_one(name: str, value: object) -> None:
    """Check that an argument is one for all layers.

    Raises:
        SettingError: it is a list.
    """
    if isinstance(value, list | tuple):
        raise SettingError(f"{name} is one for all layers: True or False.")


def _of_layer(value: Any, number: int) -> Any:
    """Return a layer's value of what may be a list with one for each."""
    return value[number] if isinstance(value, list | tuple) else value


class Stacked(nn.Module):
    """Recurrent layers on top of each other, each with a cell and a width of its own.

    Args:
        cell: of all layers, or a list of cells, one for each.
        input_size: features of the input, I.
        hidden_sizes: units of each layer, the lowest first.
        around: what goes around each layer above the first. ``"residual"``: its input is added to
            its output (He et al. 2016). ``"highway"``: a gate of its input mixes both (Srivastava,
            Greff & Schmidhuber 2015); it begins mostly shut. Where a layer is not as wide as its
            input, that goes through a learned projection.
        dropout: probability of dropping a layer's output before the next layer.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        bias, bidirectional, merge, dilation, learn_start, init, longest_dependency, sizes,
            constants, zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip,
            checkpoint: of every layer, see ``Recurrent``; a list holds one for each.
        device, dtype: of the parameters.

    Parameters are those of the layers, ``each.0.l0.U.f``, and ``arounds.0.gate.weight``.

    Raises:
        SettingError: an argument is out of its range, or a list is not as long as ``hidden_sizes``.
    """

    def __init__(
        self,
        cell: AnyCell | Sequence[AnyCell],
        input_size: int,
        hidden_sizes: Sequence[int],
        *,
        around: str = "nothing",
        dropout: float = 0.0,
        bias: bool | Sequence[bool] = True,
        batch_first: bool = False,
        bidirectional: bool | Sequence[bool] = False,
        merge: str | Sequence[str] = "concatenate",
        dilation: int | Sequence[int] = 1,
        learn_start: bool | Sequence[bool] = False,
        init: str | Sequence[str] = "default",
        longest_dependency: int | Sequence[int | None] | None = None,
        sizes: Mapping[str, int] | Sequence[Mapping[str, int] | None] | None = None,
        constants: Mapping[str, Numbers] | Sequence[Mapping[str, Numbers] | None] | None = None,
        zoneout: float | Mapping[str, float] | Sequence[float | Mapping[str, float]] = 0.0,
        recurrent_dropout: Mapping[str, float] | Sequence[Mapping[str, float] | None] | None = None,
        variational_dropout: float | Sequence[float] = 0.0,
        weight_dropout: float | Sequence[float] = 0.0,
        clip: Mapping[str, float] | Sequence[Mapping[str, float] | None] | None = None,
        checkpoint: bool | int | Sequence[bool | int] = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(hidden_sizes, list | tuple) or not hidden_sizes:
            raise SettingError(
                f"hidden_sizes is {hidden_sizes!r}; expected the units of each layer, as [64, 32]."
            )
        if around not in AROUND:
            raise SettingError(f"around is {around!r}. {did_you_mean(str(around), AROUND)}")
        check_probability("dropout", dropout, 1.0)
        _check_one("batch_first", batch_first)
        count = len(hidden_sizes)
        self.batch_first = bool(batch_first)
        self.input_size, self.dropout, self.around = input_size, float(dropout), around
        options = {
            "bias": bias,
            "bidirectional": bidirectional,
            "merge": merge,
            "dilation": dilation,
            "learn_start": learn_start,
            "init": init,
            "longest_dependency": longest_dependency,
            "sizes": sizes,
            "constants": constants,
            "zoneout": zoneout,
            "recurrent_dropout": recurrent_dropout,
            "variational_dropout": variational_dropout,
            "weight_dropout": weight_dropout,
            "clip": clip,
            "checkpoint": checkpoint,
        }
        for name, value in {"cell": cell, **options}.items():
            if isinstance(value, list | tuple) and len(value) != count:
                raise SettingError(f"{name} holds {len(value)}; there are {count} layers.")
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.each, self.arounds = nn.ModuleList(), nn.ModuleList()
        reads = input_size
        for number, hidden in enumerate(hidden_sizes):
            own: dict[str, Any] = {name: _of_layer(v, number) for name, v in options.items()}
            layer = Recurrent(
                _of_layer(cell, number),
                reads,
                hidden,
                batch_first=self.batch_first,
                **own,
                **factory,
            )
            if links(layer.program) and count > 1:
                raise SettingError(
                    f"{layer.program.name}: layers above the first read more of the layer below, "
                    "which Stacked does not hand on. Use Recurrent with num_layers."
                )
            self.each.append(layer)
            if number > 0 and around != "nothing":
                gate = around == "highway"
                self.arounds.append(_Around(reads, layer.output_size, gate=gate, **factory))
            reads = layer.output_size
        self.output_size = reads

    def extra_repr(self) -> str:
        """What ``repr`` shows inside the brackets."""
        return f"around={self.around!r}, dropout={self.dropout:g}"

    @property
    def _layers(self) -> list[Recurrent]:
        return [layer for layer in self.each if isinstance(layer, Recurrent)]

    def start(self, batch: int = 1) -> tuple[Any, ...]:
        """The state before the first step, a layer each."""
        return tuple(layer.start(batch) for layer in self._layers)

    def _on(self, number: int, x: Tensor, output: Tensor) -> Tensor:
        """What leaves a layer, for the next one or as the stack's output."""
        if number > 0 and self.around != "nothing":
            output = self.arounds[number - 1](x, output)
        if self.dropout and number < len(self.each) - 1:
            output = dropped(output, self.dropout, self.training)
        return output

    def forward(
        self,
        x: Tensor,
        state: tuple[Any, ...] | None = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: bool | Literal["gradient"] = False,
    ) -> tuple[Any, ...]:
        """Run the sequences, as ``Recurrent.forward`` does.

        Returns:
            The output [T, B, output_size], laid out as the input, and the states of all layers;
            with ``trace`` also a trace of each layer.

        Raises:
            ShapeError: a tensor does not fit.
        """
        if is_symbolic(x):
            whole: tuple[Any, ...] = recorded(
                self, x, state, lengths=lengths, reset=reset, trace=trace
            )
            return whole
        if isinstance(x, PackedSequence):
            raise ShapeError(
                "Stacked takes no PackedSequence. Give the padded tensor with lengths."
            )
        states, traces = [], []
        for number, (layer, own) in enumerate(
            zip(self._layers, for_each(state, len(self.each), "layers"), strict=True)
        ):
            outputs, last, *seen = layer(x, own, lengths=lengths, reset=reset, trace=trace)
            x = self._on(number, x, main_output(outputs))
            states.append(last)
            traces += seen
        results = x, tuple(states)
        return (*results, tuple(traces)) if trace else results

    def step(self, x_t: Tensor, state: tuple[Any, ...] | None = None) -> tuple[Tensor, Any]:
        """One time step: what a call on a sequence of one step computes.

        Raises:
            ShapeError: a tensor does not fit.
            SettingError: a layer is bidirectional.
        """
        states = []
        for number, (layer, own) in enumerate(
            zip(self._layers, for_each(state, len(self.each), "layers"), strict=True)
        ):
            outputs, last = layer.step(x_t, own)
            x_t = self._on(number, x_t, main_output(outputs))
            states.append(last)
        return x_t, tuple(states)
