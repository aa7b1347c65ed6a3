"""The target ``llvm``: machine code for the processor that runs this."""

from dataclasses import dataclass

import torch

from conveyor.compiler.plan import Plan
from conveyor.errors import TargetError
from conveyor.kernels.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm_machine import host
from conveyor.kernels.target import Kernel, Place

DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Llvm:
    """Compiled code for CPUs."""

    name: str = "llvm"

    def refuses(self, plan: Plan, place: Place) -> str | None:
        if place.device.type != "cpu":
            return f"it makes code for CPUs; the tensors are on {place.device}."
        if place.dtype not in DTYPES:
            return f"it computes in float32 and float64, not {place.dtype}. Convert: .float()."
        if place.transformed:
            return "torch.func and forward-mode differentiation must see every operation."
        try:
            host()
        except TargetError as error:
            return str(error)
        return None

    def compile(self, plan: Plan, dtype: torch.dtype) -> Kernel:
        return LlvmKernel(plan, dtype)
