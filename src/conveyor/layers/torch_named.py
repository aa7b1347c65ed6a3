"""What the layers named as those of torch.nn share: torch's parameters, and what torch lacks."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any, Literal, Self, overload

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
from conveyor.layers.dilation import Dilation, check_dilation
from conveyor.layers.initialise import initialise
from conveyor.layers.layer_trace import Trace
from conveyor.layers.parameters import missing
from conveyor.layers.regularisers import NOTHING, Regularisation
from conveyor.layers.request import one_of_each
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stack import StackParameters
from conveyor.layers.walk import check_merge

# Our cells by what torch calls the modes of its layers.
CELLS_BY_MODE = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn_relu"}


# What our layers hold besides and torch's do not.
_OURS = {
    *("checkpoint", "learn_start", "merge", "dilation"),
    *("variational_dropout", "weight_dropout"),
    *("plan", "_first_plans", "_other_plans", "_plans", "_masked", "_text", "_cell"),
    *("_regularisation", "_kernels", "_replays", "_repeated"),
}


class TorchNamed(SequenceLayer, RNNBase):
    """What the three share. ``state`` is called ``hx`` as in torch."""

    def _set_cell(
        self,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
        merge: str = "concatenate",
        dilation: Dilation = 1,
        init: str = "torch",
        longest_dependency: int | None = None,
        regularisation: Regularisation = NOTHING,
    ) -> None:
        """Give the layer what torch's lacks. The arguments are those of ``Recurrent``."""
        cell = CELLS_BY_MODE[self.mode]
        program = program_of_cell(find("lstm_projected" if self.proj_size else cell))
        self._set_plan(program if self.bias else without_bias(program), regularisation)
        self.checkpoint = checkpoint
        check_merge(merge, bidirectional=self.bidirectional)
        self.merge = merge
        check_dilation(dilation, self.num_layers)
        self.dilation = dilation if isinstance(dilation, int) else tuple(dilation)
        if merge != "concatenate":
            self._narrow_what_is_read()
        if init != "torch" or longest_dependency is not None:
            self._initialise(init, longest_dependency)
        self._set_learn_start(learn_start)

    def _narrow_what_is_read(self) -> None:
        """Give layers above the first the matrices that they need where they do not read both
        directions side by side, and start values anew."""
        for directions, width in zip(self._names[1:], self._widths_read()[1:], strict=True):
            for names in directions:
                wide = self._tensor(names[0])
                setattr(self, names[0], nn.Parameter(wide.new_empty(len(wide), width)))
        self.reset_parameters()

    @torch.no_grad()
    def _initialise(self, init: str, longest_dependency: int | None) -> None:
        """Fill the parameters as ``initialise`` does. Of two biases that are added the second is
        0."""
        for directions in self._stack_parameters():
            for parameters in directions:
                named: dict[str, Tensor] = {}
                for name, pieces in parameters.pieces.items():
                    parts = [
                        parameters.tensors[piece.tensor].narrow(0, piece.first, piece.rows)
                        for piece in pieces
                    ]
                    named[name] = parts[0]
                    for part in parts[1:]:
                        part.zero_()
                initialise(
                    self._cell,
                    named,
                    init,
                    hidden_size=self.hidden_size,
                    longest_dependency=longest_dependency,
                )

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        options = {
            "merge": self.merge,
            "dilation": self.dilation,
            "learn_start": self.learn_start,
            **asdict(self.regularisation),
        }
        usual = {
            "merge": "concatenate", "dilation": 1, "learn_start": False, **asdict(NOTHING)
        }  # fmt: skip
        shown = [f"{name}={value}" for name, value in options.items() if value != usual[name]]
        return ", ".join([super().extra_repr(), *shown])

    def flatten_parameters(self) -> None:
        """Lay the parameters out for cuDNN, which knows no other widths than torch's."""
        if self.merge == "concatenate":
            super().flatten_parameters()

    @property
    def torch_lacks(self) -> str | None:
        """What of this layer one of torch.nn cannot hold, in words; None if nothing."""
        if self.learn_start:
            return "learns its start state (learn_start=True)"
        if self.merge != "concatenate":
            return f"merges its directions otherwise (merge={self.merge!r})"
        if self._dilations:
            return f"reads states of several steps before (dilation={self.dilation})"
        if self.regularisation != NOTHING:
            return "is regularised inside its cell"
        return None

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
            SettingError: the layer learns its start state, is dilated, is regularised inside its
                cell or merges its directions otherwise, which one of torch cannot hold.
        """
        if self.torch_lacks is not None:
            raise SettingError(
                f"the layer {self.torch_lacks}, which a layer of torch.nn cannot hold. Make one "
                "without it."
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

    @overload
    def forward(
        self,
        input: Tensor,
        hx: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: Literal[False] = False,
    ) -> tuple[Tensor, Any]: ...

    @overload
    def forward(
        self,
        input: Tensor,
        hx: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: Literal[True, "gradient"],
    ) -> tuple[Tensor, Any, Trace]: ...

    @overload
    def forward(
        self,
        input: PackedSequence,
        hx: Any = None,
        *,
        trace: Literal[False] = False,
    ) -> tuple[PackedSequence, Any]: ...

    @overload
    def forward(
        self,
        input: PackedSequence,
        hx: Any = None,
        *,
        trace: Literal[True, "gradient"],
    ) -> tuple[PackedSequence, Any, Trace]: ...

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        trace: bool | Literal["gradient"] = False,
    ) -> tuple[Any, ...]:
        """Run sequences as the layer of torch.nn does; the keyword arguments are those of
        ``Recurrent.forward``.

        Returns:
            (output, final state), and the trace if it was asked for.

        Raises:
            ShapeError: a tensor does not fit. It is both a RuntimeError and a ValueError, the
                classes that torch raises.
        """
        return self._run(input, hx, lengths, reset, trace)


def _cached(kind: type) -> set[str]:
    """Return the names under which instances of a class keep what they worked out once."""
    members = (vars(base).items() for base in kind.__mro__)
    return {
        name
        for of_base in members
        for name, member in of_base
        if isinstance(member, cached_property)
    }
