"""Prepares a table for forecasting: reads, splits and scales it, and infers missing settings."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.table import Table, read_table
from conveyor.data.timeline import Step
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.forecast_settings import ForecastData
from conveyor.tasks.forecast.forecaster import ForecastFrame, Tail
from conveyor.tasks.forecast.scale import Scale
from conveyor.tasks.forecast.scores import seasonal_naive_error
from conveyor.tasks.forecast.windows import Parts, Windows, fill_forward, prepare

Numbers = NDArray[np.float64]
Say = Callable[[str], None]

# The longest season and horizon that inferred settings are based on; users may ask for longer ones.
LONGEST = 52


@dataclass(frozen=True)
class Prepared:
    """A prepared table.

    Attributes:
        table: the table as it was read.
        columns: its columns [T, K], the targets first.
        frame: the frame of the model.
        parts: the ends of the training, validation and test part.
    """

    table: Table
    columns: Numbers
    frame: ForecastFrame
    parts: Parts

    def windows(self, first: int, last: int) -> Windows:
        """Return the windows whose future lies in rows ``first`` to ``last``."""
        frame = self.frame
        return Windows(self.columns, frame.layout, first, last, frame.scale.centre)

    def three_parts(self) -> tuple[Windows, Windows, Windows]:
        """Return the windows of the training, validation and test part.

        Raises:
            DataError: a part holds no observed target.
        """
        parts = self.parts
        windows_of_parts = (
            self.windows(0, parts.train),
            self.windows(parts.train, parts.validation),
            self.windows(parts.validation, parts.test),
        )
        names = ("training", "validation", "test")
        for name, windows in zip(names, windows_of_parts, strict=True):
            if not len(windows):
                raise DataError(f"{self.table.name}: the {name} part holds no observed target.")
        return windows_of_parts

    @property
    def tail(self) -> Tail | None:
        """The last ``history`` rows, where forecasts beyond the data start from; None if a target
        has no value in them."""
        if unobserved_target(self.columns, self.frame):
            return None
        values = fill_forward(self.columns)[-self.frame.history :]
        return Tail(tuple(tuple(float(v) for v in row) for row in values), self.table.last_time)


def unobserved_target(columns: Numbers, frame: ForecastFrame) -> str | None:
    """Return the first target without a value in the last ``history`` rows of [T, K] columns; None
    if all targets have one."""
    missing = np.isnan(columns[-frame.history :, : len(frame.targets)]).all(0)
    return frame.targets[int(missing.argmax())] if missing.any() else None


def _has_times_after(step: Step, last: datetime, count: int) -> bool:
    """Return whether the ``count`` steps after a time are in the range of datetime."""
    try:
        step.after(last, count)
    except (ValueError, OverflowError):
        return False
    return True


def prepare_data(data: Any, settings: ForecastData, say: Say) -> Prepared:
    """Read a table, split it, fit the scales on the training part, and infer missing settings.

    Args:
        data: a file, a data frame or an array, see ``conveyor.data.raw_table.read_raw``.
        settings: how the table is read and what is forecast.
        say: called with each note on the data.

    Raises:
        DataError: the table cannot be used; the text says where and why.
    """
    table = read_table(
        data,
        settings.target,
        time=settings.time,
        only_targets=settings.only_target,
        fill_gaps=settings.fill_gaps,
    )
    targets = list(table.columns) if settings.target == ("all",) else list(settings.target)
    names, columns, notes = prepare(table, targets)
    try:
        parts = Parts.of(len(columns), settings.split)
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
    history = settings.history or 2 * max(min(season, LONGEST), min(horizon, LONGEST))
    shortest = max(history, season) + horizon
    if parts.train < shortest:
        raise DataError(
            f"{table.name}: the training part has {counted(parts.train, 'row')}; a history of "
            f"{history} and a horizon of {horizon} need at least {shortest}. Give more rows, or a "
            f"smaller {named('history')} or {named('horizon')}."
        )
    for part, rows in (
        ("validation", parts.validation - parts.train),
        ("test", parts.test - parts.validation),
    ):
        if rows < horizon:
            raise DataError(
                f"{table.name}: the {part} part has {counted(rows, 'row')}; a horizon of "
                f"{horizon} needs at least {horizon}. Give more rows, a smaller "
                f"{named('horizon')} or another {named('split')}."
            )
    train = columns[: parts.train]
    try:
        scale = Scale.fit(train, names, len(targets), horizon)
    except DataError as error:
        raise DataError(f"{table.name}: {error}") from error
    frame = ForecastFrame(
        targets=tuple(targets),
        columns=tuple(names),
        history=history,
        horizon=horizon,
        season=season,
        scale=scale,
        naive_error=tuple(seasonal_naive_error(train[:, n], season) for n in range(len(targets))),
        step=table.step,
        time_format=table.time_format,
        time=table.time_column,
        fill_gaps=settings.fill_gaps,
        zone=table.zone,
    )
    stale = unobserved_target(columns, frame)
    if stale:
        notes.append(
            f"{stale} has no value in the last {counted(history, 'row')}: the run keeps no history "
            "to predict from, and predict needs a table"
        )
    if table.times and table.step and not _has_times_after(table.step, table.times[-1], horizon):
        notes.append(
            f"there is no time {counted(horizon, 'step')} of {table.step} after {table.last_time}, "
            "the end of the table: predict cannot go on from it"
        )
    for note in (*table.notes, *notes):
        say(note)
    covariates = ", ".join(names[len(targets) :]) or "none"
    ahead, back = counted(horizon, "step"), counted(history, "step")
    say(f"forecasting {', '.join(targets)}, {ahead} ahead, from {back}")
    say(f"past covariates: {covariates}; season of the baseline: {counted(season, 'step')}")
    say(
        f"rows: {parts.train:,} to train, {parts.validation - parts.train:,} to validate, "
        f"{parts.test - parts.validation:,} to test, in order of time"
    )
    return Prepared(table, columns, frame, parts)


def table_for(
    frame: ForecastFrame, data: Any, *, time: str | None, fill_gaps: bool
) -> tuple[Table, Numbers, list[str]]:
    """Read a table for a fitted model. Return it, its columns in the model's order and at the
    model's step, [T, K], and notes for the user.

    Args:
        frame: the model's frame.
        data: a file, a data frame or an array.
        time: the column of times; None for that of the run.
        fill_gaps: whether rows that are missing become missing values.

    Raises:
        DataError: columns are missing, rows come at another step, or there are too few rows.
    """
    table = read_table(
        data,
        frame.targets,
        time=frame.time if time is None else time,
        covariates=frame.columns[len(frame.targets) :],
        fill_gaps=fill_gaps or frame.fill_gaps,
        step=frame.step,
    )
    _, columns, notes = prepare(table, list(frame.columns))
    if len(columns) < frame.history:
        raise DataError(
            f"{table.name} has {counted(len(columns), 'row')}; this model reads "
            f"{counted(frame.history, 'step')} of history. Give at least so many."
        )
    return table, columns, [*table.notes, *notes]
