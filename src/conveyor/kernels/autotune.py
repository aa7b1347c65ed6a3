"""The switch of autotuning: whether repeated calls are timed, to choose how they are run."""

from contextvars import ContextVar

from conveyor.errors import SettingError
from conveyor.kernels.switch import Switch

_ON: ContextVar[bool] = ContextVar("autotune", default=True)


def is_on() -> bool:
    """Return whether calls are timed."""
    return _ON.get()


class autotune(Switch[bool]):  # noqa: N801  (it is called like a function)
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
        super().__init__(_ON, on)
