"""Compiled code kept on disk: found again, never trusted, never in the way.

``CONVEYOR_LONG_TESTS=1`` tries more ways in which a file can be wrong.
"""

import os
import random
import stat
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conveyor import cache_folder
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Program
from conveyor.kernels.llvm import code_cache, compiled_plan
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm.machine import host
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import everything, problem
from tests.kernels.programs import PROGRAMS
from tests.kinds import LONG
from tests.layers.named import Named, assert_equal
from tests.warm_python import Started, run_script

ROOT = Path(__file__).parents[2]

posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files here")


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new process: nothing in memory."""
    monkeypatch.setattr(code_cache, "_LOADED", {})


def computed(program: Program | None = None) -> Named:
    """What a new kernel computes."""
    own = program or PROGRAMS["rnn"][0]
    kernel = LlvmKernel(plan(own), torch.float64)
    return everything(kernel, problem(own, {"I": 3, "H": 5}, Steps(3, 2)))


def files(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.exists() else []


def test_code_is_found_again(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    want = computed()
    assert len(compiled) == len(files(place)) == 2  # forward and back
    computed()
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 2


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "a few bytes": lambda data: data[:7],
    "a checksum alone": lambda data: data[:32],
    "truncated": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "one bit": lambda data: data[:1000] + bytes([data[1000] ^ 1]) + data[1001:],
    "zeros": lambda data: b"\0" * len(data),
    "text": lambda data: b"not found\n" * 100,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_compiled_anew(
    damage: Callable[[bytes], bytes],
    place: Path,
    compiled: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    want = computed()
    right = {path: path.read_bytes() for path in files(place)}
    for path, data in right.items():
        path.write_bytes(damage(data))
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 4
    assert {path: path.read_bytes() for path in files(place)} == right


def _sections_elsewhere(code: bytes) -> bytes:
    """The head of an object file, and nothing of what it tells of."""
    return code[:64] + b"\x01" * 5000


# What a file holds, which its checksum fits.
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "nothing at all": lambda code: b"",
    "a text": lambda code: b"not found\n" * 100,
    "random bytes": lambda code: random.Random(1).randbytes(5000),
    "half of it": lambda code: code[: len(code) // 2],
    "a head alone": lambda code: code[:64],
    "all but the end": lambda code: code[:-1],
    "a head and something else": _sections_elsewhere,
    "another processor's": lambda code: code[:18] + b"\xf3\0" + code[20:],
    "of 32 bits": lambda code: code[:4] + b"\x01" + code[5:],
}

WHOLE_SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from tests.kernels.programs import PROGRAMS
from tests.kernels.test_llvm_cache import computed
for name in ("rnn", "rnn_relu"):
    found = computed(PROGRAMS[name][0])
    print(*sorted(f"{key} {each.double().sum().item().hex()}" for key, each in found.items()))
"""


def computed_in_a_new_process() -> str:
    """As text; a process that reads wrong code ends."""
    ran = run_script(WHOLE_SCRIPT, folder=ROOT)
    assert ran.code == 0, (ran.code, ran.err[-1000:])
    return ran.out


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, bytes]]:
    """What is computed with nothing kept, and the files that are kept then."""
    folder = tmp_path_factory.mktemp("kept", numbered=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVEYOR_CACHE_DIR", str(folder))
        want = computed_in_a_new_process()
    return want, {path.name: path.read_bytes() for path in files(folder)}


@pytest.mark.parametrize(
    "what", WHOLE if LONG else ("nothing at all", "random bytes", "half of it")
)
def test_whole_files_with_what_is_no_code(
    what: str, kept: tuple[str, dict[str, bytes]], place: Path
) -> None:
    """Their checksums are right: somebody worked them out."""
    want, right = kept
    assert len(right) == 5  # what all cells share, and two ways of two cells
    place.mkdir(mode=0o700)
    for name, data in right.items():
        code = WHOLE[what](data[32:])
        (place / name).write_bytes(cache_folder.sealed(name, code))
    assert computed_in_a_new_process() == want


def test_files_in_each_others_places(kept: tuple[str, dict[str, bytes]], place: Path) -> None:
    """Whole, and the code of another program."""
    want, right = kept
    place.mkdir(mode=0o700)
    for name, other in zip(right, [*list(right)[1:], next(iter(right))], strict=True):
        (place / name).write_bytes(right[other])
    assert computed_in_a_new_process() == want


def test_a_folder_in_a_files_place(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    want = computed()
    for path in files(place):
        path.unlink()
        path.mkdir()
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 4


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702], ids=oct)
def test_a_folder_that_others_can_write_to_is_not_used(
    mode: int, place: Path, compiled: list[str]
) -> None:
    place.mkdir()
    place.chmod(mode)
    computed()
    assert len(compiled) == 2
    assert files(place) == []


@posix
def test_what_others_left_in_it_is_not_read(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is right and its checksum too, but anybody might have put it there."""
    want = computed()
    place.chmod(0o777)
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 4


@posix
def test_a_folder_of_another_user_is_not_used(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.mkdir(mode=0o700)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    computed()
    assert len(compiled) == 2
    assert files(place) == []


@posix
def test_a_new_folder_is_its_owners_alone(place: Path, compiled: list[str]) -> None:
    before = os.umask(0)
    try:
        computed()
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) & 0o022 == 0
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o022 == 0 for path in files(place))


def _file(folder: Path) -> Path:
    folder.write_bytes(b"")
    return folder


def _loop(folder: Path) -> Path:
    folder.symlink_to(folder)
    return folder


UNUSABLE: dict[str, Callable[[Path], Path]] = {
    "a file": _file,
    "below a file": lambda folder: _file(folder) / "below",
    "a device": lambda folder: Path(os.devnull),
    "below a device": lambda folder: Path(os.devnull) / "below",
    "too long a name": lambda folder: folder / ("n" * 300),
    "a loop": _loop,
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_where_nothing_can_be_kept(
    make: Callable[[Path], Path],
    tmp_path: Path,
    compiled: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no reason to fail."""
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", str(make(tmp_path / "code")))
    computed()
    assert len(compiled) == 2


def test_a_full_disk_is_no_reason_to_fail(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    computed()
    assert len(compiled) == 2
    assert files(place) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Path.replace

    def full(self: Path, target: Any) -> Path:
        if self.parent == place:
            raise OSError(28, "No space left on device")
        return right(self, target)

    monkeypatch.setattr(Path, "replace", full)
    computed()
    assert len(compiled) == 2
    assert files(place) == []


def test_nothing_is_kept_where_that_is_asked(
    tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    computed()
    assert len(compiled) == 2
    assert list(tmp_path.iterdir()) == []


# Size ---------------------------------------------------------------------------------------------


def aged(path: Path, seconds: int) -> None:
    """A file that was used so long ago."""
    when = path.stat().st_mtime - seconds
    os.utime(path, (when, when))


def test_the_least_recently_used_go_first(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = PROGRAMS["rnn"][0]
    computed(program)
    first = files(place)
    for path in first:
        aged(path, 1000)
    computed(replace(program, name="second"))
    second = [path for path in files(place) if path not in first]
    for path in second:
        aged(path, 500)
    forget(monkeypatch)
    computed(program)  # used again
    assert len(compiled) == 4
    size = sum(path.stat().st_size for path in files(place))
    monkeypatch.setattr(code_cache, "MOST_BYTES", size)
    forget(monkeypatch)
    computed(replace(program, name="third"))
    left = files(place)
    assert set(first) < set(left)
    assert not set(second) & set(left)
    assert sum(path.stat().st_size for path in left) <= size


def test_what_an_ended_process_left_goes_in_time(place: Path, compiled: list[str]) -> None:
    """A file that is being written stands beside its place; one of another day was left there."""
    place.mkdir(mode=0o700)
    old, new = (place / f"{name}{cache_folder.UNFINISHED}" for name in ("old", "new"))
    for each in (old, new):
        each.write_bytes(b"half")
    aged(old, 2 * cache_folder.LEFT_BEHIND)
    computed()
    assert not old.exists()
    assert new.exists()


def test_what_is_not_ours_stays(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONVEYOR_CACHE_DIR may be a folder with other things in it."""
    (place / "photos").mkdir(parents=True, mode=0o700)
    place.chmod(0o700)
    own = {place / "thesis.tex": b"x" * 100_000, place / "photos" / "cat.jpg": b"y" * 100_000}
    for path, data in own.items():
        path.write_bytes(data)
        aged(path, 100_000)
    monkeypatch.setattr(code_cache, "MOST_BYTES", 50_000)
    computed()
    for path, data in own.items():
        assert path.exists(), f"{path.name} was removed"
        assert path.read_bytes() == data


# Names --------------------------------------------------------------------------------------------


def test_everything_that_code_depends_on_is_in_its_name() -> None:
    here = host()
    names = [
        code_cache.key(machine, *parts)
        for machine in (here, replace(here, cpu="other"), replace(here, features="+none"))
        for parts in (("a", "training"), ("a", "backward"), ("b", "training"), ("ab",), ("a", "b"))
    ]
    for machine in (replace(here, vector_bytes=4096), replace(here, registers=4096)):
        names.append(code_cache.key(machine, "a", "training"))
    assert len(set(names)) == len(names)


def test_types_ways_and_programs_have_code_of_their_own(place: Path, compiled: list[str]) -> None:
    program = PROGRAMS["rnn"][0]
    seen = 0
    for own in (program, replace(program, name="another"), PROGRAMS["rnn_relu"][0]):
        for dtype in (torch.float32, torch.float64):
            code = compiled_plan.CompiledPlan(plan(own), dtype)
            for way in ("inference", "training", "backward"):
                code.compiled(way)
                seen += 1
    assert len(compiled) == seen
    assert len(files(place)) == seen


def test_code_of_another_generator_is_not_taken(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed()
    forget(monkeypatch)
    monkeypatch.setattr(code_cache, "_generator", lambda: "another")
    computed()
    assert len(compiled) == 4


def test_a_change_of_what_decides_the_code_gives_other_names() -> None:
    """A program's plan decides its code as much as the code generator does: code of another plan
    would be given arguments in another order."""
    read: set[str] = set()
    right = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.add(path.name)
        return right(path)

    code_cache._generator.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", noted)
        code_cache._generator()
    passes = {"plan.py", "phases.py", "gradient.py", "simplify.py", "rewrite.py"}
    needed = passes | {path.name for path in Path(code_cache.__file__).parent.glob("llvm_*.py")}
    assert not needed - read, "not part of the name"


# Several processes --------------------------------------------------------------------------------

SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from tests.kernels.test_llvm_cache import computed
from tests.kernels.programs import PROGRAMS
found = computed(PROGRAMS["gru"][0])
print(*sorted(f"{name} {each.double().sum().item().hex()}" for name, each in found.items()))
"""


def test_several_processes_at_once(place: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = [Started(str(script), folder=ROOT) for _ in range(3)]
    results = [process.ended() for process in started]
    assert [each.code for each in results] == [0] * 3, results[0].err[-1000:]
    assert len({each.out for each in results}) == 1
    # The functions that all cells share, the way forward, the way back; and nothing half-written.
    names = [path.name for path in files(place)]
    assert len(names) == 3, names
    assert len({path.suffix for path in files(place)}) == 1, names
