"""What the questions share: learning until it is right."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from conveyor.data.synthetic import Batch
from conveyor.networks.readout import Readout

# Of one norm over all gradients (Pascanu, Mikolov & Bengio 2013).
CLIP = 1.0


Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Learned:
    """How it went: steps of the optimiser, whether it was right before they ran out, the last
    score, seconds."""

    steps: int
    solved: bool
    score: float
    seconds: float


def loss_of(network: Readout, batch: Batch) -> Tensor:
    """Return the loss of a readout."""
    return network.loss(batch).value


def learn(
    network: Network,
    draw: Callable[[], Batch],
    loss: Callable[[Network, Batch], Tensor],
    score: Callable[[Network], float],
    solved: Callable[[float], bool],
    *,
    steps: int,
    every: int,
    optimiser: torch.optim.Optimizer,
) -> Learned:
    """Learn until the score, taken every so many steps, says that it is solved."""
    begin = time.perf_counter()
    with torch.no_grad():
        found = score(network)
    done = 0
    while done < steps and not solved(found):
        for _ in range(every):
            batch = draw()
            optimiser.zero_grad()
            torch.autograd.backward(loss(network, batch))
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimiser.step()
        done += every
        with torch.no_grad():
            found = score(network)
    return Learned(done, solved(found), found, time.perf_counter() - begin)
