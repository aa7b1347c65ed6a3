"""The state that a layer is given and gives back: a named tuple with the cell's state names."""

from collections import namedtuple
from functools import cache
from typing import Any

from torch import Tensor

from conveyor.errors import ShapeError


@cache
def state_type(names: tuple[str, ...]) -> Any:
    """The named tuple of these state names; the same names always give the same type."""
    made = namedtuple("State", names)  # type: ignore[misc]

    def reduce(self: Any) -> tuple[Any, ...]:
        return make_state, (names, tuple(self))

    # A type that is made while running can only be pickled by its recipe.
    made.__reduce__ = reduce  # type: ignore[method-assign]
    return made


def for_each(state: Any, count: int, what: str) -> tuple[Any, ...]:
    """The states of so many layers or heads, None for each where ``state`` is None.

    Raises:
        ShapeError: there are not so many.
    """
    if state is None:
        return (None,) * count
    if not isinstance(state, tuple) or len(state) != count:
        got = f"of {len(state)} {what}" if isinstance(state, tuple) else repr(state)
        raise ShapeError(f"the state is {got}; there are {count}.")
    return state


def make_state(names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Any:
    """The state of these names and tensors."""
    return state_type(names)(*tensors)
