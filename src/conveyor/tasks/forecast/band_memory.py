"""What a run keeps of the errors of its bands, so that they go on moving with what comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from conveyor.data.bounds import LARGEST
from conveyor.errors import RunError, SettingError
from conveyor.networks.kept_arrays import array_of

Errors = tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True)
class BandMemory:
    """The state of the adaptive bands of a series, see ``AdaptiveBands``.

    Attributes:
        outside: of each level, the share that may lie outside.
        errors: of each step ahead and each level, the latest errors, the oldest first.
        moved: of each of the last rows, the horizon of whose forecasts is not over, and of each
            step ahead and each level, how far the bands moved.
    """

    outside: tuple[float, ...]
    errors: Errors
    moved: Errors = ()

    def __post_init__(self) -> None:
        both = (*self.errors, *self.moved)
        numbers = [number for rows in both for row in rows for number in row]
        usable = all(abs(number) < LARGEST for number in (*numbers, *self.outside))
        levels = len(self.outside)
        widths = {len(step) for step in self.errors} | {len(s) for row in self.moved for s in row}
        lengths = {len(row) for row in self.moved} | {len(self.errors)}
        if not usable or widths - {levels} or len(lengths) > 1:
            raise SettingError("the kept errors of bands do not fit each other.")

    def __deepcopy__(self, memo: object) -> "BandMemory":
        """Return the memory itself, which never changes."""
        return self

    def scaled(self, factor: float) -> "BandMemory":
        """Return the same memory in other units: each error times a factor."""
        errors, moved = (
            tuple(tuple(tuple(factor * number for number in two) for two in one) for one in kept)
            for kept in (self.errors, self.moved)
        )
        return replace(self, errors=errors, moved=moved)

    def latest(self, most: int) -> "BandMemory":
        """Return the memory with the latest errors of each step and level, ``most`` of them."""
        errors = tuple(tuple(level[-most:] for level in step) for step in self.errors)
        return replace(self, errors=errors)


def stored_memories(memories: Sequence[BandMemory]) -> dict[str, Any]:
    """Return what bands know of all series as a description holds it: their numbers below each
    other."""
    of_steps = [[list(map(len, step)) for step in memory.errors] for memory in memories]
    levels = [level for memory in memories for step in memory.errors for level in step]
    moved = [row for memory in memories for row in memory.moved]
    return {
        "outside": np.array([memory.outside for memory in memories], dtype=np.float64),
        "counts": np.array(of_steps, dtype=np.int64),
        "errors": np.array([*chain.from_iterable(levels)], dtype=np.float64),
        "moved_rows": np.array([len(memory.moved) for memory in memories], dtype=np.int64),
        "moved": np.array(moved, dtype=np.float64),
    }


def memories_stored(
    stored: Mapping[str, Any], series: int, horizon: int, levels: int, where: str
) -> tuple[BandMemory, ...]:
    """Return what bands know of each series, see ``stored_memories``.

    Args:
        stored: of a description.
        series, horizon, levels: how many there are of each.
        where: the file, for errors.

    Raises:
        RunError, SettingError: they do not fit the model.
    """
    counts = array_of(stored, "counts", (series, horizon, levels), np.int64, where)
    outside = array_of(stored, "outside", (series, levels), np.float64, where)
    errors = array_of(stored, "errors", (None,), np.float64, where)
    moved_rows = array_of(stored, "moved_rows", (series,), np.int64, where)
    usable = (counts >= 0).all() and (moved_rows >= 0).all()
    rows = int(moved_rows.sum())
    moved = array_of(
        stored, "moved", (rows, horizon, levels) if rows else (None,), np.float64, where
    )
    if not usable or counts.sum() != len(errors):
        raise RunError(f"{where}: the kept errors of bands do not fit the model.")
    parts = [tuple(part.tolist()) for part in np.split(errors, np.cumsum(counts.ravel())[:-1])]
    of_steps = [tuple(parts[first : first + levels]) for first in range(0, len(parts), levels)]
    rows_of = np.split(moved, np.cumsum(moved_rows)[:-1])
    return tuple(
        BandMemory(
            tuple(of_series),
            tuple(of_steps[number * horizon : (number + 1) * horizon]),
            tuple(tuple(map(tuple, row)) for row in of_rows.tolist()),
        )
        for number, (of_series, of_rows) in enumerate(zip(outside.tolist(), rows_of, strict=True))
    )
