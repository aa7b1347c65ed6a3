"""Timing tasks: measuring the time between spikes, and generating spikes and waves."""

import torch

from conveyor.data.synthetic.batch import Batch, equal_lengths
from conveyor.errors import SettingError, did_you_mean


def _spikes(
    steps: int, batch: int, draw: torch.Generator, least: int, kinds: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw spikes that are ``least`` + I steps apart, the first at step 0.

    Returns:
        Three tensors [T, B]: 1 at each spike; at each spike the I of the time since the last one (0
        at the first); and at each spike the I of the time to the next one.
    """
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
    for when, before, after in zip(times, torch.cat([none, more[:-1]]), more, strict=True):
        inside = when < steps
        index = when[inside], torch.arange(batch)[inside]
        spikes[index] = 1.0
        since[index] = before[inside].float()
        to_next[index] = after[inside].float()
    return spikes, since, to_next


def measure_spikes(
    steps: int, batch: int, draw: torch.Generator, *, least: int = 10, kinds: int = 2
) -> Batch:
    """Draw spikes at times T(n) = T(n - 1) + F + I(n). The target is I(n) at each spike and 0 at
    other steps, [T, B, 1] (Gers, Schraudolph & Schmidhuber 2002, MSD).

    Args:
        steps: T, the length of the sequences.
        batch: B, the number of sequences.
        draw: the random generator.
        least: F, the shortest time between spikes.
        kinds: I(n) is drawn from 0 to ``kinds`` - 1.

    Raises:
        SettingError: a number is below 1.
    """
    spikes, since, _ = _spikes(steps, batch, draw, least, kinds)
    return Batch(spikes[..., None], since[..., None], equal_lengths(steps, batch))


def generate_spikes(
    steps: int, batch: int, draw: torch.Generator, *, least: int = 10, kinds: int = 2
) -> Batch:
    """Draw sequences that show, at each spike, how long the time to the next one will be. The
    targets are the spikes, [T, B, 1] (Gers, Schraudolph & Schmidhuber 2002, GTS).

    The two features are I(n + 1), as in ``measure_spikes``, and 1 at the first step. According to
    the paper the task cannot be learned without peepholes.

    Raises:
        SettingError: a number is below 1.
    """
    spikes, _, to_next = _spikes(steps, batch, draw, least, kinds)
    # If all I are 0, the inputs would be 0 everywhere: the second feature shows the first spike.
    begins = torch.zeros_like(spikes)
    begins[0] = 1.0
    inputs = torch.stack([to_next, begins], -1)
    return Batch(inputs, spikes[..., None], equal_lengths(steps, batch))


PERIODIC = ("cosine", "triangle", "rectangle")


def periodic(steps: int, period: int, *, form: str = "cosine") -> Batch:
    """Return one sequence whose target is a periodic function between 0 and 1, [T, 1, 1], and whose
    input is always 1 (Gers, Schraudolph & Schmidhuber 2002, PFG).

    Args:
        steps: T.
        period: the steps of a period.
        form: one of ``PERIODIC``; the rectangle is 1 in the second half of each period.

    Raises:
        SettingError: ``form`` is unknown, or a number is below 1.
    """
    if form not in PERIODIC:
        raise SettingError(f"there is no form {form!r}. {did_you_mean(form, PERIODIC)}")
    if steps < 1 or period < 1:
        raise SettingError(f"steps and period are {steps}, {period}; expected numbers from 1.")
    phase = (torch.arange(steps) % period) / period
    wave = {
        "cosine": (1 - torch.cos(2 * torch.pi * phase)) / 2,
        "triangle": 1 - (2 * phase - 1).abs(),
        "rectangle": (phase >= 0.5).float(),
    }[form]
    return Batch(torch.ones(steps, 1, 1), wave[:, None, None], equal_lengths(steps, 1))


def sines(steps: int = 320, periods: tuple[int, ...] = (8, 32, 80, 160)) -> Batch:
    """Return one sequence whose target is a sum of sines, [T, 1, 1], and whose input is always 1,
    like the waves of Koutník et al. 2014.

    Args:
        steps: T.
        periods: the steps of the period of each sine, above 0.

    Raises:
        SettingError: ``steps`` is below 1, or ``periods`` is empty or holds a number that is not
            above 0.
    """
    if steps < 1:
        raise SettingError(f"steps is {steps!r}; expected a whole number from 1.")
    if not periods or min(periods) <= 0:
        raise SettingError(f"periods are {periods!r}; expected numbers above 0.")
    time = torch.arange(steps, dtype=torch.float64)
    wave = torch.stack([torch.sin(2 * torch.pi * time / period) for period in periods]).sum(0)
    return Batch(torch.ones(steps, 1, 1), wave.float()[:, None, None], equal_lengths(steps, 1))
