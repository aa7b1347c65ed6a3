"""Finds the rows of a table that come after those that a forecaster was fitted on."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.records import to_record
from conveyor.data.table import Table
from conveyor.data.time_text import has_offset, read_time, write_time
from conveyor.data.timeline import utc_time, wall_time
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.group_rows import GroupRows
from conveyor.tasks.forecast.series_panel import Panel

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class FittedOn:
    """The rows that a model has seen in training and validation, which a later evaluation must not
    score.

    Attributes:
        rows: how many rows from the first.
        digest: a digest of the numbers of the targets in them.
        last_time: the time of the last row, as the table writes it; empty in older models.
        end: a digest of the last of these rows, see ``_recognised``.
    """

    rows: int
    digest: str
    last_time: str = ""
    end: str = ""


def stored_rows(fitted_on: Mapping[str, Any] | None, group: int) -> FittedOn | None:
    """Return the record of the rows of a group that a run was fitted on."""
    if fitted_on is None:
        return None
    stored = fitted_on["groups"][group] if "groups" in fitted_on else fitted_on
    return to_record(FittedOn, stored, "fitted_on")


# Zeros of a series that mostly sells nothing, and small whole numbers, repeat over some rows.
_RECOGNISED = 30


def hash_of(columns: Numbers) -> "hashlib._Hash":
    """Return the SHA-256 of the numbers of a table."""
    return hashlib.sha256(np.ascontiguousarray(columns).tobytes())


def digest_of(columns: Numbers) -> str:
    """Return a digest by which the numbers of a table are recognised later."""
    return hash_of(columns).hexdigest()


def rows_fitted_on(group: GroupRows, frame: ForecastFrame) -> FittedOn:
    """Return the record of the rows of training and validation of a group for later
    evaluations."""
    table, panel, seen = group.table, group.panel, group.seen
    row = len(table) - len(panel) + seen - 1
    return FittedOn(
        seen,
        digest_of(panel.targets[:seen]),
        write_time(table.times[row], table.time_format) if table.times else "",
        digest_of(panel.targets[seen - _recognised(frame, seen) : seen]),
    )


def end_of_fitted(frame: ForecastFrame, fitted_on: FittedOn, panel: Panel) -> int | None:
    """Return the row after the last one that a run was fitted on, by the numbers of the rows; None
    if they are not in the panel, or in several places."""
    targets = panel.targets
    if fitted_on.digest == digest_of(targets[: fitted_on.rows]):
        return fitted_on.rows
    count = _recognised(frame, fitted_on.rows)
    places = [
        row
        for row in range(count, len(panel) + 1)
        if fitted_on.end == digest_of(targets[row - count : row])
    ]
    return places[0] if len(places) == 1 else None


def _recognised(frame: ForecastFrame, rows: int) -> int:
    """Return by how many rows the end of a run's rows is recognised in another table: enough that
    they hardly stand in two places, few enough that a table may begin later."""
    return min(rows, max(frame.history, _RECOGNISED))


def placed(frame: ForecastFrame, fitted_on: FittedOn | None, panel: Panel) -> Panel:
    """Return a panel of counted rows with its steps counted as those of the run's table, as far as
    rows of the two are the same; otherwise as it is."""
    row = None if fitted_on is None else end_of_fitted(frame, fitted_on, panel)
    if row is None or fitted_on is None:
        return panel
    return replace(panel, first=frame.first + fitted_on.rows - row)


def notes_on_end(
    model: Forecaster, fitted_on: FittedOn | None, table: Table, group: int
) -> list[str]:
    """Return notes on a table whose times do not continue those of a group of the run."""
    frame = model.frame
    known = fitted_on.last_time if fitted_on else ""
    tail = model.tail_of(group)
    text = tail.last_time if tail else known
    if frame.step is None or not text or not table.times:
        return []
    end, last = read_time(text, frame.time_format, frame.zone), table.times[-1]
    both = end.tzinfo is not None and last.tzinfo is not None
    clock = utc_time if both else wall_time
    if clock(last) < clock(end):
        return [
            f"the table ends at {table.last_time}, before {text}, the end of the run's own: "
            f"forecasts begin after {table.last_time}"
        ]
    if not both:
        end, last = wall_time(end), wall_time(last)
    steps = frame.step.count(end, last)
    if steps is None:
        return [
            f"the table ends at {table.last_time}, which is no whole number of steps of "
            f"{frame.step} after {text}, the end of the run's own: its rows come at other times "
            "than those that the run was fitted on"
        ]
    if fitted_on and steps > fitted_on.rows:
        return [
            f"the table ends {counted(steps, 'step')} after {text}, the end of the run's own: more "
            f"than the {counted(fitted_on.rows, 'row')} that the run was fitted on. Fit it again "
            "if the series has changed"
        ]
    return []


def first_unseen(
    model: Forecaster, fitted_on: FittedOn | None, table: Table, panel: Panel
) -> tuple[int, str]:
    """Return the index of the first row of ``panel`` after those that the model was fitted on,
    and a sentence that says how it was determined.

    Raises:
        DataError: nothing shows which rows the model was fitted on.
    """
    frame, count = model.frame, len(panel)
    if fitted_on is not None and fitted_on.last_time and table.times:
        end = read_time(fitted_on.last_time, frame.time_format, frame.zone)
        zoned = table.times[-1].tzinfo is not None
        # Older models keep no zone if the format writes an offset.
        if zoned != (end.tzinfo is not None or has_offset(frame.time_format)):
            one, other = ("have an", "have none") if zoned else ("have no", "have one")
            raise DataError(
                f"{table.name}: its times {one} offset from UTC, and those that the run was fitted "
                f"on, up to {fitted_on.last_time}, {other}: which rows come after them cannot be "
                f"known. Write times as the run's table does, or pass {named('all_rows', True)}."
            )
        clock = utc_time if end.tzinfo and zoned else wall_time
        times = table.times[len(table) - count :]
        after = bisect_right(times, clock(end), key=clock)
        return after, f"the run was fitted on rows up to {fitted_on.last_time}"
    end_row = None if fitted_on is None else end_of_fitted(frame, fitted_on, panel)
    if end_row is not None:
        return end_row, f"the run was fitted on rows up to row {end_row:,} of this table"
    raise DataError(
        f"{table.name}: nothing shows which of its rows the run was fitted on, and scores of such "
        "rows would be too good. Give a table with times, or one that continues the run's own "
        f"rows, or pass {named('all_rows', True)} if the run has seen none of them."
    )
