"""Memory: fresh pages cost time, large pages less of them; vectors across two cache lines are
slow to read."""

import ctypes
import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Bytes of a cache line, on x86 and on most of ARM.
LINE = 64

# Linux, <asm-generic/mman-common.h>: let the kernel take pages of 2 MiB, not of 4 KiB.
MADV_HUGEPAGE = 14
HUGE_PAGE = 1 << 21
# Below this, malloc hands out memory again that was used before, and there is nothing to gain.
LARGE = 16 << 20

if sys.platform == "linux":
    _MADVISE = ctypes.CDLL(None).madvise


def new_rows(like: Tensor, width: int) -> Tensor:
    """As many rows of no certain content as ``like`` has, of this width and of its type."""
    made = like.new_empty((*like.shape[:-1], width))
    size = made.nbytes
    if size >= LARGE and sys.platform == "linux":
        first = -(-made.data_ptr() // HUGE_PAGE) * HUGE_PAGE
        count = (made.data_ptr() + size - first) // HUGE_PAGE * HUGE_PAGE
        # A wish: where the kernel grants none, the memory is as good, only slower to get.
        _MADVISE(ctypes.c_void_p(first), ctypes.c_size_t(count), MADV_HUGEPAGE)
    return made


def narrowed(values: Tensor, width: int) -> Tensor:
    """Rows without their padding."""
    return values if values.shape[-1] == width else values.narrow(-1, 0, width).contiguous()


def aligned(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Zeros that begin at a cache line."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + LINE, dtype=np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(dtype).reshape(shape)
