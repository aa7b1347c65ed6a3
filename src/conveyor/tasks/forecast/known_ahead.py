"""What a stream of forecasts knows ahead: planned columns, and those of the calendar."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.errors import DataError, counted
from conveyor.tasks.forecast.forecast_frame import ForecastFrame

Numbers = NDArray[np.float64]

# Columns of the calendar are worked out for so many steps at once.
_AT_ONCE = 256


class KnownAhead:
    """The columns that are known ahead, from the last row on.

    Args:
        frame: of the forecaster.
        known: of the last row and those after it, as far as they are known, [T, K].
        last: the time of the last row; None without times.
    """

    def __init__(self, frame: ForecastFrame, known: Numbers, last: datetime | None) -> None:
        self._frame, self._last = frame, last
        self._names, self._of_calendar = frame.known_of_table, bool(frame.calendar.names)
        planned = len(self._names)
        # Rows are read from ``_at`` on; those before it are over.
        self._at = 0
        # The last row itself may lack a value; a plan ends where one of those after it does.
        broken = np.flatnonzero(np.isnan(known[1:, :planned]).sum(1))
        end = 1 + int(broken[0]) if len(broken) else len(known)
        self._planned = known[:end, :planned]
        self._calendar = known[:1, planned:]

    def rows(self, count: int) -> Numbers:
        """Return the columns of the last row and those after it, [count, K].

        Args:
            count: how many.

        Raises:
            DataError: a planned value is missing, or there is no such time.
        """
        end, columns = self._at + count, []
        if self._names:
            lacking = end - len(self._planned)
            if lacking > 0:
                raise DataError(
                    f"{', '.join(self._names)}: {counted(lacking, 'more step')} ahead must be "
                    "known. Give them to plan() first."
                )
            columns.append(self._planned[self._at : end])
        if self._of_calendar:
            if end > len(self._calendar):
                self._work_out(end + _AT_ONCE)
            columns.append(self._calendar[self._at : end])
        return np.concatenate(columns, 1) if columns else np.zeros((count, 0))

    def advance(self) -> None:
        """Go on to the next row."""
        self._at += 1
        if self._at == _AT_ONCE and self._last is not None and self._frame.step is not None:
            self._last = self._frame.step.after(self._last, self._at)
        if self._at == _AT_ONCE:
            self._planned, self._calendar = self._planned[self._at :], self._calendar[self._at :]
            self._at = 0

    def _work_out(self, count: int) -> None:
        """Work out the columns of the calendar up to so many rows from the first that is held."""
        step, last = self._frame.step, self._last
        assert step is not None
        assert last is not None
        begin = len(self._calendar)
        try:
            times = [step.after(last, number) for number in range(begin, count)]
        except (ValueError, OverflowError) as error:
            raise DataError(f"there is no time {count} steps after {last}.") from error
        columns = self._frame.calendar.columns(times, step)
        later = np.stack([columns[name] for name in self._frame.calendar.names], 1)
        self._calendar = np.concatenate([self._calendar, later])

    def extend(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Take in further planned values, see ``ForecastStream.plan``."""
        names = self._names
        if not names or set(columns) != set(names):
            expected = f"the columns {', '.join(names)}" if names else "no column: none is planned"
            raise DataError(f"plan has {', '.join(columns) or 'no column'}; expected {expected}.")
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise DataError(f"the columns of plan have {sorted(lengths)} values; expected as many.")
        try:
            later = np.array([list(columns[name]) for name in names], dtype=float).T
        except (TypeError, ValueError) as error:
            raise DataError("plan holds what is no number.") from error
        if not (np.abs(later) < LARGEST).all():
            raise DataError(f"plan holds what is no number below {LARGEST:g}.")
        self._planned = np.concatenate([self._planned, later])
