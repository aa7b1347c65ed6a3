"""The barrier itself: nobody leaves before all have come, and it is ready for the next time."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.kernels.llvm import openmp, share
from conveyor.kernels.llvm.barrier import write_barrier
from conveyor.kernels.llvm.builder import Module
from conveyor.kernels.llvm.machine import Loaded, host, object_code
from tests.kinds import LONG
from tests.warm_python import run_script

ROOT = Path(__file__).parents[2]

# A thread writes down which turn it is in, waits, and counts the others that are not there yet.
RACE = """
define i64 @race(ptr %place, i64 %threads, ptr %give_way, ptr %slots, i64 %me, i64 %turns) {
entry:
  %mine = getelementptr i64, ptr %slots, i64 %me
  br label %turn
turn:
  %k = phi i64 [ 1, %entry ], [ %next, %after ]
  %early = phi i64 [ 0, %entry ], [ %found, %after ]
  store atomic i64 %k, ptr %mine release, align 8
  call void @barrier(ptr %place, i64 %threads, ptr %give_way)
  br label %other
other:
  %n = phi i64 [ 0, %turn ], [ %m, %other ]
  %so_far = phi i64 [ %early, %turn ], [ %found, %other ]
  %its = getelementptr i64, ptr %slots, i64 %n
  %there = load atomic i64, ptr %its acquire, align 8
  %behind = icmp slt i64 %there, %k
  %one = zext i1 %behind to i64
  %found = add i64 %so_far, %one
  %m = add i64 %n, 1
  %more = icmp slt i64 %m, %threads
  br i1 %more, label %other, label %after
after:
  %next = add i64 %k, 1
  %again = icmp sle i64 %next, %turns
  br i1 %again, label %turn, label %over
over:
  ret i64 %found
}
"""


def raced(threads: int, turns: int) -> list[int]:
    """How often each thread left before another had come."""
    module = Module("race", host(), torch.float32)
    write_barrier(module)
    loaded = Loaded(object_code(str(module) + RACE, host()), ["race"])
    number = ctypes.c_int64
    race = ctypes.CFUNCTYPE(number, *[number] * 6)(loaded.address["race"])
    place, slots = (torch.zeros(64, dtype=torch.int64) for _ in range(2))
    known = openmp.threads()
    assert known is not None
    arguments = (place.data_ptr(), threads, known.give_way, slots.data_ptr())
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda me: race(*arguments, me, turns), range(threads)))


def in_a_process(call: str) -> str:
    """What a call of this file prints in a process of its own, which may wait for ever."""
    script = f"from tests.kernels.test_llvm_barrier import *\nprint({call})\n"
    ran = run_script(script, folder=ROOT, limit=100)
    assert ran.code == 0, ran.err[-2000:]
    return ran.out.strip()


has_threads = pytest.mark.skipif(
    openmp.threads() is None, reason="torch's threads are not GNU's: one computes"
)


# Three threads on two cores give way at every barrier, which takes long: they see that a third is
# waited for, which every second turn shows where it is not. Two threads find a barrier that lets go
# before it counts anew.
@has_threads
@pytest.mark.parametrize(
    ("threads", "times"), [(1, 100_000), (2, 100_000), (3, 4_000 if LONG else 1_000)]
)
def test_nobody_leaves_before_all_have_come(threads: int, times: int) -> None:
    """And everybody leaves: a barrier that lets go before it is ready for the next time loses who
    comes early, and waits for ever."""
    assert in_a_process(f"raced({threads}, {times})") == str([0] * threads)


def computed_often(calls: int) -> bool:
    """Whether two threads that share units of a small network compute what one does, every time."""
    for constant, value in (("TEAM_NS", -1e15), ("CACHE_BYTES", -1), ("ROWS_FOR_EACH", 10**9)):
        setattr(share, constant, value)
    torch.manual_seed(0)
    x, layer = torch.randn(50, 2, 3), conveyor.Recurrent("gru", 3, 32)

    def once(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        output, state = layer(x)
        gradients = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
        return [output, *state, *gradients]

    want = once(1)
    return all(all(map(torch.equal, once(2), want)) for _ in range(calls))


@has_threads
def test_many_calls_of_two_threads_that_share_units() -> None:
    assert in_a_process("computed_often(300)") == "True"
