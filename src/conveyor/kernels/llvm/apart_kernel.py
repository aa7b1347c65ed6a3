"""Cells that look at a memory: the loop by machine code, and before it what is done once at each
place by itself; what else is done once for each sequence, by torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from conveyor.compiler.apart import Apart
from conveyor.compiler.observe import ONE
from conveyor.compiler.plan import Plan
from conveyor.kernels.kernel import InitialState, Kernel, Memory, Unrolled, Values
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.pieces import Parameters, Pieces
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps


@dataclass(frozen=True)
class ApartKernel(Kernel):
    """A plan whose loop is machine code. Autograd joins both: what is done once gets its gradients
    from the loop, as memories and inputs of it."""

    plan: Plan
    dtype: torch.dtype
    # Which rows parameters are, by the kernel that reads them and their heights. It is the same
    # object for the same: by it kernels know what they have looked at.
    _pieces: dict[tuple[int, ...], Pieces] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _apart(self) -> Apart:
        assert isinstance(self.plan.apart, Apart)  # others are refused
        return self.plan.apart

    @cached_property
    def loop(self) -> LlvmKernel:
        """The kernel of the loop."""
        return LlvmKernel(self.plan.loop, self.dtype)

    @cached_property
    def _at_places(self) -> tuple[LlvmKernel, ...]:
        """The kernels of what is done once at each place."""
        return tuple([LlvmKernel(planned, self.dtype) for planned in self.plan.at_places])

    @property
    def planned(self) -> Plan:
        return self.plan.loop

    @cached_property
    def _reference(self) -> ReferenceKernel:
        return ReferenceKernel(self.plan)

    @cached_property
    def _place_of(self) -> dict[str, str]:
        """A memory that has the same places, for each memory of the loop."""
        first = {leaf.axes[0]: leaf.name for leaf in self.plan.program.memories}
        return {leaf.name: first[leaf.axes[0]] for leaf in self._apart.program.memories}

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        seen = observe or self.plan.program.values_of("tap")
        if not steps.rows or (seen and not self._apart.whole_trace):
            return self._reference.sequence(inputs, start, parameters, steps=steps, observe=observe)
        apart = self._apart
        counts = {name: start.memories[other].counts for name, other in self._place_of.items()}
        values = start.once
        if values is None:
            values = self.of_memories(start.memories, parameters)
        more = {}
        if apart.inputs:
            rows, leading = steps.sequences, next(iter(inputs.values())).shape[:-1]
            for name, value in apart.inputs.items():
                each = values[value].index_select(0, rows)
                more[name] = each.view(*leading, each.shape[-1])
        memories = {
            name: Memory(values[value], counts[name]) for name, value in apart.memories.items()
        }
        return self.loop.sequence(
            {**inputs, **more},
            start._replace(memories=memories),
            self._read_by(self.loop, parameters),
            steps=steps,
            observe=observe,
        )

    def of_memories(self, memories: Mapping[str, Memory], parameters: Parameters) -> Values:
        """Return memories, and what the loop reads of what is made of them, [B, ...] by name."""
        values = {name: each.values for name, each in memories.items()}
        for kernel in self._at_places:
            at_each = {name: values[name].flatten(0, 1) for name in kernel.inputs}
            batch, places = values[kernel.inputs[0]].shape[:2]
            made = kernel.sequence(
                at_each,
                InitialState({}),
                self._read_by(kernel, parameters),
                steps=Steps.dense(batch, places),  # rows of no state: what is a step is all one
                observe=False,
            )
            for name, each in made.outputs.items():
                values[name] = each.view(batch, places, -1)
        names = {*self._apart.memories.values(), *self._apart.inputs.values()} - values.keys()
        if names:
            values |= self._reference.once(memories, parameters, names)
        return values

    def _read_by(self, kernel: LlvmKernel, parameters: Parameters) -> Parameters:
        """Return the parameters that a kernel reads."""
        names = [leaf.name for leaf in kernel.plan.program.stored]
        tensors = {name: parameters.by_name[name] for name in names}
        key = id(kernel), *map(len, tensors.values())
        pieces = self._pieces.get(key)
        if pieces is None:
            pieces = self._pieces[key] = Parameters.of(tensors).pieces
        return Parameters(tuple(tensors.values()), pieces)

    def explain(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        return self.loop.explain({**widths, ONE: 1}, steps)
