"""Fitting a forecaster to a table, and scoring one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program, dumps
from conveyor.compiler.show import program_of
from conveyor.errors import DataError, RunError
from conveyor.tasks import saved
from conveyor.tasks.files import json_text, write_whole
from conveyor.tasks.forecaster import Forecaster, ForecastFrame, Tail
from conveyor.tasks.scale import Scale
from conveyor.tasks.scores import seasonal_naive_error
from conveyor.tasks.table import Table, read_table
from conveyor.tasks.windows import Parts, Windows, fill_forward, prepare
from conveyor.training.compare import Comparison, as_json, compare, scaled_errors
from conveyor.training.fit import (
    CHECKPOINTS,
    Fitted,
    WindowFitter,
    fit,
    in_memory,
    is_main_process,
    loaders,
    silence,
)
from conveyor.training.report import write_forecast_report
from conveyor.training.run_folder import METRICS, REPORT, SETTINGS, open_folder
from conveyor.training.settings import ForecastData, ForecastNetwork, ForecastSettings, to_toml

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
    def tail(self) -> Tail:
        """The last history, from which forecasts go on behind the end of the data."""
        values = fill_forward(self.columns)[-self.frame.history :]
        return Tail(tuple(tuple(float(v) for v in row) for row in values), self.table.last_time)


@dataclass(frozen=True)
class ForecastRun:
    """A fitted forecaster, how the fit went, and its scores on the test part."""

    model: Forecaster
    fitted: Fitted
    comparisons: list[Comparison]
    folder: Path


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
    parts = Parts.of(len(columns), settings.split)
    season = settings.season or (table.step.season if table.step else 1)
    if season > parts.train // 2:
        if settings.season:
            raise DataError(
                f"{table.name}: a season of {season} steps needs {2 * season} rows in the training "
                f"part, which has {parts.train}. Give more rows or a smaller --season."
            )
        notes.append(f"the training part is shorter than two seasons of {season} steps: none used")
        season = 1
    horizon = settings.horizon or (min(season, LONGEST) if season > 1 else 12)
    history = settings.history or 2 * max(min(season, LONGEST), min(horizon, LONGEST))
    shortest = max(history, season) + horizon
    if parts.train < shortest:
        raise DataError(
            f"{table.name}: the training part has {parts.train} rows; a history of {history} and "
            f"a horizon of {horizon} need at least {shortest}. Give more rows, or a smaller "
            "--history or --horizon."
        )
    for part, rows in (
        ("validation", parts.validation - parts.train),
        ("test", parts.test - parts.validation),
    ):
        if rows < horizon:
            raise DataError(
                f"{table.name}: the {part} part has {rows} rows; a horizon of {horizon} needs at "
                f"least {horizon}. Give more rows, a smaller --horizon or another --split."
            )
    train = columns[: parts.train]
    frame = ForecastFrame(
        targets=tuple(targets),
        columns=tuple(names),
        history=history,
        horizon=horizon,
        season=season,
        scale=Scale.fit(train, names, len(targets), horizon),
        naive_error=tuple(seasonal_naive_error(train[:, n], season) for n in range(len(targets))),
        step=table.step,
        time_format=table.time_format,
        time=table.time_column,
        fill_gaps=settings.fill_gaps,
        zone=table.zone,
    )
    for note in (*table.notes, *notes):
        say(note)
    covariates = ", ".join(names[len(targets) :]) or "none"
    say(f"forecasting {', '.join(targets)}, {horizon} steps ahead, from {history} steps")
    say(f"past covariates: {covariates}; season of the baseline: {season} steps")
    say(
        f"rows: {parts.train} to train, {parts.validation - parts.train} to validate, "
        f"{parts.test - parts.validation} to test, in order of time"
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
) -> ForecastRun:
    """Fit a forecaster and write its run folder.

    Args:
        data: a CSV or Parquet file, a data frame, or an array.
        cell: used instead of ``settings.network.cell``.
        overwrite, resume: see ``open_folder``; resuming uses ``settings`` as they are given.
        say: where lines for the user go.

    Raises:
        DataError, SettingError, RunError, SaveError: see their texts.
    """
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
        if not resume:
            write_whole(folder / CHECKPOINTS / SETTINGS, to_toml(settings))
    count = sum(each.numel() for each in model.parameters())
    say(f"{model.title} with {count:,} parameters on {len(train):,} windows")
    fitted = fit(
        WindowFitter(model, settings.training, digest_of(prepared.columns, program)),
        loaders(train, validation, settings.training, streams=False),
        folder,
        resume=resume,
        say=say,
    )
    comparisons = compare(model, test)
    run = ForecastRun(model.eval(), fitted, comparisons, folder)
    if is_main_process():
        _write(run, settings, prepared, test)
    return run


def digest_of(columns: Numbers, program: Program | None = None) -> str:
    """Names the numbers of a table, and a cell, to know them again."""
    cell = dumps(program).encode() if program else b""
    return hashlib.sha256(np.ascontiguousarray(columns).tobytes() + cell).hexdigest()


def _write(run: ForecastRun, settings: ForecastSettings, prepared: Prepared, test: Windows) -> None:
    seen = prepared.parts.validation
    fitted_on = saved.FittedOn(seen, digest_of(prepared.columns[:seen]))
    saved.save(run.folder, run.model, fitted_on)
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


def _table_for(model: Forecaster, data: Any) -> tuple[Table, Numbers]:
    """A table with the model's columns in the model's order, and the model's step.

    Raises:
        DataError: columns are missing or the rows come at another step.
    """
    frame = model.frame
    table = read_table(
        data, frame.columns, time=frame.time, only_targets=True, fill_gaps=frame.fill_gaps
    )
    if table.step != frame.step:
        raise DataError(
            f"{table.name}: rows come every {table.step}; this model was fitted on one row every "
            f"{frame.step}."
        )
    _, columns, _ = prepare(table, list(frame.columns))
    if len(columns) < frame.history:
        raise DataError(
            f"{table.name} has {len(columns)} rows; this model reads {frame.history} steps of "
            "history. Give at least so many."
        )
    return table, columns


def load_forecaster(run: Path) -> Forecaster:
    """The forecaster of a run.

    Raises:
        RunError: there is none, or the run is of another task.
    """
    model = saved.load(run)
    if not isinstance(model, Forecaster):
        raise RunError(f"{run} holds a language model, not a forecaster. Use conveyor generate.")
    return model


def predict(run: Path, data: Any | None = None) -> tuple[Forecaster, list[str], Numbers]:
    """Forecast the steps after the end of ``data``, or of what the model was fitted on.

    Returns:
        The model, the times, and quantiles [horizon, targets, 3].

    Raises:
        DataError, RunError: see their texts.
    """
    model = load_forecaster(run)
    if data is None:
        if model.tail is None:
            raise RunError(f"{run} holds no data to go on from. Give a file.")
        history, last = np.array(model.tail.values), model.tail.last_time
    else:
        table, columns = _table_for(model, data)
        history, last = fill_forward(columns)[-model.frame.history :], table.last_time
        model.frame = replace(model.frame, time_format=table.time_format, zone=table.zone)
    quantiles = model.predict(history[None])[0]
    return model, model.future_times(last, model.frame.horizon), quantiles


def evaluate(run: Path, data: Any, say: Say = print) -> list[Comparison]:
    """Score a run on a table. Rows that it has seen in training or validation, which stand at the
    beginning of the table it was fitted on and of a longer one, are not scored.

    Raises:
        DataError, RunError: see their texts.
    """
    model = load_forecaster(run)
    fitted_on = saved.read_fitted_on(run)
    _, columns = _table_for(model, data)
    frame = model.frame
    first, last = 0, len(columns)
    if fitted_on is not None and fitted_on.digest == digest_of(columns[: fitted_on.rows]):
        first = fitted_on.rows
        say(f"the run was fitted on this table: scoring rows {first + 1} to {last}, its test part")
    else:
        say(f"the run was not fitted on this table: scoring all {last} rows")
    windows = Windows(columns, frame.layout, first, last, frame.scale.centre)
    if not len(windows):
        raise DataError(
            f"there is no window to score: {last - first} rows, a history of {frame.history} and a "
            f"horizon of {frame.horizon}."
        )
    return compare(model, windows)
