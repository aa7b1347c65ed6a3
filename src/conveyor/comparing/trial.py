"""One trial of a comparison: a cell fitted with one draw of width, learning rate and seed."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from conveyor.compiler.program import Program
from conveyor.errors import DivergedError, SettingError, TooLargeError, named
from conveyor.networks.network import LOSS, Network, has_projection
from conveyor.pages.words import Words, same
from conveyor.signals import Terminated
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.task import Say, Task
from conveyor.training.batches import loaders
from conveyor.training.fitter import Fitter
from conveyor.training.launch import silence
from conveyor.training.loop import fit
from conveyor.training.refitting import Refits
from conveyor.training.stopping import INTERRUPTED, TERMINATED


@dataclass(frozen=True)
class Draw:
    """The hyperparameters and the seed that were drawn for a trial, whatever its cell."""

    hidden: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """How a trial went. Databases and ``ranking.json`` store the fields under these names.

    Args:
        validation: of the weights that were kept, the validation loss, which is the least; where a
            score decides, what it lacks of 1.
        test: the task's metric on the test set; NaN where there is none.
        parameters: of the network.
        best_epoch: whose weights were kept, from 1.
        seconds: of the fit.
        lost: why the trial has no score; empty where it has one.
        decided_by: by what the weights were chosen, "loss" or a score.
    """

    validation: float = math.inf
    test: float = math.nan
    parameters: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    lost: str = ""
    decided_by: str = LOSS


# Why a trial has no score.
DIVERGED, LATE, TOO_LARGE = "diverged", "no epoch finished in time", "too large for the memory"


def reason_words(reason: str) -> Words:
    """Return why a trial has no score; a reason that another version stored as it is."""
    return {
        DIVERGED: Words(DIVERGED, "phân kỳ"),
        LATE: Words(LATE, "không lượt nào xong kịp"),
        TOO_LARGE: Words(TOO_LARGE, "quá lớn so với bộ nhớ"),
    }.get(reason, same(reason))


def advice(reason: str) -> Words:
    """Return what to do about trials that have no score for this reason."""
    rate, minutes, hidden = named("learning_rate"), named("minutes"), named("hidden")
    return {
        DIVERGED: Words(
            f"Draw from smaller rates: {rate}.", f"Hãy rút tốc độ học nhỏ hơn: {rate}."
        ),
        LATE: Words(f"Give more {minutes}.", f"Hãy cho nhiều {minutes} hơn."),
        TOO_LARGE: Words(
            f"Draw from smaller widths: {hidden}.", f"Hãy rút kích thước nhỏ hơn: {hidden}."
        ),
    }[reason]


def build_network(task: Task[Any], program: Program, draw: Draw) -> Network:
    """Return the untrained network of a draw.

    Raises:
        TooLargeError: it does not fit into memory.
        SettingError: the task cannot use the cell.
    """
    sizes = task.settings.network
    if task.settings.cell is None:
        raise SettingError(
            f"the task {task.name} has no recurrent cell: there are none to compare."
        )
    # Other cells of the comparison may have a projection where this one has none.
    projection = sizes.projection if has_projection(program) else 0
    with in_memory():
        sizes = replace(sizes, hidden=draw.hidden, projection=projection)
        network: Network = task.network(program, sizes)
    return network


def run_trial(task: Task[Any], program: Program, draw: Draw, folder: Path, say: Say) -> Outcome:
    """Fit one network, score it on the test set, and return how that went.

    Args:
        task: what is learned.
        program: of the cell.
        draw: width, learning rate and seed.
        folder: where the fit writes its checkpoints.
        say: receives a line when the user asks to stop.

    Raises:
        SettingError: the task cannot use the cell.
        KeyboardInterrupt: Ctrl-C, or, as ``Terminated``, SIGTERM.
    """
    torch.manual_seed(draw.seed)
    training = replace(task.settings.training, learning_rate=draw.learning_rate, seed=draw.seed)
    try:
        network = build_network(task, program, draw)
        fitter = Fitter(
            network, training, task.digest, in_order=task.in_order, usual_steps=task.usual_steps
        )
        fitted = fit(fitter, loaders(task, training), folder, say=say, trial=True)
        if fitted.stopped == TERMINATED:
            raise Terminated
        if fitted.stopped == INTERRUPTED:
            raise KeyboardInterrupt
        if not fitted.best_epoch:
            return Outcome(lost=LATE)
        task.after_fit(network.eval())
        refits = Refits(
            fitted,
            build=partial(build_network, program=program, draw=draw),
            training=training,
            folder=folder,
            say=silence,
        )
        scored, network = refits.with_validation(task, network)
        if refits.stopped == TERMINATED:
            raise Terminated
        if refits.stopped == INTERRUPTED:
            raise KeyboardInterrupt
        with in_memory():
            test = scored.score(network)
        if not math.isfinite(test):
            return Outcome(lost=DIVERGED)
    except DivergedError:
        return Outcome(lost=DIVERGED)
    except TooLargeError:
        return Outcome(lost=TOO_LARGE)
    return Outcome(
        fitted.cost,
        test,
        network.parameter_count,
        fitted.best_epoch,
        fitted.seconds,
        decided_by=fitted.decided_by,
    )
