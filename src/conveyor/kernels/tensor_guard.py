"""Whether tensors are of the kind they were: one question to torch for all of them.

To ask each tensor for its class, shape, type, strides, device and sign takes half a microsecond,
and a cell of twelve parameters is called in twenty. What torch.compile guards its programs with
asks the same in a tenth of that. It is no public part of torch, so it is used only after it has
told apart what it must; without it, each tensor is asked.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Answers whether tensors, in a list, are of the kind they were.
Guard = Callable[[Sequence[Tensor]], bool]


def never(_tensors: Sequence[Tensor]) -> bool:
    """Return False: a guard that knows no tensors."""
    return False


def guard_of(tensors: Sequence[Tensor]) -> Guard:
    """Return a guard that holds for tensors of the same classes, shapes, strides and types on the
    same devices, in the same mode of torch; it says nothing about their memory and their numbers.

    Args:
        tensors: as they are now. Where one of them stands twice, the guard holds for none.
    """
    return _made(tensors) if _works() else never


def _made(tensors: Sequence[Tensor]) -> Guard:
    guards: Any = torch._C._dynamo.guards
    check: Callable[..., bool] = guards.TensorGuards(
        *tensors,
        dynamic_dims_sizes=[list(each.shape) for each in tensors],
        dynamic_dims_strides=[list(each.stride()) for each in tensors],
    ).check

    def holds(others: Sequence[Tensor]) -> bool:
        try:
            # Asked for the strides of a nested tensor, torch ends the process.
            nested = [each.is_nested for each in others]
            return True not in nested and check(*others)
        except AttributeError:  # of what is no tensor
            return False

    return holds


@cache
def _works() -> bool:
    """Return whether this version of torch has these guards, and they see what they must."""
    with torch.no_grad():
        one, two = torch.zeros(2, 2, device="cpu"), torch.zeros(2, 2, device="cpu")
        try:
            holds = _made([one])
        except (AttributeError, TypeError):
            return False
        others = (
            *(one[:1], two.t()[:, :1], two.t(), two.double(), torch._neg_view(two), two.to("meta")),
            *(two.to_sparse(), torch.nn.Parameter(two)),
        )
        return holds([two]) and not any(holds([other]) for other in others)
