"""What all recurrent layers share: the public door, where everything is checked once."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

import conveyor.layers.operator  # noqa: F401  (for exported programs, which hold no layer)
from conveyor.cells.initial_value import NOTHING_SEEN
from conveyor.compiler.plan import Plan
from conveyor.compiler.program import Program, dumps
from conveyor.compiler.regularise import Regularisers
from conveyor.errors import SettingError, ShapeError, TargetError
from conveyor.kernels.kernel import InitialState, Kernel, StepKernel, Values
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.select import select, target_for
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Placement
from conveyor.layers.again import MOST, StackAgain
from conveyor.layers.cache import Cache, cache_of
from conveyor.layers.checks import check_whole
from conveyor.layers.explain import explained
from conveyor.layers.initialise import recurrent_matrices
from conveyor.layers.layer_trace import traced
from conveyor.layers.lengths import Packing, Ragged
from conveyor.layers.parameters import have_shapes, missing, stored_shapes, wrong_shape
from conveyor.layers.planned import Planned
from conveyor.layers.request import read_input, read_reset, read_state, read_step
from conveyor.layers.stack import Level, Stack, StackParameters
from conveyor.layers.stream import Stream
from conveyor.layers.symbolic import is_symbolic, recorded

# A layer's sizes, which may be changed by hand, along with its parameters; and what it works out of
# them once and keeps.
_SIZES = frozenset(
    (
        *("input_size", "hidden_size", "proj_size", "sizes"),
        *("num_layers", "bidirectional", "bias", "merge"),
    )
)
_OF_SIZES = ("_state_widths", "_stored_shapes", "_names", "_where", "_pieces", "_again")


class SequenceLayer(nn.Module):
    """A stack of recurrent layers over sequences. ``Recurrent`` and the layers named as those
    of torch.nn differ in how they store parameters and in how they write a state."""

    plan: Plan
    input_size: int
    hidden_size: int
    num_layers: int
    batch_first: bool
    bidirectional: bool
    dropout: float
    checkpoint: bool | int
    # Regularisers inside the cell; the drop-in layers have none, as torch's have none.
    variational_dropout: float = 0.0
    weight_dropout: float = 0.0
    # What becomes of both directions, see ``stack.merged``.
    merge: str = "concatenate"
    # Whether the state before the first step is learned.
    learn_start: bool = False
    # Of the first layer, and of those above it if they have another program.
    _planned: tuple[Planned, ...]
    # Whether the cell reads masks in training.
    _masked: bool

    # The plan's program, as a text that torch.compile can compare between layers.
    _text: str

    def _set_plan(self, program: Program, how: Regularisers | None = None) -> None:
        """``how`` is what regularisers change of the program, and of that of layers above."""
        each = (program,) if program.above is None else (program, program.above)
        self._planned = tuple(Planned.of(one, how or Regularisers()) for one in each)
        self._masked = any(each.masks for each in self._planned)
        self.plan = self._planned[0].plan
        self._text = dumps(self.plan.program)

    @abstractmethod
    def _stack_parameters(self) -> StackParameters:
        """The cell's parameters by name, per layer and direction."""

    @abstractmethod
    def _stack_paths(self) -> Sequence[Sequence[Sequence[tuple[str, ...]]]]:
        """Where the tensors of ``_stack_parameters`` are found, attribute by attribute."""

    def _parameters_now(self) -> StackParameters:
        """The parameters as a call uses them: of recurrent matrices, some weights dropped."""
        stack = self._stack_parameters()
        if not (self.weight_dropout and self.training):
            return stack
        recurrent = [recurrent_matrices(each.plan.program) for each in self._planned]

        def dropped(layer: int, own: Parameters) -> Parameters:
            names = recurrent[min(layer, len(recurrent) - 1)]
            whole = {piece.tensor for name in names for piece in own.pieces[name]}
            tensors = [
                dropout(each, self.weight_dropout) if number in whole else each
                for number, each in enumerate(own.tensors)
            ]
            return Parameters(tuple(tensors), own.pieces)

        return [[dropped(layer, own) for own in both] for layer, both in enumerate(stack)]

    @abstractmethod
    def _sizes(self) -> Mapping[str, int]:
        """How wide each axis of the cell's states is."""

    @abstractmethod
    def _state_of(self, values: Values) -> Any:
        """A state as this layer hands it out, of its values by name."""

    @abstractmethod
    def _values_of(self, state: Any) -> Values:
        """The values by name of a state as this layer hands it out."""

    # Names and places -------------------------------------------------------------------------

    @abstractmethod
    def _weight(self) -> Tensor:
        """A tensor that is where the parameters are, and of their type."""

    @cached_property
    def _state_widths(self) -> dict[str, int]:
        return {
            leaf.name.removesuffix("'"): self._sizes()[leaf.axes[0]]
            for leaf in self.plan.program.states
        }

    @staticmethod
    def _placement(like: Tensor, observed: bool = False) -> Placement:
        # torch.func must see every operation, and so must a tangent of forward-mode.
        transformed = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
        return Placement(like.device, like.dtype, transformed, observed)

    @property
    def _draws(self) -> bool:
        """Whether a call now draws masks."""
        return self.training and (self._masked or self.variational_dropout > 0)

    def _kernel(self, placement: Placement, plan: Plan | None = None) -> Kernel:
        plan = plan or self.plan
        target = target_for(plan, placement)
        kernels: Cache[tuple[str, torch.dtype, int], Kernel] = cache_of(self, "_kernels")
        key = target.name, placement.dtype, id(plan)
        if key not in kernels:
            kernels[key] = target.compile(plan, placement.dtype)
        return kernels[key]

    @cached_property
    def _begins_elsewhere(self) -> bool:
        """Whether a state of the cell starts at another number than 0."""
        return self.learn_start or bool(self.plan.program.start_states)

    @cached_property
    def _input_name(self) -> str:
        return self.plan.program.leaves_of("input")[0].name

    @cached_property
    def _output_name(self) -> str:
        return next(iter(self.plan.program.values_of("output")))

    @staticmethod
    def _recorded() -> bool:
        """Whether someone records operations, or runs them on tensors without memory: then, too,
        every operation must be seen."""
        if torch._C._is_tracing():
            raise TargetError(
                "torch.jit.trace cannot record a recurrent layer of conveyor. Use torch.export, "
                "which can."
            )
        return torch._C._len_torch_dispatch_stack() > 0

    def __prepare_scriptable__(self) -> NoReturn:
        """Called by ``torch.jit.script`` before it reads anything, in a model that holds this layer
        too.

        Raises:
            TargetError: always.
        """
        raise TargetError(
            "torch.jit.script cannot compile a recurrent layer of conveyor. Use torch.export, "
            "which can record it."
        )

    @cached_property
    def _stored_shapes(self) -> tuple[tuple[torch.Size, ...], ...]:
        """The shapes of the stored parameters of each layer, in both directions."""
        return tuple(
            stored_shapes(
                self._planned[min(layer, len(self._planned) - 1)].plan.program,
                directions[0].pieces,
                {**self._sizes(), "I": self.input_size if layer == 0 else self._width_between},
            )
            for layer, directions in enumerate(self._stack_parameters())
        )

    def _check_stored(self, stack: StackParameters) -> None:
        for layer, (directions, shapes) in enumerate(zip(stack, self._stored_shapes, strict=True)):
            for direction, own in enumerate(directions):
                if not have_shapes(own, shapes):
                    raise wrong_shape(own, shapes, self._stack_paths()[layer][direction])

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SIZES and "_planned" in self.__dict__:  # by hand, after the layer was made
            self._check_size(name, value)
        if name == "checkpoint":
            self._check_checkpoint(value)
        super().__setattr__(name, value)
        if name in _SIZES:  # what was worked out of them is no longer true
            for derived in _OF_SIZES:
                self.__dict__.pop(derived, None)

    def _check_checkpoint(self, value: Any) -> None:
        """Raise where the layer cannot keep so many steps.

        Raises:
            SettingError: it is no number of steps, or the cell has other equations in layers above
                the first.
        """
        if not isinstance(value, int) or value < 0:
            raise SettingError(
                f"checkpoint is {value!r}; expected True, False or a number of steps."
            )
        if value and len(self._planned) > 1:
            raise SettingError(
                f"{self.plan.program.name}: layers above the first read more than one output of "
                "the layer below, and checkpoint= keeps one. Leave it out."
            )

    def _check_size(self, name: str, value: Any) -> None:
        """Raise where a layer that exists cannot have such a size.

        Raises:
            SettingError: it is no such number, or the cell would be another one.
        """
        if name in ("input_size", "hidden_size", "num_layers"):
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

    def _stack(self, like: Tensor, parameters: StackParameters, observed: bool = False) -> Stack:
        """How the layers are run on such an input, with these parameters.

        Raises:
            ShapeError: a parameter does not have the shape that the layer's sizes say.
        """
        self._check_stored(parameters)
        placement = self._placement(like, observed)
        if self._recorded():
            placement = placement._replace(transformed=True)
        draws = self._draws
        levels = [
            Level(
                self._kernel(placement, each.training if draws else each.plan),
                each.masks if draws else (),
                each.below,
            )
            for each in self._planned[: self.num_layers]
        ]
        return Stack(
            levels=tuple(levels),
            input=self._input_name,
            output=self._output_name,
            dropout=self.dropout,
            training=self.training,
            checkpoint=False if observed or placement.transformed else self.checkpoint,
            variational=self.variational_dropout,
            sizes=self._sizes(),
            merge=self.merge,
        )

    # State ------------------------------------------------------------------------------------

    def _start_values(self, batch: int) -> Values:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        if self.learn_start:
            values = {}
            for name, width in self._state_widths.items():
                learned = getattr(self, f"start_{name}", None)
                if learned is None:
                    raise missing(f"start_{name}")
                if learned.shape != (rows, width):
                    raise ShapeError(
                        f"parameter start_{name} is {list(learned.shape)}; expected "
                        f"[{rows}, {width}]: num_layers * directions, width."
                    )
                values[name] = learned.unsqueeze(1).repeat(1, batch, 1)
            return values
        like, begin = self._weight(), self.plan.program.start_states
        least = torch.finfo(like.dtype).min
        return {
            name: like.new_full((rows, batch, width), max(begin.get(name, 0.0), least))
            for name, width in self._state_widths.items()
        }

    def _set_learn_start(self, learn: bool) -> None:
        """Give the layer a start state of its own, that begins as the cell says; at 0 where that is
        minus infinity, which would hide what other states learn and has no gradient itself."""
        if learn:
            for name, each in self._start_values(1).items():
                nothing = each <= max(NOTHING_SEEN, torch.finfo(each.dtype).min)
                begun = each.masked_fill(nothing, 0.0).squeeze(1)
                self.register_parameter(f"start_{name}", nn.Parameter(begun))
        self.learn_start = learn

    def start(self, batch: int = 1) -> Any:
        """The state before the first step, for so many sequences at once: zeros, but for what the
        cell says of its states, or what was learned with ``learn_start``; each
        [num_layers * directions, batch, width], on the layer's device and in its dtype.

        Raises:
            SettingError: ``batch`` is below 0.
        """
        check_whole(0, batch=batch)
        return self._state_of(self._start_values(batch))

    def _checked_state(self, state: Any, batch: int, like: Tensor, batched: bool) -> InitialState:
        widths = self._state_widths
        if state is None:
            return InitialState(
                widths, self._fresh(like, batch) if self._begins_elsewhere else None
            )
        return self._read_state(self._values_of(state), batch, like, batched)

    def _read_state(self, values: Values, batch: int, like: Tensor, batched: bool) -> InitialState:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        return read_state(
            values, self._state_widths, rows=rows, batch=batch, like=like, batched=batched
        )

    def _read_input(
        self, input: Tensor | PackedSequence, weight: Tensor
    ) -> tuple[Tensor, Packing | None, bool]:
        return read_input(
            input,
            weight,
            features=self.input_size,
            batch_first=self.batch_first,
            layer=type(self).__name__,
        )

    def _read_reset(self, reset: Tensor, x: Tensor, batched: bool) -> Tensor:
        return read_reset(reset, x, batched=batched, batch_first=self.batch_first)

    # Running ----------------------------------------------------------------------------------

    def _run(
        self,
        input: Tensor | PackedSequence,
        state: Any,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        trace: bool,
    ) -> tuple[Any, ...]:
        if is_symbolic(input):
            whole: tuple[Any, ...] = recorded(
                self, input, state, lengths=lengths, reset=reset, trace=trace
            )
            return whole
        if torch.compiler.is_compiling():
            from conveyor.layers import compiled  # noqa: PLC0415  (it loads torch's compiler)

            return compiled.run(self, input, state, lengths=lengths, reset=reset, trace=trace)
        return self._run_as_it_is(input, state, lengths, reset, trace)

    def _run_as_it_is(
        self,
        input: Tensor | PackedSequence,
        state: Any,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        trace: bool,
    ) -> tuple[Any, ...]:
        x, packing, batched = self._read_input(input, self._weight())
        if packing is not None and not (lengths is None and reset is None):
            raise ShapeError(
                "lengths or reset is given with a PackedSequence, which holds lengths of its own. "
                "Give the padded tensor with lengths and reset."
            )
        if packing is not None:
            return self._run_packed(x, packing, state, trace)
        # Whole numbers also where a tracer has symbols for them: it records for these sizes.
        length, batch, _ = x.shape
        if type(length) is not int or type(batch) is not int:
            length, batch = int(length), int(batch)
        start = self._checked_state(state, batch, x, batched)
        restart = None if reset is None else self._read_reset(reset, x, batched)
        ragged = Ragged.of_batch(x, lengths, restart)
        steps = Steps.dense(length, batch) if ragged is None else ragged.steps
        parameters = self._parameters_now()  # once: weight dropout draws here
        plain = ragged is None and not trace
        replayed = self._run_again(x, start, steps, parameters) if plain else None
        observed: dict[tuple[int, bool], Values] = {}
        if replayed is not None:
            output, final = replayed
        else:
            output, final, observed = self._stack(x, parameters, trace).sequence(
                x if ragged is None else ragged.pack(x),
                start,
                parameters,
                steps=steps,
                ragged=ragged,
                fresh=None if ragged is None or restart is None else self._fresh(x, batch),
                observe=trace,
            )

        def laid_out(values: Tensor) -> Tensor:
            if ragged is not None:
                values = ragged.unpack(values, length, batch)
            if not batched:
                return values.squeeze(1)
            return values.transpose(0, 1) if self.batch_first else values

        if not batched:
            final = {name: each.squeeze(1) for name, each in final.items()}
        results = laid_out(output), self._state_of(final)
        return (*results, traced(observed, laid_out)) if trace else results

    def _run_again(
        self, x: Tensor, start: InitialState, steps: Steps, parameters: StackParameters
    ) -> tuple[Tensor, Values] | None:
        """The output and the final state where no gradient is wanted and a call on such tensors
        was made before, or can be kept from now on; None where the stack must be asked."""
        if torch.is_grad_enabled() or self._draws or self._recorded():
            return None
        if self._placement(x).transformed:
            return None
        kept: Cache[Hashable, StackAgain | None] = cache_of(self, "_again")
        key = StackAgain.key(x, start, self.dropout if self.training else 0.0)
        if key not in kept:
            if len(kept) >= MOST:
                kept.clear()
            stack = self._stack(x, parameters)
            kept[key] = StackAgain.of(stack, x, start, parameters, steps)
        again = kept[key]
        return None if again is None else again.run(x.contiguous(), start, parameters)

    def _fresh(self, x: Tensor, batch: int) -> Values:
        """The state that a reset goes back to, and that a call without one begins with."""
        values = self._start_values(batch)
        return {name: each.to(x.device, x.dtype) for name, each in values.items()}

    def _run_packed(
        self, rows: Tensor, packing: Packing, state: Any, trace: bool
    ) -> tuple[Any, ...]:
        steps = packing.steps
        start = self._checked_state(state, steps.batch, rows, True)
        if start.values is not None:
            values = {name: packing.sort(each, 1) for name, each in start.values.items()}
            start = InitialState(start.widths, values)
        parameters = self._parameters_now()
        output, final, observed = self._stack(rows, parameters, trace).sequence(
            rows,
            start,
            parameters,
            steps=steps,
            ragged=None,
            fresh=None,
            observe=trace,
        )

        def laid_out(values: Tensor) -> Tensor:
            padded = packing.pad(values)
            return padded.transpose(0, 1) if self.batch_first else padded

        final = {name: packing.unsort(each, 1) for name, each in final.items()}
        results = packing.pack(output), self._state_of(final)
        return (*results, traced(observed, laid_out)) if trace else results

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One time step: what a call on a sequence of one step computes.

        Args:
            x_t: [B, input_size], or [input_size] for one sequence.
            state: as ``start`` gives and ``step`` returns it; None begins.

        Returns:
            The output [B, width] (or [width]) and the new state.

        Raises:
            ShapeError: a tensor does not fit.
            SettingError: the layer is bidirectional; its reverse direction needs the future.
        """
        if torch.compiler.is_compiling():
            from conveyor.layers import compiled  # noqa: PLC0415  (it loads torch's compiler)

            found: tuple[Tensor, Any] = compiled.step(self, x_t, state)
            return found
        return self._step_as_it_is(x_t, state)

    def _check_one_direction(self) -> None:
        if self.bidirectional:
            raise SettingError(
                "a bidirectional layer cannot go step by step: its reverse direction begins at "
                "the end. Use bidirectional=False."
            )

    def _step_as_it_is(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        self._check_one_direction()
        x, batched = read_step(x_t, self._weight(), features=self.input_size)
        before = self._checked_state(state, x.shape[0], x, batched)
        parameters = self._parameters_now()
        found = self._run_again(x, before, Steps.dense(1, x.shape[0]), parameters)
        if found is None:
            found = self._stack(x, parameters).step(x, before, parameters)
        output, after = found
        if not batched:
            output = output.squeeze(0)
            after = {name: each.squeeze(1) for name, each in after.items()}
        return output, self._state_of(after)

    def stream(self, batch: int = 1) -> Stream:
        """The layer bound to its memory, to go step by step without a tensor: NumPy in, NumPy out,
        at the speed of the arithmetic.

            stream = layer.stream()
            y = stream(x)           # one step; x and y are NumPy arrays [input_size], [width]

        It begins with the states of ``start`` and computes with the weights as they are now; make
        a new one after training on. Dropout is left out.

        Args:
            batch: how many sequences go on side by side.

        Raises:
            SettingError: ``batch`` is below 1, or the layer is bidirectional.
            TargetError: the layer is not in float32 or float64 on a CPU.
        """
        check_whole(batch=batch)
        self._check_one_direction()
        placement = self._placement(self._weight())
        streams = list[StepKernel]()
        stack = self._stack_parameters()
        self._check_stored(stack)
        for layer, (parameters,) in enumerate(stack):
            planned = self._planned[min(layer, len(self._planned) - 1)]
            begin: Any = self.plan.program.start_states
            if self.learn_start:
                learned = self._start_values(1)
                begin = {n: each[layer].detach().numpy() for n, each in learned.items()}
            stream = self._kernel(placement, planned.plan).bind(
                parameters,
                batch=batch,
                input_size=self._output_width() if streams else self.input_size,
                states=self._state_widths,
                begin=begin,
                source=streams[-1] if streams else None,
                below=dict(planned.below),
            )
            if stream is None:
                choice = select(self.plan, placement)
                reasons = "".join(f"\n  {n}: {why}" for n, why in choice.refusals.items())
                raise TargetError(
                    f"the target {choice.target.name} has no steps without tensors, and no other "
                    f"can be used:{reasons}"
                )
            streams.append(stream)
        return Stream(streams)

    def explain(self, x: Tensor | PackedSequence) -> str:
        """Which target would run this input, why no other, how the work is shared out, what it
        costs, and what the machine could do at best: text.

        Raises:
            ShapeError: the input does not have the layer's features.
        """
        return explained(self, x)

    @property
    def _width_between(self) -> int:
        """Of what a layer above the first reads."""
        both = self.bidirectional and self.merge == "concatenate"
        return self._output_width() * (2 if both else 1)

    def _output_width(self) -> int:
        """Of one direction; a number per example is one wide."""
        program = self.plan.program
        axes = program.axes[next(iter(program.values_of("output").values()))]
        return self._sizes()[axes[0]] if axes else 1
