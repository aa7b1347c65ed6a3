"""Running a compiled pass: memory and addresses."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from conveyor.kernels.llvm_barrier import BARRIER_BYTES
from conveyor.kernels.llvm_recipe import Recipe
from conveyor.kernels.memory import LINE

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
        space: where ``Recipe.space`` bytes of memory begin that the call may use; its first
            line, where threads wait for each other, is 0.
    """
    first = _first_line(space)
    return (
        recipe.given(inputs_wanted, *given)
        + recipe.sizes.stored_at(stored)
        + recipe.in_space(*[first + offset for offset in recipe.regions])
        + recipe.rest
    )


def _first_line(address: int) -> int:
    return (address + LINE - 1) // LINE * LINE


def call(
    recipe: Recipe, given: Addresses, stored: Sequence[Tensor | None], *, inputs_wanted: bool = True
) -> None:
    """Run a pass; see ``arguments``."""
    space = torch.empty(recipe.space, dtype=torch.uint8)
    if recipe.share.threads > 1:
        # The first region.
        ctypes.memset(_first_line(space.data_ptr()), 0, BARRIER_BYTES)
    places = tuple([0 if each is None else each.data_ptr() for each in stored])
    recipe.entry(arguments(recipe, given, places, space.data_ptr(), inputs_wanted=inputs_wanted))
