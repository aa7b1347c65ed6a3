"""What a layer gives back by name: the state, and the outputs where there are several."""

from collections import namedtuple
from functools import cache
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.errors import ShapeError


@cache
def _tuple_type(kind: str, names: tuple[str, ...]) -> Any:
    tuple_type = namedtuple(kind, names)  # type: ignore[misc]

    def reduce(self: Any) -> tuple[Any, ...]:
        return _MAKERS[kind], (names, tuple(self))

    # A type that is made while running can only be pickled by its recipe.
    tuple_type.__reduce__ = reduce  # type: ignore[method-assign]
    return tuple_type


def state_type(names: tuple[str, ...]) -> Any:
    """Return the named tuple of these state names; the same names always give the same type."""
    return _tuple_type("State", names)


def outputs_type(names: tuple[str, ...]) -> Any:
    """Return the named tuple of these output names; the same names always give the same type."""
    return _tuple_type("Outputs", names)


def for_each(state: Any, count: int, what: str) -> tuple[Any, ...]:
    """Return the states of so many layers or heads, None for each where ``state`` is None.

    Raises:
        ShapeError: there are not so many.
    """
    if state is None:
        return (None,) * count
    if not isinstance(state, tuple) or len(state) != count:
        got = f"of {len(state)} {what}" if isinstance(state, tuple) else repr(state)
        raise ShapeError(f"the state is {got}; there are {count}.")
    return state


def main_output(output: Any) -> Any:
    """Return the first output of a layer, which is all that it gives where its cell has one."""
    several = isinstance(output, tuple) and not isinstance(output, PackedSequence)
    return output[0] if several else output


def make_state(names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Any:
    """Return the state of these names and tensors."""
    return state_type(names)(*tensors)


def make_outputs(names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Any:
    """Return the outputs of these names and tensors."""
    return outputs_type(names)(*tensors)


_MAKERS = {"State": make_state, "Outputs": make_outputs}
