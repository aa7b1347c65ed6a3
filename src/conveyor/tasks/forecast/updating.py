"""Takes new rows into a fitted run."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from conveyor.data.group_names import group_label, listed
from conveyor.data.table import Table
from conveyor.data.time_text import read_time, write_time, zone_of
from conveyor.data.timeline import utc_time
from conveyor.errors import DataError, RunError, counted, named
from conveyor.tasks.forecast.calibration import AdaptiveBands, band_errors, bands_moved
from conveyor.tasks.forecast.comparison import compare
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecast_results import results_of
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.model_table import new_rows, unobserved_target
from conveyor.tasks.forecast.next_forecast import End
from conveyor.tasks.forecast.raw_forecasts import raw_forecasts
from conveyor.tasks.forecast.series_panel import Origins, Panel
from conveyor.tasks.forecast.tail import Tail, rows_kept
from conveyor.tasks.results import Results
from conveyor.tasks.task import Say

Numbers = NDArray[np.float64]


class _Longer(NamedTuple):
    """The rows of a group with those of a table behind them.

    Attributes:
        panel: all rows that are known.
        begin: the first new row.
        honest: the first row from which a forecast has not been learned from.
        last_time: the time of the last row, as the run writes times.
        revised: how many values of rows that the run had are others now.
        planned: whether what is known ahead is another now.
    """

    panel: Panel
    begin: int
    honest: int
    last_time: str
    revised: int = 0
    planned: bool = False

    @property
    def added(self) -> int:
        """How many rows are new."""
        return len(self.panel) - self.begin


def update(network: Forecaster, source: Any, *, options: Any, say: Say) -> Results | None:
    """Take new rows of a table into a run. Its weights stay; its next forecast begins after the new
    rows, and its bands move by how far off the forecasts of these rows were.

    Args:
        network: the run's forecaster, which is changed.
        source: the table: rows after the run's, or all rows again with new ones. It may hold
            another future of columns that are known ahead.
        options: how it is read, see ``ForecastUpdating``.
        say: called with each note.

    Returns:
        The scores of the forecasts that have come to be known whole; None without any.

    Raises:
        DataError: the table cannot be used, or has nothing new.
        RunError: the run holds no rows to go on from.
    """
    frame = network.frame
    if not network.tails:
        raise RunError("the run holds no data to go on from. Fit it again on the longer table.")
    if not frame.origin:
        raise DataError(
            "rows of this run are only counted, so that new ones cannot be told. Fit it again on "
            "the longer table, or predict from it."
        )
    fill_gaps = options.fill_gaps or frame.fill_gaps
    name, rows, notes = new_rows(frame, source, time=options.time, fill_gaps=fill_gaps)
    tail_of = {tail.group: tail for tail in network.tails}
    longer = [
        _longer(frame, tail_of.get(panel.group), table, panel, fill_gaps=fill_gaps)
        for table, panel in rows
    ]
    new = [one for one in longer if one.added or one.planned]
    if not new:
        raise DataError(
            f"{name} has no row after {_latest(frame, longer)}, the end of the run's own: there is "
            "nothing to take in."
        )
    for note in notes:
        say(note)
    count = sum(one.added for one in new)
    of = f" of {counted(len(new), 'series', 'series')}" if frame.group_columns else ""
    if count:
        say(f"{counted(count, 'new row')}{of}, up to {_latest(frame, new)}")
    else:
        say(f"no new row{of}, and another future of {', '.join(frame.known)}")
    revised = sum(one.revised for one in new)
    if revised:
        say(
            f"{counted(revised, 'value differs', 'values differ')} from those that the run had: "
            "this table's are taken"
        )
    tails = _tails(network, new, say)
    results = _scored(network, [one for one in new if one.added])
    network.tails = tails
    for note in _notes(network, new):
        say(note)
    return results


def _latest(frame: ForecastFrame, longer: Sequence[_Longer]) -> str:
    """Return the last time at which any of some groups ends."""
    texts = {one.last_time for one in longer}
    return max(texts, key=lambda text: utc_time(read_time(text, frame.time_format, frame.zone)))


def _notes(network: Forecaster, new: Sequence[_Longer]) -> list[str]:
    """Return notes on what a user may not expect of the run now."""
    frame, notes = network.frame, []
    ends = [End(tail.panel, tail.last_time, frame, "the run's table") for tail in network.tails]
    lacking = sorted({column for end in ends for column, _ in end.lacking()})
    if lacking:
        notes.append(
            f"the run does not know {', '.join(lacking)} for the {counted(frame.horizon, 'step')} "
            "after its end: predict needs a table with them, or update again with them"
        )
    if any(one.added for one in new) and not network.memories:
        why = "rest on all series together" if frame.bands and frame.bands.pooled else "are fixed"
        notes.append(f"the bands {why} and stay as they are")
    return notes


def _longer(
    frame: ForecastFrame, tail: Tail | None, table: Table, panel: Panel, *, fill_gaps: bool
) -> _Longer:
    """Return the run's rows of a group with those of a table behind them.

    Args:
        frame: of the run.
        tail: the end of its rows of the group; None where they ended too early to be kept.
        table: the new rows as they were read.
        panel: the same, counted as the run's rows are.
        fill_gaps: whether rows that are missing between become missing values.

    Raises:
        DataError: rows between them are missing, or its times are written otherwise.
    """
    text = _as_run(frame, table)
    if tail is None:
        # The network has not learned from any of them as new.
        return _Longer(panel, 0, len(panel), text)
    before = tail.panel
    end = before.first + len(before)
    gap = panel.first - end
    if gap > 0 and not fill_gaps:
        raise DataError(
            f"{table.name}: {counted(gap, 'row is', 'rows are')} missing between {tail.last_time}, "
            f"the end of the run's own, and its first one. Give a table that begins earlier, or "
            f"pass {named('fill_gaps', True)} to treat them as missing values."
        )
    last = max(end, panel.first + len(panel))
    targets, past, known = (
        _behind(getattr(before, name), before.first, getattr(panel, name), panel.first)
        for name in ("targets", "past", "known")
    )
    whole = replace(
        panel,
        targets=targets[: last - before.first],
        past=past[: last - before.first],
        known=known,
        first=before.first,
    )
    old = before.known[len(before) :]
    ahead = known[len(before) : len(before) + len(old)]
    longer = last == end and len(known) > len(before.known)
    planned = longer or not np.array_equal(old, ahead, equal_nan=True)  # noqa: TID251
    both = targets[: len(before)]
    revised = ~np.isclose(before.targets, both, rtol=1e-9, atol=0, equal_nan=True)
    return _Longer(
        whole,
        end - whole.first,
        tail.learned - whole.first,
        text if last > end else tail.last_time,
        int(revised.sum()) if last > end else 0,
        planned and bool(frame.known),
    )


def _behind(old: Numbers, first: int, new: Numbers, begin: int) -> Numbers:
    """Return columns from step ``first`` on, new values over old ones, and those over nothing.

    Args:
        old: columns, [T, K].
        first: the number of their first step.
        new: the same columns, [S, K].
        begin: the number of their first step.
    """
    skipped = max(first - begin, 0)
    new, begin = new[skipped:], max(begin, first)
    whole = np.full((max(len(old), begin - first + len(new)), old.shape[1]), np.nan)
    whole[: len(old)] = old
    place = whole[begin - first : begin - first + len(new)]
    place[:] = np.where(np.isnan(new), place, new)
    return whole


def _as_run(frame: ForecastFrame, table: Table) -> str:
    """Return the time of a table's last row as the run writes times.

    Raises:
        DataError: it cannot be written so.
    """
    assert table.times
    last, zone = table.times[-1], zone_of(frame.zone)
    if last.tzinfo is not None and isinstance(zone, ZoneInfo):
        last = last.astimezone(zone)
    text = write_time(last, frame.time_format)
    with contextlib.suppress(DataError):
        as_run = read_time(text, frame.time_format, frame.zone)
        if (as_run.tzinfo is None) == (last.tzinfo is None) and as_run == last:
            return text
    raise DataError(
        f"{table.name}: the time {table.last_time} cannot be written as the run writes times, "
        f"{text}. Write times as the run's table does."
    )


def _scored(network: Forecaster, new: Sequence[_Longer]) -> Results | None:
    """Return the scores of the forecasts that have come to be known whole, and let the bands see
    how far off all were; None without any whole one."""
    frame, count = network.frame, len(network.frame.targets)
    adapts = network.adapts
    memories = list(network.memories)
    moved = [np.array(of_series) for of_series in (frame.bands.moved if frame.bands else ())]
    whole_of: list[Origins] = []
    moves_of: list[Any] = []
    seen = 0
    firsts = [max(one.begin - frame.horizon + 1, one.honest, 1) for one in new]
    groups = [
        (one.panel, list(range(first, len(one.panel))))
        for one, first in zip(new, firsts, strict=True)
    ]
    raw_of = raw_forecasts(network, groups) if adapts else iter([()] * len(groups))
    for one, first, (_, origins), raws in zip(new, firsts, groups, raw_of, strict=True):
        panel, begin = one.panel, one.begin
        whole = Origins.within(panel, first, len(panel), horizon=frame.horizon, season=frame.season)
        of_group = []
        for target, (_, quantiles, truth) in enumerate(raws if origins else ()):
            number = panel.group * count + target
            bands = AdaptiveBands(memories[number], frame.levels)
            of_group.append(
                bands.roll(band_errors(quantiles, truth), origins, range(begin, len(panel)))
            )
            memories[number], moved[number] = bands.memory, bands.moved
        if len(whole):
            whole_of.append(whole)
            places = [origin - first for origin in whole.numbers]
            moves_of.append(
                np.stack([moves[places] for moves in of_group], 2) if of_group else None
            )
            seen += len(whole)
    results = None
    if whole_of:
        as_moved = None if any(moves is None for moves in moves_of) else moves_of
        results = results_of(network, compare(network, whole_of, as_moved))
    if adapts and frame.bands is not None:
        windows = frame.bands.windows + seen / len(frame.groups)
        network.memories = tuple(memories)
        network.frame = replace(frame, bands=bands_moved(moved, windows))
    return results


def _tails(network: Forecaster, new: Sequence[_Longer], say: Say) -> tuple[Tail, ...]:
    """Return the ends that the run goes on from; groups whose end has no value any more are left
    out, with a note.

    Raises:
        DataError: none has.
    """
    frame = network.frame
    most = rows_kept(frame, smoothed=network.smooths)
    tails = {tail.group: tail for tail in network.tails}
    stale = []
    for one in new:
        panel = one.panel
        target = unobserved_target(panel, frame)
        if target:
            tails.pop(panel.group, None)
            stale.append(group_label(frame.groups[panel.group]) or target)
        else:
            learned = panel.first + one.honest
            tails[panel.group] = Tail.of(panel, one.last_time, most, learned)
    if not tails:
        raise DataError(
            f"{listed(stale)}: there is no value in the last {counted(frame.history, 'row')}, "
            "which this model reads. Give a table that ends with observed rows."
        )
    if stale:
        say(
            f"{listed(stale)} cannot be forecast on: no value in the last "
            f"{counted(frame.history, 'row')}"
        )
    return tuple(tails[group] for group in sorted(tails))
