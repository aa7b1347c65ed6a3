"""What all recurrent layers share: where a call is read, once, and how it is run."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

import conveyor.layers.exported  # noqa: F401  (the operators of compiled graphs)
from conveyor.compiler.plan import Plan
from conveyor.errors import SettingError, ShapeError, TargetError
from conveyor.kernels.kernel import InitialState, Kernel, Values
from conveyor.kernels.select import select, target_for
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Placement
from conveyor.layers.cache import Cache, cache_of
from conveyor.layers.dilation import DilatedKernel
from conveyor.layers.explain import explained
from conveyor.layers.frozen_layer import FrozenLayer, frozen
from conveyor.layers.layer_trace import Trace, check_trace
from conveyor.layers.lengths import Packing, Ragged
from conveyor.layers.places import Places
from conveyor.layers.plans import Plans
from conveyor.layers.remembered import Remembered, remembered_of
from conveyor.layers.repeated_call import remember, repeated
from conveyor.layers.request import (
    Request,
    by_name,
    read_input,
    read_reset,
    read_shared,
    read_step,
)
from conveyor.layers.stack import Level, Stack, StackParameters
from conveyor.layers.stack_replay import MOST, StackReplay
from conveyor.layers.state import outputs_type
from conveyor.layers.stateful_layer import StatefulLayer
from conveyor.layers.stream import Stream, streamed
from conveyor.layers.symbolic import is_symbolic, recorded
from conveyor.layers.traced_call import traced_call

# What a layer reads: a tensor, a packed sequence, or several of either by name, with what its cell
# looks at.
Input = Tensor | PackedSequence | Mapping[str, Tensor | PackedSequence | Places]


class SequenceLayer(StatefulLayer):
    """A stack of recurrent layers over sequences."""

    # Where and how -------------------------------------------------------------------------------

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

    def _layer_kernel(self, number: int, placement: Placement, plan: Plan) -> Kernel:
        """Return the kernel of a layer, which reads its state as late as the layer does."""
        kernel = self._kernel(placement, plan)
        late = self._dilations[number] if self._dilations else 1
        return kernel if late == 1 else DilatedKernel(kernel, late)

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

    @property
    def _drops(self) -> bool:
        """Whether a call now drops something that it draws."""
        return self._draws or (self.training and self.dropout > 0)

    def _stack(
        self,
        like: Tensor,
        parameters: StackParameters,
        *,
        observed: bool = False,
        change: Callable[[Plan], Plan] | None = None,
    ) -> Stack:
        """Return how the layers are run on such an input, with these parameters.

        Args:
            like: the input.
            parameters: of each layer and direction.
            observed: whether local names are asked for, or gradients by them.
            change: of every plan, the one to run in its place.

        Raises:
            ShapeError: a parameter does not have the shape that the layer's sizes say.
        """
        self._check_stored(parameters)
        placement = self._placement(like, observed)
        if self._recorded():
            placement = placement._replace(transformed=True)
        draws = self._draws

        def plan_of(plans: Plans) -> Plan:
            plan = plans.training if draws else plans.inference
            return plan if change is None else change(plan)

        levels = [
            Level(
                self._layer_kernel(number, placement, plan_of(plans)),
                plans.reads,
                plans.masks if draws else (),
            )
            for number, plans in enumerate(self._plans)
        ]
        return Stack(
            levels=tuple(levels),
            outputs=self._output_names,
            dropout=self.dropout,
            locked=self.locked_dropout,
            training=self.training,
            checkpoint=False if observed or placement.transformed else self.checkpoint,
            variational=self.variational_dropout,
            sizes=self._sizes(),
            merge=self.merge,
            dilations=self._dilations,
        )

    # Sequences -----------------------------------------------------------------------------------

    def _run(
        self,
        input: Input,
        state: Any,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        trace: bool | Literal["gradient"],
    ) -> tuple[Any, ...]:
        if type(input) is not Tensor and is_symbolic(
            next(iter(input.values()), None) if isinstance(input, Mapping) else input
        ):
            whole: tuple[Any, ...] = recorded(
                self, input, state, lengths=lengths, reset=reset, trace=trace
            )
            return whole
        check_trace(trace)
        if torch.compiler.is_compiling():
            from conveyor.layers import compiled  # noqa: PLC0415  (it loads torch's compiler)

            return compiled.run(self, input, state, lengths=lengths, reset=reset, trace=trace)
        return self._uncompiled_sequence(input, state, lengths, reset, trace)

    def _read(
        self,
        input: Input,
        state: Any,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
    ) -> Request:
        """Return a call as a request.

        Raises:
            ShapeError: a tensor does not fit.
        """
        weight = self._weight()
        rest, memories = self._without_memories(input)
        main, others = self._named_inputs(rest)
        x, packing, batched = self._read_input(main, weight)
        shared = self._read_shared(others, x, weight, packing=packing, batched=batched)
        if packing is None:
            # Whole numbers also where a tracer has symbols for them: it records for these sizes.
            length, batch, _ = x.shape
            if type(length) is not int or type(batch) is not int:
                length, batch = int(length), int(batch)
            start = self._initial_state(state, batch, x, batched)
            if memories:
                read = self._read_memories(memories, weight, batch=batch, batched=batched)
                start = start._replace(memories=read)
            restart = None if reset is None else self._read_reset(reset, x, batched)
            ragged = Ragged.of_batch(x, lengths, restart)
            steps = Steps.dense(length, batch) if ragged is None else ragged.steps
            resets = ragged is not None and reset is not None
            return Request(x, shared, steps, start, ragged, None, resets, batched, self.batch_first)
        if not (lengths is None and reset is None):
            raise ShapeError(
                "lengths or reset is given with a PackedSequence, which holds lengths of its own. "
                "Give the padded tensor with lengths and reset."
            )
        steps = packing.steps
        start = self._initial_state(state, steps.batch, x, True)
        if start.values is not None:
            values = {name: packing.sort(each, 1) for name, each in start.values.items()}
            start = start._replace(values=values)
        if memories:
            read = self._read_memories(memories, weight, batch=steps.batch, batched=True)
            if packing.sorted_indices is not None:
                read = {name: each.of(packing.sorted_indices) for name, each in read.items()}
            start = start._replace(memories=read)
        return Request(x, shared, steps, start, None, packing, False, True, self.batch_first)

    def _named_inputs(self, input: Input) -> tuple[Any, Mapping[str, Any]]:
        """Return the main input, and the others by name.

        Raises:
            ShapeError: there is not one for each name.
        """
        if not self._shared_widths and not isinstance(input, Mapping):
            return input, {}
        reads = self._first_plans.reads
        named = by_name(input, (reads.main, *reads.shared), self._cell.name)
        return named[reads.main], {name: named[name] for name in reads.shared}

    def _outputs_of(self, outputs: Mapping[str, Any]) -> Any:
        """Return outputs as this layer hands them out: by name where there are several."""
        names = self._output_names
        if len(names) == 1:
            return outputs[names[0]]
        return outputs_type(names)(*[outputs[name] for name in names])

    def _read_input(
        self, input: Tensor | PackedSequence, weight: Tensor
    ) -> tuple[Tensor, Packing | None, bool]:
        return read_input(
            input,
            weight,
            features=self._features,
            batch_first=self.batch_first,
            layer=type(self).__name__,
        )

    def _read_shared(
        self,
        others: Mapping[str, Any],
        x: Tensor,
        weight: Tensor,
        *,
        packing: Packing | None,
        batched: bool,
    ) -> Values:
        return {
            name: read_shared(
                name,
                values,
                x,
                weight,
                features=self._shared_widths[name],
                packing=packing,
                batched=batched,
                batch_first=self.batch_first,
            )
            for name, values in others.items()
        }

    def _read_reset(self, reset: Tensor, x: Tensor, batched: bool) -> Tensor:
        return read_reset(reset, x, batched=batched, batch_first=self.batch_first)

    def _eager_sequence(
        self,
        input: Input,
        state: Any,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        trace: bool | Literal["gradient"],
    ) -> tuple[Any, ...]:
        plain = lengths is None and reset is None and not trace
        if plain and (repetition := repeated(self, "sequence", input, state)) is not None:
            return repetition
        request = self._read(input, state, lengths, reset)
        x, steps, start = request.x, request.steps, request.start
        parameters = self._parameters_now()  # once: weight dropout draws here
        padded = request.ragged is not None or request.packing is not None
        replayed = None
        if not (padded or trace):
            replayed = self._replayed(x, request.shared, start, steps, parameters)
        if replayed is not None:
            outputs, final = replayed
            known = self._given(request, outputs), self._state_of(request.final(final))
            if plain:
                remember(self, "sequence", input, state, rows=x, start=start, final=known[1])
            return known
        if trace:
            outputs, final, observed = traced_call(
                self, request, parameters, gradients=trace == "gradient"
            )
            results = self._given(request, outputs), self._state_of(request.final(final))
            return (*results, Trace(observed))
        outputs, final, _ = self._stack(x, parameters).sequence(
            request.rows,
            request.shared_rows,
            start,
            parameters,
            steps=steps,
            ragged=request.ragged,
            fresh=self._fresh(x, x.shape[1]) if request.resets else None,
            observe=False,
        )
        return self._given(request, outputs), self._state_of(request.final(final))

    def _given(self, request: Request, outputs: Values) -> Any:
        """Return outputs as the caller gets them."""
        if len(outputs) == 1:
            return request.output(next(iter(outputs.values())))
        return self._outputs_of({name: request.output(each) for name, each in outputs.items()})

    def _replayed(
        self,
        x: Tensor,
        shared: Values,
        start: InitialState,
        steps: Steps,
        parameters: StackParameters,
    ) -> tuple[Values, Values] | None:
        """Return the outputs and the final state, if a call on such shapes can be replayed; None if
        the stack must run it the long way."""
        if torch.is_grad_enabled() or self._draws or self._recorded():
            return None
        if self._placement(x).transformed:
            return None
        replays: Cache[Hashable, StackReplay | None] = cache_of(self, "_replays")
        key = StackReplay.key(x, start, self.dropout if self.training else 0.0)
        if key not in replays:
            if len(replays) >= MOST:
                replays.clear()
            stack = self._stack(x, parameters)
            replays[key] = StackReplay.of(stack, x, shared, start, parameters, steps=steps)
        replay = replays[key]
        if replay is None:
            return None
        shared = {name: each.contiguous() for name, each in shared.items()}
        return replay.run(x.contiguous(), shared, start, parameters)

    # Single steps --------------------------------------------------------------------------------

    def step(
        self, x_t: Tensor | Mapping[str, Tensor | Places | Remembered], state: Any = None
    ) -> tuple[Any, Any]:
        """Run one time step: what a call on a sequence of one step computes.

        Args:
            x_t: [B, input_size], or [input_size] for one sequence; inputs by name where the cell
                has several. What it looks at is given at each step, see ``remember``.
            state: as ``start`` gives and ``step`` returns it; None starts anew.

        Returns:
            The output [B, width] (or [width]) and the new state. Where the cell has several
            outputs, a named tuple of them.

        Raises:
            ShapeError: a tensor does not fit.
            SettingError: the layer is bidirectional; its reverse direction needs the future.
        """
        if torch.compiler.is_compiling():
            from conveyor.layers import compiled  # noqa: PLC0415  (it loads torch's compiler)

            return compiled.step(self, x_t, state)
        return self._uncompiled_step(x_t, state)

    def _check_one_direction(self) -> None:
        if self.bidirectional:
            raise SettingError(
                "a bidirectional layer cannot go step by step: its reverse direction begins at "
                "the end. Use bidirectional=False."
            )

    def _eager_step(
        self, x_t: Tensor | Mapping[str, Tensor | Places | Remembered], state: Any
    ) -> tuple[Any, Any]:
        self._check_one_direction()
        if (known := repeated(self, "step", x_t, state)) is not None:
            return known
        weight = self._weight()
        rest, memories = self._without_memories(x_t)
        x, shared, batched = self._read_step(rest, weight)
        before = self._initial_state(state, x.shape[0], x, batched)
        remembered: Remembered | None = None
        parameters = self._parameters_now()
        if memories:
            remembered, read = remembered_of(memories), None
            if remembered is not None:
                read = remembered.read(
                    len(x),
                    batched,
                    widths=self.input_size,
                    batch_first=self.batch_first,
                    parameters=(each for (own,) in parameters for each in own.tensors),
                )
            if read is None:  # not remembered, changed since, or gradients are wanted
                remembered = None
                read = self._read_memories(memories, weight, batch=len(x), batched=batched)
            before = before._replace(memories=read)
        replayed = self._replayed(x, shared, before, Steps.dense(1, x.shape[0]), parameters)
        if replayed is None:
            stack = self._stack(x, parameters)
            outputs, after = stack.step(x, shared, before, parameters, remembered)
        else:
            outputs, after = replayed
        if not batched:
            outputs = {name: values.squeeze(0) for name, values in outputs.items()}
            after = {name: values.squeeze(1) for name, values in after.items()}
        results = self._outputs_of(outputs), self._state_of(after)
        if replayed is not None:
            remember(self, "step", x_t, state, rows=x, start=before, final=results[1])
        return results

    def _read_step(
        self, x_t: Tensor | Mapping[str, Tensor], weight: Tensor
    ) -> tuple[Tensor, Values, bool]:
        """Return one step's main input [B, I], the others by name, and whether they had a batch
        dimension.

        Raises:
            ShapeError: one does not fit.
        """
        main, others = self._named_inputs(x_t)
        x, batched = read_step(main, weight, features=self._features)
        shared: Values = {}
        for name, values in others.items():
            width = self._shared_widths[name]
            shared[name], with_batch = read_step(values, weight, features=width, name=name)
            if with_batch != batched or len(shared[name]) != len(x):
                raise ShapeError(
                    f"{name} is {list(values.shape)}; expected {[*main.shape[:-1], width]}, "
                    "as many sequences as in the first input."
                )
        return x, shared, batched

    def stream(self, batch: int = 1) -> Stream:
        """Return the layer bound to its memory, which goes step by step without tensors: NumPy in,
        NumPy out, at the speed of the arithmetic.

            stream = layer.stream()
            y = stream(x)           # one step; x and y are NumPy arrays [input_size], [width]

        Where the cell has several inputs or outputs, they are arrays by name.

        It begins with the states of ``start`` and computes with the weights as they are now; make
        a new one after training on. Dropout is left out.

        Args:
            batch: how many sequences go on side by side.

        Raises:
            SettingError: ``batch`` is below 1, or the layer is bidirectional.
            TargetError: the layer is not in float32 or float64 on a CPU.
        """
        return streamed(self, batch)

    def _lacking(self, what: str, placement: Placement) -> TargetError:
        """Return the error that the target that runs the layer lacks something."""
        if self._memory_names:
            return TargetError(
                f"{self.plan.program.name} looks at a memory, and layers of such cells have no "
                f"{what}. Call the layer, or its step."
            )
        choice = select(self.plan, placement)
        reasons = "".join(f"\n  {name}: {why}" for name, why in choice.refusals.items())
        return TargetError(
            f"the target {choice.target.name} has no {what}, and no other can be used:{reasons}"
        )

    def numpy(self) -> FrozenLayer:
        """Return the layer's arithmetic on NumPy arrays: whole sequences in, whole sequences out,
        without tensors.

            run = layer.numpy()
            y, state = run(x)  # x [T, B, input_size], y [T, B, output_size]

        It computes with the weights as they are now; make a new one after training on. Dropout is
        left out. Where the cell has several inputs or outputs, they are arrays by name. See
        ``FrozenLayer`` for the arguments. Several threads may call it at once.

        Raises:
            TargetError: the layer is not in float32 or float64 on a CPU.
        """
        return frozen(self)

    def explain(self, x: Input) -> str:
        """Return a text: which target runs this input, why no other, how the work is shared out,
        what it costs, and what the machine could do at best.

        Raises:
            ShapeError: the input does not have the layer's features.
        """
        return explained(self, x)
