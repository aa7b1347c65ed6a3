"""The switch of autotuning: whether repeated calls are timed, to choose how they are run."""

from contextvars import ContextVar
from types import TracebackType

from conveyor.errors import SettingError

_ON: ContextVar[bool] = ContextVar("autotune", default=True)


def is_on() -> bool:
    """Return whether calls are timed."""
    return _ON.get()


class autotune:  # noqa: N801  (it is called like a function)
    """Say whether calls that repeat are timed to find out how many threads should compute them,
    from now on, or inside a ``with`` block. Results are the same bits either way.

    Machine code decides by a written rule how many threads share a call's work. How much a second
    thread helps changes with the machine and with what else runs on it, so where the rule predicts
    nearly the same for one thread and several, calls of the same sizes time both a few times, keep
    the better, and look again now and then. ``layer.explain`` says what was seen.

    Args:
        on: whether calls are timed; if not, the rule decides alone.

    Raises:
        SettingError: ``on`` is neither True nor False.
    """

    def __init__(self, on: bool) -> None:
        if not isinstance(on, bool):
            raise SettingError(f"on is {on!r}; expected True or False.")
        self._token = _ON.set(on)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _ON.reset(self._token)
