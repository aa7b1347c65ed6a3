"""What every target must answer: whether it can run a plan somewhere, and a kernel that does.

A target runs programs somewhere: ``llvm`` with machine code for CPUs, ``native`` with torch's own
recurrent layers, ``reference`` with plain torch operations.
"""

from typing import NamedTuple, Protocol

import torch

from conveyor.compiler.plan import Plan
from conveyor.kernels.kernel import Kernel


# Every call makes one: as a tuple it costs a third of what a frozen dataclass costs.
class Placement(NamedTuple):
    """Where and how a program is to run.

    ``transformed`` is True under ``torch.func`` and forward-mode differentiation, which must see
    every operation; ``observed`` where every local name is asked for.
    """

    device: torch.device
    dtype: torch.dtype
    transformed: bool = False
    observed: bool = False


class Target(Protocol):
    """A way to run programs."""

    @property
    def name(self) -> str:
        """What ``use_target`` calls it."""

    def refuses(self, plan: Plan, placement: Placement) -> str | None:
        """Return a sentence that says why this target cannot run that there; None if it can."""

    def compile(self, plan: Plan, dtype: torch.dtype) -> Kernel:
        """Return a kernel that runs a plan on numbers of a type."""
