"""Which target runs a plan, and why no other."""

from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType

from conveyor.compiler.plan import Plan
from conveyor.errors import TargetError, did_you_mean
from conveyor.kernels.llvm_target import Llvm
from conveyor.kernels.native import Native
from conveyor.kernels.reference import Reference
from conveyor.kernels.target import Place, Target

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


def wanted() -> str | None:
    """The target that ``use_target`` asks for."""
    return _WANTED.get()


def target_for(plan: Plan, place: Place) -> Target:
    """The target of ``select``, without the others' reasons: every call of a layer asks.

    Raises:
        TargetError: as ``select``.
    """
    wanted = _WANTED.get()
    for target in TARGETS:
        if wanted in (None, target.name) and target.refuses(plan, place) is None:
            return target
    return select(plan, place).target


def select(plan: Plan, place: Place) -> Choice:
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
        elif reason := target.refuses(plan, place):
            refusals[target.name] = reason
        else:
            chosen = target
    refusals |= NOT_YET
    if chosen is not None:
        return Choice(chosen, refusals)
    reasons = "\n".join(f"  {name}: {reason}" for name, reason in refusals.items())
    raise TargetError(
        f"no target can run {plan.program.name} on {place.device} in {place.dtype}:\n{reasons}"
    )


class use_target:  # noqa: N801  (it is called like a function)
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
        self._token = _WANTED.set(name)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _WANTED.reset(self._token)
