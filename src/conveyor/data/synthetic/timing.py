"""Timing: to measure the time between spikes, and to make spikes at given times."""

import torch

from conveyor.data.synthetic.batch import Batch, whole
from conveyor.errors import SettingError, did_you_mean


def _spikes(
    steps: int, batch: int, draw: torch.Generator, least: int, kinds: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Spikes [T, B], and at spikes the number I that the time since the last one has beyond
    ``least``, and the one that the time to the next has; the first is at step 0, of I = 0."""
    if least < 1 or kinds < 1 or steps < 1:
        raise SettingError(
            f"steps, least and kinds are {steps}, {least}, {kinds}; expected numbers from 1."
        )
    most = steps // least + 2
    more = torch.randint(0, kinds, (most, batch), generator=draw)
    none = torch.zeros(1, batch, dtype=torch.long)
    times = torch.cat([none, (least + more[:-1]).cumsum(0)])
    spikes = torch.zeros(steps, batch)
    since, to_next = spikes.clone(), spikes.clone()
    for when, was, comes in zip(times, torch.cat([none, more[:-1]]), more, strict=True):
        inside = when < steps
        place = when[inside], torch.arange(batch)[inside]
        spikes[place] = 1.0
        since[place] = was[inside].float()
        to_next[place] = comes[inside].float()
    return spikes, since, to_next


def measure_spikes(
    steps: int, batch: int, draw: torch.Generator, *, least: int = 10, kinds: int = 2
) -> Batch:
    """Spikes at times T(n) = T(n - 1) + F + I(n), I(n) drawn from 0 to ``kinds`` - 1; I(n) is
    wanted at each spike, 0 else, [T, B, 1]. F is ``least`` (Gers, Schraudolph & Schmidhuber 2002,
    MSD).

    Raises:
        SettingError: a number is below 1.
    """
    spikes, since, _ = _spikes(steps, batch, draw, least, kinds)
    return Batch(spikes[..., None], since[..., None], whole(steps, batch))


def generate_spikes(
    steps: int, batch: int, draw: torch.Generator, *, least: int = 10, kinds: int = 2
) -> Batch:
    """The other way round: at each spike it is told how long the time to the next will be, and the
    spikes are wanted, [T, B, 1] (Gers, Schraudolph & Schmidhuber 2002, GTS). By the paper it cannot
    be learned without peepholes. The two features are I(n + 1), and 1 at the first step.

    Raises:
        SettingError: a number is below 1.
    """
    spikes, _, to_next = _spikes(steps, batch, draw, least, kinds)
    # With I = 0 alone nothing would be told at all: the first spike begins the clock.
    begins = torch.zeros_like(spikes)
    begins[0] = 1.0
    return Batch(torch.stack([to_next, begins], -1), spikes[..., None], whole(steps, batch))


PERIODIC = ("cosine", "triangle", "rectangle")


def periodic(steps: int, period: int, *, form: str = "cosine") -> Batch:
    """One sequence: a periodic function between 0 and 1 to be made out of nothing but a constant
    input of 1, [T, 1, 1] (Gers, Schraudolph & Schmidhuber 2002, PFG). The rectangle is 1 in the
    second half of each period.

    Raises:
        SettingError: ``form`` is unknown, or a number is below 1.
    """
    if form not in PERIODIC:
        raise SettingError(f"there is no form {form!r}. {did_you_mean(form, PERIODIC)}")
    if steps < 1 or period < 1:
        raise SettingError(f"steps and period are {steps}, {period}; expected numbers from 1.")
    phase = (torch.arange(steps) % period) / period
    found = {
        "cosine": (1 - torch.cos(2 * torch.pi * phase)) / 2,
        "triangle": 1 - (2 * phase - 1).abs(),
        "rectangle": (phase >= 0.5).float(),
    }[form]
    return Batch(torch.ones(steps, 1, 1), found[:, None, None], whole(steps, 1))


def sines(steps: int = 320, periods: tuple[int, ...] = (8, 32, 80, 160)) -> Batch:
    """One sequence: a sum of sines to be made out of nothing but a constant input of 1, [T, 1, 1],
    as the waves that Koutník et al. 2014 have generated.

    Raises:
        SettingError: there is no step or no period, or one is not above 0.
    """
    if steps < 1:
        raise SettingError(f"steps is {steps!r}; expected a whole number from 1.")
    if not periods or min(periods) <= 0:
        raise SettingError(f"periods are {periods!r}; expected numbers above 0.")
    time = torch.arange(steps, dtype=torch.float64)
    wave = torch.stack([torch.sin(2 * torch.pi * time / period) for period in periods]).sum(0)
    return Batch(torch.ones(steps, 1, 1), wave.float()[:, None, None], whole(steps, 1))
