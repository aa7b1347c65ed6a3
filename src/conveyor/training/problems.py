"""Tasks made ready to compare cells on: the data, what stays as it is, and one attempt."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from conveyor.compiler.program import Program
from conveyor.errors import DivergedError, TooLargeError
from conveyor.tasks.music import MusicModel, key_by_key_nats, next_notes, read_music
from conveyor.training.compare import NAIVE, SEASONAL, compare, scaled_errors
from conveyor.training.fit import (
    INTERRUPTED,
    Fitted,
    PieceFitter,
    StreamFitter,
    WindowFitter,
    fit,
    in_memory,
    loaders,
)
from conveyor.training.forecasting import digest_of, forecaster, prepare_data
from conveyor.training.settings import (
    ForecastSettings,
    MusicSettings,
    Network,
    TextSettings,
    Training,
)
from conveyor.training.texting import digest_of as digest_of_text
from conveyor.training.texting import language_model, prepare_text

Say = Callable[[str], None]
AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass(frozen=True)
class Draw:
    """What differs between attempts, but for the cell."""

    hidden: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Attempt:
    """How one fit went: the least validation loss, that of the weights that were kept; the score
    on the test part; parameters; the epoch that was kept; seconds of the fit. ``lost`` says why
    there is no score, where there is none."""

    validation: float = math.inf
    test: float = math.inf
    parameters: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    lost: str = ""


# Why an attempt gives no score, and what to do about it.
DIVERGED, LATE, TOO_LARGE = "diverged", "no epoch finished in time", "too large for the memory"
ADVICE = {
    DIVERGED: "Draw from smaller rates: --learning-rate.",
    LATE: "Give more --minutes.",
    TOO_LARGE: "Draw from smaller widths: --hidden.",
}


class Problem(ABC):
    """A task made ready. ``task`` is its name on the command line, ``score`` says what the test
    score is and ``loss`` what the validation loss is; less is better of both. ``digest`` names the
    data, to know them again."""

    task: str
    score: str
    loss: str
    digest: str
    settings: ForecastSettings | TextSettings | MusicSettings

    @abstractmethod
    def baselines(self) -> Mapping[str, float]:
        """What simple methods score on the test part."""

    def model(self, program: Program, draw: Draw) -> Any:
        """An untrained network.

        Raises:
            TooLargeError: it does not fit into memory.
            SettingError: the cell cannot be used here.
        """
        with in_memory():
            return self._model(program, draw)

    @abstractmethod
    def _model(self, program: Program, draw: Draw) -> Any: ...

    @abstractmethod
    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted: ...

    @abstractmethod
    def _test(self, model: Any) -> float: ...

    def attempt(self, program: Program, draw: Draw, folder: Path, say: Say) -> Attempt:
        """Fit one network with that cell; checkpoints go into ``folder``, and ``say`` is told if
        somebody wants to stop.

        Raises:
            SettingError: the cell cannot be used here.
            KeyboardInterrupt: Ctrl-C.
        """
        torch.manual_seed(draw.seed)
        training = replace(self.settings.training, learning_rate=draw.learning_rate, seed=draw.seed)
        try:
            model = self.model(program, draw)
            fitted = self._fit(model, training, folder, say)
            if fitted.stopped == INTERRUPTED:
                raise KeyboardInterrupt
            if not fitted.best_epoch:
                return Attempt(lost=LATE)
            with in_memory():
                test = self._test(model.eval())
        except DivergedError:
            return Attempt(lost=DIVERGED)
        except TooLargeError:
            return Attempt(lost=TOO_LARGE)
        losses = {epoch: validation for epoch, _, validation in fitted.curve}
        return Attempt(
            losses[fitted.best_epoch],
            test,
            sum(each.numel() for each in model.parameters()),
            fitted.best_epoch,
            fitted.seconds,
        )


def _network(network: AnyNetwork, program: Program, draw: Draw) -> AnyNetwork:
    """The network of a draw; its projection is for cells that have one."""
    projects = any("P" in leaf.axes for leaf in program.leaves)
    projection = network.projection if projects else 0
    return replace(network, hidden=draw.hidden, projection=projection)


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
        network = _network(self.settings.network, program, draw)
        return forecaster(self.prepared.frame, network, program)

    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted:
        batches = loaders(self.train, self.validation, training)
        return fit(
            WindowFitter(model, training, self.digest), batches, folder, say=say, epochs=False
        )

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
        network = _network(self.settings.network, program, draw)
        settings = replace(self.settings, network=network)
        return language_model(self.prepared.vocabulary, settings, program)

    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted:
        batches = loaders(self.prepared.train, self.prepared.validation, training, streams=True)
        return fit(
            StreamFitter(model, training, self.digest), batches, folder, say=say, epochs=False
        )

    def _test(self, model: Any) -> float:
        found: float = model.nats(self.prepared.test)
        return found


class PolyphonicMusic(Problem):
    """Music by steps; the score is nats per step, the sum over 88 keys."""

    task, score, loss = "music", "nats per step", "nats per step"

    def __init__(self, file: Path, settings: MusicSettings, say: Say) -> None:
        self.settings: MusicSettings = settings
        self.music = music = read_music(file)
        pieces = [piece.numpy().tobytes() for part in music for piece in part]
        self.digest = hashlib.sha256(b"|".join(pieces)).hexdigest()
        say(
            f"{len(music.train)} pieces to train, {len(music.validation)} to validate, "
            f"{len(music.test)} to test"
        )

    def baselines(self) -> Mapping[str, float]:
        return {"key by key": key_by_key_nats(self.music.train, self.music.test)}

    def _model(self, program: Program, draw: Draw) -> Any:
        network = _network(self.settings.network, program, draw)
        return MusicModel(
            program,
            hidden=network.hidden,
            layers=network.layers,
            dropout=network.dropout,
            projection=network.projection,
        )

    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted:
        train: Any = self.music.train
        validation: Any = self.music.validation
        batches = loaders(train, validation, training, join=next_notes)
        return fit(
            PieceFitter(model, training, self.digest), batches, folder, say=say, epochs=False
        )

    def _test(self, model: Any) -> float:
        found: float = model.nats(self.music.test)
        return found


def prepare_problem(
    data: Path, settings: ForecastSettings | TextSettings | MusicSettings, say: Say
) -> Problem:
    """The task that the settings are of, on that file.

    Raises:
        DataError: the file cannot be used.
    """
    if isinstance(settings, ForecastSettings):
        return Forecasting(data, settings, say)
    if isinstance(settings, TextSettings):
        return Texts(data, settings, say)
    return PolyphonicMusic(data, settings, say)
