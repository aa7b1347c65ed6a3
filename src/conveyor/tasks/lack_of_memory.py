"""A lack of memory, as a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from conveyor.errors import TooLargeError, named

# What torch's allocator for CPUs says, whose errors have no class of their own; sizes whose product
# is no 64-bit number are the second.
_NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")


@contextmanager
def in_memory(
    what: str = "the network", lower: tuple[str, ...] = ("hidden", "layers", "batch")
) -> Iterator[None]:
    """Inside the block a lack of memory is a sentence.

    Raises:
        TooLargeError: there is not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(each in str(error) for each in _NO_MEMORY):
            raise
        raise TooLargeError(f"{what} does not fit into memory. Lower {_either(lower)}.") from error


def _either(settings: tuple[str, ...]) -> str:
    *first, last = [named(setting) for setting in settings]
    return f"{', '.join(first)} or {last}" if first else last
