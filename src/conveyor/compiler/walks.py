"""Walks over the places of a memory: what a compiled loop does place by place.

What is a vector at each place is made there, used there and made anew in the next walk that needs
it; it is never stored. A walk leaves sums behind: over the units of a place, a number for each
place; over places, a vector. And it adds to the gradients of memories.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from conveyor.cells.operations import Axes
from conveyor.compiler.program import Operation


@dataclass(frozen=True)
class Walk:
    """A walk over places ``place`` with vectors of ``axis``, after the phases of its ``level``.
    ``sums`` are what it leaves; to the gradient of the memory of each name in ``added`` it adds a
    value."""

    level: int
    place: str
    axis: str
    sums: tuple[Operation, ...]
    added: tuple[tuple[str, str], ...]


class Walks:
    """The walks of a part of a pass, as they are discovered in the order of its operations."""

    def __init__(self, axes: Mapping[str, Axes]) -> None:
        self._axes = axes
        self._at_places: dict[str, Operation] = {}
        self._sums: dict[tuple[int, Axes], list[Operation]] = {}
        self._added: dict[tuple[int, Axes], list[tuple[str, str]]] = {}

    def take(self, operation: Operation, level: Mapping[str, int]) -> int | None:
        """Take an operation that is done in walks; None if it is done in none.

        Args:
            operation: the next one.
            level: of what was done before.

        Returns:
            The level at which its value can be read.
        """
        needs = max([level[name] for name in operation.arguments if name in level], default=0)
        if len(operation.axes) > 1:
            self._at_places[operation.name] = operation
            return needs
        wide = [self._axes[name] for name in operation.arguments if len(self._axes[name]) > 1]
        if not wide:
            return None
        self._sums.setdefault((needs, wide[0]), []).append(operation)
        return needs + 1

    def add(self, memory: str, value: str, level: Mapping[str, int]) -> None:
        """Let a value at each place be added to the gradient of a memory."""
        key = level.get(value, 0), self._axes[value]
        self._added.setdefault(key, []).append((memory, value))

    def __iter__(self) -> Iterator[Walk]:
        for level, axes in sorted({**self._sums, **self._added}):
            key = level, axes
            place, unit = axes
            yield Walk(
                level, place, unit, tuple(self._sums.get(key, ())), tuple(self._added.get(key, ()))
            )

    def operations(self, walk: Walk) -> tuple[Operation, ...]:
        """Return all that a walk does, in order: its sums, and the vectors at places that they are
        of."""
        needed = {a for o in walk.sums for a in o.arguments} | {value for _, value in walk.added}
        made = []
        for name, operation in reversed(self._at_places.items()):
            if name in needed:
                needed.update(operation.arguments)
                made.append(operation)
        return (*reversed(made), *walk.sums)
