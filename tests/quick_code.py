"""Machine code that LLVM does not optimise, and whose instructions it chooses without looking for
the best: in a seventh of the time, with the same numbers to the bit.

What passes compute, in which order and where it lies in memory is the text that LLVM reads, which
is the same. The short run compiles so for all tests but those of machine code itself
(tests/kernels), which run what users run, of one cell of each kind; ``CONVEYOR_LONG_TESTS=1`` does
that everywhere.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from conveyor.kernels.llvm import code_cache, compiled_plan, machine


def _key(kind: machine.Machine, *parts: str) -> str:
    """Code of one sort is never taken for the other."""
    return code_cache.key(kind, *parts, "quick")


_QUICK: dict[str, Any] = {
    "object_code": partial(machine.object_code, level=0, passes=()),
    "key": _key,
}


def compile_quickly() -> None:
    """Let this process compile so, but for what all cells share."""
    vars(compiled_plan).update(_QUICK)


def is_on() -> bool:
    """Return whether this process compiles so now."""
    return vars(compiled_plan)["key"] is _key


def quickly() -> AbstractContextManager[object]:
    """Compile so inside the block."""
    answer: AbstractContextManager[object] = patch.multiple(compiled_plan, **_QUICK)
    return answer


@contextmanager
def as_users_do() -> Iterator[None]:
    """Compile as the library does, inside the block."""
    with (
        patch.object(compiled_plan, "object_code", machine.object_code),
        patch.object(compiled_plan, "key", code_cache.key),
    ):
        yield
