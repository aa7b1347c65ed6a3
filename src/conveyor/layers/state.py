"""The state that a layer is given and gives back: a named tuple with the cell's state names."""

from collections import namedtuple
from functools import cache
from typing import Any

from torch import Tensor


@cache
def state_type(names: tuple[str, ...]) -> Any:
    """The named tuple of these state names; the same names always give the same type."""
    made = namedtuple("State", names)  # type: ignore[misc]

    def reduce(self: Any) -> tuple[Any, ...]:
        return make_state, (names, tuple(self))

    # A type that is made while running can only be pickled by its recipe.
    made.__reduce__ = reduce  # type: ignore[method-assign]
    return made


def make_state(names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Any:
    """The state of these names and tensors."""
    return state_type(names)(*tensors)
