"""What has to be beaten: a Gaussian, a line through the last movements, and a mixture that sees the
last movements and remembers nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor, nn

from conveyor.networks.pen_head import PenHead

ONE_GAUSSIAN, LINEAR, WITHOUT_MEMORY = "one Gaussian", "linear", "network without memory"
# Movements that the two better ones see.
SEEN = 3
# The network without memory: its units and components, and steps of Adam on so many movements each:
# so many passes over the training set, at least and at most so many steps.
_UNITS, _COMPONENTS, _BATCH, _RATE = 64, 20, 512, 3e-3
_PASSES, _LEAST_STEPS, _MOST_STEPS = 20, 50, 2000
# Added to covariances, so that movements along one line have a density; to counts of lifts, so that
# what never happened stays possible.
_RIDGE, _COUNT = 1e-4, 1.0
# Movements that are scored together.
_ROWS = 1 << 15


def pen_baselines(
    train: Sequence[Tensor], test: Sequence[Tensor], *, narrowest: float, seed: int = 0
) -> dict[str, float]:
    """Return the nats of a movement of baselines that are fitted on a training set, the mean over
    a test set.

    Args:
        train, test: movements [T, 3] of each text.
        narrowest: see ``PenHead``.
        seed: of the network without memory.
    """
    known, asked = _seen(train), _seen(test)
    return {
        ONE_GAUSSIAN: _gaussian_nats(known, asked, linear=False),
        LINEAR: _gaussian_nats(known, asked, linear=True),
        WITHOUT_MEMORY: _network_nats(known, asked, narrowest, seed),
    }


@dataclass(frozen=True)
class _Seen:
    """Movements [N, 3], and those before each, [N, 3 * SEEN], zeros before the first."""

    before: Tensor
    movements: Tensor


def _seen(parts: Sequence[Tensor]) -> _Seen:
    before = []
    for movements in parts:
        begun = torch.cat([movements.new_zeros(SEEN, 3), movements[:-1]])
        before.append(begun.unfold(0, SEEN, 1).flatten(1))
    return _Seen(torch.cat(before), torch.cat(list(parts)))


def _gaussian_nats(known: _Seen, asked: _Seen, *, linear: bool) -> float:
    """Return the nats of a Gaussian around the mean, or around a linear map of the movements
    before; and of lifts counted, apart for those after a lift and others."""

    def inputs(seen: _Seen) -> Tensor:
        ones = seen.movements.new_ones(len(seen.movements), 1)
        return (torch.cat([ones, seen.before], 1) if linear else ones).double()

    offsets = known.movements[:, :2].double()
    x = inputs(known)
    ridge = _RIDGE * torch.eye(x.shape[1], dtype=torch.double)
    weights = torch.linalg.solve(x.T @ x + ridge, x.T @ offsets)
    rest = offsets - x @ weights
    covariance = rest.T @ rest / len(rest) + _RIDGE * torch.eye(2, dtype=torch.double)
    away = asked.movements[:, :2].double() - inputs(asked) @ weights
    squares = (torch.linalg.solve(covariance, away.T).T * away).sum(1)
    nats = squares / 2 + covariance.logdet() / 2 + log(2 * pi)
    return float((nats + _lift_nats(known, asked, after=linear)).mean())


def _lift_nats(known: _Seen, asked: _Seen, *, after: bool) -> Tensor:
    """Return the nats of lifting the pen or not, of each movement."""

    def groups(seen: _Seen) -> Tensor:
        return seen.before[:, -1].long() if after else torch.zeros(len(seen.before)).long()

    lifted = known.movements[:, 2].double()
    total = torch.zeros(2).double().index_add(0, groups(known), torch.ones_like(lifted))
    lifts = torch.zeros(2).double().index_add(0, groups(known), lifted)
    chance = ((lifts + _COUNT) / (total + 2 * _COUNT))[groups(asked)]
    return -torch.where(asked.movements[:, 2] > 0, chance, 1 - chance).log()


def _network_nats(known: _Seen, asked: _Seen, narrowest: float, seed: int) -> float:
    """Return the nats of a network of one hidden layer that sees the movements before."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Linear(3 * SEEN, _UNITS), nn.Tanh())
        head = PenHead(_UNITS, _COMPONENTS, narrowest=narrowest)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=_RATE)
    steps = min(max(_PASSES * len(known.movements) // _BATCH, _LEAST_STEPS), _MOST_STEPS)
    with torch.enable_grad():
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * (1 - step / steps)
            rows = torch.randint(len(known.movements), (_BATCH,), generator=generator)
            loss = head.loss(head(body(known.before[rows])), known.movements[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        nats = [
            head.losses(head(body(before)), movements).double().sum()
            for before, movements in zip(
                torch.split(asked.before, _ROWS), torch.split(asked.movements, _ROWS), strict=True
            )
        ]
    return float(sum(nats)) / len(asked.movements)
