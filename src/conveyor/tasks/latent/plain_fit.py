"""Fits the network that a task with latent values is compared with."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.utils import clip_grad_norm_

from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.settings import Training

# Sequences of the validation set that are computed together.
_ROWS = 256


@dataclass(frozen=True)
class PlainFit:
    """A network to be compared with, fitted.

    Attributes:
        network: with the weights of its best epoch.
        epochs: that were done.
        best: the epoch that is kept, counted from 1; 0 where no epoch had finite nats: the network
            has diverged, and its weights are of no use.
        seconds: that it took.
        stopped: why the user ended it before its time; empty where nobody did.
    """

    network: LatentModel
    epochs: int
    best: int
    seconds: float
    stopped: str = ""


def fit_plain(
    network: LatentModel,
    train: SequenceExamples,
    validation: SequenceExamples,
    training: Training,
    *,
    asked_to_stop: Callable[[], str] = str,
) -> PlainFit:
    """Fit a network as the settings say, and keep its best epoch. It ends where the nats of the
    validation set are no longer finite.

    Args:
        network: untrained.
        train: what is learned from.
        validation: by which epochs are compared.
        training: the settings. Its minutes are those of this fit alone.
        asked_to_stop: returns why the user wants the fit to end; looked at after every batch.
    """
    optimizer = network.optimizer(training.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: training.rate_factor(done, training.epochs)
    )
    order = torch.Generator().manual_seed(training.seed)
    least, best, epoch, began = float("inf"), 0, 0, time.monotonic()
    stopped = ""
    kept = {name: each.clone() for name, each in network.state_dict().items()}
    for epoch in range(1, training.epochs + 1):
        network.train()
        numbers = torch.randperm(len(train), generator=order).tolist()
        for first in range(0, len(numbers), training.batch):
            with torch.enable_grad():
                loss = network.loss(train.__getitems__(numbers[first : first + training.batch]))
                optimizer.zero_grad()
                loss.value.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(network.parameters(), training.clip)
            optimizer.step()
            stopped = asked_to_stop()
            if stopped:
                break
        if stopped:
            break
        schedule.step()
        nats = _nats(network, validation)
        if not math.isfinite(nats):
            break
        if nats < least:
            least, best = nats, epoch
            kept = {name: each.clone() for name, each in network.state_dict().items()}
        late = training.minutes is not None and time.monotonic() - began > 60 * training.minutes
        if late or epoch - best >= training.patience:
            break
    network.load_state_dict(kept)
    network.eval()
    return PlainFit(network, epoch, best, time.monotonic() - began, stopped)


@torch.no_grad()
def _nats(network: LatentModel, examples: SequenceExamples) -> float:
    """Return the nats of a step."""
    network.eval()
    total = count = 0.0
    for first in range(0, len(examples), _ROWS):
        last = min(first + _ROWS, len(examples))
        loss = network.loss(examples.__getitems__(range(first, last)))
        total, count = total + float(loss.value) * loss.count, count + loss.count
    return total / count
