"""Layers as they are stored: plans, sizes and parameters, and whether these fit each other."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout

from conveyor.compiler.first_layer import links
from conveyor.compiler.plan import Plan
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps
from conveyor.errors import SettingError
from conveyor.kernels.kernel import Values
from conveyor.kernels.pieces import Parameters
from conveyor.layers.block_matrices import BlockMatrix
from conveyor.layers.checks import check_whole
from conveyor.layers.dilation import Dilation, check_dilation, dilations
from conveyor.layers.eager import Eager
from conveyor.layers.initialise import recurrent_matrices
from conveyor.layers.parameters import have_shapes, stored_shapes, wrong_shape
from conveyor.layers.plans import Plans
from conveyor.layers.regularisers import Regularisation
from conveyor.layers.stack import StackParameters
from conveyor.layers.walk import widths_read

# A layer's sizes, which may be changed by hand, along with its parameters; and what is derived from
# them once and kept.
_SIZES = frozenset(
    (
        *("input_size", "hidden_size", "proj_size", "sizes"),
        *("num_layers", "bidirectional", "bias", "merge", "dilation"),
    )
)
_DERIVED = (
    *("_state_widths", "_stored_shapes", "_names", "_where", "_pieces", "_forms"),
    *("_replays", "_repeated"),
    "_plans",
)


class StoredLayer(Eager):
    """What a stack of recurrent layers holds. ``Recurrent`` and the layers named as those of
    torch.nn differ in how they store parameters and in how they write a state."""

    # Of the first layer.
    plan: Plan
    # Features of the input, a number; of each, by name, where the cell has several. (torch.nn's
    # layers declare a number.)
    input_size: Any
    hidden_size: int
    num_layers: int
    batch_first: bool
    bidirectional: bool
    dropout: float
    checkpoint: bool | int
    # Two regularisers that may be changed by hand.
    variational_dropout: float
    weight_dropout: float
    # What becomes of both directions, see ``walk.MERGES``.
    merge: str = "concatenate"
    # Whether ``dropout`` drops the same features of a sequence at all steps.
    locked_dropout: bool = False
    # How many steps late the layers read their states: a number, or one for each.
    dilation: Dilation = 1
    # Whether the state before the first step is learned.
    learn_start: bool = False
    # The program that regularisers change, and what the layer was made with, see
    # ``regularisation``.
    _cell: Program
    _regularisation: Regularisation
    # Of the first layer, and of those above it, which may have another program.
    _first_plans: Plans
    _other_plans: Plans
    # Whether the cell reads masks in training.
    _masked: bool
    # The cell's program, as a text that torch.compile can compare between layers.
    _text: str

    def _set_plan(self, program: Program, regularisation: Regularisation) -> None:
        """Give the layer its program.

        Args:
            program: of the cell.
            regularisation: what changes it.

        Raises:
            SettingError: a rate or a bound is out of its range, or the cell has no such name.
        """
        self._cell, self._regularisation = program, regularisation
        self.variational_dropout = regularisation.variational_dropout
        self.weight_dropout = regularisation.weight_dropout
        how = regularisation.of(program)
        self._first_plans = self._other_plans = Plans.of(program, how, first=True)
        if links(program):
            self._other_plans = Plans.of(program, how, first=False)
        self._masked = bool(self._first_plans.masks or self._other_plans.masks)
        self.plan = self._first_plans.inference
        self._text = dumps(self._other_plans.inference.program)

    @property
    def regularisation(self) -> Regularisation:
        """The regularisers inside the cell."""
        return replace(
            self._regularisation,
            variational_dropout=self.variational_dropout,
            weight_dropout=self.weight_dropout,
        )

    @cached_property
    def _plans(self) -> tuple[Plans, ...]:
        """The plans of each layer."""
        return (self._first_plans, *[self._other_plans] * (self.num_layers - 1))

    @property
    def _dilations(self) -> tuple[int, ...]:
        """How many steps late each layer reads its state; empty if all read that of the last step,
        as layers mostly do."""
        if self.dilation == 1:
            return ()
        each = dilations(self.dilation, self.num_layers)
        return () if set(each) == {1} else each

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    # What subclasses say -------------------------------------------------------------------------

    @abstractmethod
    def _stack_parameters(self) -> StackParameters:
        """Return the cell's parameters, per layer and direction."""

    @abstractmethod
    def _stack_paths(self) -> Sequence[Sequence[Sequence[tuple[str, ...]]]]:
        """Return where the tensors of ``_stack_parameters`` are, attribute by attribute."""

    @abstractmethod
    def _sizes(self) -> Mapping[str, int]:
        """Return how wide each axis of the cell's states is."""

    @abstractmethod
    def _weight(self) -> Tensor:
        """Return a tensor that is where the parameters are, and of their type."""

    @abstractmethod
    def _state_of(self, values: Values) -> Any:
        """Return a state as this layer hands it out, of its values by name."""

    @abstractmethod
    def _values_of(self, state: Any) -> Values:
        """Return the values by name of a state as this layer hands it out."""

    # Names and widths ----------------------------------------------------------------------------

    @cached_property
    def _state_widths(self) -> dict[str, int]:
        return {
            leaf.name.removesuffix("'"): self._sizes()[leaf.axes[0]] if leaf.axes else 1
            for leaf in self.plan.program.states
        }

    @property
    def _features(self) -> int:
        """Features of the main input, which goes up the layers."""
        size = self.input_size
        return size if isinstance(size, int) else size[self._first_plans.reads.main]

    @property
    def _shared_widths(self) -> dict[str, int]:
        """Features of the inputs that every layer reads, by name."""
        if isinstance(self.input_size, int):
            return {}
        return {name: self.input_size[name] for name in self._first_plans.reads.shared}

    @cached_property
    def _memory_names(self) -> tuple[str, ...]:
        """What the cell looks at at every step."""
        return tuple([leaf.name for leaf in self.plan.program.memories])

    @cached_property
    def _output_names(self) -> tuple[str, ...]:
        """The outputs that a call gives: all that are not there for the layer above alone."""
        main, *others = self.plan.program.values_of("output")
        hidden = links(self._cell).values()
        return main, *[name for name in others if name not in hidden]

    @property
    def _output_name(self) -> str:
        return self._output_names[0]

    def _output_width(self, name: str | None = None) -> int:
        """Return the features of an output in one direction, of the main one without ``name``; a
        number per example is one wide."""
        program = self.plan.program
        axes = program.axes[program.values_of("output")[name or self._output_name]]
        return {**self._sizes(), "I": self._features}[axes[0]] if axes else 1

    @property
    def output_size(self) -> int:
        """Features of the output, of both directions together; of the first, where the cell has
        several."""
        return self.output_sizes[self._output_name]

    @property
    def output_sizes(self) -> dict[str, int]:
        """Features of every output by name, of both directions together."""
        both = self.bidirectional and self.merge != "sum"
        return {name: self._output_width(name) * (2 if both else 1) for name in self._output_names}

    def _widths_read(self) -> list[int]:
        """Return the features that each layer reads."""
        return widths_read(
            self._features,
            self._output_width(),
            layers=self.num_layers,
            directions=self._directions,
            merge=self.merge,
        )

    # Parameters ----------------------------------------------------------------------------------

    @cached_property
    def _forms(self) -> tuple[tuple[BlockMatrix | None, ...], ...]:
        """Which tensors of each layer are stored as blocks, and how; empty if none is."""
        return ()

    def _parameters_now(self) -> StackParameters:
        """Return the parameters as a call uses them: with some recurrent weights dropped."""
        stack = self._stack_parameters()
        if not (self.weight_dropout and self.training):
            return stack
        return [
            [self._with_dropped_weights(parameters) for parameters in directions]
            for directions in stack
        ]

    @cached_property
    def _recurrent_matrices(self) -> frozenset[str]:
        """The matrices that read the state."""
        return recurrent_matrices(self._other_plans.inference.program)

    def _with_dropped_weights(self, parameters: Parameters) -> Parameters:
        names = self._recurrent_matrices
        whole = {piece.tensor for name in names for piece in parameters.pieces[name]}
        tensors = [
            dropout(tensor, self.weight_dropout) if number in whole else tensor
            for number, tensor in enumerate(parameters.tensors)
        ]
        return Parameters(tuple(tensors), parameters.pieces)

    @cached_property
    def _stored_shapes(self) -> tuple[tuple[torch.Size, ...], ...]:
        """The shapes of the stored parameters of each layer, in both directions."""
        layers = zip(self._plans, self._stack_parameters(), self._widths_read(), strict=False)
        return tuple(
            stored_shapes(
                plans.inference.program, directions[0].pieces, {**self._sizes(), "I": width}
            )
            for plans, directions, width in layers
        )

    def _check_stored(self, stack: StackParameters) -> None:
        """Check the shapes of stored parameters.

        Raises:
            ShapeError: one does not have the shape that the layer's sizes say.
        """
        for layer, (directions, shapes) in enumerate(zip(stack, self._stored_shapes, strict=True)):
            for direction, own in enumerate(directions):
                if not have_shapes(own, shapes):
                    raise wrong_shape(own, shapes, self._stack_paths()[layer][direction])

    # Sizes that are changed by hand --------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SIZES and "_first_plans" in self.__dict__:  # by hand, after the layer was made
            self._check_size(name, value)
        if name == "checkpoint":
            self._check_checkpoint(value)
        if name == "dilation":
            check_dilation(value, self.num_layers)
        super().__setattr__(name, value)
        if name in _SIZES:  # what is derived of them is no longer true
            for derived in _DERIVED:
                self.__dict__.pop(derived, None)

    def _check_checkpoint(self, value: Any) -> None:
        """Check a number of steps to checkpoint.

        Raises:
            SettingError: it is not a number of steps.
        """
        if not isinstance(value, int) or value < 0:
            raise SettingError(
                f"checkpoint is {value!r}; expected True, False or a number of steps."
            )

    def _check_size(self, name: str, value: Any) -> None:
        """Check that a layer that exists can have such a size.

        Raises:
            SettingError: it is not such a number, or the cell would be another one.
        """
        reads = self._first_plans.reads
        if name == "input_size" and (reads.shared or self._memory_names):
            names = {reads.main, *reads.shared, *self._memory_names}
            if not isinstance(value, Mapping) or value.keys() != names:
                raise SettingError(
                    f"input_size is {value!r}; expected the features of {', '.join(sorted(names))} "
                    "by name."
                )
            check_whole(**{f"input_size of {key}": size for key, size in value.items()})
        elif name in ("input_size", "hidden_size", "num_layers"):
            check_whole(**{name: value})
        elif name in ("bias", "proj_size", "sizes"):
            now = getattr(self, name, value)
            if name == "sizes":
                same = isinstance(value, Mapping) and value.keys() == now.keys()
            else:
                same = bool(value) == bool(now)
            if not same:
                raise SettingError(
                    f"{name} cannot become {value!r} in a layer that exists: its cell would be "
                    "another one. Make a new layer."
                )
            if name == "sizes":
                check_whole(**{f"size {axis}": size for axis, size in value.items()})
            elif name == "proj_size":
                check_whole(0, proj_size=value)
