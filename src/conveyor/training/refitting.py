"""Fits networks again on more data, for as many epochs as a first fit has found to be right."""

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
from conveyor.training.stopping import StopRequest

# Gives an untrained network of a task.
Build = Callable[[Task[Any]], Network]


class Kept(NamedTuple):
    """The network that a run keeps, the task that it was fitted on, and the results of the network
    that was scored on the test part."""

    network: Network
    task: Task[Any]
    results: Results


def refit_with_validation(
    task: Task[Any],
    network: Network,
    fitted: Fitted,
    *,
    build: Build,
    training: Training,
    folder: Path,
    say: Say,
    request: StopRequest | None = None,
) -> tuple[Task[Any], Network]:
    """Return the task and the network that are scored on the test part: those of the first fit, or
    a second network that has learned from the validation part, too.

    Args:
        task: of the first fit.
        network: fitted.
        fitted: the course of the first fit.
        build: gives an untrained network of a task.
        training: how it was fitted.
        folder: the run's folder.
        say: called with each line for the user.
        request: the request to stop.
    """
    longer = task.with_validation(network)
    if longer is None or not fitted.best_epoch:
        return task, network
    another = _refit(
        longer, fitted, build=build, training=training, folder=folder, say=say, request=request
    )
    return (task, network) if another is None else (longer, another)


def refitted(
    task: Task[Any],
    network: Network,
    fitted: Fitted,
    *,
    build: Build,
    folder: Path,
    say: Say,
    request: StopRequest,
) -> Kept:
    """Fit again with the validation part, score, and fit again with all data, as the task asks for.

    The arguments are those of ``refit_with_validation``.
    """
    training = task.settings.training
    if request.stopped and task.with_validation(network) is not None:
        say("stopped: the network is not fitted again on more rows")
        return Kept(network, task, task.results(network))
    scored, second = refit_with_validation(
        task,
        network,
        fitted,
        build=build,
        training=training,
        folder=folder,
        say=say,
        request=request,
    )
    results = scored.results(second)
    whole = scored.with_all_data(second) if scored is not task else None
    if whole is None:
        return Kept(second, scored, results)
    third = _refit(
        whole, fitted, build=build, training=training, folder=folder, say=say, request=request
    )
    return Kept(second, scored, results) if third is None else Kept(third, whole, results)


def _refit(
    task: Task[Any],
    fitted: Fitted,
    *,
    build: Build,
    training: Training,
    folder: Path,
    say: Say,
    request: StopRequest | None,
) -> Network | None:
    """Return a network of the task, fitted for as many epochs as the first; None if the user asked
    to stop."""
    torch.manual_seed(training.seed)
    with in_memory():
        network = build(task)
    say(f"fitting again, for {counted(fitted.best_epoch, 'epoch')}: {task.about(network)}")
    fitter = Fitter(network, training, task.digest, in_order=task.in_order)
    batches, _ = loaders(task, training)
    stopped = refit(fitter, batches, fitted.best_epoch, folder, say=say, request=request)
    if stopped:
        return None
    return network.eval()
