"""Running a compiled pass: memory and addresses."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from conveyor.kernels.llvm_barrier import BARRIER_BYTES
from conveyor.kernels.llvm_recipe import Recipe
from conveyor.kernels.memory import LINE, check_memory

Addresses = Sequence[int]


def arguments(
    recipe: Recipe,
    given: Addresses,
    stored: tuple[int, ...],
    space: int,
    *,
    inputs_wanted: bool,
) -> bytes:
    """The arguments of a pass.

    Args:
        given: what ``Layout.given`` lists.
        stored: addresses of the stored parameters, in the way back of their gradients too; 0
            where one is not wanted.
        space: where ``Recipe.space`` bytes of memory begin that the call may use, at a cache line;
            that line, where threads wait for each other, is 0.
    """
    return (
        recipe.given(inputs_wanted, *given)
        + recipe.sizes.stored_at(stored)
        + recipe.in_space(*[space + offset for offset in recipe.regions])
        + recipe.rest
    )


def addresses_of(recipe: Recipe, stored: Sequence[Tensor]) -> tuple[int, ...]:
    """Return where the stored parameters are.

    Raises:
        TargetError: one lies in no memory, or in less than its shape says.
    """
    addresses = tuple([tensor.data_ptr() for tensor in stored])
    if not recipe.sizes.knows(addresses):
        for tensor in stored:
            check_memory(tensor)
        recipe.sizes.know(addresses)
    return addresses


def call(
    recipe: Recipe, given: Addresses, stored: tuple[int, ...], *, inputs_wanted: bool = True
) -> None:
    """Run a pass; see ``arguments``."""
    memory = torch.empty(recipe.space, dtype=torch.uint8)
    space = (memory.data_ptr() + LINE - 1) // LINE * LINE
    if recipe.share.threads > 1:
        ctypes.memset(space, 0, BARRIER_BYTES)  # the first region
    recipe.entry(arguments(recipe, given, stored, space, inputs_wanted=inputs_wanted))
