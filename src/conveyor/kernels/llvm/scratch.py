"""Memory that a pass uses while it runs: packed weights, states, stretches of steps.

Each thread keeps a piece of it. Asking torch for memory takes a microsecond, a tenth of a small
call, and what was used a moment ago is still in the cache.
"""

import threading

import torch
from torch import Tensor

from conveyor.kernels.memory import LINE

# Bytes that a thread keeps: as many as the second-level cache of Zen 4 and 5 holds. A pass that
# needs more takes long enough to ask for it.
KEPT = 1 << 20


class _Kept(threading.local):
    """The memory of one thread: the tensor, the first cache line in it, and its end. All three are
    replaced at once, for a signal's handler may run a pass at any time."""

    piece: tuple[Tensor, int, int] | None = None


_KEPT = _Kept()


def scratch(size: int) -> tuple[Tensor, int]:
    """Return memory of no certain content, and the address of a cache line in it after which there
    are so many bytes. The caller must hold the memory as long as it is used: a signal's handler may
    run another pass in the same thread, which replaces what the thread keeps."""
    if (piece := _KEPT.piece) is not None:
        memory, begin, end = piece
        if begin + size <= end:
            return memory, begin
    # The device is said, for torch.set_default_device may say another.
    memory = torch.empty(size + LINE, dtype=torch.uint8, device="cpu")
    begin = -(-memory.data_ptr() // LINE) * LINE
    if size <= KEPT:
        _KEPT.piece = memory, begin, begin + size
    return memory, begin
