"""What all recurrent layers share: the public door, where everything is checked once."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from conveyor.compiler.cost import cost
from conveyor.compiler.plan import Plan
from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.select import Choice, select
from conveyor.kernels.target import Kernel, Place, Steps, Values
from conveyor.layers.lengths import Packing, valid_steps
from conveyor.layers.stack import Stack, StackParameters
from conveyor.layers.trace import Trace


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

    @abstractmethod
    def _stack_parameters(self) -> StackParameters:
        """The cell's parameters by name, per layer and direction."""

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

    def _state_widths(self) -> dict[str, int]:
        return {
            leaf.name.removesuffix("'"): self._sizes()[leaf.axes[0]]
            for leaf in self.plan.program.states
        }

    def _choice(self, like: Tensor) -> Choice:
        return select(self.plan, Place(like.device, like.dtype))

    def _kernel(self, like: Tensor) -> Kernel:
        target = self._choice(like).target
        made: dict[str, Kernel] = self.__dict__.setdefault("_kernels", {})
        if target.name not in made:
            made[target.name] = target.compile(self.plan)
        return made[target.name]

    def _stack(self, like: Tensor) -> Stack:
        program = self.plan.program
        return Stack(
            kernel=self._kernel(like),
            input=program.leaves_of("input")[0].name,
            output=next(iter(program.values_of("output"))),
            dropout=self.dropout,
            training=self.training,
        )

    def __getstate__(self) -> dict[str, Any]:
        kept = dict(super().__getstate__())  # type: ignore[no-untyped-call]
        kept.pop("_kernels", None)  # compiled again where it is needed
        return kept

    # State ------------------------------------------------------------------------------------

    def _start_values(self, batch: int) -> Values:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        like = self._weight()
        return {
            name: like.new_zeros(rows, batch, width) for name, width in self._state_widths().items()
        }

    def start(self, batch: int = 1) -> Any:
        """The state before the first step, for so many sequences at once: zeros, each
        [num_layers * directions, batch, width], on the layer's device and in its dtype.

        Raises:
            SettingError: ``batch`` is below 0.
        """
        if batch < 0:
            raise SettingError(f"batch is {batch}; expected 0 or more sequences.")
        return self._state_of(self._start_values(batch))

    def _checked_state(self, state: Any, batch: int, like: Tensor, batched: bool) -> Values:
        if state is None:
            return {
                name: each.to(like.device, like.dtype)
                for name, each in self._start_values(batch).items()
            }
        values = self._values_of(state)
        rows = self.num_layers * (2 if self.bidirectional else 1)
        checked = {}
        for name, width in self._state_widths().items():
            each = values[name]
            if each.dim() != (3 if batched else 2):
                raise ShapeError(
                    f"state {name} has {each.dim()} dimensions; for "
                    f"{'batched 3-D' if batched else 'unbatched 2-D'} input expected "
                    f"{3 if batched else 2}."
                )
            each = each if batched else each.unsqueeze(1)
            if each.shape != (rows, batch, width):
                raise ShapeError(
                    f"state {name} is {list(each.shape)}; expected [{rows}, {batch}, {width}]: "
                    "num_layers * directions, batch, width. layer.start(batch) makes one."
                )
            self._check_same_kind(f"state {name}", each, like)
            checked[name] = each
        return checked

    @staticmethod
    def _check_same_kind(what: str, tensor: Tensor, like: Tensor) -> None:
        if tensor.dtype != like.dtype and not torch.is_autocast_enabled(like.device.type):
            raise ShapeError(
                f"{what} is of {tensor.dtype}, expected {like.dtype}. "
                f"Convert it: .to({like.dtype}), or the layer: layer.to({tensor.dtype})."
            )
        if tensor.device != like.device:
            raise ShapeError(f"{what} is on {tensor.device}, expected {like.device}.")

    # Running ----------------------------------------------------------------------------------

    def _read_input(self, input: Tensor | PackedSequence) -> tuple[Tensor, Packing | None, bool]:
        """The input as [T, B, I], how it was packed, and whether it had a batch dimension."""
        packing: Packing | None = None
        batched = True
        if isinstance(input, PackedSequence):
            if input.data.dim() != 2:
                raise ShapeError(
                    f"the packed input has {input.data.dim()} dimensions; expected 2: steps of all "
                    "sequences, and features."
                )
            x, packing = Packing.unpack(input)
        else:
            if input.dim() not in (2, 3):
                raise ShapeError(
                    f"{type(self).__name__}: expected input to be 2D or 3D, got {input.dim()}D."
                )
            batched = input.dim() == 3
            x = input if batched else input.unsqueeze(0 if self.batch_first else 1)
            x = x.transpose(0, 1) if self.batch_first else x
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"input.size(-1) is {x.shape[-1]}; this layer reads {self.input_size} features."
            )
        self._check_same_kind("input", x, self._weight())
        if len(x) == 0:
            raise ShapeError("the input has no time steps; expected at least one.")
        return x, packing, batched

    def _read_reset(self, reset: Tensor, x: Tensor, batched: bool) -> Tensor:
        """``reset`` as [T, B]."""
        if not isinstance(reset, Tensor):
            raise ShapeError(f"reset is a {type(reset).__name__}; expected a bool tensor.")
        again = reset if batched else reset.unsqueeze(-1)
        again = (
            again.transpose(0, 1) if self.batch_first and again.dim() == 2 and batched else again
        )
        if again.shape != x.shape[:2] or again.dtype != torch.bool:
            order = "[B, T]" if self.batch_first else "[T, B]"
            raise ShapeError(
                f"reset is {list(reset.shape)} of {reset.dtype}; expected bool of {order}, "
                f"with T = {x.shape[0]} and B = {x.shape[1]}."
            )
        return again.to(x.device)

    # torch.compile would unroll the time loop step by step; run as it is, the loop is one graph
    # break and costs nothing to compile.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _run(
        self,
        input: Tensor | PackedSequence,
        state: Any,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        trace: bool,
    ) -> tuple[Any, ...]:
        x, packing, batched = self._read_input(input)
        steps, batch = x.shape[:2]
        if packing is not None and not (lengths is None and reset is None):
            raise ShapeError(
                "lengths or reset is given with a PackedSequence, which holds lengths of its own. "
                "Give the padded tensor with lengths and reset."
            )
        valid = None if packing is None else packing.valid
        if lengths is not None:
            valid = valid_steps(lengths, steps, batch, x.device)
        marks = Steps(valid)
        if reset is not None:
            fresh = self._checked_state(None, batch, x, True)
            again = self._read_reset(reset, x, batched)
            # A mark in the padding is no border between steps that count.
            marks = Steps(valid, again if valid is None else again & valid, fresh)
        start = self._checked_state(state, batch, x, batched)
        if packing is not None:
            start = {name: packing.sort(each, 1) for name, each in start.items()}
        output, final, observed = self._stack(x).sequence(
            x, start, self._stack_parameters(), steps=marks, observe=trace
        )

        def laid_out(values: Tensor) -> Tensor:
            if packing is not None:
                values = packing.unsort(values, 1)
            if not batched:
                return values.squeeze(1)
            return values.transpose(0, 1) if self.batch_first else values

        shown = laid_out(output) if packing is None else packing.pack(output)
        if packing is not None:
            final = {name: packing.unsort(each, 1) for name, each in final.items()}
        elif not batched:
            final = {name: each.squeeze(1) for name, each in final.items()}
        if not trace:
            return shown, self._state_of(final)
        seen = {
            where: {name: laid_out(each) for name, each in values.items()}
            for where, values in observed.items()
        }
        return shown, self._state_of(final), Trace(seen)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
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
        if self.bidirectional:
            raise SettingError(
                "a bidirectional layer cannot go step by step: its reverse direction begins at "
                "the end. Use bidirectional=False."
            )
        if x_t.dim() not in (1, 2) or x_t.shape[-1] != self.input_size:
            raise ShapeError(
                f"x_t is {list(x_t.shape)}; expected [B, {self.input_size}], one step."
            )
        batched = x_t.dim() == 2
        x = x_t if batched else x_t.unsqueeze(0)
        self._check_same_kind("x_t", x, self._weight())
        before = self._checked_state(state, x.shape[0], x, batched)
        output, after = self._stack(x).step(x, before, self._stack_parameters())
        if not batched:
            output = output.squeeze(0)
            after = {name: each.squeeze(1) for name, each in after.items()}
        return output, self._state_of(after)

    def explain(self, x: Tensor | PackedSequence) -> str:
        """Which target would run this input, why no other, and what it costs: text."""
        data = x.data if isinstance(x, PackedSequence) else x
        if data.shape[-1:] != (self.input_size,):
            raise ShapeError(
                f"the input is {list(data.shape)}; this layer reads {self.input_size} features."
            )
        choice = self._choice(data)
        steps = data.numel() // self.input_size
        costs = cost(self.plan)
        directions = 2 if self.bidirectional else 1
        multiply_adds = kept = 0
        width = self._output_width()
        for layer in range(self.num_layers):
            sizes = {**self._sizes(), "I": self.input_size if layer == 0 else width * directions}
            multiply_adds += costs.multiply_adds.at(sizes) * directions
            kept += costs.kept.at(sizes) * directions
        lines = [
            f"{self.plan.program.name}: {self.num_layers} layer(s), {directions} direction(s), "
            f"{data.dtype}, {data.device}",
            f"target: {choice.target.name}",
            *(f"  not {name}: {reason}" for name, reason in choice.refusals.items()),
            f"forward: {multiply_adds * steps:,} multiply-adds in matrix products",
            f"kept for the backward pass: {kept * steps * data.element_size():,} bytes by the "
            "plan; autograd, on the reference target, keeps more",
        ]
        return "\n".join(lines)

    def _output_width(self) -> int:
        """Of one direction; a number per example is one wide."""
        program = self.plan.program
        axes = program.axes[next(iter(program.values_of("output").values()))]
        return self._sizes()[axes[0]] if axes else 1
