"""Inference replayed: on tensors of known shapes only the addresses are new.

A small network's arithmetic takes less time than Python needs to find out how to run it. So the
launch plan is kept, and a call looks only at what can have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.kernels.llvm.invoke import addresses_of, invoke
from conveyor.kernels.llvm.launch_plan import LaunchPlan
from conveyor.kernels.memory import PLAIN, check_memory, narrowed


@dataclass(frozen=True)
class LlvmReplay:
    """A pass over one input [..., I], whose tensors have ``shapes``: the input, the initial states
    (``started`` of them: none where all begin with zeros), the stored parameters. ``written`` are
    the shapes of the outputs with their padding, ``width`` is how wide the first is without it;
    ``final`` are the shapes of the final states."""

    launch: LaunchPlan
    dtype: torch.dtype
    shapes: tuple[torch.Size, ...]
    started: int
    written: tuple[tuple[int, ...], ...]
    width: int
    final: tuple[tuple[int, ...], ...]

    def __call__(self, tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]] | None:
        """Return the first output and the final states; None where a tensor is not as those that
        this is for. Gradients must be off."""
        dtype = self.dtype
        # Parameters stay the same objects when .to(), .data and the like change all they are.
        for each, shape in zip(tensors, self.shapes, strict=True):
            # As ``is_ready``, but for the address, which is needed below: a call for each tensor
            # would cost more than what it asks.
            if (
                type(each) not in PLAIN
                or each.layout is not torch.strided
                or each.shape != shape
                or each.dtype is not dtype
                or not each.is_cpu
                or not each.is_contiguous()
                or each.is_neg()
            ):
                return None
        like, started = tensors[0], self.started
        stored = addresses_of(self.launch, tensors[1 + started :])
        if 0 in stored or like.data_ptr() == 0:  # of a tensor without memory
            return None
        for tensor in tensors[: 1 + started]:
            check_memory(tensor)
        written = [like.new_empty(shape) for shape in self.written]
        final = [like.new_empty(shape) for shape in self.final]
        begin = [each.data_ptr() for each in tensors[1 : 1 + started]] or [0] * len(final)
        addresses = [like.data_ptr(), *[each.data_ptr() for each in written], *begin]
        addresses += [each.data_ptr() for each in final]
        invoke(self.launch, addresses, stored)
        return narrowed(written[0], self.width), final
