"""A program made ready for a layer: what it is in training and else, and what it reads."""

from dataclasses import replace
from typing import NamedTuple

from conveyor.compiler.check import BELOW
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.compiler.regularise import Mask, Regularisers, regularised


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
        planned = plan(regularised(program, how, training=False))
        training = plan(regularised(program, how, training=True)) if masks else planned
        more = [leaf.name for leaf in program.leaves_of("input")[1:]]
        below = tuple((name, name.removesuffix(BELOW)) for name in more)
        return Planned(planned, training, masks, below)
