"""One trial of a comparison: a cell tried with one draw of width, learning rate and seed."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from conveyor.compiler.program import Program
from conveyor.errors import DivergedError, TooLargeError, named
from conveyor.networks.network import Network, has_projection
from conveyor.signals import Terminated
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.task import Say, Task
from conveyor.training.batches import loaders
from conveyor.training.fitter import Fitter
from conveyor.training.loop import fit
from conveyor.training.stopping import INTERRUPTED, TERMINATED


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


def advice(reason: str) -> str:
    """Return what to do about attempts that are lost for this reason."""
    return {
        DIVERGED: f"Draw from smaller rates: {named('learning_rate')}.",
        LATE: f"Give more {named('minutes')}.",
        TOO_LARGE: f"Draw from smaller widths: {named('hidden')}.",
    }[reason]


def untrained(task: Task[Any], program: Program, draw: Draw) -> Network:
    """Return the network of a draw.

    Raises:
        TooLargeError: it does not fit into memory.
        SettingError: the cell cannot be used here.
    """
    network = task.settings.network
    # The projection is for cells that have one.
    projection = network.projection if has_projection(program) else 0
    with in_memory():
        sizes = replace(network, hidden=draw.hidden, projection=projection)
        untrained_network: Network = task.network(program, sizes)
    return untrained_network


def try_draw(task: Task[Any], program: Program, draw: Draw, folder: Path, say: Say) -> Attempt:
    """Return how a fit of one network with that cell went.

    Args:
        task: what is learned.
        program: the cell.
        draw: widths and rates.
        folder: where a fit may write.
        say: is told if somebody wants to stop.

    Raises:
        SettingError: the cell cannot be used here.
        KeyboardInterrupt: Ctrl-C, or, as ``Terminated``, SIGTERM.
    """
    torch.manual_seed(draw.seed)
    training = replace(task.settings.training, learning_rate=draw.learning_rate, seed=draw.seed)
    try:
        network = untrained(task, program, draw)
        fitter = Fitter(network, training, task.digest, in_order=task.in_order)
        fitted = fit(fitter, loaders(task, training), folder, say=say, trial=True)
        if fitted.stopped == TERMINATED:
            raise Terminated
        if fitted.stopped == INTERRUPTED:
            raise KeyboardInterrupt
        if not fitted.best_epoch:
            return Attempt(lost=LATE)
        with in_memory():
            test = task.score(network.eval())
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
        network.parameter_count,
        fitted.best_epoch,
        fitted.seconds,
    )
