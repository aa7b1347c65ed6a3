"""Forecasting, texts and sequences, made ready to compare cells on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conveyor.compiler.program import Program
from conveyor.tasks.forecast.forecast_settings import ForecastSettings
from conveyor.tasks.sequences.sequence_settings import ClassicSettings, PixelSettings
from conveyor.tasks.settings import Training
from conveyor.tasks.text.text_settings import TextSettings
from conveyor.training.batches import loaders
from conveyor.training.compare import NAIVE, SEASONAL, compare, scaled_errors
from conveyor.training.fit import Fitted, fit
from conveyor.training.fitters import StreamFitter, WindowFitter
from conveyor.training.forecasting import digest_of, forecaster, prepare_data
from conveyor.training.problem import AnySettings, Draw, Problem, Say, network_of
from conveyor.training.sequence_problems import ClassicTask, Pixels, PolyphonicMusic
from conveyor.training.texting import digest_of as digest_of_text
from conveyor.training.texting import language_model, prepare_text


class Forecasting(Problem):
    """Forecasts of a table; the score is the mean absolute error over all targets, each in standard
    deviations of its training part."""

    task, score, loss = "forecast", "MAE in standard deviations", "pinball loss"

    def __init__(self, data: Path, settings: ForecastSettings, say: Say) -> None:
        self.prepared = prepare_data(data, settings.data, say)
        frame = self.prepared.frame
        complete = replace(
            settings.data, horizon=frame.horizon, history=frame.history, season=frame.season
        )
        self.settings: ForecastSettings = replace(settings, data=complete)
        self.train, self.validation, self.test = self.prepared.three()
        self.digest = digest_of(self.prepared.columns)

    def baselines(self) -> Mapping[str, float]:
        spread = np.array(self.prepared.frame.scale.spread[: len(self.prepared.frame.targets)])
        truth = self.test.truth()
        naive = {NAIVE: self.test.naive(), SEASONAL: self.test.seasonal_naive()}
        return {
            name: float(np.nanmean(np.abs(each - truth) / spread)) for name, each in naive.items()
        }

    def _model(self, program: Program, draw: Draw) -> Any:
        network = network_of(self.settings.network, program, draw)
        return forecaster(self.prepared.frame, network, program)

    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted:
        batches = loaders(self.train, self.validation, training)
        return fit(WindowFitter(model, training, self.digest), batches, folder, say=say, trial=True)

    def _test(self, model: Any) -> float:
        comparisons = compare(model, self.test)
        return scaled_errors(model, comparisons)[comparisons[0].ours]["mae"]


class Texts(Problem):
    """A text by characters; the score is nats per character."""

    task, score, loss = "text", "nats per character", "nats per character"

    def __init__(self, file: Path, settings: TextSettings, say: Say) -> None:
        self.settings: TextSettings = settings
        self.prepared = prepare_text(file, settings.data, settings.training.batch, say)
        self.digest = digest_of_text(self.prepared.text)

    def baselines(self) -> Mapping[str, float]:
        return {name: each.nats for name, each in self.prepared.baselines().items()}

    def _model(self, program: Program, draw: Draw) -> Any:
        network = network_of(self.settings.network, program, draw)
        settings = replace(self.settings, network=network)
        return language_model(self.prepared.vocabulary, settings, program)

    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted:
        batches = loaders(self.prepared.train, self.prepared.validation, training, streams=True)
        return fit(StreamFitter(model, training, self.digest), batches, folder, say=say, trial=True)

    def _test(self, model: Any) -> float:
        found: float = model.nats(self.prepared.test)
        return found


def prepare_problem(data: Path, settings: AnySettings, say: Say) -> Problem:
    """The task that the settings are of, on that file, folder or, for a classic task, nothing.

    Raises:
        DataError: the file or folder cannot be used.
        SettingError: a setting does not fit.
    """
    if isinstance(settings, ForecastSettings):
        return Forecasting(data, settings, say)
    if isinstance(settings, TextSettings):
        return Texts(data, settings, say)
    if isinstance(settings, ClassicSettings):
        return ClassicTask(settings, say)
    if isinstance(settings, PixelSettings):
        return Pixels(data, settings, say)
    return PolyphonicMusic(data, settings, say)
