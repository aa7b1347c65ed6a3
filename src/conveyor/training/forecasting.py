"""Fitting a forecaster to a table, and scoring one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program, dumps
from conveyor.compiler.show import program_of
from conveyor.data.files import json_text, write_whole
from conveyor.data.table import Table, read_table
from conveyor.data.time_text import has_offset, read_time, write_time
from conveyor.data.timeline import Step, instant, wall
from conveyor.errors import DataError, RunError, counted
from conveyor.tasks import saved
from conveyor.tasks.forecast.forecaster import Forecaster, ForecastFrame, Tail
from conveyor.tasks.forecast.scale import Scale
from conveyor.tasks.forecast.scores import seasonal_naive_error
from conveyor.tasks.forecast.windows import Parts, Windows, fill_forward, prepare
from conveyor.training.batches import loaders
from conveyor.training.checkpoints import find_resumed
from conveyor.training.compare import Comparison, as_json, compare, scaled_errors
from conveyor.training.fit import Fitted, fit
from conveyor.training.fitters import WindowFitter
from conveyor.training.memory import in_memory
from conveyor.training.processes import is_main_process, silence
from conveyor.training.report import write_forecast_report
from conveyor.training.run_folder import METRICS, REPORT, SETTINGS, open_folder, write_beginning
from conveyor.training.settings import ForecastData, ForecastNetwork, ForecastSettings, to_toml
from conveyor.training.stopping import Wish

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


@dataclass(frozen=True)
class ForecastRun:
    """A fitted forecaster, how the fit went, and its scores on the test part."""

    model: Forecaster
    fitted: Fitted
    comparisons: list[Comparison]
    folder: Path


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
        settings.targets,
        time=settings.time,
        only_targets=settings.only_targets,
        fill_gaps=settings.fill_gaps,
    )
    targets = list(table.columns) if settings.targets == ("all",) else list(settings.targets)
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
                "Give more rows or a smaller --season."
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
            "smaller --history or --horizon."
        )
    for part, rows in (
        ("validation", parts.validation - parts.train),
        ("test", parts.test - parts.validation),
    ):
        if rows < horizon:
            raise DataError(
                f"{table.name}: the {part} part has {counted(rows, 'row')}; a horizon of "
                f"{horizon} needs at least {horizon}. Give more rows, a smaller --horizon or "
                "another --split."
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


def forecaster(frame: ForecastFrame, network: ForecastNetwork, program: Program) -> Forecaster:
    """An untrained forecaster as the settings say."""
    return Forecaster(
        program,
        frame,
        hidden=network.hidden,
        layers=network.layers,
        dropout=network.dropout,
        projection=network.projection,
        linear=network.linear,
    )


def fit_forecast(
    data: Any,
    settings: ForecastSettings,
    folder: Path,
    *,
    cell: Cell | Program | None = None,
    overwrite: bool = False,
    resume: bool = False,
    say: Say = print,
    wish: Wish | None = None,
) -> ForecastRun:
    """Fit a forecaster and write its run folder.

    Args:
        data: a CSV or Parquet file, a data frame, or an array.
        cell: used instead of ``settings.network.cell``.
        overwrite, resume: see ``open_folder``; resuming uses ``settings`` as they are given.
        say: where lines for the user go.
        wish: what may end the training early; the model is scored and written even so.

    Raises:
        DataError, SettingError, RunError, SaveError: see their texts.
    """
    wish = wish or Wish()
    say = say if is_main_process() else silence
    torch.manual_seed(settings.training.seed)
    prepared = prepare_data(data, settings.data, say)
    program = program_of(settings.network.cell if cell is None else cell)
    with in_memory():
        model = forecaster(prepared.frame, settings.network, program)
    model.tail = prepared.tail
    train, validation, test = prepared.three()
    frame = prepared.frame
    complete = replace(
        settings.data, horizon=frame.horizon, history=frame.history, season=frame.season
    )
    settings = replace(settings, data=complete)
    if is_main_process():
        open_folder(folder, overwrite=overwrite, resume=resume)
    count = sum(each.numel() for each in model.parameters())
    say(f"{model.title} with {counted(count, 'parameter')} on {counted(len(train), 'window')}")
    fitter = WindowFitter(model, settings.training, digest_of(prepared.columns, program))
    resumed = find_resumed(folder, fitter, say) if resume else None
    if is_main_process():
        write_beginning(folder, settings, program)
    batches = loaders(train, validation, settings.training)
    with wish.listening():
        fitted = fit(fitter, batches, folder, resumed=resumed, say=say, wish=wish)
        run = ForecastRun(model.eval(), fitted, compare(model, test), folder)
        if is_main_process():
            _write(run, settings, prepared, test)
    return run


def digest_of(columns: Numbers, program: Program | None = None) -> str:
    """Names the numbers of a table, and a cell, to know them again."""
    cell = dumps(program).encode() if program else b""
    return hashlib.sha256(np.ascontiguousarray(columns).tobytes() + cell).hexdigest()


def _write(run: ForecastRun, settings: ForecastSettings, prepared: Prepared, test: Windows) -> None:
    saved.save(run.folder, run.model, _fitted_on(prepared))
    metrics = {
        "task": "forecast",
        "part": "test",
        "windows": len(run.comparisons[0].truth),
        "targets": as_json(run.comparisons),
        "scaled": scaled_errors(run.model, run.comparisons),
        "fit": run.fitted.as_json(),
    }
    write_whole(run.folder / METRICS, json_text(metrics))
    write_whole(run.folder / SETTINGS, to_toml(settings))
    first = prepared.parts.validation
    times = prepared.table.times
    begins = len(prepared.table) - len(prepared.columns)
    write_forecast_report(
        run.folder / REPORT,
        title=Path(prepared.table.name).name,
        comparisons=run.comparisons,
        curve=run.fitted.curve,
        settings=to_toml(settings),
        times=times[begins + first : begins + prepared.parts.test]
        if times
        else list(range(first, prepared.parts.test)),
        origins=[origin - first for origin in test.origins],
        horizon=prepared.frame.horizon,
    )


def _fitted_on(prepared: Prepared) -> saved.FittedOn:
    """What a later evaluation must know of the rows of training and validation."""
    table, columns, seen = prepared.table, prepared.columns, prepared.parts.validation
    row = len(table) - len(columns) + seen - 1
    return saved.FittedOn(
        seen,
        digest_of(columns[:seen]),
        write_time(table.times[row], table.time_format) if table.times else "",
        digest_of(columns[seen - prepared.frame.history : seen]),
    )


def _table_for(
    model: Forecaster, data: Any, time: str | None, fill_gaps: bool
) -> tuple[Table, Numbers, list[str]]:
    """A table, its columns in the model's order and at the model's step, and notes for the user.

    Raises:
        DataError: columns are missing or the rows come at another step.
    """
    frame = model.frame
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


def load_forecaster(run: Path) -> Forecaster:
    """The forecaster of a run.

    Raises:
        RunError: there is none, or the run is of another task.
    """
    model = saved.load_task(run)
    if not isinstance(model, Forecaster):
        raise RunError(f"{run} holds a language model, not a forecaster. Use conveyor generate.")
    return model


def predict(
    run: Path,
    data: Any | None = None,
    *,
    time: str | None = None,
    fill_gaps: bool = False,
    say: Say = print,
) -> tuple[Forecaster, list[str], Numbers]:
    """Forecast the steps after the end of ``data``, or of what the model was fitted on.

    Args:
        time, fill_gaps: see ``read_table``; as the run was fitted, unless given.
        say: where notes on the table go.

    Returns:
        The model, the times, and quantiles [horizon, targets, 3].

    Raises:
        DataError, RunError: see their texts.
    """
    model = load_forecaster(run)
    frame = model.frame
    if data is None:
        if model.tail is None:
            raise RunError(f"{run} holds no data to go on from. Give a file.")
        history, last = np.array(model.tail.values), model.tail.last_time
    else:
        table, columns, notes = _table_for(model, data, time, fill_gaps)
        stale = unobserved(columns, frame)
        if stale:
            raise DataError(
                f"{table.name}: column {stale} has no value in the last "
                f"{counted(frame.history, 'row')}, which this model reads. Give a table that ends "
                "with observed rows."
            )
        for note in (*notes, *_beside_fitted(model, saved.read_fitted_on(run), table)):
            say(note)
        history, last = fill_forward(columns)[-frame.history :], table.last_time
        model.frame = replace(
            frame, step=table.step, time_format=table.time_format, zone=table.zone
        )
    quantiles = model.predict(history[None])[0]
    return model, model.future_times(last, frame.horizon), quantiles


def _beside_fitted(model: Forecaster, fitted_on: saved.FittedOn | None, table: Table) -> list[str]:
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


def _first_unseen(
    model: Forecaster, fitted_on: saved.FittedOn | None, table: Table, columns: Numbers
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
                "told. Write times as the run's table does, or pass --all-rows."
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
        "own rows, or pass --all-rows if the run has seen none of them."
    )


def evaluate(
    run: Path,
    data: Any,
    *,
    time: str | None = None,
    fill_gaps: bool = False,
    all_rows: bool = False,
    say: Say = print,
) -> list[Comparison]:
    """Score a run on the rows of a table that come after the last that it has seen in training or
    validation: by their times, or, where rows are only counted, by the numbers of the rows before.

    Args:
        time, fill_gaps: see ``read_table``; as the run was fitted, unless given.
        all_rows: score the rows that it has seen, too.
        say: where lines for the user go.

    Raises:
        DataError, RunError: see their texts.
    """
    model = load_forecaster(run)
    table, columns, notes = _table_for(model, data, time, fill_gaps)
    frame, count = model.frame, len(columns)
    first, known = 0, "all rows are asked for"
    if not all_rows:
        first, known = _first_unseen(model, saved.read_fitted_on(run), table, columns)
    if first == count:
        raise DataError(
            f"{table.name}: {known}, and no row comes after them: there is nothing to score. Give "
            "a table that goes on, or pass --all-rows if these are not the rows it was fitted on."
        )
    for note in notes:
        say(note)
    left = counted(count - first, "row")
    say(f"{known}: scoring " + (f"the {left} after them" if first else f"all {left}"))
    windows = Windows(columns, frame.layout, first, count, frame.scale.centre)
    if not len(windows):
        raise DataError(
            f"{table.name}: there is no window to score: {left} to score, a history of "
            f"{frame.history} and a horizon of {frame.horizon}. Give more rows."
        )
    return compare(model, windows)
