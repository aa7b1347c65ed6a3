"""Settings that hold from now on, or inside a ``with`` block."""

from contextvars import ContextVar
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Switch(Generic[T]):
    """Sets a variable when it is made, and sets it back where its ``with`` block ends.

    Args:
        variable: what is set, for this thread or task.
        value: to what.
    """

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable, self._token = variable, variable.set(value)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._variable.reset(self._token)
