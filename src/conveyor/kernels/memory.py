"""Memory: fresh pages cost time, large pages less of them; vectors across two cache lines are
slow to read."""

import ctypes
import math
import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.errors import TargetError

# Bytes of a cache line, on x86 and on most of ARM.
LINE = 64

# Linux, <asm-generic/mman-common.h>: let the kernel take pages of 2 MiB, not of 4 KiB.
MADV_HUGEPAGE = 14
HUGE_PAGE = 1 << 21
# Below this, malloc hands out memory again that was used before, and there is nothing to gain.
LARGE = 16 << 20
# Numbers that torch copies on one thread, at::internal::GRAIN_SIZE.
ALONE = 1 << 15

if sys.platform == "linux":
    _MADVISE = ctypes.CDLL(None).madvise


# What these hold lies at their address. Other classes may only look like tensors.
PLAIN = frozenset({Tensor, torch.nn.Parameter})


def has_memory(tensor: Tensor) -> bool:
    """Return whether a tensor's numbers lie in memory, at its address and strides.

    Those of a subclass with a ``__torch_dispatch__`` of its own (DTensor, fake and nested tensors),
    of sparse and of MKL-DNN tensors, of torch's tensors of zeros and of its functional tensors do
    not.
    """
    return (
        (
            type(tensor) in PLAIN
            or type(tensor).__torch_dispatch__ is torch._C._disabled_torch_dispatch_impl
        )
        and tensor.layout is torch.strided
        and not tensor._is_zerotensor()
        and not torch._is_functional_tensor(tensor)
    )


def is_ready(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Return whether machine code can read a tensor as it is."""
    return (
        type(tensor) in PLAIN
        and tensor.layout is torch.strided
        and tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and tensor.data_ptr() != 0
    )


def check_memory(tensor: Tensor) -> None:
    """Raise unless a tensor's storage is as large as its shape and strides say.

    Raises:
        TargetError: it is smaller: machine code would read and write beyond it.
    """
    held = tensor.untyped_storage().nbytes()
    if held >= tensor.nbytes and tensor.storage_offset() == 0:  # as nearly always
        return
    count = tensor.numel()
    if count and not tensor.is_contiguous():  # an expanded tensor needs less than its count
        strides = tensor.stride()
        steps = zip(tensor.shape, strides, strict=True) if any(strides) else ()
        count = 1 + sum([(size - 1) * stride for size, stride in steps])
    needed = (tensor.storage_offset() + count) * tensor.itemsize
    if count and held < needed:
        raise TargetError(
            f"a tensor of shape {list(tensor.shape)} has a storage of {held} bytes; expected "
            f"{needed} at least. Its memory was freed or made smaller: give it memory of its size "
            "before the call."
        )


def new_rows(like: Tensor, width: int) -> Tensor:
    """Return as many rows of no certain content as ``like`` has, of this width and of its type."""
    rows = like.new_empty((*like.shape[:-1], width))
    size = rows.nbytes
    if size >= LARGE and sys.platform == "linux":
        first = -(-rows.data_ptr() // HUGE_PAGE) * HUGE_PAGE
        count = (rows.data_ptr() + size - first) // HUGE_PAGE * HUGE_PAGE
        # A hint: where the kernel grants none, the memory is as good, only slower to get.
        _MADVISE(ctypes.c_void_p(first), ctypes.c_size_t(count), MADV_HUGEPAGE)
    return rows


def contiguous(values: Tensor) -> Tensor:
    """Return values that lie in memory one after the other: themselves, or a copy, for which large
    pages are asked."""
    if values.is_contiguous():
        return values
    # An expanded gradient, as that of a sum, may be large where its storage is a single number.
    if values.nbytes < LARGE:
        return values.contiguous()
    return new_rows(values, values.shape[-1]).copy_(values)


def hollow(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return a tensor on the CPU that has this shape and no memory: ``torch.empty_like`` of it
    takes half the time of other ways to get a tensor."""
    empty = torch.empty(shape, dtype=dtype, device="cpu")
    empty.untyped_storage().resize_(0)
    return empty


def padded(values: Tensor, stride: int) -> Tensor:
    """Return rows of so many numbers, of rows of fewer."""
    width = values.shape[-1]
    if stride == width:
        return values
    if values.nbytes < LARGE:
        return torch.nn.functional.pad(values, (0, stride - width))
    rows = new_rows(values, stride)
    rows[..., :width] = values
    rows[..., width:] = 0
    return rows


def narrowed(values: Tensor, width: int) -> Tensor:
    """Return rows without their padding."""
    if values.shape[-1] == width:
        return values
    if values.numel() < ALONE:  # one call in place of two, on one thread
        return torch.narrow_copy(values, -1, 0, width)
    return contiguous(values.narrow(-1, 0, width))


def aligned(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Zeros that begin at a cache line."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + LINE, dtype=np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(dtype).reshape(shape)
