"""A program made ready for a layer: what it is in training and else, and what it reads."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from conveyor.compiler.check import BELOW
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.compiler.regularise import Mask, Regularisers, regularised


@lru_cache(maxsize=256)
def _plan(program: Program, text: str) -> Plan:
    """Return the plan of a program. Layers of one cell share it: making it takes longer than all
    else of a small layer. ``text`` tells programs apart that are equal, as 0.0 and -0.0 are."""
    return plan(program)


class Planned(NamedTuple):
    """A program made ready: its plan, the plan for training and the masks that it reads then;
    ``below`` as in ``Level``."""

    plan: Plan
    training: Plan
    masks: tuple[Mask, ...]
    below: tuple[tuple[str, str], ...]

    @staticmethod
    def of(program: Program, how: Regularisers) -> "Planned":
        """Of a program and what changes it."""
        program = replace(program, above=None)
        masks = how.masks(program)
        used = regularised(program, how, training=False)
        planned = _plan(used, repr(used))
        trained = regularised(program, how, training=True) if masks else used
        training = _plan(trained, repr(trained)) if masks else planned
        more = [leaf.name for leaf in program.leaves_of("input")[1:]]
        below = tuple((name, name.removesuffix(BELOW)) for name in more)
        return Planned(planned, training, masks, below)
