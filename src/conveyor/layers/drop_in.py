"""``RNN``, ``LSTM`` and ``GRU``: drop-in for the layers of torch.nn of these names.

They inherit torch's own constructor, parameters and start values from ``torch.nn.RNNBase``, so
arguments, parameter names, seeds and checkpoints are the same by construction. Only the way a
sequence is run is ours, and the keyword arguments that torch lacks.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from conveyor.cells.cell_registry import find
from conveyor.compiler.simplify import without_bias
from conveyor.compiler.trace import trace as program_of_cell
from conveyor.errors import SettingError
from conveyor.kernels.kernel import Values
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.torch_order import torch_kinds, torch_pieces
from conveyor.layers.parameters import missing
from conveyor.layers.request import one_of_each
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stack import StackParameters

# Our cells by what torch calls the modes of its layers.
CELLS_BY_MODE = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn_relu"}


# What our layers hold besides and torch's do not.
_OURS = {"checkpoint", "learn_start", "plan", "_plans", "_masked", "_text", "_kernels", "_replays"}


class _TorchNamed(SequenceLayer, RNNBase):
    """What the three share. ``state`` is called ``hx`` as in torch."""

    def _set_cell(self, checkpoint: bool | int = False, learn_start: bool = False) -> None:
        """Give the layer what torch's lacks."""
        cell = CELLS_BY_MODE[self.mode]
        program = program_of_cell(find("lstm_projected" if self.proj_size else cell))
        self._set_plan(program if self.bias else without_bias(program))
        self.checkpoint = checkpoint
        self._set_learn_start(learn_start)

    @classmethod
    def from_torch(cls, layer: RNNBase) -> Self:
        """Return a layer that holds the parameters, hooks and attributes of one of torch: the very
        objects.

        Args:
            layer: of the class of this name in torch.nn.

        Raises:
            SettingError: it is of another class.
        """
        if type(layer) is not getattr(nn, cls.__name__, None):
            raise SettingError(
                f"{cls.__name__}.from_torch takes a torch.nn.{cls.__name__}, not a "
                f"{type(layer).__module__}.{type(layer).__name__}."
            )
        ours = cls.__new__(cls)
        ours.__dict__.update(layer.__dict__)
        ours._set_cell()
        return ours

    def to_torch(self) -> RNNBase:
        """Return a layer of torch.nn that holds the parameters, hooks and attributes of this one:
        the very objects.

        Raises:
            SettingError: the layer learns its start state, which one of torch cannot hold.
        """
        if self.learn_start:
            raise SettingError(
                "a layer of torch.nn cannot hold a learned start state. Use learn_start=False."
            )
        kind: type[RNNBase] = getattr(nn, type(self).__name__)
        layer = kind.__new__(kind)
        ours = _cached(type(self)) | _OURS
        layer.__dict__.update({n: v for n, v in self.__dict__.items() if n not in ours})
        layer._init_flat_weights()
        return layer

    @cached_property
    def _names(self) -> list[list[tuple[str, ...]]]:
        """What parameters are called, per layer and direction."""
        directions = ("", "_reverse")[: 2 if self.bidirectional else 1]
        kinds = torch_kinds(bias=bool(self.bias), projected=self.proj_size > 0)
        return [
            [tuple([f"{kind}_l{n}{d}" for kind in kinds]) for d in directions]
            for n in range(self.num_layers)
        ]

    def _tensor(self, name: str) -> Tensor:
        # By attribute where pruning or parametrisation put something else in a parameter's place.
        tensor = self._parameters.get(name)
        tensor = getattr(self, name, None) if tensor is None else tensor
        if not isinstance(tensor, Tensor):
            raise missing(name)
        return tensor

    def _tensors(self, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        stored = self._parameters
        tensors: list[Tensor] = [each for name in names if (each := stored.get(name)) is not None]
        if len(tensors) < len(names):
            tensors = [self._tensor(name) for name in names]
        return tuple(tensors)

    def _stack_parameters(self) -> StackParameters:
        pieces = torch_pieces(
            self.plan.program.name, self.hidden_size, self.proj_size, bool(self.bias)
        )
        return [
            [Parameters(self._tensors(names), pieces) for names in directions]
            for directions in self._names
        ]

    def _stack_paths(self) -> list[list[list[tuple[str, ...]]]]:
        return [[[(name,) for name in names] for names in own] for own in self._names]

    def _weight(self) -> Tensor:
        return self._tensor("weight_ih_l0")

    def _sizes(self) -> Mapping[str, int]:
        return {"H": self.hidden_size, "P": self.proj_size}

    def _state_of(self, values: Values) -> Any:
        states = tuple(values.values())
        return states if len(states) > 1 else states[0]

    def _values_of(self, state: Any) -> Values:
        return one_of_each(state, tuple(self._state_widths), type(self).__name__, "hx")

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: bool = False,
    ) -> tuple[Any, ...]:
        """As the layer of torch.nn; the keyword arguments are those of ``Recurrent.forward``.

        Returns:
            (output, final state), and the trace if it was asked for.

        Raises:
            ShapeError: a tensor does not fit. It is both a RuntimeError and a ValueError, the
                classes that torch raises.
        """
        ran: tuple[Any, ...] = self._run(input, hx, lengths, reset, trace)
        return ran


class RNN(_TorchNamed):
    """Elman network, drop-in for ``torch.nn.RNN``: same arguments, parameters and results.

    ``isinstance(layer, torch.nn.RNN)`` is False, as code that asks this may pass the layer's
    parameters to torch's own kernels; ``conveyor.replace`` and ``restore`` swap both kinds.

    Args:
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: whether the cell has biases.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        dropout: probability of dropping an output of a layer before the next one.
        bidirectional: run each sequence from its end too.
        device: where the parameters are.
        dtype: their type.
        checkpoint: see ``Recurrent``.
        learn_start: see ``Recurrent``.

    Raises:
        SettingError: ``nonlinearity`` is neither ``"tanh"`` nor ``"relu"``, or ``proj_size`` is
            given. Other bad arguments raise what torch raises.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
        proj_size: int | None = None,
    ) -> None:
        _check_no_projection("RNN", proj_size)
        if nonlinearity not in ("tanh", "relu"):
            raise SettingError(f"nonlinearity is {nonlinearity!r}; expected 'tanh' or 'relu'.")
        RNNBase.__init__(
            self,
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity
        self._set_cell(checkpoint, learn_start)


class LSTM(_TorchNamed):
    """Long short-term memory, drop-in for ``torch.nn.LSTM``: same arguments, parameters and
    results. ``isinstance(layer, torch.nn.LSTM)`` is False, see ``RNN``.

    Args:
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        bias: whether the cell has biases.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        dropout: probability of dropping an output of a layer before the next one.
        bidirectional: run each sequence from its end too.
        proj_size: features that the hidden state is projected to, P; 0 projects nothing.
        device: where the parameters are.
        dtype: their type.
        checkpoint: see ``Recurrent``.
        learn_start: see ``Recurrent``.

    Raises:
        SettingError: ``checkpoint`` is out of its range. Other bad arguments raise what torch
            raises.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
    ) -> None:
        RNNBase.__init__(
            self,
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )
        self._set_cell(checkpoint, learn_start)


class GRU(_TorchNamed):
    """Gated recurrent unit, reset after the product, drop-in for ``torch.nn.GRU``: same arguments,
    parameters and results. ``isinstance(layer, torch.nn.GRU)`` is False, see ``RNN``.

    Args:
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        bias: whether the cell has biases.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        dropout: probability of dropping an output of a layer before the next one.
        bidirectional: run each sequence from its end too.
        device: where the parameters are.
        dtype: their type.
        checkpoint: see ``Recurrent``.
        learn_start: see ``Recurrent``.

    Raises:
        SettingError: ``proj_size`` is given, or ``checkpoint`` is out of its range. Other bad
            arguments raise what torch raises.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
        proj_size: int | None = None,
    ) -> None:
        _check_no_projection("GRU", proj_size)
        RNNBase.__init__(
            self,
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self._set_cell(checkpoint, learn_start)


def _cached(kind: type) -> set[str]:
    """Return the names under which instances of a class keep what they worked out once."""
    members = (vars(base).items() for base in kind.__mro__)
    return {
        name
        for of_base in members
        for name, member in of_base
        if isinstance(member, cached_property)
    }


def _check_no_projection(layer: str, proj_size: int | None) -> None:
    """Raise where a layer is given what torch takes and then rejects."""
    if proj_size is not None:
        raise SettingError(f"proj_size is only for LSTM: {layer} has no projection.")
