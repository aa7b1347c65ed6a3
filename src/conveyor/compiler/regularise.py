"""Regularisers that act inside a cell, as changes of its program.

Each draws masks, and masks are inputs: the changed cell runs wherever a cell runs, at a cell's
speed, and all targets see the same masks. For inference the program has no masks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from conveyor.cells.operations import REDUCTIONS
from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Leaf, Program, Result
from conveyor.compiler.rewrite import Builder, numbered
from conveyor.errors import SettingError, did_you_mean

Rates = tuple[tuple[str, float], ...]
# States that stay what they were together, with one mask.
Zones = tuple[tuple[tuple[str, ...], float], ...]


@dataclass(frozen=True)
class Mask:
    """An input that is drawn: a ``zone`` is 1 with probability ``rate`` and 0 else; a ``drop`` is
    0 with that probability and 1 / (1 - rate) else. ``once`` is drawn for a sequence, else for
    each step. ``axis`` says how wide it is."""

    name: str
    kind: Literal["zone", "drop"]
    axis: str
    rate: float
    once: bool


@dataclass(frozen=True)
class Regularisers:
    """What changes a cell.

    ``zoneout``: groups of states whose units stay what they were together, with their
    probabilities (Krueger et al. 2017).
    ``dropped``: local names, anew at each step (the candidate: Semeniuta, Severyn & Barth 2016).
    ``variational``: the same units of the states before at all steps, where matrices read them or
    what is made of them unit by unit, as r * h (Gal & Ghahramani 2016).
    ``clip``: states that are kept in ± a number (Sak, Senior & Beaufays 2014); whatever reads the
    new state reads the clipped one.
    """

    zoneout: Zones = ()
    dropped: Rates = ()
    variational: float = 0.0
    clip: Rates = ()

    def masks(self, program: Program) -> tuple[Mask, ...]:
        """What is to be drawn for training.

        Raises:
            SettingError: the cell has no such state or local name.
        """
        states = {leaf.name.removesuffix("'"): leaf.axes[0] for leaf in program.states if leaf.axes}
        # What only names a letter again, as m = h, is not a value of its own to drop.
        letters = {leaf.name for leaf in program.leaves}
        local = {
            name: program.axes[value][0]
            for name, value in program.values_of("local").items()
            if len(program.axes[value]) == 1 and value not in letters
        }
        zoned = [name for names, _ in self.zoneout for name in names]
        for given, known, what in (
            (zoned, states, "state"),
            ([name for name, _ in self.clip], states, "state"),
            ([name for name, _ in self.dropped], local, "local name"),
        ):
            for name in given:
                if name not in known:
                    raise SettingError(
                        f"{program.name} has no {what} {name!r}. {did_you_mean(name, known)}"
                    )
        read = set(states_read(program).values())
        once = states if self.variational else {}
        return (
            *[Mask(f"zone_{n[0]}", "zone", states[n[0]], rate, False) for n, rate in self.zoneout],
            *[Mask(f"drop_{n}", "drop", local[n], rate, False) for n, rate in self.dropped],
            *[
                Mask(f"drop_{n}_before", "drop", axis, self.variational, True)
                for n, axis in once.items()
                if f"{n}'" in read
            ],
        )


def states_read(program: Program) -> dict[str, str]:
    """The operands of matrices that are a state of the step before, or made of one unit by unit,
    each with that state; the first of the operand's width, if they are several."""
    news = set(program.values_of("state").values())
    operands = {o.arguments[1] for o in program.operations if o.op == "matmul"}
    read: dict[str, str] = {}
    for axes in {program.axes[operand] for operand in operands}:
        # The state of this width that each value is made of.
        made_of = {leaf.name: leaf.name for leaf in program.states if leaf.axes == axes}
        for operation in program.operations:
            if operation.op not in ("matmul", *REDUCTIONS) and operation.name not in news:
                state = next((made_of[a] for a in operation.arguments if a in made_of), None)
                if state is not None:
                    made_of[operation.name] = state
        read |= {o: made_of[o] for o in operands if program.axes[o] == axes and o in made_of}
    return read


def regularised(program: Program, how: Regularisers, *, training: bool) -> Program:
    """The changed cell: for training with masks as further inputs; for inference without, where
    zoneout mixes by its probabilities and nothing is dropped.

    Raises:
        SettingError: as ``Regularisers.masks``.
    """
    if how == Regularisers():
        return program
    drawn = how.masks(program)
    masks = drawn if training else ()
    builder = Builder(program.axes)
    builder.axes.update({mask.name: (mask.axis,) for mask in masks})
    instead = _walked(program, how, builder, {mask.name for mask in masks})
    states = program.values_of("state")
    news = {name: instead.get(value, value) for name, value in states.items()}
    letters = {leaf.name for leaf in program.leaves}
    for name, bound in how.clip:
        if states[name] in letters:  # others may read the letter, and do not read this state
            news[name] = _clipped(builder, states[name], bound)
    for names, rate in how.zoneout:
        stays = f"zone_{names[0]}" if training else builder.constant(rate)
        goes = builder.add("sub", builder.constant(1.0), stays)
        for name in names:
            kept = builder.add("mul", stays, f"{name}'")
            news[name] = builder.add("add", kept, builder.add("mul", goes, news[name]))

    def result(of: Result) -> Result:
        # What shows a state shows what it became.
        new = news[of.of] if states.get(of.of) == of.value else instead.get(of.value, of.value)
        return replace(of, value=new)

    inputs = tuple(Leaf(mask.name, "input", (mask.axis,)) for mask in masks)
    return check_cell(
        numbered(
            replace(
                program,
                leaves=(*program.leaves, *inputs),
                operations=tuple(builder.operations),
                results=tuple(map(result, program.results)),
            )
        )
    )


def _clipped(builder: Builder, name: str, bound: float) -> str:
    """The value kept in ± the bound."""
    below = builder.add("minimum", name, builder.constant(bound))
    return builder.add("maximum", below, builder.constant(-bound))


def _walked(
    program: Program, how: Regularisers, builder: Builder, masks: set[str]
) -> Mapping[str, str]:
    """Repeat the operations with what is dropped or clipped in place of what it was; says what
    stands for what."""
    local, states = program.values_of("local"), program.values_of("state")
    instead: dict[str, str] = {}

    def changed(name: str) -> None:
        """Drop or clip a value that was just computed."""
        for of, _ in how.dropped:
            if local[of] == name and f"drop_{of}" in masks:
                instead[name] = builder.add("mul", instead.get(name, name), f"drop_{of}")
        for of, bound in how.clip:
            if states[of] == name:
                instead[name] = _clipped(builder, instead.get(name, name), bound)

    read, before = states_read(program), {}
    for operation in program.operations:
        arguments = tuple(instead.get(a, a) for a in operation.arguments)
        if operation.op == "matmul":
            operand = operation.arguments[1]
            state = read.get(operand, "").removesuffix("'")
            mask = f"drop_{state}_before"
            if mask in masks and operand not in before:
                before[operand] = builder.add("mul", arguments[1], mask)
            arguments = (arguments[0], before.get(operand, arguments[1]))
        builder.append(replace(operation, arguments=arguments))
        changed(operation.name)
    return instead
