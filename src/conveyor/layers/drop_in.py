"""``RNN``, ``LSTM`` and ``GRU``: drop-in for the layers of torch.nn of these names.

They inherit torch's own constructor, parameters and start values from ``torch.nn.RNNBase``, so
arguments, parameter names, seeds and checkpoints are the same by construction. Only the way a
sequence is run is ours, and the keyword arguments that torch lacks.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor
from torch.nn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from conveyor.cells.registry import find
from conveyor.compiler.simplify import without_bias
from conveyor.compiler.trace import trace as program_of_cell
from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.target import Parameters, Values
from conveyor.kernels.torch_order import torch_kinds, torch_pieces
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stack import StackParameters


class _TorchNamed(SequenceLayer, RNNBase):
    """What the three share. ``state`` is called ``hx`` as in torch. Besides torch's arguments they
    take ``checkpoint`` and ``learn_start`` by name, see ``Recurrent``."""

    def __init__(self, mode: str, cell: str, *args: Any, **kwargs: Any) -> None:
        checkpoint, learn_start = kwargs.pop("checkpoint", False), kwargs.pop("learn_start", False)
        RNNBase.__init__(self, mode, *args, **kwargs)
        self._set_checkpoint(checkpoint)
        program = program_of_cell(find(cell))
        self._set_plan(program if self.bias else without_bias(program))
        self._set_learn_start(learn_start)

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
        found: Tensor | None = self._parameters.get(name)
        return getattr(self, name) if found is None else found

    def _stack_parameters(self) -> StackParameters:
        pieces = torch_pieces(
            self.plan.program.name, self.hidden_size, self.proj_size, bool(self.bias)
        )
        return [
            [Parameters(tuple([self._tensor(name) for name in names]), pieces) for names in own]
            for own in self._names
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
        names = tuple(self._state_widths)
        states = tuple(state) if isinstance(state, tuple | list) else (state,)
        if len(states) != len(names) or not all(isinstance(each, Tensor) for each in states):
            raise ShapeError(
                f"hx holds {len(states)} things; {type(self).__name__} needs "
                f"{' and '.join(f'{name}_0' for name in names)}."
            )
        return dict(zip(names, states, strict=True))

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

    Raises:
        SettingError: ``nonlinearity`` is neither ``"tanh"`` nor ``"relu"``. Other bad arguments
            raise what torch raises.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise SettingError("proj_size is only for LSTM: RNN has no projection.")
        if len(args) > 3:  # torch takes it as the fourth argument
            self.nonlinearity = args[3]
            args = (*args[:3], *args[4:])
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise SettingError(f"nonlinearity is {self.nonlinearity!r}; expected 'tanh' or 'relu'.")
        tanh = self.nonlinearity == "tanh"
        mode, cell = ("RNN_TANH", "rnn") if tanh else ("RNN_RELU", "rnn_relu")
        super().__init__(mode, cell, *args, **kwargs)


class LSTM(_TorchNamed):
    """Long short-term memory, drop-in for ``torch.nn.LSTM``, ``proj_size`` included."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        projected = kwargs.get("proj_size", 0) or (len(args) > 7 and args[7])
        super().__init__("LSTM", "lstm_projected" if projected else "lstm", *args, **kwargs)


class GRU(_TorchNamed):
    """Gated recurrent unit, reset after the product, drop-in for ``torch.nn.GRU``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise SettingError("proj_size is only for LSTM: GRU has no projection.")
        super().__init__("GRU", "gru", *args, **kwargs)
