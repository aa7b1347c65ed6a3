"""A table made ready to forecast: read, split, scaled, with what is not given inferred."""

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

# The longest history and horizon that are inferred; longer ones must be asked for.
LONGEST = 52


@dataclass(frozen=True)
class Prepared:
    """A table made ready: columns with targets first, what the model reads, the parts."""

    table: Table
    columns: Numbers
    frame: ForecastFrame
    parts: Parts

    def windows(self, first: int, last: int) -> Windows:
        """The windows whose future lies in rows ``first`` to ``last``."""
        frame = self.frame
        return Windows(self.columns, frame.layout, first, last, frame.scale.centre)

    def three(self) -> tuple[Windows, Windows, Windows]:
        """The windows to train on, to validate and to test.

        Raises:
            DataError: no target was observed in one of them.
        """
        parts = self.parts
        found = (
            self.windows(0, parts.train),
            self.windows(parts.train, parts.validation),
            self.windows(parts.validation, parts.test),
        )
        for name, windows in zip(("training", "validation", "test"), found, strict=True):
            if not len(windows):
                raise DataError(f"{self.table.name}: the {name} part holds no observed target.")
        return found

    @property
    def tail(self) -> Tail | None:
        """The last history, from which forecasts go on behind the end of the data; None where a
        target has no value in it."""
        if unobserved(self.columns, self.frame):
            return None
        values = fill_forward(self.columns)[-self.frame.history :]
        return Tail(tuple(tuple(float(v) for v in row) for row in values), self.table.last_time)


def unobserved(columns: Numbers, frame: ForecastFrame) -> str | None:
    """The first target without any value in the last history of [T, K] columns."""
    missing = np.isnan(columns[-frame.history :, : len(frame.targets)]).all(0)
    return frame.targets[int(missing.argmax())] if missing.any() else None


def _goes_on(step: Step, last: datetime, count: int) -> bool:
    try:
        step.after(last, count)
    except (ValueError, OverflowError):
        return False
    return True


def prepare_data(data: Any, settings: ForecastData, say: Say) -> Prepared:
    """Read a table, split it, fit the scales on the training part, infer what is not given.

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
    stale = unobserved(columns, frame)
    if stale:
        notes.append(
            f"{stale} has no value in the last {counted(history, 'row')}: the run keeps no history "
            "to predict from, and predict needs a table"
        )
    if table.times and table.step and not _goes_on(table.step, table.times[-1], horizon):
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
    """Return a table, its columns in the model's order and at the model's step, and notes for the
    user.

    Raises:
        DataError: columns are missing or the rows come at another step.
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
