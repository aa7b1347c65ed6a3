"""Timing: to measure the time between spikes, and to make spikes at given times."""

import torch

from conveyor.errors import SettingError
from conveyor.tasks.synthetic.batch import Batch, whole


def _spikes(
    steps: int, batch: int, draw: torch.Generator, least: int, kinds: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes [T, B], and the number I(n) that the time since the last one has beyond ``least``, at
    spikes; the first is at step 0, of I = 0."""
    if least < 1 or kinds < 1 or steps < 1:
        raise SettingError(
            f"steps, least and kinds are {steps}, {least}, {kinds}; expected numbers from 1."
        )
    most = steps // least + 1
    more = torch.randint(0, kinds, (most, batch), generator=draw)
    times = torch.cat([torch.zeros(1, batch, dtype=torch.long), (least + more).cumsum(0)])
    numbers = torch.cat([torch.zeros(1, batch, dtype=torch.long), more])
    spikes, measured = torch.zeros(steps, batch), torch.zeros(steps, batch)
    for when, number in zip(times, numbers, strict=True):
        inside = when < steps
        each = torch.arange(batch)[inside]
        spikes[when[inside], each] = 1.0
        measured[when[inside], each] = number[inside].float()
    return spikes, measured


def measure_spikes(
    steps: int, batch: int, draw: torch.Generator, *, least: int = 10, kinds: int = 2
) -> Batch:
    """Spikes at times T(n) = T(n - 1) + F + I(n), I(n) drawn from 0 to ``kinds`` - 1; I(n) is
    wanted at each spike, 0 else, [T, B, 1]. F is ``least`` (Gers, Schraudolph & Schmidhuber 2002,
    MSD).

    Raises:
        SettingError: a number is below 1.
    """
    spikes, numbers = _spikes(steps, batch, draw, least, kinds)
    return Batch(spikes[..., None], numbers[..., None], whole(steps, batch))


def generate_spikes(
    steps: int, batch: int, draw: torch.Generator, *, least: int = 10, kinds: int = 2
) -> Batch:
    """The other way round: I(n) is told at spike n - 1, and the spikes are wanted, [T, B, 1] (Gers,
    Schraudolph & Schmidhuber 2002, GTS). By the paper it cannot be learned without peepholes.

    Raises:
        SettingError: a number is below 1.
    """
    spikes, numbers = _spikes(steps, batch, draw, least, kinds)
    told = torch.zeros_like(numbers)
    for sequence in range(batch):
        at = spikes[:, sequence].nonzero().squeeze(1)
        told[at[:-1], sequence] = numbers[at[1:], sequence]
    # Where a spike is, and what comes: with I = 0 alone nothing would be told.
    inputs = torch.stack([told, torch.zeros_like(told)], -1)
    inputs[0, :, 1] = 1.0  # the first spike begins the clock
    return Batch(inputs, spikes[..., None], whole(steps, batch))


def sines(steps: int = 320, periods: tuple[int, ...] = (8, 32, 80, 160)) -> Batch:
    """One sequence: a sum of sines to be made out of nothing but a constant input of 1, [T, 1, 1],
    as the waves that Koutník et al. 2014 have generated.

    Raises:
        SettingError: there is no period, or one is not above 0.
    """
    if not periods or min(periods) <= 0:
        raise SettingError(f"periods are {periods!r}; expected numbers above 0.")
    time = torch.arange(steps, dtype=torch.float64)
    wave = torch.stack([torch.sin(2 * torch.pi * time / period) for period in periods]).mean(0)
    return Batch(torch.ones(steps, 1, 1), wave.float()[:, None, None], whole(steps, 1))
