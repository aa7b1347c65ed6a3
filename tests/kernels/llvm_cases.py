"""What the tests of the target ``llvm`` share: types, small problems, kernels."""

from pathlib import Path
from typing import Any

import pytest
import torch

from conveyor.compiler.plan import plan
from conveyor.compiler.program import Program
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import (
    Problem,
    problem,
)
from tests.kernels.programs import LAW_PROGRAMS, PROGRAMS

ROOT = Path(__file__).parents[2]
DTYPES = (torch.float32, torch.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_program = pytest.mark.parametrize("name", PROGRAMS)
every_kind = pytest.mark.parametrize("name", LAW_PROGRAMS)

# The judge does the same in another order, and forgets no more than some digits of float64's.
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}

# Sizes at which every buffer stands between fences.
FENCED = (
    (Steps(3, 2), {"I": 1, "H": 1}),
    (Steps(4, 3), {"I": 3, "H": 17}),
    (Steps(5, 5, (5, 4, 2, 2, 1)), {"I": 17, "H": 15}),
    (Steps(2, 17, None, True), {"I": 16, "H": 33}),
)


def kernels(program: Program) -> dict[torch.dtype, LlvmKernel]:
    """A program's kernels for both types."""
    planned = plan(program)
    return {dtype: LlvmKernel(planned, dtype) for dtype in DTYPES}


def small(name: str = "lstm", hidden: int = 17, steps: Steps | None = None) -> Problem:
    """A problem of middling size."""
    program, more = PROGRAMS[name]
    return problem(program, {"I": 3, "H": hidden, **more}, steps or Steps(5, 3))
