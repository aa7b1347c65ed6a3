"""The negative binomial distribution of counts, by its mean and its shape.

    P(y) = Γ(y + 1/α) / (Γ(y + 1) Γ(1/α)) · (1 / (1 + αμ))^(1/α) · (αμ / (1 + αμ))^y

Its variance is μ + α μ²: with a shape of 0 it is Poisson's (Salinas, Flunkert & Gasthaus 2017,
DeepAR: Probabilistic forecasting with autoregressive recurrent networks, section 3.1).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

Numbers = NDArray[np.float64]

# How sharply a mean is kept above 0: near its own scale it is what the network says, to 0.5 %.
SHARPNESS = 4.0

# Below this shape a count is Poisson's for all that a series shows.
LEAST_SHAPE = 1e-4

# Continued fractions need about the root of their largest argument; those of 10,000 by far less.
_MOST_TERMS, _EXACT, _TINY = 2000, 1e-13, 1e-300


def mean_and_shape(location: Tensor, raw_shape: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the shape of counts, both above 0.

    Args:
        location: about the mean, in units of ``scale``; may be below 0.
        raw_shape: any number.
        scale: of the series, 1 and its mean.
    """
    mean = scale * softplus(location, beta=SHARPNESS)
    return mean, softplus(raw_shape) / scale.sqrt() + LEAST_SHAPE


def log_likelihood(counts: Tensor, mean: Tensor, shape: Tensor) -> Tensor:
    """Return the logarithm of the probability of counts, in nats.

    Args:
        counts: whole numbers from 0.
        mean, shape: above 0.
    """
    # In float32 the difference of two of these would be lost.
    counts, mean, shape = counts.double(), mean.double(), shape.double()
    successes, odds = 1 / shape, shape * mean
    ways = torch.lgamma(counts + successes) - torch.lgamma(successes) - torch.lgamma(counts + 1)
    likelihood: Tensor = (
        ways + torch.special.xlogy(counts, odds) - (counts + successes) * torch.log1p(odds)
    )
    return likelihood


def cumulative(counts: Numbers, mean: Numbers, shape: Numbers) -> Numbers:
    """Return the probability of so many or fewer: the incomplete beta function (DLMF 8.17.22) of
    1/α and count + 1 at 1 / (1 + αμ).

    Args:
        counts: whole numbers from 0.
        mean, shape: above 0.
    """
    first, second, at = np.broadcast_arrays(1 / shape, counts + 1.0, 1 / (1 + shape * mean))
    swapped = at > (first + 1) / (first + second + 2)
    one, two = np.where(swapped, second, first), np.where(swapped, first, second)
    # The share of what is counted, which is tiny where a shape is, is not taken from 1.
    other = shape * mean / (1 + shape * mean)
    here, there = np.where(swapped, other, at), np.where(swapped, at, other)
    logs = [
        torch.lgamma(torch.as_tensor(np.array(values))).numpy() for values in (one + two, one, two)
    ]
    before = np.exp(logs[0] - logs[1] - logs[2] + one * np.log(here) + two * np.log(there)) / one
    part = before * _fraction(one, two, here)
    return np.asarray(np.clip(np.where(swapped, 1 - part, part), 0, 1))


def _fraction(a: Numbers, b: Numbers, x: Numbers) -> Numbers:
    """Return the continued fraction of the incomplete beta function, by the method of Lentz."""

    def above_nothing(values: Numbers) -> Numbers:
        return np.where(np.abs(values) < _TINY, _TINY, values)

    upper = np.ones_like(x)
    lower = 1 / above_nothing(1 - (a + b) * x / (a + 1))
    value = lower
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            lower = 1 / above_nothing(1 + term * lower)
            upper = above_nothing(1 + term / upper)
            moved = upper * lower
            value = value * moved
        if np.abs(moved - 1).max(initial=0.0) < _EXACT:
            break
    return value


def quantile(share: Numbers, mean: Numbers, shape: Numbers) -> Numbers:
    """Return the least count up to which a share of the distribution lies.

    Args:
        share: between 0 and 1.
        mean, shape: above 0.
    """
    share, mean, shape = np.broadcast_arrays(share, mean, shape)
    low = np.full(share.shape, -1.0)
    high = np.ceil(mean + 4 * np.sqrt(mean + shape * mean**2) + 4)
    while (short := cumulative(high, mean, shape) < share).any():
        low, high = np.where(short, high, low), np.where(short, 2 * high, high)
    while (high - low > 1).any():
        middle = np.where(high - low > 1, np.floor((low + high) / 2), high)
        enough = cumulative(middle, mean, shape) >= share
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)
