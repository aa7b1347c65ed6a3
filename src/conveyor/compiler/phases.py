"""Phases: what a compiled loop does in one walk over the units of an axis.

A phase computes, unit by unit, products and all the pointwise work that needs no value of
another unit. Where a value of all units is needed (the operand of a product, a sum over units)
the next phase begins, and also where one of another step is needed (a delay).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from conveyor.cells.operations import REDUCTIONS, Axes
from conveyor.compiler.delays import DELAY
from conveyor.compiler.plan import Product, Stage
from conveyor.compiler.program import Operation

CONSTANTS = ("constant", "width")


@dataclass(frozen=True)
class Phase:
    """``axis`` is that of all its results; None if they are numbers per example.
    ``copies`` are values made elsewhere that this phase hands on."""

    axis: str | None
    products: tuple[Product, ...]
    operations: tuple[Operation, ...]
    copies: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[str, ...]:
        """The names that the phase computes, constants apart."""
        of_products = (name for product in self.products for name in product.results)
        return (*of_products, *(o.name for o in self.operations if o.op not in CONSTANTS))

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
) -> tuple[Phase, ...]:
    """Put stages in order of phases. Constants belong to every phase that reads them.

    Args:
        stages: of one part of a pass, without outer products.
        axes: of every name.
        copies: names that a phase of their axis must hand on, made in these stages or not.
        first: names made elsewhere that must be handed on before they are read.
    """
    items: list[Product | Operation] = []
    for stage in stages:
        items += _by_axis(stage, axes) if isinstance(stage, Product) else stage.operations
    constants = {
        item.name: item for item in items if isinstance(item, Operation) and item.op in CONSTANTS
    }
    level: dict[str, int] = dict.fromkeys(first, 0)
    found: dict[tuple[int, str | None], list[Product | Operation]] = {}
    elsewhere: dict[tuple[int, str | None], list[str]] = {}
    for name in level:
        found.setdefault((0, _axis(axes[name])), [])
        elsewhere.setdefault((0, _axis(axes[name])), []).append(name)
    for item in items:
        if isinstance(item, Operation) and item.name in constants:
            continue
        if isinstance(item, Product):
            needs = max((level[name] + 1 for name in item.vectors if name in level), default=0)
            axis = _axis(axes[item.results[0]])
            made: tuple[str, ...] = item.results
        else:
            across = 1 if item.op in (*REDUCTIONS, DELAY) else 0
            known = [name for name in item.arguments if name in level]
            needs = max((level[name] + across for name in known), default=0)
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
    ordered = []
    # Numbers come before the vectors of their level: a vector may read them, not they it.
    for key in sorted(found, key=lambda key: (key[0], key[1] is not None, str(key[1]))):
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
    return tuple(ordered)
