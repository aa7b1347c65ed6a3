"""Prepares a table for forecasting: reads and splits it, takes its series apart, and infers missing
settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.table import Table, read_table
from conveyor.data.table_reading import TableReading
from conveyor.data.time_text import read_time, write_time
from conveyor.data.timeline import utc_time, wall_time
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.cycle_names import cycle_words
from conveyor.tasks.forecast.decomposition import Decomposition, decompose
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.forecast_frame import ForecastFrame, Units
from conveyor.tasks.forecast.forecast_settings import ForecastData
from conveyor.tasks.forecast.parts import Parts
from conveyor.tasks.forecast.scores import seasonal_naive_error
from conveyor.tasks.forecast.series_panel import Origins, Panel

Numbers = NDArray[np.float64]
Say = Callable[[str], None]

# The longest season and horizon that inferred settings are based on; users may ask for longer ones.
LONGEST = 52

# A step reads four seasons up to this length, of longer ones a quarter more than one (Hewamalage et
# al. 2021, section 4.3).
_WEEK, _WEEKS, _MORE = 7, 4, 1.25


@dataclass(frozen=True)
class Prepared:
    """A prepared table.

    Attributes:
        table: the table as it was read.
        panel: its rows from the first one in which every column has a value.
        frame: the frame of the model; what it takes out of the series is fitted on rows before
            ``fitted``.
        parts: the ends of the training, validation and test part.
        fitted: how many rows a network may learn from.
    """

    table: Table
    panel: Panel
    frame: ForecastFrame
    parts: Parts
    fitted: int

    @property
    def has_next_times(self) -> bool:
        """Whether the steps of a horizon after the end of the table have times."""
        times, step = self.table.times, self.frame.step
        if not times or step is None:
            return True
        try:
            step.after(times[-1], self.frame.horizon)
        except (ValueError, OverflowError):
            return False
        return True

    def origins(self, first: int, last: int) -> Origins:
        """Return the origins of forecasts whose future lies in rows ``first`` to ``last``."""
        frame = self.frame
        return Origins.within(self.panel, first, last, horizon=frame.horizon, season=frame.season)

    def extended(self, fitted: int) -> "Prepared":
        """Return the table prepared for a network that learns from more rows.

        Raises:
            DataError: a series cannot be taken apart.
        """
        if fitted == self.fitted:
            return self
        past_units, known_units, series = fit_series(
            self.panel.rows(0, fitted),
            self.frame.columns,
            season=self.frame.season,
            cycles=self.frame.step.cycles if self.frame.step else (),
            like=self.frame.series,
        )
        frame = replace(self.frame, past_units=past_units, known_units=known_units, series=series)
        return replace(self, frame=frame, fitted=fitted)


def fit_series(
    panel: Panel,
    names: Sequence[str],
    *,
    season: int,
    cycles: Sequence[float],
    positive: NDArray[np.bool_] | None = None,
    like: Sequence[Decomposition] = (),
) -> tuple[Units, Units, tuple[Decomposition, ...]]:
    """Return the units of the past and of the known columns, and what is taken out of each series.

    Args:
        panel: the rows to fit on.
        names: of all columns: the series, the past columns, the known ones.
        season: in steps; 1 for none.
        cycles: of the calendar, in steps.
        positive: whether each series is above 0 in all rows that may be looked at, [N]; None if it
            is.
        like: what was taken out of each series in fewer rows, see ``decompose``.

    Raises:
        DataError: a series cannot be taken apart.
    """
    known, count = panel.known[: len(panel)], panel.targets.shape[1]
    beside = np.concatenate([panel.past, known], 1)
    for name, column in zip(names[count:], beside.T, strict=True):
        if np.isnan(column).all():
            raise DataError(f"column {name} has no value in the training part.")
    past_units, known_units = Units.of(panel.past), Units.of(known)
    standardised = known_units.standardised(known)
    series = tuple(
        decompose(
            panel.targets[:, number],
            standardised,
            name=name,
            first=panel.first,
            season=season,
            cycles=cycles,
            naive_error=seasonal_naive_error(panel.targets[:, number], season),
            positive=positive is None or bool(positive[number]),
            like=like[number] if like else None,
        )
        for number, name in enumerate(names[:count])
    )
    return past_units, known_units, series


def panel_of(
    table: Table, targets: Sequence[str], past: Sequence[str], known: Sequence[str]
) -> tuple[Panel, list[str]]:
    """Return the columns of a table as a panel, from the first row on in which every column has had
    a value, and notes for the user.

    Raises:
        DataError: a column has no value at all.
    """
    names = [*targets, *past, *known]
    columns = np.stack([table.columns[name] for name in names], axis=1)
    notes = []
    for column, name in enumerate(names):
        missing = int(np.isnan(columns[:, column]).sum())
        if missing == len(columns):
            raise DataError(f"{table.name}: column {name} has no value at all.")
        if missing:
            notes.append(
                f"{counted(missing, 'missing value')} of {name}: what is read is filled with the "
                "value before; what is missing is neither trained on nor scored"
            )
    first = (~np.isnan(columns)).argmax(0)
    begins = int(first.max())
    if begins:
        late = names[int(first.argmax())]
        are = "is" if begins == 1 else "are"
        rows = counted(begins, "row")
        notes.append(f"the first {rows} {are} left out: {late} has no value yet")
    cut = columns[begins:].copy()
    cut[0] = fill_forward(columns)[begins]  # keeps the last values of the rows that are dropped
    beside, ends = len(targets), len(targets) + len(past)
    ahead = np.stack([table.ahead[name] for name in known], 1) if known else np.zeros((0, 0))
    panel = Panel(
        cut[:, :beside], cut[:, beside:ends], np.concatenate([cut[:, ends:], ahead]), begins
    )
    return panel, notes


def unobserved_target(panel: Panel, frame: ForecastFrame) -> str | None:
    """Return the first target without a value in the last ``history`` rows; None if all targets
    have one."""
    missing = np.isnan(panel.targets[-frame.history :]).all(0)
    return frame.targets[int(missing.argmax())] if missing.any() else None


def default_history(season: int, horizon: int) -> int:
    """Return how many values a step reads, if that is not said."""
    longest = max(min(season, LONGEST), min(horizon, LONGEST))
    return _WEEKS * longest if longest <= _WEEK else ceil(_MORE * longest)


def prepare_data(data: Any, settings: ForecastData, say: Say) -> Prepared:
    """Read a table, split it, take its series apart as the training part shows them, and infer
    missing settings.

    Args:
        data: a file, a data frame or an array, see ``conveyor.data.raw_table.read_raw``.
        settings: how the table is read and what is forecast.
        say: called with each note on the data.

    Raises:
        DataError: the table cannot be used; the text says where and why.
    """
    reading = TableReading(settings.decimal, settings.missing_as, settings.day_first)
    table = read_table(
        data,
        settings.target,
        time=settings.time,
        only_targets=settings.only_target,
        known=settings.future,
        fill_gaps=settings.fill_gaps,
        reading=reading,
    )
    known = settings.future
    everything = settings.target == ("all",) and "all" not in table.columns
    targets = tuple(
        name for name in (table.columns if everything else settings.target) if name not in known
    )
    past = tuple(name for name in table.columns if name not in (*targets, *known))
    _check_names(table.name, targets, settings.level)
    panel, notes = panel_of(table, targets, past, known)
    try:
        parts = Parts.of(len(panel), settings.split)
    except DataError as error:
        raise DataError(f"{table.name}: {error}") from error
    season = settings.season or (table.step.season if table.step else 1)
    if season > parts.train // 2:
        if settings.season:
            raise DataError(
                f"{table.name}: a season of {counted(season, 'step')} needs "
                f"{counted(2 * season, 'row')} in the training part, which has {parts.train:,}. "
                f"Give more rows or a smaller {named('season')}."
            )
        steps = counted(season, "step")
        notes.append(f"the training part is shorter than two seasons of {steps}: none used")
        season = 1
    horizon = settings.horizon or (min(season, LONGEST) if season > 1 else 12)
    history = settings.history or default_history(season, horizon)
    _check_lengths(table.name, parts, history, horizon, season)
    try:
        past_units, known_units, series = fit_series(
            panel.rows(0, parts.train),
            (*targets, *past, *known),
            season=season,
            # Validation rows say how long to learn, so that they may say this, too.
            positive=np.logical_not((panel.targets[: parts.validation] <= 0).any(0)),
            cycles=table.step.cycles if table.step else (),
        )
    except DataError as error:
        raise DataError(f"{table.name}: {error}") from error
    frame = ForecastFrame(
        targets=targets,
        past=past,
        known=known,
        history=history,
        horizon=horizon,
        season=season,
        levels=tuple(sorted(settings.level, reverse=True)),
        series=series,
        past_units=past_units,
        known_units=known_units,
        rows=len(table),
        first=panel.first,
        step=table.step,
        time_format=table.time_format,
        time=table.time_column,
        fill_gaps=settings.fill_gaps,
        zone=table.zone,
        reading=reading,
        origin=write_time(table.times[0], table.time_format) if table.times else "",
    )
    prepared = Prepared(table, panel, frame, parts, parts.train)
    stale = unobserved_target(panel, frame)
    if stale:
        notes.append(
            f"{stale} has no value in the last {counted(history, 'row')}: the run keeps no history "
            "to predict from, and predict needs a table"
        )
    if not prepared.has_next_times:
        notes.append(
            f"there is no time {counted(horizon, 'step')} of {table.step} after {table.last_time}, "
            "the end of the table: predict cannot go on from it"
        )
    for note in (*table.notes, *notes):
        say(note)
    ahead, back = counted(horizon, "step"), counted(history, "step")
    say(f"forecasting {', '.join(targets)}, {ahead} ahead, from {back}")
    say(
        f"past covariates: {', '.join(past) or 'none'}; known ahead: {', '.join(known) or 'none'}; "
        f"season of the baselines: {counted(season, 'step')}"
    )
    for name, decomposition in zip(targets, series, strict=True):
        say(taken_out(name, decomposition, frame))
    say(
        f"rows: {parts.train:,} to train, {parts.validation - parts.train:,} to validate, "
        f"{parts.test - parts.validation:,} to test, in order of time"
    )
    return prepared


def _check_names(table: str, targets: Sequence[str], levels: Sequence[int]) -> None:
    """Check that no target is called as the end of another one's band.

    Raises:
        DataError: one is.
    """
    for target in targets:
        for name in (f"{target}-{end}-{level}" for end in ("lo", "hi") for level in levels):
            if name in targets:
                raise DataError(
                    f"{table}: column {name} is called as the end of {target}'s band in a "
                    "forecast. Rename it, or leave it out of the targets."
                )


def taken_out(name: str, decomposition: Decomposition, frame: ForecastFrame) -> str:
    """Return a line that says what is taken out of a series before the network reads it."""
    parts = ["its growth (logarithm)"] if decomposition.logarithm else []
    parts += [cycle_words(cycle, frame.step).en for cycle in decomposition.cycles]
    if frame.known:
        parts.append(f"the effect of {', '.join(frame.known)}")
    return f"{name}: taken out before the network: {', '.join(parts) or 'nothing but its level'}"


def _check_lengths(name: str, parts: Parts, history: int, horizon: int, season: int) -> None:
    """Check that each part has enough rows.

    Raises:
        DataError: a part is too short.
    """
    shortest = max(history, season) + horizon
    if parts.train < shortest:
        raise DataError(
            f"{name}: the training part has {counted(parts.train, 'row')}; a history of "
            f"{history} and a horizon of {horizon} need at least {shortest}. Give more rows, or a "
            f"smaller {named('history')} or {named('horizon')}."
        )
    for part, rows in (
        ("validation", parts.validation - parts.train),
        ("test", parts.test - parts.validation),
    ):
        if rows < horizon:
            raise DataError(
                f"{name}: the {part} part has {counted(rows, 'row')}; a horizon of "
                f"{horizon} needs at least {horizon}. Give more rows, a smaller "
                f"{named('horizon')} or another {named('split')}."
            )


def table_for(
    frame: ForecastFrame, data: Any, *, time: str | None, fill_gaps: bool, later: int | None = None
) -> tuple[Table, Panel, list[str]]:
    """Read a table for a fitted model. Return it, its columns as a panel whose steps are counted as
    those of the run's table, and notes for the user.

    Args:
        frame: the model's frame.
        data: a file, a data frame or an array.
        time: the column of times; None for that of the run.
        fill_gaps: whether rows that are missing become missing values.
        later: of a table whose rows are only counted, how many rows it ends after the run's table;
            None for one that begins with the same row.

    Raises:
        DataError: columns are missing, rows come at another step, or there are too few rows.
    """
    table = read_table(
        data,
        frame.targets,
        time=frame.time if time is None else time,
        covariates=frame.past,
        known=frame.known,
        fill_gaps=fill_gaps or frame.fill_gaps,
        step=frame.step,
        reading=frame.reading,
    )
    panel, notes = panel_of(table, frame.targets, frame.past, frame.known)
    if len(panel) < frame.history:
        raise DataError(
            f"{table.name} has {counted(len(panel), 'row')}; this model reads "
            f"{counted(frame.history, 'step')} of history. Give at least so many."
        )
    first = panel.first
    if frame.origin and frame.step and table.times:
        first += steps_between(frame, table)
    elif later is not None:
        first = frame.rows + later - len(panel)
    return table, replace(panel, first=first), [*table.notes, *notes]


def steps_between(frame: ForecastFrame, table: Table) -> int:
    """Return how many steps a table with times begins after the run's own. Where its rows stand
    between the run's steps, it is the next whole number."""
    assert frame.step is not None
    assert table.times is not None
    origin, begin = read_time(frame.origin, frame.time_format, frame.zone), table.times[0]
    if origin.tzinfo is None or begin.tzinfo is None:
        origin, begin = wall_time(origin), wall_time(begin)
    whole = frame.step.count(origin, begin)
    if whole is not None:
        return whole
    if frame.step.months:
        months = (begin.year - origin.year) * 12 + begin.month - origin.month
        return months // frame.step.months
    if frame.step.weekdays:
        # Counted by days, whatever the time of the day; a day without rows is the next one's.
        at_once = wall_time(begin).replace(
            hour=origin.hour, minute=origin.minute, second=origin.second,
            microsecond=origin.microsecond,
        )  # fmt: skip
        while at_once.weekday() not in frame.step.weekdays:
            at_once += timedelta(days=1)
        return frame.step.count(wall_time(origin), at_once) or 0
    elapsed = (utc_time(begin) - utc_time(origin)).total_seconds()
    return ceil(elapsed / frame.step.seconds)
