"""The threads of torch: its own OpenMP runtime, found in the process.

A second pool of threads would fight with torch's, whose idle threads spin while they wait. So
compiled code runs on torch's pool: the same runtime, the same number of threads.
"""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch


@dataclass(frozen=True)
class Threads:
    """Functions of the runtime: ``parallel(function, data, threads, 0)`` runs a function at
    once in so many threads, or in fewer; the others are addresses for compiled code, ``give_way``
    the system's that lets others have the processor."""

    parallel: Callable[[int, bytes, int, int], None]
    team_size: int
    thread_number: int
    give_way: int


class _Fork:
    """libgomp's threads do not survive a fork, and its next parallel region would wait for
    them for ever: a child computes alone."""

    happened = False


def _forked() -> None:
    _Fork.happened = True


os.register_at_fork(after_in_child=_forked)


def _loaded(name: str) -> str | None:
    """The file of a library that the process has loaded."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    for line in maps.read_text(encoding="utf-8", errors="replace").splitlines():
        path = line.split(maxsplit=5)[-1]
        if name in Path(path).name:
            return path
    return None


@cache
def threads() -> Threads | None:
    """torch's runtime; None where it is not GNU's or cannot be found."""
    path = _loaded("libgomp")
    if path is None:
        return None
    library = ctypes.CDLL(path)
    try:
        parallel = library.GOMP_parallel
        own, team = library.omp_get_thread_num, library.omp_get_num_threads
        give_way = ctypes.CDLL(None).sched_yield
    except AttributeError:
        return None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None

    def address(function: object) -> int:
        return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]

    return Threads(parallel, address(team), address(own), address(give_way))


def most_threads() -> int:
    """How many threads may compute: what ``torch.set_num_threads`` says, one where the runtime
    is not known or the process was forked."""
    if _Fork.happened or threads() is None:
        return 1
    return torch.get_num_threads()
