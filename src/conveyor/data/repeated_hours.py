"""Rows of several passes through an hour that clocks go through twice, in a table in which times
may repeat."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

_NONE = timedelta(0)


def span_of(time: datetime) -> timedelta:
    """Return how far the clocks of a time's zone go back where they go through it twice; 0 of other
    times."""
    first, second = time.replace(fold=0).utcoffset(), time.replace(fold=1).utcoffset()
    assert first is not None
    assert second is not None
    return max(first - second, _NONE)


def second_passes(times: Sequence[datetime]) -> tuple[list[int], int | None]:
    """Return the rows of the second one of two equal hours, and a row for which this cannot
    be determined; None without one.

    A table in which times may repeat holds several series below each other, or side by side, and
    each of them may go through such an hour twice. A run of rows ends where times go back, but
    within such an hour: of each run, what comes after clocks went back is the second pass.

    Args:
        times: of the rows, with their zone, in the direction of time.
    """
    walls = [time.replace(tzinfo=None) for time in times]
    spans = list(map(span_of, times))
    hours = _hours(walls, spans)
    often = Counter(wall for rows in hours for wall in {walls[row] for row in rows})
    second: list[int] = []
    for rows in hours:
        backs = [row for row in rows[1:] if walls[row] < walls[row - 1]]
        counts = Counter(walls[row] for row in rows)
        if len(backs) > 1 or (not backs and max(counts.values()) > 2):
            return second, rows[0]
        if backs:
            second += [row for row in rows if row >= backs[0]]
        elif max(counts.values()) == 2:  # the table is sorted by what is written
            second += [row for row in rows[1:] if walls[row] == walls[row - 1]]
        elif max(often[walls[row]] for row in rows) > 1 and not _alone(rows, walls, spans):
            return second, rows[0]
    return second, None


def _hours(walls: Sequence[datetime], spans: Sequence[timedelta]) -> list[list[int]]:
    """Return the rows of each hour that clocks go through twice, of each run of rows."""
    hours: list[list[int]] = []
    for row, span in enumerate(spans):
        if not span:
            continue
        near = row > 0 and bool(spans[row - 1]) and abs(walls[row] - walls[row - 1]) <= span
        if near:
            hours[-1].append(row)
        else:
            hours.append([row])
    return hours


def _alone(rows: Sequence[int], walls: Sequence[datetime], spans: Sequence[timedelta]) -> bool:
    """Return whether the rows of an hour come too seldom for a second pass, as those of days do."""
    around = range(max(rows[0] - 1, 0), min(rows[-1] + 2, len(walls)))
    steps = [walls[other] - walls[row] for row, other in pairwise(around)]
    forwards = [step for step in steps if step > _NONE]
    return bool(forwards) and min(forwards) > spans[rows[0]]
