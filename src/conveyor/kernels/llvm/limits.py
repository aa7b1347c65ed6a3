"""What this machine can do at best, measured when somebody asks: multiply-adds from registers,
and reading packed weights from wherever they fit."""

import ctypes
import time
from dataclasses import dataclass
from functools import cache

import torch

from conveyor.kernels.llvm.compiled_plan import library
from conveyor.kernels.llvm.machine import host
from conveyor.kernels.llvm.panel import (
    MOST_VECTORS,
    PANEL_ARGUMENTS,
    best_vectors,
    most_rows,
    panel_name,
)
from conveyor.kernels.memory import aligned

# One measurement takes about this long; the best of so many counts, since others only disturb.
SECONDS = 0.002
TRIES = 5


@dataclass(frozen=True)
class Limits:
    """Of one core."""

    multiply_adds_per_ns: float
    bytes_per_ns: float


def _panel_ns(vectors: int, rows: int, count: int, dtype: torch.dtype) -> float:
    """Nanoseconds of one panel over ``count`` inputs, without the call from Python."""
    return _call_ns(vectors, rows, count, dtype) - _call_ns(vectors, rows, 1, dtype)


def _call_ns(vectors: int, rows: int, count: int, dtype: torch.dtype) -> float:
    numbers = torch.empty(0, dtype=dtype).numpy().dtype
    width = vectors * host().lanes(dtype)
    sizes = rows * count, width * count, rows * width
    a, b, c = (aligned((size,), numbers) for size in sizes)
    kinds = [ctypes.c_int64] * len(PANEL_ARGUMENTS)
    panel = ctypes.CFUNCTYPE(None, *kinds)(
        library(dtype).functions.address[panel_name(vectors, rows)]
    )
    given = (
        a.ctypes.data, count, 1, 1, 0, count, b.ctypes.data, width, c.ctypes.data, width, 0,
    )  # fmt: skip
    panel(*given)
    begin = time.perf_counter()
    panel(*given)
    once = max(time.perf_counter() - begin, 1e-7)
    times = max(1, int(SECONDS / once))
    best = float("inf")
    for _ in range(TRIES):
        begin = time.perf_counter()
        for _ in range(times):
            panel(*given)
        best = min(best, (time.perf_counter() - begin) / times)
    return best * 1e9


@cache
def limits(dtype: torch.dtype, weight_bytes: int) -> Limits:
    """The limits for numbers of a type, and for reading weights of so many bytes again and
    again."""
    lanes = host().lanes(dtype)
    vectors = best_vectors(host())
    rows = most_rows(vectors, host())
    # 1,024 inputs of a panel of 5 vectors are 320 KiB: from the second-level cache, as in use.
    count = 1024
    peak = rows * vectors * lanes * count / _panel_ns(vectors, rows, count, dtype)
    line = MOST_VECTORS * lanes * dtype.itemsize
    count = max(64, weight_bytes // line)
    return Limits(peak, line * count / _panel_ns(MOST_VECTORS, 1, count, dtype))
