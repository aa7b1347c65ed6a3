"""A pass without gradients, made again: on tensors of the same shapes only addresses are new.

A small network's arithmetic takes less time than Python needs to find out how it is to be done.
So what was found out is kept, and what is asked again is only what can have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.kernels.llvm_recipe import Recipe
from conveyor.kernels.llvm_run import addresses_of, call
from conveyor.kernels.memory import PLAIN, check_memory, narrowed


@dataclass(frozen=True)
class Again:
    """A pass over one input [..., I], whose tensors have ``shapes``: the input, the states before
    (``started`` of them: none where all begin with zeros), the stored parameters. ``made`` are the
    shapes of the outputs as they are written, ``width`` is how wide the first is without its
    padding; ``final`` are the shapes of the states after."""

    recipe: Recipe
    dtype: torch.dtype
    shapes: tuple[torch.Size, ...]
    started: int
    made: tuple[tuple[int, ...], ...]
    width: int
    final: tuple[tuple[int, ...], ...]

    def __call__(self, tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]] | None:
        """The first output and the states after; None where a tensor is not as those were that
        this was made for. Gradients must be off."""
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
        stored = addresses_of(self.recipe, tensors[1 + started :])
        if 0 in stored or like.data_ptr() == 0:  # of a tensor without memory
            return None
        for tensor in tensors[: 1 + started]:
            check_memory(tensor)
        made = [like.new_empty(shape) for shape in self.made]
        final = [like.new_empty(shape) for shape in self.final]
        begin = [each.data_ptr() for each in tensors[1 : 1 + started]] or [0] * len(final)
        addresses = [like.data_ptr(), *[each.data_ptr() for each in made], *begin]
        addresses += [each.data_ptr() for each in final]
        call(self.recipe, addresses, stored)
        return narrowed(made[0], self.width), final
