"""The training and inference plans of one layer's program, and where its inputs come from."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, TypeVar

from conveyor.compiler.carry import with_carried
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.compiler.regularise import Mask, Regularisers, regularised

T = TypeVar("T")


@lru_cache(maxsize=256)
def _plan(program: Program, text: str) -> Plan:
    """Return the plan of a program. Layers of one cell share it: making it takes longer than all
    else of a small layer. ``text`` tells programs apart that are equal, as 0.0 and -0.0 are."""
    return plan(program)


def carried_plan(plan: Plan, state: str) -> Plan:
    """Return the plan of the same cell with a local name for what is carried over of a state."""
    program = with_carried(plan.program, state)
    return _plan(program, repr(program))


class Reads(NamedTuple):
    """Where the inputs of a layer's cell come from.

    Args:
        main: the input that goes up the layers: x in the first, the output of the layer below in
            all others.
        shared: inputs that the caller gives, the same to every layer.
        below: inputs that are another output of the layer below, each with that output.
        names: of all inputs but the main one, in the cell's order.
    """

    main: str
    shared: tuple[str, ...] = ()
    below: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()

    @staticmethod
    def of(program: Program, *, first: bool) -> "Reads":
        """Return where the inputs of a program come from.

        Args:
            program: of the layer.
            first: whether it is the first.
        """
        linked = {} if first else links(program)
        main, *others = [leaf.name for leaf in program.leaves_of("input")]
        below = tuple([(name, linked[name]) for name in others if name in linked])
        shared = tuple([name for name in others if name not in linked])
        return Reads(main, shared, below, tuple(others))

    def others(self, shared: Mapping[str, T], below: Mapping[str, T]) -> dict[str, T]:
        """Return the inputs besides the main one, by name, in the cell's order.

        Args:
            shared: what all layers read, by input.
            below: what the layer below gives, by output.
        """
        linked = dict(self.below)
        return {
            name: below[linked[name]] if name in linked else shared[name] for name in self.names
        }

    @property
    def plain(self) -> bool:
        """Whether the main input is all that is read."""
        return not self.shared and not self.below


class Plans(NamedTuple):
    """The plans of a layer's program, the masks that the one for training reads, and where the
    program's other inputs come from."""

    inference: Plan
    training: Plan
    masks: tuple[Mask, ...]
    reads: Reads

    @staticmethod
    def of(program: Program, how: Regularisers, *, first: bool) -> "Plans":
        """Return the plans of a layer.

        Args:
            program: the cell's.
            how: what regularisers change of it.
            first: whether the layer is the first.
        """
        program = first_layer(program) if first else program
        masks = how.masks(program)
        in_use = regularised(program, how, training=False)
        inference = training = _plan(in_use, repr(in_use))
        if masks:
            in_training = regularised(program, how, training=True)
            training = _plan(in_training, repr(in_training))
        return Plans(inference, training, masks, Reads.of(program, first=first))
