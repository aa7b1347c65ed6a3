"""The target ``llvm``: machine code for the processor that runs this."""

from dataclasses import dataclass

import torch

from conveyor.compiler.plan import Plan
from conveyor.errors import TargetError
from conveyor.kernels.kernel import Kernel
from conveyor.kernels.llvm.apart_kernel import ApartKernel
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm.machine import host
from conveyor.kernels.target import Placement

DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Llvm:
    """Compiled code for CPUs."""

    name: str = "llvm"

    def refuses(self, plan: Plan, placement: Placement) -> str | None:
        if placement.device.type != "cpu":
            return f"it makes code for CPUs; the tensors are on {placement.device}."
        if placement.dtype not in DTYPES:
            return f"it computes in float32 and float64, not {placement.dtype}. Convert: .float()."
        if plan.program.memories and isinstance(plan.apart, str):
            return plan.apart
        if placement.transformed:
            return "torch.func and forward-mode differentiation must see every operation."
        try:
            host()
        except TargetError as error:
            return str(error)
        return None

    def compile(self, plan: Plan, dtype: torch.dtype) -> Kernel:
        return ApartKernel(plan, dtype) if plan.program.memories else LlvmKernel(plan, dtype)
