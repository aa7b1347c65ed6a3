"""Code for other processors: it compiles, and narrower vectors compute the same."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from llvmlite import binding

import conveyor
from conveyor.cells import CELLS
from conveyor.compiler.plan import plan
from conveyor.errors import TargetError
from conveyor.kernels.llvm import compiled_plan, launch_plan
from conveyor.kernels.llvm import machine as machines
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm.machine import OTHERS, Machine
from tests.kernels.agreement import (
    Judged,
    problem,
)
from tests.kernels.llvm_cases import DTYPES, FENCED, every_kind
from tests.kernels.programs import LAW_PROGRAMS, PROGRAMS
from tests.kinds import LONG

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("machine", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("dtype", DTYPES if LONG else DTYPES[:1], ids=str)
def test_code_for_other_machines_is_accepted(machine: Machine, dtype: torch.dtype) -> None:
    """LLVM verifies the text of every way of a cell and makes an object file; in the long run,
    of every built-in cell."""
    magic = b"\x7fELF"
    text = compiled_plan.panel_text(machine, dtype)
    assert machines.object_code(text, machine).startswith(magic)
    for name in CELLS if LONG else ("lstm_projected",):
        planned = plan(PROGRAMS[name][0])
        compiled = compiled_plan.CompiledPlan(planned, dtype)
        for way in ("inference", "training", "backward"):
            text = compiled_plan.pass_text(compiled.layout(way), machine, dtype)
            assert machines.object_code(text, machine).startswith(magic)


@every_kind
def test_the_text_for_other_machines_is_valid(name: str) -> None:
    """Without making machine code of it, which takes longer. In the short run each program for one
    machine by turns, so that each machine has programs of many kinds."""
    compiled = compiled_plan.CompiledPlan(plan(PROGRAMS[name][0]), torch.float32)
    machines_of_program, number = list(OTHERS.values()), LAW_PROGRAMS.index(name)
    if not LONG:
        machines_of_program = [machines_of_program[number % len(machines_of_program)]]
    for machine in machines_of_program:
        for way in ("inference", "training", "backward") if LONG else ("training", "backward"):
            text = compiled_plan.pass_text(compiled.layout(way), machine, torch.float32)
            with machines.COMPILING:
                binding.parse_assembly(text).verify()


def narrower() -> dict[str, Machine]:
    """Machines that the one that runs this can stand for: shorter and fewer registers."""
    here = machines.host()
    found = {
        f"{size}-{registers}": replace(here, vector_bytes=size, registers=registers)
        for size in (16, 32)
        for registers in (16, 32)
        if size < here.vector_bytes
    }
    if here.triple.startswith("x86_64"):
        for name in ("x86-64", "avx2"):
            if OTHERS[name].vector_bytes <= here.vector_bytes:
                found[name] = replace(OTHERS[name], triple=here.triple)
    return found


@pytest.fixture
def as_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Machine], None]]:
    """Makes code for another machine, and runs it."""

    def use(machine: Machine) -> None:
        compiled_plan.library.cache_clear()
        for module in (compiled_plan, launch_plan):
            monkeypatch.setattr(module, "host", lambda: machine)

    yield use
    compiled_plan.library.cache_clear()


# In the short run without those that differ from another in one number alone.
NARROWER = {
    name: machine
    for name, machine in narrower().items()
    if LONG or name in ("x86-64", "avx2", "16-32")
}


@pytest.mark.parametrize("dtype", DTYPES if LONG else DTYPES[:1], ids=str)
@pytest.mark.parametrize("machine", NARROWER.values(), ids=NARROWER)
def test_narrower_machines_agree_with_the_reference(
    as_machine: Callable[[Machine], None], machine: Machine, dtype: torch.dtype
) -> None:
    as_machine(machine)
    for name in PROGRAMS if LONG else ("lstm", "every_function"):
        program, more = PROGRAMS[name]
        kernel = LlvmKernel(plan(program), dtype)
        for steps, widths in FENCED[1:]:
            Judged.of(problem(program, {**widths, **more}, steps)).check(kernel, dtype)
        for launch in kernel.launch_plans._plans.values():
            assert launch.sizes.work.lanes == machine.lanes(dtype)


def test_an_llvm_that_is_too_old_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its masked loads take an argument more; ``explain`` says why another target runs."""
    layer, x = conveyor.Recurrent("lstm_peephole", 3, 5), torch.randn(2, 1, 3)
    expected = layer(x)[0]
    machines.host.cache_clear()
    monkeypatch.setattr(binding, "llvm_version_info", (20, 1, 8))
    try:
        with pytest.raises(
            TargetError, match=r"LLVM 20\.1\.8; .* LLVM 22 or newer.*llvmlite 0\.48"
        ):
            machines.host()
        other = conveyor.Recurrent("lstm_peephole", 3, 5)
        other.load_state_dict(layer.state_dict())
        told = other.explain(x)
        assert "target: reference" in told
        assert "llvmlite has LLVM 20.1.8" in told
        torch.testing.assert_close(other(x)[0], expected)
    finally:
        machines.host.cache_clear()


def test_the_llvmlite_that_is_required_has_such_an_llvm() -> None:
    """Of llvmlite, 0.47.0 has LLVM 20.1.8, and 0.48.0 has 22.1.0."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "llvmlite>=0.48" in project["dependencies"]
    assert binding.llvm_version_info[0] >= 22
