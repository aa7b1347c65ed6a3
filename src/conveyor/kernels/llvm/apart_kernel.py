"""Cells that look at a memory: what is done once for each sequence by torch, the loop by machine
code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from conveyor.compiler.apart import Apart
from conveyor.compiler.observe import ONE
from conveyor.compiler.plan import Plan
from conveyor.kernels.kernel import InitialState, Kernel, Memory, Unrolled
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
    # Which rows parameters are, the same object for stored tensors of the same heights: by it
    # kernels know what they have looked at.
    _pieces: dict[tuple[int, ...], Pieces] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _apart(self) -> Apart:
        assert isinstance(self.plan.apart, Apart)  # others are refused
        return self.plan.apart

    @cached_property
    def loop(self) -> LlvmKernel:
        """The kernel of the loop."""
        return LlvmKernel(self.plan.loop, self.dtype)

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
        names = {*apart.memories.values(), *apart.inputs.values()}
        values = {name: each.values for name, each in start.memories.items()}
        if names - values.keys():
            values = self._reference.once(start.memories, parameters, names)
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
            self._read_by_loop(parameters),
            steps=steps,
            observe=observe,
        )

    def _read_by_loop(self, parameters: Parameters) -> Parameters:
        """Return the parameters that the loop reads."""
        tensors = {leaf.name: parameters.by_name[leaf.name] for leaf in self._apart.program.stored}
        heights = tuple([len(each) for each in tensors.values()])
        pieces = self._pieces.get(heights)
        if pieces is None:
            pieces = self._pieces[heights] = Parameters.of(tensors).pieces
        return Parameters(tuple(tensors.values()), pieces)

    def explain(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        return self.loop.explain({**widths, ONE: 1}, steps)
