"""The forecast of the steps after the end of series."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conveyor.data.group_names import group_label, listed
from conveyor.data.holiday_columns import holiday_names
from conveyor.data.time_text import read_time
from conveyor.data.timeline import Step
from conveyor.errors import DataError, RunError, counted
from conveyor.tasks.forecast.forecast_csv import GroupForecast, GroupPaths
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.latest_forecasts import latest_forecasts
from conveyor.tasks.forecast.model_table import groups_for, unobserved_target
from conveyor.tasks.forecast.sampled_paths import (
    ENOUGH,
    check_steps,
    quantiles_of_paths,
    sampled_paths,
)
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.unseen_rows import notes_on_end, placed, stored_rows
from conveyor.tasks.task import Say

Numbers = NDArray[np.float64]

# Of the past so many horizons are drawn, and so many steps at least.
_HORIZONS, _FEWEST = 4, 40

# Events are marked where they are rarer than this, of so many columns.
_NOW_AND_THEN, _MOST_EVENTS = 0.5, 3

# Of so many groups at once what is known ahead is put together.
_AT_ONCE = 1_000


class End(NamedTuple):
    """The end of the rows of a group, from which it is forecast.

    Attributes:
        panel: the rows.
        last_time: the time of the last one, as ``frame`` writes times; empty without times.
        frame: of the table that the rows are of, which may write times otherwise than the model's.
        name: of the table, for errors.
    """

    panel: Panel
    last_time: str
    frame: ForecastFrame
    name: str

    def moments(self, back: int, ahead: int) -> tuple[list[Any], list[Any]]:
        """Return the times of the last ``back`` rows and of as many steps after them as ``ahead``,
        or their numbers where rows are only counted."""
        if self.frame.step is None or not self.last_time:
            end = self.panel.first + len(self.panel)
            return list(range(end - back, end)), list(range(end, end + ahead))
        last = read_time(self.last_time, self.frame.time_format, self.frame.zone)
        times = [self.frame.step.after(last, step) for step in range(1 - back, ahead + 1)]
        return times[:back], times[back:]

    @property
    def drawn(self) -> int:
        """How many of the last rows a chart shows: a target has a value there, or it would not be
        forecast."""
        frame = self.frame
        return min(max(_HORIZONS * frame.horizon, _FEWEST, frame.history), len(self.panel))

    def events(self, back: int, ahead: int) -> dict[str, list[int]]:
        """Return on which of the last ``back`` rows and of the ``ahead`` next steps there is a
        holiday, or a planned event whose column is 0 or 1, by its name: the first few that come now
        and then."""
        frame, rows = self.frame, len(self.panel)
        shown = self.panel.known[rows - back : rows + ahead]
        holiday = frame.calendar.holidays and holiday_names(frame.calendar.holidays)[0]
        events: dict[str, list[int]] = {}
        for number, name in enumerate(frame.known):
            if name not in (*frame.known_of_table, holiday):
                continue
            column = shown[:, number]
            seen = column[~np.isnan(column)]
            if set(seen) == {0.0, 1.0} and seen.mean() < _NOW_AND_THEN:
                event = "holiday" if name == holiday else name
                events[event] = np.flatnonzero(column == 1).tolist()
        return dict(list(events.items())[:_MOST_EVENTS])

    def lacking(self, steps: int | None = None) -> list[tuple[str, int]]:
        """Return the columns known ahead that lack a value in the steps to come, each with its
        first step without one.

        Args:
            steps: how many; None for the horizon.
        """
        horizon, rows = steps or self.frame.horizon, len(self.panel)
        ahead = np.full((horizon, len(self.frame.known)), np.nan)
        known = self.panel.known[rows : rows + horizon]
        ahead[: len(known)] = known
        missing = np.isnan(ahead)
        return [
            (name, int(missing[:, number].argmax()))
            for number, name in enumerate(self.frame.known)
            if missing[:, number].any()
        ]

    def with_calendar(self, steps: int) -> "End":
        """Return the end with the columns of the calendar known for so many steps after it.

        Raises:
            DataError: there are no such times.
        """
        frame, panel = self.frame, self.panel
        names, rows = frame.calendar.names, len(self.panel)
        lacking = rows + steps - len(panel.known)
        if not names or lacking <= 0:
            return self
        _, times = self.moments(0, steps)
        assert frame.step is not None
        columns = frame.calendar.columns(times, frame.step)
        known = np.pad(panel.known, ((0, lacking), (0, 0)), constant_values=np.nan)
        known[rows:, -len(names) :] = np.stack([columns[name] for name in names], 1)
        return self._replace(panel=replace(panel, known=known))


class Ends(NamedTuple):
    """The ends of groups, and the name of the column of times."""

    ends: list[End]
    time: str


def ends_of_run(network: Forecaster, say: Say) -> Ends:
    """Return the ends of the rows that a run keeps.

    Args:
        network: the run's forecaster.
        say: called with a note on groups that the run cannot go on from.

    Raises:
        RunError: it keeps none.
    """
    frame = network.frame
    if not network.tails:
        raise RunError("the run holds no data to go on from. Give a file.")
    kept = {tail.group for tail in network.tails}
    stale = [number for number in range(len(frame.groups)) if number not in kept]
    if stale:
        say(_left_out(frame, stale))
    of_run = [End(tail.panel, tail.last_time, frame, "the run's table") for tail in network.tails]
    return Ends(of_run, frame.time)


def ends_of_table(
    network: Forecaster,
    source: Any,
    *,
    fitted_on: Mapping[str, Any] | None,
    options: Any,
    say: Say,
) -> Ends:
    """Return the ends of the groups of a table that the run has learned.

    Args:
        network: the run's forecaster.
        source: the table.
        fitted_on: the record of the rows that the run has learned from.
        options: how the table is read, see ``ForecastReading``.
        say: called with each note on the data.

    Raises:
        DataError: the table cannot be used.
    """
    frame = network.frame
    _, rows, notes = groups_for(
        frame, source, time=options.time, fill_gaps=options.fill_gaps, later=options.later
    )
    usable = [pair for pair in rows if unobserved_target(pair[1], frame) is None]
    if not usable:
        table, panel = rows[0]
        raise DataError(
            f"{table.name}: column {unobserved_target(panel, frame)} has no value in the last "
            f"{counted(frame.history, 'row')}, which this model reads. Give a table that ends "
            "with observed rows."
        )
    for note in notes:
        say(note)
    if len(usable) < len(rows):
        kept = {panel.group for _, panel in usable}
        say(_left_out(frame, [panel.group for _, panel in rows if panel.group not in kept]))
    first, panel = usable[0]
    for note in notes_on_end(network, stored_rows(fitted_on, panel.group), first, panel.group):
        say(note)
    ends: list[End] = []
    frames: dict[tuple[Step | None, str, str], ForecastFrame] = {}
    for table, as_read in usable:
        panel = as_read
        if not table.times and options.later is None:
            panel = placed(frame, stored_rows(fitted_on, panel.group), panel)
        # Its times may be written otherwise than those of the run's table; those of all series
        # mostly alike, and a frame of many series takes long to make.
        written = table.step, table.time_format, table.zone
        if written not in frames:
            step, time_format, zone = written
            frames[written] = replace(
                frame, step=step, time_format=time_format, zone=zone, origin=""
            )
        ends.append(End(panel, table.last_time, frames[written], table.name))
    return Ends(ends, first.time_column)


def _left_out(frame: ForecastFrame, groups: Sequence[int]) -> str:
    """Return a note on groups that cannot be forecast for want of values at their end."""
    names = [group_label(frame.groups[group]) for group in groups]
    several = len(names) > 1
    return (
        f"{counted(len(names), 'series', 'series')} {'are' if several else 'is'} left out, as a "
        f"target has no value in {'their' if several else 'its'} last "
        f"{counted(frame.history, 'row')}: {listed(names)}"
    )


def next_forecast(network: Forecaster, end: End, steps: int | None = None) -> GroupForecast:
    """Return the forecast of the steps after an end. Beyond the horizon it is that of paths, see
    ``sampled_paths``.

    Args:
        network: the forecaster.
        end: of the rows of a group.
        steps: how many; None for the horizon.

    Raises:
        DataError: there are no such times, or a column that is known ahead lacks a value there.
        RunError, SettingError: the network cannot forecast so many steps.
    """
    end, times = _ready(network, end, steps or end.frame.horizon)
    horizon, panel = end.frame.horizon, end.panel
    quantiles = network.forecasts(panel, [len(panel)])[0][:steps]
    if len(times) > horizon:
        paths = sampled_paths(network, panel, count=ENOUGH, steps=len(times))
        quantiles = np.concatenate([quantiles, quantiles_of_paths(network, paths[horizon:])])
    return GroupForecast(panel.group, times, quantiles)


def next_forecasts(
    network: Forecaster, ends: Sequence[End], steps: int | None = None
) -> list[GroupForecast]:
    """Return the forecasts of the steps after several ends; those of many are made together.

    Args:
        network, steps: as in ``next_forecast``.
        ends: of the rows of each group.

    Raises:
        DataError, RunError, SettingError: as in ``next_forecast``.
    """
    horizon = network.frame.horizon
    if (steps or horizon) > horizon:
        return [next_forecast(network, end, steps) for end in ends]
    forecasts = []
    for first in range(0, len(ends), _AT_ONCE):
        ready = [_ready(network, end, steps or horizon) for end in ends[first : first + _AT_ONCE]]
        of_panels = latest_forecasts(network, [end.panel for end, _ in ready])
        forecasts += [
            GroupForecast(end.panel.group, times, quantiles[:steps])
            for (end, times), quantiles in zip(ready, of_panels, strict=True)
        ]
    return forecasts


def beyond_horizon(network: Forecaster, steps: int) -> str:
    """Return a note on steps beyond the horizon."""
    horizon = network.frame.horizon
    return (
        f"the run was fitted for {counted(horizon, 'step')}: those from {horizon + 1} to {steps} "
        f"are forecast from {ENOUGH:,} drawn futures of the first {horizon}, and their bands were "
        "not compared with what came"
    )


def next_paths(network: Forecaster, end: End, count: int, steps: int | None = None) -> GroupPaths:
    """Return futures that are drawn after an end.

    Args:
        network, end, steps: as in ``next_forecast``.
        count: how many.

    Raises:
        DataError, RunError, SettingError: as in ``next_forecast``.
    """
    end, times = _ready(network, end, steps or end.frame.horizon)
    paths = sampled_paths(network, end.panel, count=count, steps=len(times))
    return GroupPaths(end.panel.group, times, paths)


def next_total(network: Forecaster, end: End, steps: int) -> Numbers | None:
    """Return quantiles of the sum over the next steps, [targets, quantiles]; None where a run does
    not know how errors go together.

    Args:
        network: the forecaster.
        end: of the rows of a group, whose known columns reach over these steps.
        steps: how many.
    """
    if network.frame.dependence is None:
        return None
    panel = end.with_calendar(_whole_horizons(network, steps)).panel
    paths = sampled_paths(network, panel, count=ENOUGH, steps=steps)
    return quantiles_of_paths(network, paths.sum(0))


def _whole_horizons(network: Forecaster, steps: int) -> int:
    """Return the steps of all horizons that are gone through for so many: the network reads what is
    known ahead of a whole horizon at once."""
    return -(-steps // network.frame.horizon) * network.frame.horizon


def _ready(network: Forecaster, end: End, steps: int) -> tuple[End, list[str]]:
    """Return an end from which so many steps can be forecast, and their times.

    Raises:
        DataError: there are no such times, or a column that is known ahead lacks a value there.
        SettingError: the network cannot forecast so many steps.
    """
    check_steps(network, steps)
    frame = end.frame
    times = network.future_times(end.last_time, steps, frame)
    end = end.with_calendar(_whole_horizons(network, steps))
    panel, lacking = end.panel, end.lacking(steps)
    if lacking:
        group = group_label(frame.groups[panel.group])
        of_group = f"of {group} " if group and not end.name.endswith(f", series {group}") else ""
        missing = ", ".join(f"{column} is missing at {times[step]}" for column, step in lacking)
        raise DataError(
            f"{end.name}: the forecast {of_group}needs "
            f"{', '.join(column for column, _ in lacking)} "
            f"from {times[0]} to {times[-1]}, in rows after the last value of "
            f"{', '.join(frame.targets)}; {missing}. Give a table with these values."
        )
    return end, times
