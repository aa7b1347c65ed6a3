"""Turns a lack of memory into an error that says what to lower."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from conveyor.errors import TooLargeError, named

# The texts of torch's errors on CPUs, which have no class of their own: too little memory, and
# sizes whose product does not fit into 64 bits.
_NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")


@contextmanager
def in_memory(
    what: str = "the network", lower: tuple[str, ...] = ("hidden", "layers", "batch")
) -> Iterator[None]:
    """Raise a ``TooLargeError`` if the block runs out of memory.

    Args:
        what: what does not fit, the subject of the error's sentence.
        lower: the settings that the error advises to lower.

    Raises:
        TooLargeError: there is not enough memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(text in str(error) for text in _NO_MEMORY):
            raise
        raise TooLargeError(f"{what} does not fit into memory. Lower {_either(lower)}.") from error


def _either(settings: tuple[str, ...]) -> str:
    *first, last = [named(setting) for setting in settings]
    return f"{', '.join(first)} or {last}" if first else last
