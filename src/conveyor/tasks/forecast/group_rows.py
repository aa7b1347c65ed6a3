"""The rows of one group of a prepared table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conveyor.data.group_names import group_label, listed
from conveyor.data.table import Table
from conveyor.errors import counted, named
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.parts import Parts
from conveyor.tasks.forecast.series_panel import Origins, Panel


@dataclass(frozen=True)
class GroupRows:
    """The rows of one group of a prepared table: all rows where no column distinguishes groups.

    Attributes:
        table: the rows as they were read.
        panel: the rows from the first one in which every column has a value.
        parts: the ends of the training, validation and test set.
        fitted: how many rows a network may learn from.
    """

    table: Table
    panel: Panel
    parts: Parts
    fitted: int

    @property
    def seen(self) -> int:
        """How many rows a network has seen, from the first: the validation set says when to stop,
        so that it is seen even where a network does not learn from it."""
        return max(self.fitted, self.parts.validation)

    def has_next_times(self, horizon: int) -> bool:
        """Return whether the steps of a horizon after the end of the rows have times."""
        times, step = self.table.times, self.table.step
        if not times or step is None:
            return True
        try:
            step.after(times[-1], horizon)
        except (ValueError, OverflowError):
            return False
        return True

    def times_of(self, first: int, last: int) -> list[Any]:
        """Return the times of rows ``first`` to ``last`` of the panel, or their numbers."""
        if not self.table.times:
            return list(range(first, last))
        begins = len(self.table) - len(self.panel)
        return list(self.table.times[begins + first : begins + last])

    def origins(self, first: int, last: int, frame: ForecastFrame, stride: int = 1) -> Origins:
        """Return the origins of forecasts whose future lies in rows ``first`` to ``last``, the
        last one and every ``stride``-th before it."""
        origins = Origins.within(
            self.panel, first, last, horizon=frame.horizon, season=frame.season
        )
        return origins.every(stride)


def notes_on_plans(
    rows: Sequence[GroupRows],
    names: Sequence[tuple[str, ...]],
    future: Sequence[str],
    horizon: int,
    is_inferred: bool,
) -> list[str]:
    """Return notes on how far columns are known ahead.

    Args:
        rows: of each group.
        names: of each group.
        future: the columns, the first of those that are known ahead; none without any.
        horizon: of the forecasts.
        is_inferred: whether nobody has asked for this horizon.
    """
    if not future:
        return []
    plans = [group.panel.planned(len(future)) for group in rows]
    lacking = [name for name, steps in zip(names, plans, strict=True) if steps < horizon]
    if lacking and max(plans) >= horizon:
        return [
            f"{', '.join(future)}: not known for {counted(horizon, 'step')} after the end of "
            f"{listed(list(map(group_label, lacking)))}, as of the other series: predict needs a "
            "table with these rows"
        ]
    if is_inferred and min(plans) > horizon:
        return [
            f"{', '.join(future)}: known for {counted(min(plans), 'step')} after the end; "
            f"{named('horizon', min(plans))} forecasts all of them"
        ]
    return []
