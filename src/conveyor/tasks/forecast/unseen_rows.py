"""Which rows of a table come after those that a forecaster was fitted on."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.data.table import Table
from conveyor.data.time_text import has_offset, read_time, write_time
from conveyor.data.timeline import instant, wall
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.prepared_table import Prepared

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class FittedOn:
    """The rows that a model has seen in training and validation, so that a later evaluation does
    not score them: how many from the first, a digest of their numbers, the time of the last as the
    table writes it, and a digest of its history. Older models say neither of the last two."""

    rows: int
    digest: str
    last_time: str = ""
    end: str = ""


def hash_of(columns: Numbers) -> "hashlib._Hash":
    """Return the SHA-256 of the numbers of a table."""
    return hashlib.sha256(np.ascontiguousarray(columns).tobytes())


def digest_of(columns: Numbers) -> str:
    """Return what names the numbers of a table, to know them again."""
    return hash_of(columns).hexdigest()


def rows_fitted_on(prepared: Prepared) -> FittedOn:
    """Return what a later evaluation must know of the rows of training and validation."""
    table, columns, seen = prepared.table, prepared.columns, prepared.parts.validation
    row = len(table) - len(columns) + seen - 1
    return FittedOn(
        seen,
        digest_of(columns[:seen]),
        write_time(table.times[row], table.time_format) if table.times else "",
        digest_of(columns[seen - prepared.frame.history : seen]),
    )


def beside_fitted(model: Forecaster, fitted_on: FittedOn | None, table: Table) -> list[str]:
    """What to say of a table whose times do not go on from those of the run."""
    frame = model.frame
    known = fitted_on.last_time if fitted_on else ""
    text = model.tail.last_time if model.tail else known
    if frame.step is None or not text or not table.times:
        return []
    end, last = read_time(text, frame.time_format, frame.zone), table.times[-1]
    both = end.tzinfo is not None and last.tzinfo is not None
    clock = instant if both else wall
    if clock(last) < clock(end):
        return [
            f"the table ends at {table.last_time}, before {text}, the end of the run's own: "
            f"forecasts begin after {table.last_time}"
        ]
    if not both:
        end, last = wall(end), wall(last)
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
    model: Forecaster, fitted_on: FittedOn | None, table: Table, columns: Numbers
) -> tuple[int, str]:
    """The first row of ``columns`` that comes after all that the model was fitted on, and how that
    is known.

    Raises:
        DataError: it is not known.
    """
    frame, count = model.frame, len(columns)
    if fitted_on is not None and fitted_on.last_time and table.times:
        end = read_time(fitted_on.last_time, frame.time_format, frame.zone)
        zoned = table.times[-1].tzinfo is not None
        # Older versions kept no zone beside a format that writes an offset.
        if zoned != (end.tzinfo is not None or has_offset(frame.time_format)):
            one, other = ("have an", "have none") if zoned else ("have no", "have one")
            raise DataError(
                f"{table.name}: its times {one} offset from UTC, and those that the run was fitted "
                f"on, up to {fitted_on.last_time}, {other}: which rows come after them cannot be "
                f"told. Write times as the run's table does, or pass {named('all_rows', True)}."
            )
        clock = instant if end.tzinfo and zoned else wall
        times = table.times[len(table) - count :]
        after = sum(clock(time) <= clock(end) for time in times)
        return after, f"the run was fitted on rows up to {fitted_on.last_time}"
    if fitted_on is not None and fitted_on.digest == digest_of(columns[: fitted_on.rows]):
        return fitted_on.rows, "the run was fitted on the first rows of this table"
    if fitted_on is not None and fitted_on.end:
        for end_row in range(frame.history, count + 1):
            if fitted_on.end == digest_of(columns[end_row - frame.history : end_row]):
                return end_row, f"the run was fitted on rows up to row {end_row:,} of this table"
    raise DataError(
        f"{table.name}: nothing tells which of its rows the run was fitted on, and scores of such "
        "rows would be too good. Give a table with times, or one that goes on behind the run's "
        f"own rows, or pass {named('all_rows', True)} if the run has seen none of them."
    )
