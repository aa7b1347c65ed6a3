"""Random valid cells through machine code and through the reference: values and gradients.

50 cells; 1,200 with ``CONVEYOR_LONG_TESTS=1`` (twenty minutes).
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, note
from hypothesis import strategies as st

from conveyor.cells import Cell
from conveyor.compiler.trace import trace
from conveyor.errors import CellError
from conveyor.kernels.llvm import code_cache, share
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from tests.compiler.examples import drawn_cells, drawn_examples, plan_of
from tests.kernels.agreement import (
    Fences,
    Judged,
    Problem,
    check_inference,
    counts_of,
    distance,
    everything,
    fenced,
    moved,
    problem,
)
from tests.kinds import LONG

EXAMPLES = 1200 if LONG else 30

SIZES = st.fixed_dictionaries(
    {
        "steps": st.sampled_from([1, 2, 5, 9]),
        "batch": st.sampled_from([1, 2, 3, 7]),
        # Below, at and above the width of vectors of both types.
        "I": st.sampled_from([1, 2, 7, 16, 17]),
        "H": st.sampled_from([1, 3, 8, 15, 17, 33]),
        "P": st.sampled_from([1, 4, 9, 16, 20]),
        "ragged": st.booleans(),
        "reverse": st.booleans(),
        "stretch": st.sampled_from([1, 4, 128]),
    }
)

Sizes = dict[str, Any]


@pytest.fixture(autouse=True, scope="module")
def nothing_kept() -> Iterator[None]:
    """Cells that never come again: neither on disk, nor in memory after each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVEYOR_CACHE_DIR", "")
        yield


def problem_of(own: Cell, sizes: Sizes) -> Problem:
    """The cell at these sizes."""
    steps, batch = sizes["steps"], sizes["batch"]
    counts = counts_of(steps, batch, seed=1) if sizes["ragged"] else None
    widths = {axis: sizes[axis] for axis in "IHP"}
    return problem(trace(own), widths, Steps(steps, batch, counts, sizes["reverse"]))


def stable(made: Problem) -> bool:
    """Whether a change of float32's rounding changes little: no number is so large that it does
    not, and none is where a maximum or a relu turns."""
    judge = ReferenceKernel(plan_of(made.program))
    want, other = everything(judge, made), everything(judge, moved(made, 2.0**-23))
    return all(
        bool(each.isfinite().all()) and distance(other[name], each) < 1e-3
        for name, each in want.items()
    )


def compare(own: Cell, sizes: Sizes) -> None:
    """Raise AssertionError unless the machine code of the cell computes what the judge does."""
    made = problem_of(own, sizes)
    note(f"{made.program}\n{sizes}")
    if not stable(made):
        return
    judged = Judged.of(made, plan_of(made.program))
    # One type each, by turns: compiling takes most of the time.
    dtype = (torch.float32, torch.float64)[(sizes["H"] + sizes["P"]) % 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_cache, "_LOADED", {})
        patch.setattr(share, "STRETCH_ROWS", sizes["stretch"])
        patch.setattr(share, "STRETCH_BYTES", 1)
        kernel = LlvmKernel(plan_of(made.program), dtype)
        got = judged.check(kernel, dtype)
        fences = Fences(1)
        for name, each in fenced(kernel, made, dtype, fences).items():
            assert each.isfinite().all(), name
        fences.check()
        if LONG:
            check_inference(kernel, made, got, dtype)


@pytest.mark.parametrize("shared", [False, True], ids=["own matrices", "shared matrices"])
def test_random_cells(shared: bool) -> None:
    # A failing cell is made short in the long run alone: each try is compiled.
    @drawn_examples(EXAMPLES // 2, shrink=LONG)
    @given(drawn_cells(shared), SIZES)
    def every(own: Cell, sizes: Sizes) -> None:
        compare(own, sizes)

    every()


def test_most_random_cells_are_compared() -> None:
    """Not refused, and not left out for their numbers."""
    seen: list[bool] = []

    @drawn_examples(60, shrink=False)
    @given(drawn_cells(False), SIZES)
    def every(own: Cell, sizes: Sizes) -> None:
        try:
            seen.append(stable(problem_of(own, {**sizes, "steps": 2, "batch": 2})))
        except CellError:
            seen.append(False)

    every()
    assert sum(seen) > 0.7 * len(seen)
