"""Settings of the tests of kernels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from conveyor.kernels.llvm import code_cache, compiled_plan
from conveyor.kernels.llvm.machine import Machine
from tests import quick_code


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors here are tiny: threads of one product would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# What these test does not depend on which instructions LLVM chooses; of those in test_walk.py the
# comparison with the reference does, which asks for the code of users itself.
QUICK = (
    "test_walk.py",
    "test_llvm_planted.py",
    "test_llvm_cache.py",
    "test_llvm_cache_files.py",
    "test_llvm_long.py",
    "test_llvm_fuzz.py",
    "test_delays.py",
)


@pytest.fixture
def code_of_users() -> Iterator[None]:
    """The code that users run."""
    with quick_code.as_users_do():
        yield


@pytest.fixture(autouse=True)
def usual_code(request: pytest.FixtureRequest) -> None:
    """Tests of machine code are of the code that users run, where that makes a difference."""
    if request.path.name not in QUICK:
        request.getfixturevalue("code_of_users")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is compiled in a test, one text each; the process has forgotten all it had."""
    found: list[str] = []
    right = vars(compiled_plan)["object_code"]

    def counted(text: str, machine: Machine, **how: Any) -> bytes:
        found.append(text)
        code: bytes = right(text, machine, **how)
        return code

    # The functions that all cells share are not what is counted here.
    with monkeypatch.context() as patch:
        patch.setenv("CONVEYOR_CACHE_DIR", "")
        for dtype in (torch.float32, torch.float64):
            compiled_plan.library(dtype)
    monkeypatch.setattr(compiled_plan, "object_code", counted)
    monkeypatch.setattr(code_cache, "_LOADED", {})
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that code is kept in."""
    folder = tmp_path / "code"
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", str(folder))
    return folder
