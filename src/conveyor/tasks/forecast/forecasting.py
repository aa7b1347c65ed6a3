"""The task ``forecast``: predicts quantiles of the next steps of a table's columns."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conveyor.compiler.program import Program
from conveyor.data.records import from_record, to_record
from conveyor.data.time_text import write_time
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.forecast.baselines import BASELINES, Numbers
from conveyor.tasks.forecast.comparison import (
    Comparison,
    compare,
    quantiles_of,
    scaled_error,
    scaled_errors,
    scores_of,
)
from conveyor.tasks.forecast.forecast_charts import forecast_sections
from conveyor.tasks.forecast.forecast_csv import forecast_table
from conveyor.tasks.forecast.forecast_settings import ForecastNetwork, ForecastSettings
from conveyor.tasks.forecast.forecaster import QUANTILES, Forecaster
from conveyor.tasks.forecast.prepared_table import prepare_data, table_for, unobserved_target
from conveyor.tasks.forecast.unseen_rows import (
    FittedOn,
    first_unseen,
    hash_of,
    notes_on_end,
    rows_fitted_on,
)
from conveyor.tasks.forecast.windows import Windows, fill_forward
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Results
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task


class Forecasting(Task[Forecaster]):
    """The task of forecasting a table, beside forecasts without a network."""

    name = "forecast"
    network_type = Forecaster
    # The mean over all targets, each in standard deviations of its training part.
    metric = Metric("scaled_mae", "MAE in standard deviations")
    loss = "pinball loss"
    next_command = ("predict",)

    def __init__(self, data: Any, settings: ForecastSettings, say: Say) -> None:
        self.prepared = prepare_data(data, settings.data, say)
        frame = self.prepared.frame
        complete = replace(
            settings.data, horizon=frame.horizon, history=frame.history, season=frame.season
        )
        self.settings = replace(settings, data=complete)
        self.train, self.validation, self.test = self.prepared.three_parts()
        self.data_hash = hash_of(self.prepared.columns)
        table = Path(self.prepared.table.name).name
        self.title = Words(f"Forecast of {table}", f"Dự báo {table}")

    @classmethod
    def prepare(cls, source: Any, settings: ForecastSettings, say: Say) -> "Forecasting":
        """Return the task on a table: a CSV or Parquet file, a data frame, or an array."""
        return cls(source, settings, say)

    def network(self, program: Program, sizes: ForecastNetwork) -> Forecaster:
        """Return an untrained forecaster, which holds the last rows of the table."""
        model = Forecaster(program, self.prepared.frame, **sizes.besides_the_cell())
        model.tail = self.prepared.tail
        return model

    def about(self, network: Forecaster) -> str:
        """Return the size of a network, and the number of windows that it learns from."""
        count = network.parameter_count
        windows = counted(len(self.train), "window")
        return f"{network.title} with {counted(count, 'parameter')} on {windows}"

    def results(self, network: Forecaster) -> Results:
        """Return the errors of every target on the test part, with charts."""
        comparisons = compare(network, self.test)
        parts, times = self.prepared.parts, self.prepared.table.times
        first, last = parts.validation, parts.test
        if times:
            begins = len(self.prepared.table) - len(self.prepared.columns)
            rows: list[Any] = times[begins + first : begins + last]
        else:
            rows = list(range(first, last))
        return _results(
            network,
            comparisons,
            draw=lambda: forecast_sections(
                comparisons,
                times=rows,
                origins=[origin - first for origin in self.test.origins],
                horizon=self.prepared.frame.horizon,
            ),
        )

    def score(self, network: Forecaster) -> float:
        """Return the mean absolute error over all targets, in standard deviations."""
        middle = quantiles_of(network, self.test)[..., QUANTILES.index(0.5)]
        return self._scaled_mae(middle)

    def baselines(self) -> Mapping[str, float]:
        """Return the score of each of ``BASELINES``."""
        pasts = self.test.pasts
        return {name: self._scaled_mae(forecast(pasts)) for name, forecast in BASELINES.items()}

    def _scaled_mae(self, forecasts: Numbers) -> float:
        """Return the score of forecasts of the test part, [windows, horizon, targets]."""
        by_target, truths = np.moveaxis(forecasts, -1, 0), np.moveaxis(self.test.truth(), -1, 0)
        return scaled_error(by_target, truths, self.prepared.frame.scale.spread)["mae"]

    def fitted_on(self) -> dict[str, Any]:
        """Return the record of the rows of training and validation."""
        return from_record(rows_fitted_on(self.prepared))

    @classmethod
    def evaluate(
        cls,
        network: Forecaster,
        source: Any,
        *,
        settings: ForecastSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score the rows of a table that come after those that the run has seen in training and
        validation. These are recognised by their times, or, if rows are only counted, by their
        numbers. With ``options.all_rows`` all rows are scored."""
        table, columns, notes = table_for(
            network.frame, source, time=options.time, fill_gaps=options.fill_gaps
        )
        frame, count = network.frame, len(columns)
        first, known = 0, "all rows are asked for"
        if not options.all_rows:
            first, known = first_unseen(network, _rows(fitted_on), table, columns)
        if first == count:
            raise DataError(
                f"{table.name}: {known}, and no row comes after them: there is nothing to score. "
                f"Give a table with later rows, or pass {named('all_rows', True)} if these are not "
                "the rows it was fitted on."
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
        return _results(network, compare(network, windows))

    @classmethod
    def predict(
        cls,
        network: Forecaster,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Any:
        """Return quantiles of the steps after the end of a table, as a polars data frame. Without
        ``source`` it is the table that the model was fitted on. For an array of histories
        [N, history, columns] the quantiles are an array [N, horizon, targets, 3]."""
        if isinstance(source, np.ndarray) and source.ndim == 3:
            return network.predict(source)
        frame = network.frame
        if source is None:
            if network.tail is None:
                raise RunError("the run holds no data to go on from. Give a file.")
            history, last = np.array(network.tail.values), network.tail.last_time
        else:
            table, columns, notes = table_for(
                frame, source, time=options.time, fill_gaps=options.fill_gaps
            )
            stale = unobserved_target(columns, frame)
            if stale:
                raise DataError(
                    f"{table.name}: column {stale} has no value in the last "
                    f"{counted(frame.history, 'row')}, which this model reads. Give a table that "
                    "ends with observed rows."
                )
            for note in (*notes, *notes_on_end(network, _rows(fitted_on), table)):
                say(note)
            history, last = fill_forward(columns)[-frame.history :], table.last_time
            frame = replace(frame, step=table.step, time_format=table.time_format, zone=table.zone)
        quantiles = network.predict(history[None])[0]
        times = network.future_times(last, frame.horizon, frame)
        return forecast_table(frame, times, quantiles)

    @classmethod
    def read(
        cls,
        network: Forecaster,
        source: Any,
        *,
        settings: ForecastSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a history as the forecaster reads it: the rows of a table up to ``options.row``,
        or to its end; without a table the end of the run's own."""
        frame = network.frame
        if source is None:
            if network.tail is None:
                raise RunError(f"the run holds no data to look at. Give {named('data')}.")
            if options.row is not None:
                raise SettingError(f"{named('row')} is of a table. Give {named('data')}, too.")
            history, last = np.array(network.tail.values), network.tail.last_time
            return network.read(history, network.past_times(last))
        table, columns, notes = table_for(
            frame, source, time=options.time, fill_gaps=options.fill_gaps
        )
        for note in notes:
            say(note)
        # Rows before the first in which every column has a value are not read.
        skipped = len(table) - len(columns)
        end = len(table) if options.row is None else check_row(options.row, len(table), "row") + 1
        if end - skipped < frame.history:
            raise DataError(
                f"{table.name}: up to row {end:,} there are {counted(end - skipped, 'row')} to "
                f"read; this model reads {frame.history:,}. Give a later row, from "
                f"{frame.history + skipped:,}."
            )
        rows = slice(end - frame.history, end)
        history = fill_forward(columns)[rows.start - skipped : rows.stop - skipped]
        times = [write_time(time, table.time_format) for time in (table.times or [])[rows]]
        return network.read(history, times)


def _rows(fitted_on: Mapping[str, Any] | None) -> FittedOn | None:
    return None if fitted_on is None else to_record(FittedOn, fitted_on, "fitted_on")


def _results(network: Forecaster, comparisons: list[Comparison], **draw: Any) -> Results:
    return Results(
        tuple(map(scores_of, comparisons)),
        counted_words(len(comparisons[0].truth), "window", "cửa sổ"),
        {
            "windows": len(comparisons[0].truth),
            "scaled": scaled_errors(network, comparisons),
            "by_horizon": {
                comparison.target: {
                    label: list(errors.by_horizon) for label, errors in comparison.scores.items()
                }
                for comparison in comparisons
            },
        },
        **draw,
    )
