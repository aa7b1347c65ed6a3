"""Delay states leave the time loop.

A state whose new value depends on no state of the step before, or on none but such states, is that
value one step late: ``m2 = m1'``, or the product of the input before in a QRNN. No loop is needed
to know it at all steps. Its values are made for all steps at once and read one step late: at its
first step a sequence reads the state that it starts with. So all that depends on inputs and such
states alone leaves the loop too.

Backwards the same holds: what the new value's gradient gets from the step after is the gradient of
the old state there, one step late in the order of the backward pass. At the last step it is that of
the final state; the old state's gradient at the first step is that of the start state.

In a plan, ``m' = delay(m)`` stands for this: ``m`` at the step that was done before.
"""

from collections.abc import Iterable, Mapping

from conveyor.compiler.program import Operation, Program

# Stands in plans only, never in a program.
DELAY = "delay"


def dependent(program: Program, states: Iterable[str]) -> frozenset[str]:
    """Return all names whose value depends on one of these states.

    Args:
        program: of a cell.
        states: names of leaves, with primes.
    """
    names = set(states)
    for operation in program.operations:
        if names.intersection(operation.arguments):
            names.add(operation.name)
    return frozenset(names)


def delayed_states(program: Program) -> tuple[str, ...]:
    """Return the names, without primes, of the states that are a value one step late; a state that
    is made of others of them stands behind those. What is looked up in a memory is not, nor what
    depends on how many places it has: that is done step by step, see ``plan``."""
    new = program.values_of("state")
    memories = [leaf.name for leaf in program.memories]
    memories += [o.name for o in program.operations if o.attribute in program.places]
    remaining = [leaf.name.removesuffix("'") for leaf in program.states]
    delayed: list[str] = []
    while True:
        in_loop = dependent(program, [*memories, *[f"{name}'" for name in remaining]])
        leaving = [name for name in remaining if new[name] not in in_loop]
        if not leaving:
            return tuple(delayed)
        delayed += leaving
        remaining = [name for name in remaining if name not in leaving]


def with_delays(
    operations: Iterable[Operation], delays: Mapping[str, str], program: Program
) -> tuple[Operation, ...]:
    """Return operations with those that delay, each before it is read; whatever a delayed value is
    made of is done before it.

    Args:
        operations: of one part of a pass, in order.
        delays: values that are made elsewhere or by these operations, by the names that they bear
            one step late. No value is made of itself.
        program: says the axes.
    """
    late = [Operation(name, DELAY, (of,), program.axes[name]) for name, of in delays.items()]
    every = (*operations, *late)
    if not late:
        return every
    by_name = {o.name: o for o in every}
    done: dict[str, Operation] = {}
    waiting = [o.name for o in reversed(every)]
    while waiting:
        operation = by_name[waiting[-1]]
        needed = [a for a in operation.arguments if a in by_name and a not in done]
        if needed:
            waiting += reversed(needed)
        else:
            done.setdefault(operation.name, operation)
            waiting.pop()
    return tuple(done.values())
