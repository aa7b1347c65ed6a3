"""The training and inference plans of a layer's program."""

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


class Plans(NamedTuple):
    """A program's plans, and the masks that the one for training reads. ``below`` is as in
    ``stack.Level``."""

    inference: Plan
    training: Plan
    masks: tuple[Mask, ...]
    below: tuple[tuple[str, str], ...]

    @staticmethod
    def of(program: Program, how: Regularisers) -> "Plans":
        """Return the plans of a program.

        Args:
            program: the cell's.
            how: what regularisers change of it.
        """
        program = replace(program, above=None)
        masks = how.masks(program)
        in_use = regularised(program, how, training=False)
        inference = training = _plan(in_use, repr(in_use))
        if masks:
            in_training = regularised(program, how, training=True)
            training = _plan(in_training, repr(in_training))
        more = [leaf.name for leaf in program.leaves_of("input")[1:]]
        below = tuple((name, name.removesuffix(BELOW)) for name in more)
        return Plans(inference, training, masks, below)
