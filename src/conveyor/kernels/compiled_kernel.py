"""Kernels that compute their own gradient: what all of them share, whatever they compile to.

A subclass gives ``forward`` and ``backward`` on tensors as flat lists. Names, autograd, gradients
of gradients and everything that must be seen by torch are here.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeVar

import torch
from torch import Tensor

from conveyor.compiler.observe import MARK
from conveyor.compiler.plan import Plan
from conveyor.errors import ShapeError
from conveyor.kernels.function import Computed, differentiated
from conveyor.kernels.gradients import gradients_of, independent, must_see_all
from conveyor.kernels.kernel import InitialState, Kernel, Memory, Unrolled
from conveyor.kernels.pieces import Parameters, Pieces, is_plain
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps

# Ways of storing parameters that a kernel remembers to have looked at. A layer has one or two.
MOST_WAYS_OF_STORING = 256


T = TypeVar("T")


class Call(NamedTuple):
    """One call: its steps, and how its tensors stand in a flat list: inputs, memories, initial
    states, stored parameters, taps. There are no initial states where all begin with zeros;
    ``widths`` are theirs. Taps are not read: gradients arrive at them. ``counts`` say by the name
    of a memory how many places each sequence has."""

    steps: Steps
    inputs: tuple[str, ...]
    start: tuple[str, ...]
    widths: Mapping[str, int]
    pieces: Pieces
    taps: tuple[str, ...] = ()
    counts: Mapping[str, Tensor | None] = {}

    def split(
        self, values: Sequence[T]
    ) -> tuple[Sequence[T], Sequence[T], Sequence[T], Sequence[T], Sequence[T]]:
        """Return what belongs to inputs, to memories, to initial states, to stored parameters and
        to taps, of one value for each tensor."""
        one = len(self.inputs)
        two = one + len(self.counts)
        three, four = two + len(self.start), len(values) - len(self.taps)
        return values[:one], values[one:two], values[two:three], values[three:four], values[four:]


class Passed(NamedTuple):
    """What a forward pass gives: outputs, final states, and what the backward pass reads, if it was
    asked for."""

    outputs: list[Tensor]
    final: list[Tensor]
    kept: list[Tensor]


class CompiledKernel(Kernel):
    """A kernel with a forward and a backward pass of its own."""

    dtype: torch.dtype

    @property
    def planned(self) -> Plan:
        return self.plan

    @abstractmethod
    def forward(self, call: Call, tensors: Sequence[Tensor], *, training: bool) -> Passed:
        """Run the forward pass; with ``training`` also give what the backward pass reads."""

    @abstractmethod
    def backward(
        self,
        call: Call,
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        """Return the gradient of every tensor of a call; None where it is not needed.

        Args:
            call: that of the forward pass.
            tensors: of the call, as they were then.
            kept: what the forward pass gave.
            gradients: of outputs and final states; None where nothing depends on one.
            needed: of which tensors a gradient is wanted.
        """

    @abstractmethod
    def kept_widths(
        self, widths: Sequence[int], stored: Sequence[Any], pieces: Pieces
    ) -> list[int]:
        """Return how many numbers a row of each tensor has that the forward pass keeps.

        Args:
            widths: of inputs, then of states.
            stored: shapes of the stored parameters, each behind ``.shape``.
            pieces: where parameters are in them.
        """

    @abstractmethod
    def as_read(self, tensor: Tensor) -> Tensor:
        """Return a tensor as the passes read it.

        Raises:
            ShapeError: it is of another type or on another device.
            TargetError: its numbers lie in no memory.
        """

    @abstractmethod
    def prepared(self, tensors: list[Tensor], stored: int) -> list[Tensor] | None:
        """Return the tensors of a call as the passes read them; None if one of them has no memory,
        so that torch must run the call.

        Args:
            tensors: of a call.
            stored: how many of them, at the end, are parameters.

        Raises:
            ShapeError: one is of another type or on another device.
            TargetError: one has less memory than its shape says.
        """

    @abstractmethod
    def for_plan(self, plan: Plan) -> Self:
        """Return such a kernel of another plan."""

    @cached_property
    def _observing(self) -> "CompiledKernel":
        """The kernel of the same cell whose every local name is an output."""
        return self.for_plan(self.plan.observed)

    @cached_property
    def _reference(self) -> ReferenceKernel:
        return ReferenceKernel(self.plan)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """What the cell reads, by name."""
        return tuple(leaf.name for leaf in self.plan.program.leaves_of("input"))

    @cached_property
    def memories(self) -> tuple[str, ...]:
        """What it looks at, by name."""
        return tuple(leaf.name for leaf in self.plan.program.memories)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """What it writes, by name."""
        return tuple(self.plan.program.values_of("output"))

    @cached_property
    def taps(self) -> tuple[str, ...]:
        """Where gradients by local names are asked for."""
        return tuple(self.plan.program.values_of("tap"))

    @cached_property
    def _constant(self) -> tuple[int, ...]:
        """The outputs that have no gradient, by number: what is observed of tapped values."""
        outputs = enumerate(self.outputs) if self.taps else ()
        return tuple([number for number, name in outputs if name.endswith(MARK)])

    @cached_property
    def states(self) -> tuple[str, ...]:
        """What it carries, by name."""
        return tuple(leaf.name.removesuffix("'") for leaf in self.plan.program.states)

    @cached_property
    def _known_plain(self) -> dict[int, tuple[object, bool]]:
        return {}

    def is_plain(self, parameters: Parameters) -> bool:
        """Return whether the stored tensors are the parameters' rows and nothing else, so that code
        can read them and write their gradients in place. It is found out once for each way of
        storing; tensors of another height raise where their sizes are worked out."""
        pieces = parameters.pieces
        known = self._known_plain.get(id(pieces))
        if known is None or known[0] is not pieces:
            if len(self._known_plain) > MOST_WAYS_OF_STORING:
                self._known_plain.clear()
            known = pieces, is_plain(parameters)
            self._known_plain[id(pieces)] = known
        return known[1]

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        if observe and steps.rows:
            return self._observe(inputs, start, parameters, steps)
        tensors = None
        if steps.rows:  # of none, nothing is computed, but shapes and gradients there must be
            if not self.is_plain(parameters):
                parameters = Parameters.of(parameters.by_name)
            begin = start.values
            states = () if begin is None else self.states
            tensors = self.prepared(
                [
                    *[inputs[name] for name in self.inputs],
                    *[start.memories[name].values for name in self.memories],
                    *[begin[name] for name in states if begin is not None],
                    *parameters.tensors,
                ],
                len(parameters.tensors),
            )
        if tensors is None:
            return self._reference.sequence(inputs, start, parameters, steps=steps, observe=observe)
        counts = {name: start.memories[name].counts for name in self.memories}
        call = Call(steps, self.inputs, states, start.widths, parameters.pieces, self.taps, counts)
        tensors += [inputs[name] for name in self.taps]
        outputs: Sequence[Tensor]
        final: Sequence[Tensor]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            # The backward pass reads how many places there were then.
            copies = {name: None if each is None else each.clone() for name, each in counts.items()}
            results = differentiated(_Run(self, call._replace(counts=copies)), tensors)
            outputs, final = results[: len(self.outputs)], results[len(self.outputs) :]
        else:
            outputs, final, _ = self.forward(call, tensors, training=False)
        return Unrolled(
            dict(zip(self.outputs, outputs, strict=True)),
            dict(zip(self.states, final, strict=True)),
            {},
        )

    def _observe(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        steps: Steps,
    ) -> Unrolled:
        whole = self._observing.sequence(inputs, start, parameters, steps=steps, observe=False)
        outputs = {name: whole.outputs[name] for name in self.outputs}
        names = self.plan.program.values_of("local")
        local = {name: whole.outputs[f"{name}{MARK}"] for name in names}
        return Unrolled(outputs, whole.final, local)

    def reread(self, saved: Sequence[Tensor], shapes: Sequence[torch.Size]) -> list[Tensor]:
        """Return what was saved for the backward pass as it reads it.

        Raises:
            ShapeError: a tensor has another shape than in the forward pass.
        """
        for tensor, shape in zip(saved, shapes, strict=True):
            if tensor.shape != shape:
                raise ShapeError(
                    f"{self.plan.program.name}: a tensor that the backward pass reads is "
                    f"{list(tensor.shape)}; expected {list(shape)}, as in the forward pass."
                )
        return [self.as_read(tensor) for tensor in saved]


class _Note(NamedTuple):
    """Of the tensors that the backward pass reads: their shapes, and where they were."""

    shapes: list[torch.Size]
    addresses: list[int]


class _Run(NamedTuple):
    """A call of a kernel, for autograd."""

    kernel: CompiledKernel
    call: Call

    def forward(self, tensors: Sequence[Any]) -> Computed:
        outputs, final, kept = self.kernel.forward(self.call, tensors, training=True)
        saved = (*tensors, *kept)
        note = _Note([each.shape for each in saved], [each.data_ptr() for each in saved])
        constant = [outputs[number] for number in self.kernel._constant]
        return Computed((*outputs, *final), kept, note, constant)

    def backward(
        self,
        tensors: Sequence[Any],
        kept: Sequence[Tensor],
        note: _Note,
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        # Another address: put there through .data, or by a hook of saved tensors.
        if not _stand_at((*tensors, *kept), note.addresses):
            saved = self.kernel.reread((*tensors, *kept), note.shapes)
            tensors, kept = saved[: len(tensors)], saved[len(tensors) :]
        if must_see_all(gradients):
            return self._by_reference(tensors, gradients, needed)
        return self.kernel.backward(self.call, tensors, kept, gradients, needed)

    def _by_reference(
        self,
        tensors: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        """Return gradients that are differentiable themselves, by the reference target."""
        call = self.call
        with torch.enable_grad():
            tensors = independent(tensors)
            inputs, memories, start, stored, taps = call.split(tensors)
            looked_at = zip(call.counts.items(), memories, strict=True)
            unrolled = self.kernel._reference.sequence(
                dict(zip((*call.inputs, *call.taps), (*inputs, *taps), strict=True)),
                InitialState(
                    call.widths,
                    dict(zip(call.start, start, strict=True)) or None,
                    {name: Memory(values, counts) for (name, counts), values in looked_at},
                ),
                Parameters(tuple(stored), call.pieces),
                steps=call.steps,
                observe=False,
            )
            results = (*unrolled.outputs.values(), *unrolled.final.values())
            return gradients_of(results, gradients, tensors, needed, create_graph=True)


def _stand_at(saved: Sequence[Tensor], addresses: Sequence[int]) -> bool:
    """Return whether tensors are at these addresses."""
    try:
        return [tensor.data_ptr() for tensor in saved] == addresses
    except RuntimeError:  # of a tensor that has none
        return False
