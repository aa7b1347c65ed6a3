"""Phases: what a compiled loop does in one walk over the units of an axis.

A phase computes, unit by unit, products and all the pointwise work that needs no value of
another unit. Where a value of all units is needed (the operand of a product, a sum over units)
the next phase begins, and also where one of another step is needed (a delay). What is done place by
place of a memory is a phase by itself, see ``walks``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from conveyor.cells.operations import REDUCTIONS, Axes
from conveyor.compiler.delays import DELAY
from conveyor.compiler.plan import Product, Stage
from conveyor.compiler.program import Operation
from conveyor.compiler.walks import Walks

CONSTANTS = ("constant", "width")


@dataclass(frozen=True)
class Phase:
    """``axis`` is that of all its results; None if they are numbers per example.
    ``copies`` are values made elsewhere that this phase hands on. A walk over places has their axis
    as ``place``, and that of the vectors there as ``axis``; ``added`` are the memories to whose
    gradients it adds a value, with the value."""

    axis: str | None
    products: tuple[Product, ...]
    operations: tuple[Operation, ...]
    copies: tuple[str, ...] = ()
    place: str | None = None
    added: tuple[tuple[str, str], ...] = ()

    @property
    def made(self) -> tuple[str, ...]:
        """The names that the phase computes, constants apart, and what is made at each place and
        not stored."""
        of_products = (name for product in self.products for name in product.results)
        made = (o.name for o in self.operations if o.op not in CONSTANTS and len(o.axes) < 2)
        return (*of_products, *made)

    @property
    def delays(self) -> bool:
        """Whether it reads values of the step before, and so goes step by step."""
        return any(o.op == DELAY for o in self.operations)


def _axis(axes: Axes) -> str | None:
    return axes[0] if axes else None


def _by_axis(product: Product, axes: Mapping[str, Axes]) -> list[Product]:
    """Joined products of one operand, apart where their results are of different axes."""
    if product.kind != "matmul":
        return [product]
    found: dict[str | None, list[tuple[str, str]]] = {}
    for result, matrix in zip(product.results, product.matrices, strict=True):
        found.setdefault(_axis(axes[result]), []).append((result, matrix))
    return [
        replace(product, results=tuple(r for r, _ in own), matrices=tuple(m for _, m in own))
        for own in found.values()
    ]


def phases(
    stages: Iterable[Stage],
    axes: dict[str, Axes],
    copies: Iterable[str] = (),
    first: Iterable[str] = (),
    added: Iterable[tuple[str, str]] = (),
) -> tuple[Phase, ...]:
    """Put stages in order of phases. Constants belong to every phase that reads them.

    Args:
        stages: of one part of a pass, without outer products.
        axes: of every name.
        copies: names that a phase of their axis must hand on, made in these stages or not.
        first: names made elsewhere that must be handed on before they are read.
        added: memories, and the values at each place that are added to their gradients.
    """
    items: list[Product | Operation] = []
    for stage in stages:
        items += _by_axis(stage, axes) if isinstance(stage, Product) else stage.operations
    constants = {
        item.name: item for item in items if isinstance(item, Operation) and item.op in CONSTANTS
    }
    level: dict[str, int] = dict.fromkeys(first, 0)
    # The level at which all units of a value can be read, where that is not the next one: what a
    # walk leaves is whole.
    whole: dict[str, int] = {}
    walks = Walks(axes)
    found: dict[tuple[int, str | None], list[Product | Operation]] = {}
    elsewhere: dict[tuple[int, str | None], list[str]] = {}
    for name in level:
        found.setdefault((0, _axis(axes[name])), [])
        elsewhere.setdefault((0, _axis(axes[name])), []).append(name)
    for item in items:
        if isinstance(item, Operation) and item.name in constants:
            continue
        if isinstance(item, Product):
            known = [name for name in item.vectors if name in level]
            needs = max((whole.get(name, level[name] + 1) for name in known), default=0)
            axis = _axis(axes[item.results[0]])
            made: tuple[str, ...] = item.results
        elif (after_walk := walks.take(item, level)) is not None:
            level[item.name] = whole[item.name] = after_walk
            continue
        else:
            across = item.op in (*REDUCTIONS, DELAY)
            known = [name for name in item.arguments if name in level]
            needs = max(
                (whole.get(name, level[name] + 1) if across else level[name] for name in known),
                default=0,
            )
            axis = _axis(axes[item.name])
            made = (item.name,)
        level.update(dict.fromkeys(made, needs))
        found.setdefault((needs, axis), []).append(item)
    earliest: dict[str | None, int] = {}
    for number, axis in found:
        earliest[axis] = min(number, earliest.get(axis, number))
    for name in dict.fromkeys(copies):
        if name not in level:
            axis = _axis(axes[name])
            key = earliest.setdefault(axis, 0), axis
            found.setdefault(key, [])
            elsewhere.setdefault(key, []).append(name)
    for memory, value in added:
        walks.add(memory, value, level)
    ordered: list[Phase] = []
    walk_of_level: dict[int, list[Phase]] = {}
    for walk in walks:
        operations = walks.operations(walk)
        used = {a for o in operations for a in o.arguments}
        own_constants = (o for name, o in constants.items() if name in used)
        phase = Phase(walk.axis, (), (*own_constants, *operations), (), walk.place, walk.added)
        walk_of_level.setdefault(walk.level, []).append(phase)
    waiting = sorted(walk_of_level)
    # Numbers come before the vectors of their level: a vector may read them, not they it. Walks
    # come last: they may read both.
    for key in sorted(found, key=lambda key: (key[0], key[1] is not None, str(key[1]))):
        while waiting and waiting[0] < key[0]:
            ordered += walk_of_level[waiting.pop(0)]
        own = found[key]
        if any(isinstance(item, Product) for item in own):
            # Panels take rows in blocks, whatever their steps are: delays have a phase of theirs.
            late = [item for item in own if isinstance(item, Operation) and item.op == DELAY]
            ordered += [Phase(key[1], (), tuple(late))] if late else []
            own = [item for item in own if not (isinstance(item, Operation) and item.op == DELAY)]
        operations = tuple(item for item in own if isinstance(item, Operation))
        handed = tuple(elsewhere.get(key, ()))
        used = {a for o in operations for a in o.arguments} | set(handed)
        ordered.append(
            Phase(
                key[1],
                tuple(item for item in own if isinstance(item, Product)),
                (*(o for name, o in constants.items() if name in used), *operations),
                handed,
            )
        )
    return (*ordered, *(phase for level_left in waiting for phase in walk_of_level[level_left]))
