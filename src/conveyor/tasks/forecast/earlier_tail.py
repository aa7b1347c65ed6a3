"""The ends of series as runs of earlier versions keep them: in ``model.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conveyor.data.bounds import LARGEST
from conveyor.data.records import to_record
from conveyor.errors import RunError, SettingError
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.tail import Tail


@dataclass(frozen=True)
class EarlierTail:
    """The end of the rows of a group, see ``Tail``; None is a missing value, and ``learned`` the
    last row."""

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

    @property
    def tail(self) -> Tail:
        """The same as arrays."""
        rows = len(self.targets)
        panel = Panel(
            np.array(self.targets, dtype=float),
            np.array(self.past, dtype=float).reshape(rows, -1),
            np.array(self.known, dtype=float).reshape(len(self.known), -1),
            self.first,
            self.group,
        )
        learned = self.first + rows if self.learned is None else self.learned
        return Tail(panel, self.last_time, learned)


def earlier_tails(
    description: Mapping[str, Any], frame: ForecastFrame, where: str
) -> tuple[Tail, ...]:
    """Return the ends of series of a description; before there were groups, that of one.

    Args:
        description: of a model of an earlier version.
        frame: of the model.
        where: the file, for errors.

    Raises:
        RunError, SettingError: they do not fit the model.
    """
    if "tails" in description:
        stored = list(description["tails"])
    else:
        stored = [] if description["tail"] is None else [description["tail"]]
    tails = tuple(to_record(EarlierTail, tail, where).tail for tail in stored)
    expected = (len(frame.targets), len(frame.past), len(frame.known))
    for tail in tails:
        panel = tail.panel
        widths = (panel.targets.shape[1], panel.past.shape[1], panel.known.shape[1])
        if widths != expected or not 0 <= tail.group < len(frame.groups):
            raise RunError(f"{where}: the kept history does not fit the model.")
    return tails
