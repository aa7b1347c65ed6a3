"""The task ``forecast``: predicts quantiles of the next steps of a table's columns."""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from conveyor.compiler.program import Program
from conveyor.data.bounds import LARGEST
from conveyor.data.records import from_record, to_record
from conveyor.data.time_text import write_time
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.forecast.baselines import BASELINES, Numbers
from conveyor.tasks.forecast.calibration import band_errors, calibrated, observed, rolling
from conveyor.tasks.forecast.comparison import (
    Comparison,
    compare,
    medians,
    pasts_of,
    scaled_error,
    scaled_errors,
    scores_of,
)
from conveyor.tasks.forecast.drivers import driver_sections
from conveyor.tasks.forecast.forecast_charts import forecast_sections
from conveyor.tasks.forecast.forecast_csv import forecast_table
from conveyor.tasks.forecast.forecast_frame import Bands, ForecastFrame
from conveyor.tasks.forecast.forecast_settings import ForecastNetwork, ForecastSettings
from conveyor.tasks.forecast.forecaster import Forecaster, Tail
from conveyor.tasks.forecast.next_forecast import next_sections
from conveyor.tasks.forecast.prepared_table import prepare_data, table_for, unobserved_target
from conveyor.tasks.forecast.read_rows import read_rows
from conveyor.tasks.forecast.series_panel import Origins, Panel
from conveyor.tasks.forecast.stretches import Stretches, batch_of, inputs_of
from conveyor.tasks.forecast.unseen_rows import (
    FittedOn,
    first_unseen,
    hash_of,
    notes_on_end,
    placed,
    rows_fitted_on,
)
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Results, Section
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task

# An epoch has so many steps of the optimiser at least: of a single series each is a whole pass, too
# little to look at the validation part in between.
_STEPS = 10


class Forecasting(Task[Forecaster]):
    """The task of forecasting a table, beside forecasts without a network."""

    name = "forecast"
    network_type = Forecaster
    # The mean over all targets, each in standard deviations of its training part.
    metric = Metric("scaled_mae", "MAE in standard deviations")
    loss = "pinball loss"
    next_command = ("predict",)
    join = staticmethod(batch_of)
    settings: ForecastSettings
    train: Stretches
    validation: Stretches

    def __init__(self, data: Any, settings: ForecastSettings, say: Say) -> None:
        self.prepared = prepare_data(data, settings.data, say)
        frame, table = self.prepared.frame, self.prepared.table
        complete = replace(
            settings.data, horizon=frame.horizon, history=frame.history, season=frame.season
        )
        self.settings = replace(settings, data=complete)
        parts = self.prepared.parts
        self.test = self.prepared.origins(parts.validation, parts.test)
        self._set_examples()
        for part, examples in (("training", self.train), ("validation", self.validation)):
            if not examples.forecasts:
                raise DataError(f"{table.name}: the {part} part holds no observed target.")
        if not len(self.test):
            raise DataError(f"{table.name}: the test part holds no observed target.")
        panel = self.prepared.panel
        self.data_hash = hash_of(np.concatenate([panel.targets, panel.past], 1))
        self.data_hash.update(np.ascontiguousarray(panel.known).tobytes())
        self.title = Words(
            f"Forecast of {Path(table.name).name}", f"Dự báo {Path(table.name).name}"
        )
        # Of each series, the errors of bands in the validation part, see ``band_errors``, in the
        # unit of the series or of its logarithm.
        self._before: list[Numbers] = []
        self._rolled_of: tuple[Forecaster, Numbers | None, Bands | None] | None = None

    def _set_examples(self) -> None:
        prepared, parts = self.prepared, self.prepared.parts
        inputs = inputs_of(prepared.panel, prepared.frame)
        self.train = Stretches(inputs, first=0, last=prepared.fitted)
        # A batch that held a stretch twice would learn no more from it.
        self.largest_batch = min(self.settings.training.batch, len(self.train.parts))
        self.train.repeat(_STEPS * self.largest_batch)
        self.validation = Stretches(inputs, first=parts.train, last=parts.validation, whole=True)

    @classmethod
    def prepare(cls, source: Any, settings: ForecastSettings, say: Say) -> "Forecasting":
        """Return the task on a table: a CSV or Parquet file, a data frame, or an array."""
        return cls(source, settings, say)

    def network(self, program: Program, sizes: ForecastNetwork) -> Forecaster:
        """Return an untrained forecaster, which holds the last rows of the table."""
        prepared = self.prepared
        model = Forecaster(program, prepared.frame, **sizes.besides_the_cell())
        if not unobserved_target(prepared.panel, prepared.frame):
            model.tail = Tail.of(prepared.panel, prepared.table.last_time)
        return model

    def about(self, network: Forecaster) -> str:
        """Return the size of a network, and the number of forecasts that it learns from."""
        count, forecasts = network.parameter_count, counted(self.train.forecasts, "forecast")
        members = len(network.members)
        several = f"{members} times " if members > 1 else ""
        return (
            f"{several}{network.title} with {counted(count // members, 'parameter')} on {forecasts}"
        )

    def after_fit(self, network: Forecaster) -> None:
        """Move the network's bands by what lay outside of them in the validation part."""
        parts = self.prepared.parts
        outside = self._outside_of(network, self.prepared.origins(parts.train, parts.validation))
        errors, widths = [errors for errors, _ in outside], [width for _, width in outside]
        self._before = [
            of_series * decomposition.change
            for of_series, decomposition in zip(errors, network.frame.series, strict=True)
        ]
        bands = calibrated(errors, widths, network.frame.levels)
        network.frame = replace(network.frame, bands=bands)

    def _outside_of(self, network: Forecaster, origins: Origins) -> list[tuple[Numbers, Numbers]]:
        """Return, of each series, the errors of bands that are not moved, [origins, horizon,
        levels], and the mean width of these bands, [horizon, levels]."""
        frame, outside = network.frame, []
        levels = len(frame.levels)
        for inputs in inputs_of(origins.panel, frame):
            quantiles, truth = network.raw(inputs, origins.numbers)
            width = (quantiles[..., : -levels - 1 : -1] - quantiles[..., :levels]).mean(0)
            outside.append((band_errors(quantiles, truth), width))
        return outside

    def _rolled(self, network: Forecaster) -> tuple[Numbers | None, Bands | None]:
        """Return how far the bands of the test part move, [origins, horizon, N, levels], and those
        of the forecasts that come after it. Both are worked out once for a network: its results
        need the first, and the network after it the second."""
        if self._rolled_of is None or self._rolled_of[0] is not network:
            self._rolled_of = network, *self._roll(network)
        return self._rolled_of[1:]

    def _roll(self, network: Forecaster) -> tuple[Numbers | None, Bands | None]:
        frame, bands = network.frame, network.frame.bands
        outside = self._outside_of(network, self.test)
        # In units of this network, which moves by another unit than the one before.
        earlier = [
            before / decomposition.change
            for before, decomposition in zip(self._before, frame.series, strict=True)
        ]
        errors_of_series = [
            np.concatenate([before, errors])
            for before, (errors, _) in zip(earlier, outside, strict=True)
        ]
        if bands is None or bands.pooled:
            return None, calibrated(errors_of_series, [width for _, width in outside], frame.levels)
        rolled = [
            rolling(before, errors, self.test.numbers, frame.levels)
            for before, (errors, _) in zip(earlier, outside, strict=True)
        ]
        moved = tuple(
            tuple(tuple(map(float, ahead)) for ahead in following) for _, following in rolled
        )
        windows = sum(map(observed, errors_of_series)) / len(errors_of_series)
        return np.stack([moves for moves, _ in rolled], 2), Bands(moved, windows)

    def with_validation(self, network: Forecaster) -> "Self | None":
        """Return the task whose network learns from the validation part, too."""
        if not self.settings.data.refit:
            return None
        return self._extended(self.prepared.parts.validation, network.frame.bands)

    def with_all_data(self, network: Forecaster) -> "Self | None":
        """Return the task whose network learns from all rows, and whose bands rest on the errors of
        the test part, too."""
        if not self.settings.data.refit:
            return None
        return self._extended(len(self.prepared.panel), self._rolled(network)[1])

    def _extended(self, rows: int, bands: Bands | None) -> Self:
        longer = copy(self)
        prepared, before = self.prepared.extended(rows), self.prepared.frame.series
        if bands is not None:
            after = prepared.frame.series
            units = [one.change / other.change for one, other in zip(before, after, strict=True)]
            bands = bands.scaled(units)
        longer.prepared = replace(prepared, frame=replace(prepared.frame, bands=bands))
        longer._set_examples()
        return longer

    def results(self, network: Forecaster) -> Results:
        """Return the errors of every target on the test part, with charts."""
        comparisons = compare(network, self.test, self._rolled(network)[0])
        parts, times = self.prepared.parts, self.prepared.table.times
        first, last = parts.validation, parts.test
        if times:
            begins = len(self.prepared.table) - len(self.prepared.panel)
            rows: list[Any] = times[begins + first : begins + last]
        else:
            rows = list(range(first, last))
        return _results(
            network,
            comparisons,
            draw=lambda: forecast_sections(
                comparisons,
                times=rows,
                origins=[origin - first for origin in self.test.numbers],
                level=self.prepared.frame.levels[0],
            ),
        )

    def opening(self, network: Forecaster) -> Iterator[Section]:
        """Yield the forecast of the steps after the end of the table, and what drives it."""
        tail = network.tail
        lacks = tail is None or _lacking(network.frame, tail.panel)
        if not lacks and self.prepared.has_next_times:
            yield from next_sections(network, self.prepared)
        yield from driver_sections(network.frame)

    def score(self, network: Forecaster) -> float:
        """Return the mean absolute error over all targets, in standard deviations."""
        return self._scaled_mae(medians(network.forecasts(self.test.panel, self.test.numbers)))

    def baselines(self) -> Mapping[str, float]:
        """Return the score of each of ``BASELINES``."""
        pasts = pasts_of(self.test)
        return {name: self._scaled_mae(forecast(pasts)) for name, forecast in BASELINES.items()}

    def _scaled_mae(self, forecasts: Numbers) -> float:
        """Return the score of forecasts of the test part, [origins, horizon, targets]."""
        by_target, truths = np.moveaxis(forecasts, -1, 0), np.moveaxis(self.test.truth(), -1, 0)
        spread = [series.spread for series in self.prepared.frame.series]
        return scaled_error(by_target, truths, spread)["mae"]

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
        table, panel, notes = table_for(
            network.frame, source, time=options.time, fill_gaps=options.fill_gaps
        )
        frame, count = network.frame, len(panel)
        if not table.times:
            panel = placed(frame, _rows(fitted_on), panel)
        first, known = 0, "all rows are asked for"
        if not options.all_rows:
            first, known = first_unseen(network, _rows(fitted_on), table, panel)
        if first == count:
            raise DataError(
                f"{table.name}: {known}, and no row comes after them: there is nothing to score. "
                f"Give a table with later rows, or pass {named('all_rows', True)} if these are not "
                "the rows it was fitted on. The scores of the run's own test part, of a network "
                "that had not learned from it, are in metrics.json."
            )
        for note in notes:
            say(note)
        left = counted(count - first, "row")
        say(f"{known}: scoring " + (f"the {left} after them" if first else f"all {left}"))
        origins = Origins.within(
            panel,
            max(first, frame.history),
            count,
            horizon=frame.horizon,
            season=frame.season,
        )
        if not len(origins):
            raise DataError(
                f"{table.name}: there is no window to score: {left} to score, a history of "
                f"{frame.history} and a horizon of {frame.horizon}. Give more rows."
            )
        return _results(network, compare(network, origins))

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
        [N, rows, columns] the quantiles are an array [N, horizon, targets, quantiles]."""
        frame = network.frame
        if isinstance(source, np.ndarray) and source.ndim == 3:
            return _of_histories(network, source, options.later)
        if source is None:
            if network.tail is None:
                raise RunError("the run holds no data to go on from. Give a file.")
            panel, last, name = network.tail.panel, network.tail.last_time, "the run's table"
            time = frame.time
        else:
            table, panel, notes = table_for(
                frame,
                source,
                time=options.time,
                fill_gaps=options.fill_gaps,
                later=options.later,
            )
            stale = unobserved_target(panel, frame)
            if stale:
                raise DataError(
                    f"{table.name}: column {stale} has no value in the last "
                    f"{counted(frame.history, 'row')}, which this model reads. Give a table that "
                    "ends with observed rows."
                )
            for note in (*notes, *notes_on_end(network, _rows(fitted_on), table)):
                say(note)
            if not table.times and options.later is None:
                panel = placed(frame, _rows(fitted_on), panel)
            last, name, time = table.last_time, table.name, table.time_column
            # Its times may be written otherwise than those of the run's table.
            frame = replace(
                frame, step=table.step, time_format=table.time_format, zone=table.zone, origin=""
            )
        times = network.future_times(last, frame.horizon, frame)
        lacking = _lacking(frame, panel)
        if lacking:
            missing = ", ".join(f"{column} is missing at {times[step]}" for column, step in lacking)
            raise DataError(
                f"{name}: the forecast needs {', '.join(column for column, _ in lacking)} from "
                f"{times[0]} to {times[-1]}, in rows after the last value of "
                f"{', '.join(frame.targets)}; {missing}. Give a table with these values."
            )
        quantiles = network.forecasts(panel, [len(panel)])[0]
        return forecast_table(frame, time, times, quantiles)

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
        """Return rows as the forecaster reads them: those of a table up to ``options.row``, or to
        its end; without a table the end of the run's own."""
        frame = network.frame
        if source is None:
            if network.tail is None:
                raise RunError(f"the run holds no data to look at. Give {named('data')}.")
            if options.row is not None:
                raise SettingError(f"{named('row')} is of a table. Give {named('data')}, too.")
            panel = network.tail.panel
            times = network.past_times(network.tail.last_time, len(panel))
            return read_rows(network, panel, times)
        table, panel, notes = table_for(
            frame, source, time=options.time, fill_gaps=options.fill_gaps
        )
        for note in notes:
            say(note)
        if not table.times:
            panel = placed(frame, _rows(fitted_on), panel)
        # Rows before the first in which every column has a value are not read.
        skipped = len(table) - len(panel)
        end = len(table) if options.row is None else check_row(options.row, len(table), "row") + 1
        if end - skipped < frame.history:
            raise DataError(
                f"{table.name}: up to row {end:,} there are {counted(end - skipped, 'row')} to "
                f"read; this model reads {frame.history:,}. Give a later row, from "
                f"{frame.history + skipped:,}."
            )
        times = [write_time(time, table.time_format) for time in (table.times or [])[skipped:end]]
        return read_rows(network, panel.rows(0, end - skipped), times)


def _lacking(frame: ForecastFrame, panel: Panel) -> list[tuple[str, int]]:
    """Return the columns known ahead that lack a value in the horizon, each with its first step
    without one."""
    ahead = np.full((frame.horizon, len(frame.known)), np.nan)
    rows = panel.known[len(panel) : len(panel) + frame.horizon]
    ahead[: len(rows)] = rows
    missing = np.isnan(ahead)
    return [
        (name, int(missing[:, number].argmax()))
        for number, name in enumerate(frame.known)
        if missing[:, number].any()
    ]


def _of_histories(network: Forecaster, histories: Numbers, later: int | None) -> Numbers:
    """Return quantiles [N, horizon, targets, quantiles] of histories [N, rows, columns].

    Args:
        network: the forecaster.
        histories: the targets, then the past columns.
        later: how many rows they end after the run's table; None for none.

    Raises:
        DataError: the histories have another shape, or hold what is no usable number.
    """
    frame = network.frame
    if frame.known:
        raise DataError(
            f"an array of histories has no future of {', '.join(frame.known)}. Give a table."
        )
    width = len(frame.columns)
    if histories.shape[1] < frame.history or histories.shape[2] != width:
        raise DataError(
            f"histories are {list(histories.shape)}; expected [N, {frame.history} or more, "
            f"{width}]: steps, and the columns {', '.join(frame.columns)}."
        )
    unusable = ~(np.abs(histories) < LARGEST)
    if unusable.any():
        number, step, column = map(int, np.argwhere(unusable)[0])
        value = float(histories[number, step, column])
        what = "missing" if np.isnan(value) else f"{value:g}"
        raise DataError(
            f"histories[{number}, {step}], column {frame.columns[column]}, is {what}; "
            f"expected numbers below {LARGEST:g}."
        )
    rows, count = histories.shape[1], len(frame.targets)
    first = frame.rows + (later or 0) - rows
    panels = [
        Panel(history[:, :count], history[:, count:], np.zeros((rows, 0)), first)
        for history in histories
    ]
    return np.concatenate([network.forecasts(panel, [rows]) for panel in panels])


def _rows(fitted_on: Mapping[str, Any] | None) -> FittedOn | None:
    return None if fitted_on is None else to_record(FittedOn, fitted_on, "fitted_on")


def _results(network: Forecaster, comparisons: list[Comparison], **draw: Any) -> Results:
    frame = network.frame
    details = {
        "windows": len(comparisons[0].truth),
        "scaled": scaled_errors(network, comparisons),
        "by_horizon": {
            comparison.target: {
                label: list(errors.by_horizon) for label, errors in comparison.scores.items()
            }
            for comparison in comparisons
        },
    }
    if frame.bands is not None:
        details["bands"] = {"windows": frame.bands.windows, "pooled": frame.bands.pooled}
    return Results(
        tuple(scores_of(comparison, frame.levels[0]) for comparison in comparisons),
        counted_words(len(comparisons[0].truth), "window", "cửa sổ"),
        details,
        **draw,
    )
