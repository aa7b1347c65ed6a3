"""Which target runs a plan, and why no other."""

from contextvars import ContextVar
from dataclasses import dataclass

from conveyor.compiler.plan import Plan
from conveyor.errors import TargetError, did_you_mean
from conveyor.kernels.compiled_kernel import CompiledKernel
from conveyor.kernels.llvm.llvm_target import Llvm
from conveyor.kernels.llvm.openmp import most_threads
from conveyor.kernels.native.native_target import Native
from conveyor.kernels.reference import Reference
from conveyor.kernels.switch import Switch
from conveyor.kernels.target import Placement, Target

# In order of preference.
TARGETS: tuple[Target, ...] = (Llvm(), Native(), Reference())

# What the project is to have and this version has not. ``explain`` says so.
NOT_YET = {
    "triton": "kernels for GPUs are not part of this version.",
}

_WANTED: ContextVar[str | None] = ContextVar("wanted_target", default=None)


@dataclass(frozen=True)
class Choice:
    """The target that runs a plan, and by name why others do not."""

    target: Target
    refusals: dict[str, str]


def how_chosen() -> tuple[str | None, int]:
    """Return what decides how kernels run besides plans and tensors: the target that ``use_target``
    asks for, and how many threads may compute."""
    return _WANTED.get(), most_threads()


def compiled_kernel_for(plan: Plan, placement: Placement) -> CompiledKernel:
    """Return a kernel with passes of its own, of the first target that has one there.

    Raises:
        TargetError: none has; the text gives each target's reason.
    """
    reasons = []
    for target in TARGETS:
        reason = target.refuses(plan, placement)
        if reason is None:
            kernel = target.compile(plan, placement.dtype)
            if isinstance(kernel, CompiledKernel):
                return kernel
        else:
            reasons.append(reason)
    raise TargetError(f"{plan.program.name} cannot be compiled there: {' '.join(reasons)}")


def target_for(plan: Plan, placement: Placement) -> Target:
    """The target of ``select``, without the others' reasons: every call of a layer asks.

    Raises:
        TargetError: as ``select``.
    """
    wanted = _WANTED.get()
    for target in TARGETS:
        if wanted in (None, target.name) and target.refuses(plan, placement) is None:
            return target
    return select(plan, placement).target


def select(plan: Plan, placement: Placement) -> Choice:
    """The first target that can run the plan there; the one of ``use_target`` if it was called.

    Raises:
        TargetError: none can; the text gives each target's reason.
    """
    refusals: dict[str, str] = {}
    wanted = _WANTED.get()
    chosen: Target | None = None
    for target in TARGETS:
        if wanted is not None and target.name != wanted:
            refusals[target.name] = f"use_target({wanted!r}) asks for another."
        elif chosen is not None:
            refusals[target.name] = f"{chosen.name} can, and comes first."
        elif reason := target.refuses(plan, placement):
            refusals[target.name] = reason
        else:
            chosen = target
    refusals |= NOT_YET
    if chosen is not None:
        return Choice(chosen, refusals)
    reasons = "\n".join(f"  {name}: {reason}" for name, reason in refusals.items())
    raise TargetError(
        f"no target can run {plan.program.name} on {placement.device} in {placement.dtype}:\n"
        f"{reasons}"
    )


class use_target(Switch[str | None]):  # noqa: N801  (it is called like a function)
    """Run layers on the target of this name from now on, or inside a ``with`` block.

    Args:
        name: a target's name; None lets conveyor choose again.

    Raises:
        TargetError: no target has that name, or this version has it not yet.
    """

    def __init__(self, name: str | None) -> None:
        known = [target.name for target in TARGETS]
        if name is not None and not isinstance(name, str):
            raise TargetError(f"{name!r} is no target's name. {did_you_mean('', known)}")
        if name in NOT_YET:
            raise TargetError(f"{name}: {NOT_YET[name]} There are: {', '.join(known)}.")
        if name is not None and name not in known:
            raise TargetError(f"no target is named {name!r}. {did_you_mean(str(name), known)}")
        super().__init__(_WANTED, name)
