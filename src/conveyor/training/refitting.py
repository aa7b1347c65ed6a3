"""Fits networks again on more data, for as many epochs as a first fit has found to be right."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from conveyor.errors import counted
from conveyor.networks.network import Network
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.results import Results
from conveyor.tasks.settings import Training
from conveyor.tasks.task import Say, Task
from conveyor.training.batches import loaders
from conveyor.training.fitter import Fitter
from conveyor.training.loop import Fitted, refit
from conveyor.training.stopping import OUT_OF_TIME, StopRequest

# Gives an untrained network of a task.
Build = Callable[[Task[Any]], Network]


class Kept(NamedTuple):
    """The network that a run keeps, the task that it was fitted on, and the results of the network
    that was scored on the test set."""

    network: Network
    task: Task[Any]
    results: Results


class Refits:
    """Fits networks again after a first fit, as its task asks for.

    Args:
        fitted: the course of the first fit.
        build: gives an untrained network of a task.
        training: how the first network was fitted. Its minutes are those of all fits together.
        folder: the run's folder.
        say: called with each line for the user.
        request: the request to stop.

    Attributes:
        stopped: why the last fit was stopped before its end; empty if it was not.
    """

    def __init__(
        self,
        fitted: Fitted,
        *,
        build: Build,
        training: Training,
        folder: Path,
        say: Say,
        request: StopRequest | None = None,
    ) -> None:
        self.fitted, self.build, self.training = fitted, build, training
        self.folder, self.say = folder, say
        self.request = request or StopRequest()
        self.stopped = self.request.stopped
        self._seconds = fitted.seconds

    def with_validation(self, task: Task[Any], network: Network) -> tuple[Task[Any], Network]:
        """Return the task and the network that are scored on the test set: those of the first fit,
        or a second network that has learned from the validation set, too.

        Args:
            task: of the first fit.
            network: fitted.
        """
        longer = task.with_validation(network)
        another = None if longer is None else self._again(longer)
        return (task, network) if longer is None or another is None else (longer, another)

    def all(self, task: Task[Any], network: Network) -> Kept:
        """Fit again with the validation set, score, and fit again with all data.

        Args:
            task: of the first fit.
            network: fitted.
        """
        scored, second = self.with_validation(task, network)
        results = scored.results(second)
        whole = scored.with_all_data(second) if scored is not task else None
        third = None if whole is None else self._again(whole)
        if whole is None or third is None:
            return Kept(second, scored, results)
        return Kept(third, whole, results)

    def _again(self, task: Task[Any]) -> Network | None:
        """Return a network of the task, fitted for as many epochs as the first; None if there is no
        time for it, or the user asked to stop."""
        minutes, epochs = self.training.minutes, self.fitted.best_epoch
        left = None if minutes is None else minutes - self._seconds / 60
        late = left is not None and left <= 0
        self.stopped = self.request.stopped or (OUT_OF_TIME if late else "")
        if not epochs or self.stopped:
            if self.stopped:
                self.say(f"{self.stopped}: the network is not fitted again on more rows")
            return None
        torch.manual_seed(self.training.seed)
        with in_memory():
            network = self.build(task)
        self.say(f"fitting again, for {counted(epochs, 'epoch')}: {task.about(network)}")
        fitter = Fitter(
            network,
            self.training,
            task.digest,
            in_order=task.in_order,
            usual_steps=task.usual_steps,
        )
        batches, _ = loaders(task, self.training)
        began = time.monotonic()
        self.stopped = refit(
            fitter,
            batches,
            epochs,
            self.folder,
            minutes=left,
            say=self.say,
            request=self.request,
        )
        self._seconds += time.monotonic() - began
        if self.stopped:
            self.say(f"{self.stopped}: the network before is kept")
            return None
        return network.eval()
