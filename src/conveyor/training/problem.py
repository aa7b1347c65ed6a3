"""A task made ready to compare cells on, and one attempt at it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from conveyor.compiler.program import Program
from conveyor.errors import DivergedError, TooLargeError
from conveyor.signals import Terminated
from conveyor.tasks.forecast.forecast_settings import ForecastSettings
from conveyor.tasks.sequences.sequence_settings import ClassicSettings, MusicSettings, PixelSettings
from conveyor.tasks.settings import NetworkSettings, Training
from conveyor.tasks.text.text_settings import TextSettings
from conveyor.training.fit import Fitted
from conveyor.training.memory import in_memory
from conveyor.training.stopping import INTERRUPTED, TERMINATED

Say = Callable[[str], None]
AnyNetwork = TypeVar("AnyNetwork", bound=NetworkSettings)
AnySettings = ForecastSettings | TextSettings | MusicSettings | ClassicSettings | PixelSettings


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
    settings: AnySettings

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
            KeyboardInterrupt: Ctrl-C, or, as ``Terminated``, SIGTERM.
        """
        torch.manual_seed(draw.seed)
        training = replace(self.settings.training, learning_rate=draw.learning_rate, seed=draw.seed)
        try:
            model = self.model(program, draw)
            fitted = self._fit(model, training, folder, say)
            if fitted.stopped == TERMINATED:
                raise Terminated
            if fitted.stopped == INTERRUPTED:
                raise KeyboardInterrupt
            if not fitted.best_epoch:
                return Attempt(lost=LATE)
            with in_memory():
                test = self._test(model.eval())
            if not math.isfinite(test):
                return Attempt(lost=DIVERGED)
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


def network_of(network: AnyNetwork, program: Program, draw: Draw) -> AnyNetwork:
    """The network of a draw; its projection is for cells that have one."""
    projects = any("P" in leaf.axes for leaf in program.leaves)
    projection = network.projection if projects else 0
    return replace(network, hidden=draw.hidden, projection=projection)
