"""The training and inference plans of a layer's program."""

from dataclasses import replace
from typing import NamedTuple

from conveyor.compiler.check import BELOW
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.compiler.regularise import Mask, Regularisers, regularised


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
        inference = plan(regularised(program, how, training=False))
        training = plan(regularised(program, how, training=True)) if masks else inference
        more = [leaf.name for leaf in program.leaves_of("input")[1:]]
        below = tuple((name, name.removesuffix(BELOW)) for name in more)
        return Plans(inference, training, masks, below)
