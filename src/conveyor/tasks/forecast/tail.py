"""The ends of the data that a forecaster was fitted on, which its run keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.errors import SettingError
from conveyor.tasks.forecast.band_memory import BandMemory
from conveyor.tasks.forecast.forecast_frame import MOST_READ, ForecastFrame
from conveyor.tasks.forecast.series_panel import Panel

Numbers = NDArray[np.float64]

# A run keeps so many numbers of the ends of many series, or its model.json grows to hundreds of MB.
_MOST_KEPT = 1_000_000


@dataclass(frozen=True)
class Tail:
    """The end of the data that a forecaster was fitted on: from here it forecasts on.

    Attributes:
        targets, past: the last rows, ``MOST_READ`` at most.
        known: of the same rows and of those ahead.
        first: the number of the first of these steps.
        last_time: the time of the last one; empty without times.
        group: whose rows they are.
        learned: the number of the step up to which the network learned from the rows; None for the
            last one.
    """

    targets: tuple[tuple[float | None, ...], ...]
    past: tuple[tuple[float | None, ...], ...]
    known: tuple[tuple[float | None, ...], ...]
    first: int
    last_time: str
    group: int = 0
    learned: int | None = None

    def __post_init__(self) -> None:
        for rows in (self.targets, self.past, self.known):
            widths = set(map(len, rows))
            usable = len(widths) == 1 and not (np.abs(np.array(rows, dtype=float)) >= LARGEST).any()
            if not usable:
                raise SettingError("the kept history is no rectangle of usable numbers.")
        count = len(self.targets)
        short = len(self.past) != count or len(self.known) < count
        if short or abs(self.first) > LARGEST or abs(self.learned or 0) > LARGEST:
            raise SettingError("the kept history has columns of different length.")

    def __deepcopy__(self, memo: object) -> "Tail":
        """Return the tail itself, which never changes: an average of weights copies its network."""
        return self

    @property
    def panel(self) -> Panel:
        """The rows as a panel."""
        rows = len(self.targets)
        return Panel(
            np.array(self.targets, dtype=float),
            np.array(self.past, dtype=float).reshape(rows, -1),
            np.array(self.known, dtype=float).reshape(len(self.known), -1),
            self.first,
            self.group,
        )

    @staticmethod
    def of(panel: Panel, last_time: str, most: int = MOST_READ) -> "Tail":
        """Return the last rows of a panel, ``most`` of them."""
        end = panel.rows(max(len(panel) - most, 0), len(panel))
        targets, past, known = map(_stored, (end.targets, end.past, end.known))
        return Tail(targets, past, known, end.first, last_time, end.group)


def kept_memories(memories: Sequence[BandMemory]) -> tuple[BandMemory, ...]:
    """Return what a run keeps of what its bands know: less of each where there are many series."""
    numbers = sum(
        len(step) * len(memory.errors) for memory in memories for step in memory.errors[:1]
    )
    most = _MOST_KEPT // max(numbers, 1)
    return tuple(memory.latest(most) for memory in memories) if most else ()


def rows_kept(frame: ForecastFrame) -> int:
    """Return how many rows a run keeps of each group: fewer where there are many, but twice the
    history of a step."""
    numbers = max(len(frame.columns) * len(frame.groups), 1)
    most = MOST_READ if len(frame.groups) == 1 else _MOST_KEPT // numbers
    return min(max(most, 2 * frame.history), MOST_READ)


def _stored(rows: Numbers) -> tuple[tuple[float | None, ...], ...]:
    """Return rows as JSON holds them: a missing value is None."""
    held = rows.astype(object)
    held[np.isnan(rows)] = None
    return tuple(map(tuple, held.tolist()))
