"""Machine code in several threads: the same bits, the caller's modes, forks, memory.

``CONVEYOR_LONG_TESTS=1`` compares bits for every cell instead of some, and counts memory over ten
times as many calls.
"""

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import conveyor
from conveyor.compiler.plan import plan
from conveyor.kernels.llvm import openmp
from conveyor.kernels.llvm import share as sharing
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import Judged, Problem, everything, problem
from tests.kernels.programs import PROGRAMS
from tests.kinds import LONG
from tests.layers.named import assert_equal, draw, run
from tests.warm_python import run_script

ROOT = Path(__file__).parents[2]

has_threads = pytest.mark.skipif(
    openmp.threads() is None, reason="torch's threads are not GNU's: one computes"
)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads, inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# The rule of costs decides by time alone. Here, by what there is to test.
CHEAP_TEAM = {"TEAM_NS": -1e15}
PARTITIONS: dict[str, dict[str, float]] = {
    "rows": {**CHEAP_TEAM, "BARRIER_NS": 1e15, "ROWS_FOR_EACH": 0},
    "rows, outside units": {**CHEAP_TEAM, "BARRIER_NS": 1e15, "ROWS_FOR_EACH": 10**9},
    "units": {**CHEAP_TEAM, "CACHE_BYTES": -1, "ROWS_FOR_EACH": 10**9},
    "units, outside rows": {**CHEAP_TEAM, "CACHE_BYTES": -1, "ROWS_FOR_EACH": 0},
}
SIZES: tuple[tuple[Steps, int], ...] = (
    (Steps(5, 5), 40),
    (Steps(4, 9, (9, 7, 4, 1)), 33),
    (Steps(4, 6, (6, 6, 2, 1), reverse=True), 17),
)
NAMES = tuple(PROGRAMS) if LONG else ("lstm_projected", "normalised", "twice", "deep_window")


def same_bits(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, partition: str
) -> None:
    program, more = PROGRAMS[name]
    kernel = LlvmKernel(plan(program), dtype)
    for steps, hidden in SIZES:
        given = problem(program, {"I": 3, "H": hidden, **more}, steps)
        with torch_threads(1):
            want = everything(kernel, given, dtype)
        for constant, value in PARTITIONS[partition].items():
            monkeypatch.setattr(sharing, constant, value)
        for count in (2, 4):
            with torch_threads(count):
                for _ in range(2):
                    assert_equal(everything(kernel, given, dtype), want)
            shared = [
                launch.share
                for sizes, launch in kernel.launch_plans._plans.items()
                if isinstance(sizes, tuple) and sizes[-1] == count and steps in sizes
            ]
            assert shared
            for share in shared:
                assert share.threads > 1
                whole = any(
                    launch.sizes.compiled.abi.layout.whole_rows
                    for launch in kernel.launch_plans._plans.values()
                    if launch.share is share
                )
                if not whole:
                    assert share.by_rows == partition.startswith("rows")
                    assert share.outside_by_rows == (partition in ("rows", "units, outside rows"))
        monkeypatch.undo()


@has_threads
@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_bits_however_many_threads(
    name: str, partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs and every gradient; with 1, 2 and 4 threads; three times; however the work is
    shared out; with sequences of one length and of several."""
    for dtype in (torch.float32, torch.float64) if LONG else (torch.float32,):
        same_bits(name, dtype, monkeypatch, partition)


@has_threads
def test_the_same_bits_over_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several stretches follow each other, threads must not overtake each other."""
    monkeypatch.setattr(sharing, "STRETCH_ROWS", 12)
    monkeypatch.setattr(sharing, "STRETCH_BYTES", 1)
    for steps in (Steps(30, 5), Steps(30, 8, tuple(range(8, 0, -1)) + (1,) * 22, True)):
        for name in ("gru_reset_before", "deep_window", *(["lstm_projected"] if LONG else [])):
            program, more = PROGRAMS[name]
            given = problem(program, {"I": 3, "H": 33, **more}, steps)
            want = everything(LlvmKernel(plan(program), torch.float32), given, torch.float32)
            for partition in PARTITIONS.values():
                with monkeypatch.context() as patch:
                    for constant, value in partition.items():
                        patch.setattr(sharing, constant, value)
                    kernel = LlvmKernel(plan(program), torch.float32)
                    with torch_threads(4):
                        for _ in range(2):
                            assert_equal(everything(kernel, given, torch.float32), want)


@has_threads
def test_more_threads_than_there_is_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for constant, value in PARTITIONS["units"].items():
        monkeypatch.setattr(sharing, constant, value)
    given = problem(PROGRAMS["lstm"][0], {"I": 1, "H": 1}, Steps(2, 1))
    kernel = LlvmKernel(plan(given.program), torch.float64)
    with torch_threads(4):
        Judged.of(given).check(kernel, torch.float64)


def test_the_rule_of_costs_alone() -> None:
    """As users meet it: weights beyond a core's cache, and many rows; the bits of one thread."""
    for reads, hidden, steps in ((8, 300, Steps(3, 2)), (16, 48, Steps(12, 96))):
        given = problem(PROGRAMS["lstm"][0], {"I": reads, "H": hidden}, steps)
        kernel = LlvmKernel(plan(given.program), torch.float32)
        want = everything(kernel, given, torch.float32)
        for count in (2, 4):
            with torch_threads(count):
                assert_equal(everything(kernel, given, torch.float32), want)


# Modes of the caller -----------------------------------------------------------------------------


def flushes() -> bool:
    """Whether this thread's products below the smallest normal number are zero."""
    tiny = torch.full((1,), 1e-38, dtype=torch.float32)
    return float(tiny * 0.1) == 0.0


def flushes_anywhere() -> list[bool]:
    """Of many numbers, so that all of torch's threads compute some: whether any was flushed."""
    tiny = torch.full((4_000_000,), 1e-38, dtype=torch.float32) * 0.1
    return [bool((tiny == 0).any()), bool((tiny != 0).any())]


@pytest.fixture
def as_it_was() -> Iterator[None]:
    yield
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("count", [1, 2])
def test_denormal_numbers_of_the_caller(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode is his own before and after, in every thread."""
    for constant, value in PARTITIONS["rows"].items():
        monkeypatch.setattr(sharing, constant, value)
    layer = conveyor.Recurrent("lstm", 3, 33)
    x = draw(6, 8, 3, dtype=torch.float32)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    torch.set_flush_denormal(False)
    with torch_threads(count):
        for wanted in (False, True):
            torch.set_flush_denormal(wanted)
            assert flushes() == wanted
            output, _ = layer(x)
            assert flushes() == wanted
            output.sum().backward()
            assert flushes() == wanted
            with torch.no_grad():
                layer(x)
            assert flushes() == wanted
        torch.set_flush_denormal(False)
        layer(x)[0].sum().backward()
        assert flushes_anywhere() == [False, True]


@pytest.mark.usefixtures("as_it_was")
def test_denormal_numbers_do_not_depend_on_the_callers_mode() -> None:
    layer = conveyor.Recurrent("gru", 3, 17)
    x = draw(6, 2, 3, dtype=torch.float32) * 1e-38
    torch.set_flush_denormal(False)
    want = run(layer, x)
    torch.set_flush_denormal(True)
    got = run(layer, x)
    torch.set_flush_denormal(False)
    assert_equal(got, want)


# Several callers at once -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
def test_several_python_threads_at_once(count: int) -> None:
    """Of one kernel and of several, met for the first time by all of them."""
    with torch_threads(count):
        for name in ("lstm_coupled", "swapping"):
            program, more = PROGRAMS[name]
            kernel = LlvmKernel(plan(program), torch.float64)
            problems = [
                problem(program, {"I": 3, "H": hidden, **more}, Steps(4, 3))
                for hidden in (5, 17, 33, 40) * 4
            ]
            together = threading.Barrier(8)

            def one(given: Problem, kernel: Any = kernel, wait: Any = together) -> Any:
                torch.set_num_threads(count)
                wait.wait(timeout=60)
                return everything(kernel, given)

            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(one, problems))
            for got, given in zip(found, problems, strict=True):
                assert_equal(got, everything(kernel, given))


# Processes ---------------------------------------------------------------------------------------


def in_a_process(script: str, **variables: str) -> str:
    """What a script prints, run in a process of its own that ends well in time."""
    ran = run_script(script, folder=ROOT, environment={**os.environ, **variables})
    assert ran.code == 0, f"{ran.code}: {ran.out[-500:]} {ran.err[-2000:]}"
    return ran.out


def in_a_cold_process(script: str, **variables: str) -> str:
    """The same in a Python that starts from nothing: with variables that count from the start, or
    what would find the copy of another process."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, f"{ran.returncode}: {ran.stdout[-500:]} {ran.stderr[-2000:]}"
    return ran.stdout


START = """
import os, signal, sys, threading, time
import torch, conveyor
from conveyor.kernels.llvm import share as sharing
sharing.TEAM_NS = -1e15  # as many threads as there are
torch.manual_seed(0)
layer, x = conveyor.Recurrent("lstm", 3, 33), torch.rand(6, 8, 3)
def run():
    layer.zero_grad()
    output, _ = layer(x)
    output.square().sum().backward()
    return [output.detach(), *(p.grad.clone() for p in layer.parameters())]
def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
def in_a_child(work, seconds=30):
    child = os.fork()
    if not child:
        signal.alarm(seconds)  # ends the child if it hangs
        os._exit(0 if work() else 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@posix
def test_after_a_fork() -> None:
    """The parent has used two threads, which the child has not; it may set what it likes."""
    script = f"""{START}
torch.set_num_threads(2)
want = run()
print(in_a_child(lambda: same(run(), want)))
def other():
    torch.set_num_threads(2)
    return same(run(), want)
print(in_a_child(other))
def grandchild():
    run()
    return in_a_child(lambda: same(run(), want)) == 0
print(in_a_child(grandchild))
print(int(not same(run(), want)))
"""
    assert in_a_process(script).split() == ["0"] * 4


def test_threads_that_wait_give_way_whatever_memory_held_before() -> None:
    """More threads than cores must wait for their turns; they ask the system for them."""
    if openmp.threads() is None:
        pytest.skip("torch's threads are not GNU's")
    script = f"""{START}
import ctypes, types
from dataclasses import replace
from conveyor.kernels.llvm import invoke, openmp
gave_way = []
@ctypes.CFUNCTYPE(ctypes.c_int)
def give_way():
    gave_way.append(1)
    return 0
known = openmp.threads()
own = replace(known, give_way=ctypes.cast(give_way, ctypes.c_void_p).value)
openmp.threads = lambda: own
def full(size, dtype):
    return torch.full((size,), 255, dtype=dtype)
invoke.torch = types.SimpleNamespace(empty=full, uint8=torch.uint8)
torch.set_num_threads(1)
want = run()
torch.set_num_threads(4 * os.cpu_count())
for _ in range(8):
    print(int(not same(run(), want)))
print(int(not gave_way))
"""
    assert in_a_cold_process(script).split() == ["0"] * 9


@posix
def test_a_fork_while_another_thread_compiles() -> None:
    """The fork waits for the end of it: a lock that is held is held by nobody in the child."""
    script = f"""{START}
from conveyor.kernels.llvm.machine import COMPILING
torch.set_num_threads(1)
inside = threading.Event()
def compiling():
    with COMPILING:
        inside.set()
        time.sleep(0.3)
thread = threading.Thread(target=compiling)
thread.start()
inside.wait(60)
print(in_a_child(lambda: len(run()) > 1, seconds=10))
thread.join()
"""
    assert in_a_process(script, CONVEYOR_CACHE_DIR="").split() == ["0"]


@posix
def test_workers_of_a_data_loader() -> None:
    script = f"""{START}
torch.set_num_threads(2)
want = run()[0]
class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        with torch.no_grad():
            return layer(x)[0]
for each in torch.utils.data.DataLoader(Data(), num_workers=2, timeout=30):
    print(int(not torch.equal(each[0], want)))
"""
    assert in_a_cold_process(script).split() == ["0"] * 4


# Whoever runs a program may say how many threads there shall be, less than were asked for.
@pytest.mark.parametrize(
    "variables",
    [
        {"OMP_THREAD_LIMIT": "3", "OMP_PROC_BIND": "true"},
        {"OMP_DYNAMIC": "true"},
        {"OMP_MAX_ACTIVE_LEVELS": "0"},
    ],
    ids="-".join,
)
def test_the_environment_may_lend_fewer_threads(variables: dict[str, str]) -> None:
    script = f"""{START}
torch.set_num_threads(1)
want = run()
torch.set_num_threads(4)
print(int(not same(run(), want)))
"""
    assert in_a_cold_process(script, **variables).split() == ["0"]


def test_within_a_parallel_region_of_the_callers() -> None:
    """Code that a team of threads calls gets no team of its own: OpenMP does not nest."""
    if openmp.threads() is None:
        pytest.skip("torch's threads are not GNU's")
    script = f"""{START}
import ctypes
from conveyor.kernels.llvm import openmp
torch.set_num_threads(1)
want = run()
found = {{}}
libgomp = ctypes.CDLL(openmp._loaded("libgomp"))
def work(_):
    number = libgomp.omp_get_thread_num()
    torch.set_num_threads(2)
    with torch.no_grad():
        found[number] = layer(x)[0]
function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(work)
libgomp.GOMP_parallel(function, None, 2, 0)
print(len(found), *(int(not torch.equal(each, want[0])) for each in found.values()))
"""
    assert in_a_process(script).split() == ["2", "0", "0"]


# Memory ------------------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of memory that the process has in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much is used")
@pytest.mark.parametrize("count", [1, 2])
def test_memory_stays_what_it_is(count: int) -> None:
    """Over many calls with gradients, at sizes that come again."""
    calls = (3000 if LONG else 300) // count
    layer = conveyor.LSTM(8, 64)
    x = draw(20, 8, 8, dtype=torch.float32)

    def call(number: int) -> None:
        layer.zero_grad()
        output, _ = layer(x[: 1 + number % 20])
        output.sum().backward()
        with torch.no_grad():
            layer(x, lengths=[1 + number % 20, *range(1, 8)])

    with torch_threads(count):
        tracemalloc.start()
        for number in range(calls):
            call(number)
        gc.collect()
        before, held = tracemalloc.get_traced_memory()[0], resident()
        for number in range(calls):
            call(number)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    # A call keeps about 200 kB for its way back: a leak of one tenth of that each would show.
    assert resident() - held < calls * 20_000
    # Python's own: less than one small object each call. What garbage collection leaves behind
    # comes and goes by some 60 kB.
    assert after - before < 100_000 + calls * 40


def test_ever_other_sizes_are_not_remembered_for_ever() -> None:
    """Launch plans of sizes that never come again."""
    kernel = LlvmKernel(plan(PROGRAMS["rnn"][0]), torch.float32)
    program = PROGRAMS["rnn"][0]
    given: Callable[[int], Problem] = lambda n: problem(program, {"I": 1, "H": 2}, Steps(n, 1))  # noqa: E731
    for number in range(1, 300):
        own = given(number)
        own = own.at({name: each.float() for name, each in own.sources().items()})
        own.run(kernel)
    assert len(kernel.launch_plans._plans) <= 256
