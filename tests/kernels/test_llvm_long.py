"""Passes of many phases: functions of their own, which LLVM compiles in less time."""

import re

import pytest
import torch

from conveyor.cells import Cell, Input, Matrix, State, Value, cell
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.kernels.layout.backward_layout import backward_layout
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.layout.values import MemoryLayout
from conveyor.kernels.llvm import code_cache, pass_frame
from conveyor.kernels.llvm.compiled_plan import pass_text
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm.machine import OTHERS
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import everything, problem
from tests.kernels.programs import PROGRAMS
from tests.layers.named import assert_equal

WALKS = (Steps(5, 3), Steps(4, 6, (6, 4, 2, 1)), Steps(4, 6, (6, 4, 2, 1), reverse=True))


@pytest.mark.parametrize(
    "name", ["lstm_layer_norm", "lstm_projected", "deep_window", "every_function", "qrnn_fo"]
)
def test_functions_of_phases_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, more = PROGRAMS[name]
    for walk in WALKS:
        given = problem(program, {"I": 3, "H": 17, **more}, walk)
        want = everything(LlvmKernel(plan(program), torch.float32), given, torch.float32)
        with monkeypatch.context() as patch:
            patch.setenv("CONVEYOR_CACHE_DIR", "")
            patch.setattr(code_cache, "_LOADED", {})
            patch.setattr(pass_frame, "MOST_PHASES_IN_A_FUNCTION", 0)
            got = everything(LlvmKernel(plan(program), torch.float32), given, torch.float32)
        assert_equal(got, want)


def products(count: int) -> Cell:
    """A cell of so many products, one after the other."""

    @cell
    def long(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        a = W @ x + h
        for number in range(count):
            a = U._gate(f"g{number}") @ a
        h = a
        return h  # noqa: RET504

    return long


def layouts(count: int) -> list[MemoryLayout]:
    """Those of both passes."""
    planned = plan(trace(products(count)))
    return [forward_layout(planned, training=True), backward_layout(planned)]


def functions(layout: MemoryLayout) -> dict[str, int]:
    """The functions that a pass is written as, and how many lines each has."""
    text = pass_text(layout, OTHERS["avx512"], torch.float32)
    bodies = re.finditer(r'^define [^@]*@"([^"]+)".*?^}', text, re.MULTILINE | re.DOTALL)
    return {body.group(1): body.group(0).count("\n") for body in bodies}


def test_each_phase_of_a_long_pass_is_a_function_that_is_no_longer_in_a_longer_pass() -> None:
    for small, large in zip(layouts(40), layouts(120), strict=True):
        of_small, of_large = functions(small), functions(large)
        for layout, lines in ((small, of_small), (large, of_large)):
            phases = sum(map(len, layout.parts.values()))
            names = [name for name in lines if re.search(r"_(before|loop|after)_\d+$", name)]
            packs = [name for name in lines if re.search(r"_pack_\d+$", name)]
            assert (len(names), len(packs)) == (phases, len(list(layout.all_products)))
        longest = [
            max(count for name, count in lines.items() if name != layout.name)
            for lines, layout in ((of_small, small), (of_large, large))
        ]
        assert longest[0] == longest[1]


def test_no_built_in_cell_is_in_parts() -> None:
    for name, (program, _) in PROGRAMS.items():
        planned = plan(program)
        for layout in (forward_layout(planned, training=True), backward_layout(planned)):
            assert not pass_frame.in_parts(layout), name
