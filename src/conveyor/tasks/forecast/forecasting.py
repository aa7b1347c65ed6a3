"""The task ``forecast``: predicts quantiles of the next steps of a table's columns."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from conveyor.compiler.program import Program
from conveyor.data.records import from_record
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words
from conveyor.tasks.forecast.band_memory import BandMemory
from conveyor.tasks.forecast.baselines import Numbers
from conveyor.tasks.forecast.calibration import (
    AdaptiveBands,
    bands_moved,
    calibrated,
    memories_of,
    observed,
    rows_of,
)
from conveyor.tasks.forecast.comparison import (
    Comparison,
    baseline_forecasts,
    compare,
    medians,
    pasts_of,
    scaled_error,
)
from conveyor.tasks.forecast.dependence import Dependence, dependence_of
from conveyor.tasks.forecast.drivers import driver_sections
from conveyor.tasks.forecast.evaluating import evaluate
from conveyor.tasks.forecast.forecast_charts import forecast_sections
from conveyor.tasks.forecast.forecast_csv import forecast_table, path_table
from conveyor.tasks.forecast.forecast_frame import Bands
from conveyor.tasks.forecast.forecast_results import results_of
from conveyor.tasks.forecast.forecast_settings import (
    COUNTS,
    LOSSES,
    ForecastNetwork,
    ForecastSettings,
)
from conveyor.tasks.forecast.forecast_stream import ForecastStream
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.group_choice import chosen_group
from conveyor.tasks.forecast.history_arrays import forecasts_of_histories
from conveyor.tasks.forecast.model_table import unobserved_target
from conveyor.tasks.forecast.next_forecast import (
    End,
    beyond_horizon,
    ends_of_run,
    ends_of_table,
    next_forecasts,
    next_paths,
)
from conveyor.tasks.forecast.next_picture import draw_next
from conveyor.tasks.forecast.next_section import next_sections
from conveyor.tasks.forecast.outside import outside_of
from conveyor.tasks.forecast.prepared_table import Prepared, prepare_data
from conveyor.tasks.forecast.read_rows import rows_to_read
from conveyor.tasks.forecast.scored_forecasts import scored_forecasts
from conveyor.tasks.forecast.series_overview import overview_sections, shown_of
from conveyor.tasks.forecast.series_panel import Origins
from conveyor.tasks.forecast.stretches import (
    MOST_STEPS,
    Span,
    Stretches,
    batch_of,
    inputs_of_all,
)
from conveyor.tasks.forecast.tail import Tail, kept_memories, rows_kept
from conveyor.tasks.forecast.unseen_rows import (
    hash_of,
    rows_fitted_on,
)
from conveyor.tasks.forecast.updating import update
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Prediction, Results, Section
from conveyor.tasks.task import Say, Task

# An epoch has so many steps of the optimiser at least: of a single series each is a whole pass, too
# little to look at the validation set in between.
_STEPS = 10


_LOSS_NAMES = dict(
    zip(LOSSES, ("pinball loss", "mean squared error", "negative log-likelihood"), strict=True)
)


class Forecasting(Task[Forecaster]):
    """The task of forecasting a table, beside forecasts without a network."""

    name = "forecast"
    network_type = Forecaster
    # The mean over all targets, each in standard deviations of its training set.
    metric = Metric("scaled_mae", "MAE in standard deviations")
    next_command = ("predict",)
    join = staticmethod(batch_of)
    settings: ForecastSettings
    train: Stretches
    validation: Stretches

    def __init__(self, data: Any, settings: ForecastSettings, say: Say) -> None:
        self.loss = _LOSS_NAMES[settings.network.loss]
        of_counts, smoothed = settings.network.loss == COUNTS, settings.network.es_rnn
        if smoothed and (of_counts or settings.data.pace == "season"):
            option = ("loss", COUNTS) if of_counts else ("pace", "season")
            raise SettingError(
                f"{named('es_rnn', True)} works only with networks that go from row to row and "
                f"learn quantiles or the mean, and {named(*option)} was given. Leave one out."
            )
        read, seed = settings.data, settings.training.seed
        self.prepared = prepare_data(
            data, read, say, of_counts=of_counts, smoothed=smoothed, seed=seed
        )
        frame, name = self.prepared.frame, self.prepared.name
        complete = replace(read, horizon=frame.horizon, history=frame.history, season=frame.season)
        self.settings = replace(settings, data=complete)
        self.test = self.prepared.test()
        self._set_examples()
        for part, examples in (("training", self.train), ("validation", self.validation)):
            if not examples.forecasts:
                raise DataError(f"{name}: the {part} set holds no observed target.")
        if not sum(map(len, self.test)):
            raise DataError(f"{name}: the test set holds no observed target.")
        self.data_hash = hashlib.sha256(repr(frame.groups).encode())
        for panel in self.prepared.panels:
            self.data_hash.update(hash_of(np.concatenate([panel.targets, panel.past], 1)).digest())
            self.data_hash.update(np.ascontiguousarray(panel.known).tobytes())
        self.title = Words(f"Forecast of {Path(name).name}", f"Dự báo {Path(name).name}")
        # Of each series, the errors of bands in the validation set, see ``band_errors``, in the
        # unit of the series or of its logarithm.
        self._before: list[Numbers] = []
        # Of each series, how far validation truths were from their forecasts, see ``Outside``, and
        # how errors of the steps ahead go together.
        self._deviations: list[Numbers] = []
        self._dependence: Dependence | None = None
        # Of each series, what its bands know after the test set; empty where they do not adapt.
        self._memories: tuple[BandMemory, ...] = ()
        self._rolled_of: tuple[Forecaster, list[Numbers] | None, Bands | None] | None = None

    def _set_examples(self) -> None:
        prepared, targets = self.prepared, len(self.prepared.frame.targets)
        groups = prepared.groups
        learned = [Span(0, group.fitted) for group in groups for _ in range(targets)]
        inputs = inputs_of_all(prepared.panels, prepared.frame)
        self.train = Stretches(inputs, learned)
        # A batch that held a stretch twice would learn no more from it.
        self.largest_batch = min(self.settings.training.batch, len(self.train.parts))
        self.train.repeat(_STEPS * self.largest_batch)
        if self.train.steps > MOST_STEPS:
            share = MOST_STEPS / self.train.steps
            self.most_drawn = max(round(share * len(self.train.parts)), self.largest_batch)
        scored = [number for number in range(len(groups)) if prepared.is_scored(number)]
        if len(scored) < len(groups):
            inputs = inputs_of_all([groups[number].panel for number in scored], prepared.frame)
        checked = [
            Span(groups[number].parts.train, groups[number].parts.validation)
            for number in scored
            for _ in range(targets)
        ]
        self.validation = Stretches(inputs, checked, whole=True)
        if self.train.steps > MOST_STEPS:
            self.validation.thin(MOST_STEPS // 2)

    @classmethod
    def prepare(cls, source: Any, settings: ForecastSettings, say: Say) -> "Forecasting":
        """Return the task on a table: a CSV or Parquet file, a data frame, or an array."""
        return cls(source, settings, say)

    def network(self, program: Program, sizes: ForecastNetwork) -> Forecaster:
        """Return an untrained forecaster, which holds the last rows of the table."""
        prepared = self.prepared
        model = Forecaster(program, prepared.frame, **sizes.besides_the_cell())
        most = rows_kept(prepared.frame, smoothed=model.smooths)
        model.tails = tuple(
            Tail.of(group.panel, group.table.last_time, most, group.panel.first + group.seen)
            for group in prepared.groups
            if not unobserved_target(group.panel, prepared.frame)
        )
        model.memories = kept_memories(self._memories)
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
        """Move the network's bands by what lay outside of them in the validation set."""
        outside = outside_of(network, self.prepared.validation())
        errors, widths = [of.errors for of in outside], [of.width for of in outside]
        self._before = [
            of_series * decomposition.change
            for of_series, decomposition in zip(errors, network.frame.series, strict=True)
        ]
        bands = calibrated(errors, widths, network.frame.levels)
        self._deviations = [of.deviations for of in outside]
        self._dependence = None if network.smooths else dependence_of(self._deviations)
        network.frame = replace(network.frame, bands=bands, dependence=self._dependence)
        network.memories = kept_memories(memories_of(bands, errors, network.frame.levels))

    def _rolled(self, network: Forecaster) -> tuple[list[Numbers] | None, Bands | None]:
        """Return how far the bands of the test set move, of each group [origins, horizon, N,
        levels], and those of the forecasts that come after it. Both are worked out once for a
        network: its results need the first, and the network after it the second."""
        if self._rolled_of is None or self._rolled_of[0] is not network:
            self._rolled_of = network, *self._roll(network)
        return self._rolled_of[1:]

    def _roll(self, network: Forecaster) -> tuple[list[Numbers] | None, Bands | None]:
        frame, bands = network.frame, network.frame.bands
        outside = outside_of(network, self.test)
        # In units of this network, which moves by another unit than the one before.
        earlier = [
            before / decomposition.change
            for before, decomposition in zip(self._before, frame.series, strict=True)
        ]
        errors_of_series = [
            np.concatenate([before, errors])
            for before, (errors, *_) in zip(earlier, outside, strict=True)
        ]
        deviations = [*self._deviations, *(of.deviations for of in outside)]
        self._dependence = None if network.smooths else dependence_of(deviations)
        if bands is None or bands.pooled:
            later = calibrated(errors_of_series, [of.width for of in outside], frame.levels)
            self._memories = memories_of(later, errors_of_series, frame.levels)
            return None, later
        count, horizon = len(frame.targets), frame.horizon
        origins_of = [origins.numbers for origins in self.test for _ in range(count)]
        bands_of = [AdaptiveBands.after(before, frame.levels) for before in earlier]
        moves = [
            adaptive.roll(errors, origins, rows_of(origins, horizon))
            for adaptive, (errors, *_), origins in zip(bands_of, outside, origins_of, strict=True)
        ]
        self._memories = tuple(adaptive.memory for adaptive in bands_of)
        windows = sum(map(observed, errors_of_series)) / len(errors_of_series)
        moves_of = [
            np.stack(moves[first : first + count], 2) for first in range(0, len(moves), count)
        ]
        return moves_of, bands_moved([adaptive.moved for adaptive in bands_of], windows)

    def with_validation(self, network: Forecaster) -> "Self | None":
        """Return the task whose network learns from the validation set, too."""
        if not self.settings.data.refit:
            return None
        return self._extended(self.prepared.with_validation(), network.frame.bands)

    def with_all_data(self, network: Forecaster) -> "Self | None":
        """Return the task whose network learns from all rows, and whose bands rest on the errors of
        the test set, too."""
        if not self.settings.data.refit:
            return None
        return self._extended(self.prepared.with_all_rows(), self._rolled(network)[1])

    def _extended(self, prepared: Prepared, bands: Bands | None) -> Self:
        longer, before = copy(self), self.prepared.frame.series
        if bands is not None:
            after = prepared.frame.series
            units = [one.change / other.change for one, other in zip(before, after, strict=True)]
            bands = bands.scaled(units)
            longer._memories = tuple(
                memory.scaled(unit) for memory, unit in zip(self._memories, units, strict=False)
            )
        longer.prepared = replace(
            prepared,
            frame=replace(prepared.frame, bands=bands, dependence=self._dependence),
        )
        longer._set_examples()
        return longer

    def results(self, network: Forecaster) -> Results:
        """Return the errors of every series on the test set, with charts."""
        comparisons = compare(network, self.test, self._rolled(network)[0])
        prepared, frame = self.prepared, network.frame
        sections = partial(self._sections, network, comparisons)
        results = results_of(network, comparisons, sections, drawn_of=prepared.drawn_of)
        return replace(
            results,
            answers=lambda: scored_forecasts(frame, comparisons, prepared.groups, self.test),
        )

    def _sections(
        self, network: Forecaster, comparisons: Sequence[Comparison]
    ) -> Iterator[Section]:
        """Yield charts of the series, or of the best and worst of many, and a table of all."""
        count, level = len(network.frame.targets), network.frame.levels[0]
        if network.frame.has_overview:
            yield from overview_sections(comparisons, self.prepared.drawn_of)
        for comparison in shown_of(comparisons, network.frame):
            number = comparison.number
            group, origins = self.prepared.groups[number // count], self.test[number // count]
            yield from forecast_sections(
                comparison,
                name=comparison.label if len(comparisons) > 1 else "",
                identity=str(number),
                times=group.times_of(group.parts.validation, group.parts.test),
                origins=[origin - group.parts.validation for origin in origins.numbers],
                level=level,
            )

    def opening(self, network: Forecaster) -> Iterator[Section]:
        """Yield the forecast of the steps after the end of the table, and what drives it."""
        horizon, groups = network.frame.horizon, self.prepared.groups
        ends = [
            End(tail.panel, tail.last_time, network.frame, self.prepared.name)
            for tail in network.tails
            if groups[tail.group].has_next_times(horizon)
        ]
        known = [end for end in ends if not end.lacking()]
        yield from next_sections(network, known, next_forecasts(network, known))
        yield from driver_sections(network.frame)

    def score(self, network: Forecaster) -> float:
        """Return the mean absolute error over all targets, in standard deviations."""
        return self._scaled_mae(
            [medians(network.forecasts(of.panel, of.numbers)) for of in self._scored]
        )

    @property
    def _scored(self) -> list[Origins]:
        """The forecasts of the test set of each group that has any."""
        return [origins for origins in self.test if len(origins)]

    def baselines(self) -> Mapping[str, float]:
        """Return the score of each baseline."""
        pasts = [pasts_of(origins) for origins in self._scored]
        of_groups = baseline_forecasts(self.prepared.frame, pasts)
        return {
            name: self._scaled_mae([forecasts[name] for forecasts in of_groups])
            for name in of_groups[0]
        }

    def _scaled_mae(self, forecasts_of: Sequence[Numbers]) -> float:
        """Return the score of forecasts of the test set, of each group that has any [origins,
        horizon, targets]."""
        scored, frame = self._scored, self.prepared.frame
        forecasts = [column for of in forecasts_of for column in np.moveaxis(of, -1, 0)]
        truths = [column for of in scored for column in np.moveaxis(of.truth(), -1, 0)]
        spread = [series.spread for of in scored for series in frame.of_group(of.panel.group)]
        return scaled_error(forecasts, truths, spread)["mae"]

    def fitted_on(self) -> dict[str, Any]:
        """Return the record of the rows of training and validation: of the one group, or by the
        names of each."""
        frame = self.prepared.frame
        records = [from_record(rows_fitted_on(group, frame)) for group in self.prepared.groups]
        if not frame.group_columns:
            return records[0]
        return {"groups": records}

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
        validation; without a table those of the rows that the run keeps. They are recognised by
        their times, or, if rows are only counted, by their numbers. With ``options.all_rows`` all
        rows are scored."""
        return evaluate(network, source, fitted_on=fitted_on, options=options, say=say)

    @classmethod
    def predict(
        cls,
        network: Forecaster,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Prediction:
        """Return quantiles of the steps after the end of a table: a polars data frame. Without
        ``source`` it is the table that the model was fitted on. For an array of histories
        [N, rows, columns] the quantiles are an array [N, horizon, targets, quantiles]."""
        targets = ", ".join(network.frame.targets)
        title = Words(f"Forecast of {targets}", f"Dự báo {targets}")
        if isinstance(source, np.ndarray) and source.ndim == 3:
            asked = [name for name in ("paths", "horizon") if getattr(options, name) is not None]
            if asked:
                raise SettingError(f"{named(asked[0])} is of tables, not of arrays of histories.")
            return Prediction(forecasts_of_histories(network, source, options.later), title)
        ends, time = (
            ends_of_run(network, say)
            if source is None
            else ends_of_table(network, source, fitted_on=fitted_on, options=options, say=say)
        )
        steps = options.horizon or network.frame.horizon
        if steps > network.frame.horizon:
            say(beyond_horizon(network, steps))
        if options.paths is not None:
            futures = [next_paths(network, end, options.paths, options.horizon) for end in ends]
            return Prediction(path_table(network.frame, time, futures), title)
        forecasts = next_forecasts(network, ends, options.horizon)
        return Prediction(
            forecast_table(network.frame, time, forecasts),
            title,
            lambda: next_sections(network, ends, forecasts),
            lambda path, language: draw_next(path, network.frame, ends, forecasts, language),
        )

    @classmethod
    def question(cls, network: Forecaster, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that a table is asked for, which may be left out where the run holds its end."""
        if not network.tails:
            asked = Words("The table to continue, as CSV", "Bảng cần dự báo tiếp, dạng CSV")
        else:
            asked = Words(
                "The table to continue, as CSV; nothing for the rows of the run",
                "Bảng cần dự báo tiếp, dạng CSV; để trống thì dự báo tiếp dữ liệu đã học",
            )
        return Question("table", asked)

    @classmethod
    def update(cls, network: Forecaster, source: Any, *, options: Any, say: Say) -> Results | None:
        """Take new rows of a table into a run: its next forecast begins after them, and its bands
        have seen how far off the forecasts of these rows were."""
        return update(network, source, options=options, say=say)

    @classmethod
    def stream(cls, network: Forecaster, series: str | None = None) -> ForecastStream:
        """Return a stream of forecasts, which goes on from the end of the run's rows; see
        ``ForecastStream``."""
        if not network.tails:
            raise RunError("the run holds no data to go on from. Fit it again.")
        if network.smooths:
            raise RunError(
                f"a run that was fitted with {named('es_rnn', True)} takes no rows one by one. "
                "Fit it without, or update it."
            )
        kept = [tail.group for tail in network.tails]
        return ForecastStream(network, network.tails[chosen_group(network.frame, series, kept)])

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
        return rows_to_read(network, source, fitted_on=fitted_on, options=options, say=say)
