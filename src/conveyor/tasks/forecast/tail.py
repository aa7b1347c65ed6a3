"""The ends of the data that a forecaster was fitted on, which its run keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conveyor.data.bounds import LARGEST
from conveyor.errors import RunError
from conveyor.networks.kept_arrays import array_of
from conveyor.tasks.forecast.band_memory import BandMemory
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.forecast_frame import MOST_READ, ForecastFrame
from conveyor.tasks.forecast.series_panel import Panel

# A run keeps so many numbers of the ends of many series: more would take longer to forecast from.
# Where smoothing must begin with the first row, as many more, 512 MB of them.
_MOST_KEPT, _MOST_OF_SMOOTHED = 1_000_000, 2**26


@dataclass(frozen=True)
class Tail:
    """The end of the data that a forecaster was fitted on: from here it forecasts on.

    Attributes:
        panel: the last rows of a group, with what is known ahead of them.
        last_time: the time of the last one; empty without times.
        learned: the number of the step up to which the network has seen the rows in training and
            validation.
    """

    panel: Panel
    last_time: str
    learned: int

    def __deepcopy__(self, memo: object) -> "Tail":
        """Return the tail itself, which never changes: an average of weights copies its network."""
        return self

    @property
    def group(self) -> int:
        """Whose rows they are."""
        return self.panel.group

    @staticmethod
    def of(panel: Panel, last_time: str, most: int, learned: int) -> "Tail":
        """Return the end of a panel.

        Args:
            panel: the rows.
            last_time: the time of the last one; empty without times.
            most: how many rows are kept, the last, see ``end_of``.
            learned: see ``Tail``.
        """
        return Tail(end_of(panel, most), last_time, learned)


def end_of(panel: Panel, most: int) -> Panel:
    """Return the last rows of a panel, ``most`` of them, by themselves; more where the first would
    lack a value, so that what it is filled with is there: up to as many, or else it stands in its
    place."""
    before = max(len(panel) - most, 0)
    earliest = max(before - most, 0)
    columns = np.concatenate([panel.targets, panel.past], 1)[earliest : before + 1]
    complete = np.flatnonzero(~np.isnan(columns).any(1))
    begin = earliest + int(complete[-1]) if len(complete) else before
    end = panel.rows(begin, len(panel))
    # Copies: what is kept is not the whole of what was read.
    targets, past = end.targets.copy(), end.past.copy()
    targets[0] = fill_forward(panel.targets[: begin + 1])[-1]
    past[0] = fill_forward(panel.past[: begin + 1])[-1]
    return replace(end, targets=targets, past=past, known=end.known.copy())


def stored_tails(tails: Sequence[Tail]) -> dict[str, Any]:
    """Return the ends of all groups as a description holds them: their numbers below each other."""
    panels = [tail.panel for tail in tails]
    times = sorted({tail.last_time for tail in tails})
    place = {time: number for number, time in enumerate(times)}
    numbers = [
        (
            panel.group, panel.first, tail.learned, place[tail.last_time], len(panel),
            len(panel.known),
        )
        for tail, panel in zip(tails, panels, strict=True)
    ]  # fmt: skip
    return {
        "times": times,
        "numbers": np.array(numbers, dtype=np.int64).reshape(-1, 6),
        **{
            name: np.concatenate([getattr(panel, name) for panel in panels])
            for name in ("targets", "past", "known")
            if panels
        },
    }


def tails_of(stored: Mapping[str, Any], frame: ForecastFrame, where: str) -> tuple[Tail, ...]:
    """Return the ends of groups, see ``stored_tails``.

    Args:
        stored: of a description.
        frame: of the model.
        where: the file, for errors.

    Raises:
        RunError: they do not fit the model.
    """
    numbers = array_of(stored, "numbers", (None, 6), np.int64, where)
    if not len(numbers):
        return ()
    groups, firsts, learned, of_times, rows, known_rows = numbers.T
    times = stored.get("times")
    widths = {"targets": frame.targets, "past": frame.past, "known": frame.known}
    columns = {
        name: array_of(stored, name, (None, len(names)), np.float64, where)
        for name, names in widths.items()
    }
    fit = (
        isinstance(times, list)
        and all(isinstance(time, str) for time in times)
        and ((of_times >= 0) & (of_times < len(times))).all()
        and ((groups >= 0) & (groups < len(frame.groups))).all()
        and len(np.unique(groups)) == len(groups)
        and ((rows > 0) & (rows <= LARGEST) & (known_rows >= rows) & (known_rows <= LARGEST)).all()
        and (np.abs(firsts) <= LARGEST).all()
        and (np.abs(learned) <= LARGEST).all()
        and rows.sum() == len(columns["targets"]) == len(columns["past"])
        and known_rows.sum() == len(columns["known"])
        and not any((np.abs(column) >= LARGEST).any() for column in columns.values())
    )
    if not fit:
        raise RunError(f"{where}: the kept history does not fit the model.")
    assert isinstance(times, list)
    ends = np.cumsum(rows)
    known_ends = np.cumsum(known_rows)
    return tuple(
        Tail(
            Panel(
                columns["targets"][end - count : end],
                columns["past"][end - count : end],
                columns["known"][known_end - known : known_end],
                first,
                group,
            ),
            times[time],
            until,
        )
        for (group, first, until, time, count, known), end, known_end in zip(
            numbers.tolist(), ends.tolist(), known_ends.tolist(), strict=True
        )
    )


def kept_memories(memories: Sequence[BandMemory]) -> tuple[BandMemory, ...]:
    """Return what a run keeps of what its bands know: less of each where there are many series."""
    numbers = sum(
        len(step) * len(memory.errors) for memory in memories for step in memory.errors[:1]
    )
    most = _MOST_KEPT // max(numbers, 1)
    return tuple(memory.latest(most) for memory in memories) if most else ()


def rows_read(frame: ForecastFrame) -> int:
    """Return how many rows of a series are read at most before a forecast."""
    return MOST_READ + frame.history - 1


def rows_kept(frame: ForecastFrame, *, smoothed: bool) -> int:
    """Return how many rows a run keeps of each group: fewer where there are many, but twice the
    history of a step.

    Args:
        frame: of the model.
        smoothed: whether the network smooths, and reads a series from its first row on: then as
            many as it ever reads, but where series times columns are more than some 30,000.
    """
    numbers = max(len(frame.columns) * len(frame.groups), 1)
    whole = rows_read(frame)
    if smoothed:
        return min(max(_MOST_OF_SMOOTHED // numbers, 2 * frame.history), whole)
    most = MOST_READ if len(frame.groups) == 1 else _MOST_KEPT // numbers
    return min(max(most, 2 * frame.history), MOST_READ)
