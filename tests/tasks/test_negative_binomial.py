"""Counts: likelihood, shares and quantiles, against torch's distribution and sums one by one."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from conveyor.tasks.forecast.negative_binomial import (
    cumulative,
    log_likelihood,
    mean_and_shape,
    quantile,
)

MEANS, SHAPES = (0.05, 0.7, 3.0, 40.0, 2500.0), (1e-4, 0.03, 0.5, 4.0)
PAIRS = [(mean, shape) for mean in MEANS for shape in SHAPES]


def _probability(count: int, mean: float, shape: float) -> float:
    """Of the paper's equation, in logarithms of Python's own."""
    r, odds = 1 / shape, shape * mean
    ways = math.lgamma(count + r) - math.lgamma(count + 1) - math.lgamma(r)
    return math.exp(ways + r * math.log(1 / (1 + odds)) + count * math.log(odds / (1 + odds)))


@pytest.mark.parametrize(("mean", "shape"), PAIRS)
def test_the_likelihood_is_that_of_torch(mean: float, shape: float) -> None:
    counts = torch.tensor([0.0, 1.0, 2.0, 17.0, 400.0, 3000.0], dtype=torch.float64)
    distribution: Any = torch.distributions.NegativeBinomial(
        torch.tensor(1 / shape, dtype=torch.float64),
        logits=torch.tensor(shape * mean, dtype=torch.float64).log(),
    )
    expected = distribution.log_prob(counts)
    found = log_likelihood(counts, torch.tensor(mean).double(), torch.tensor(shape).double())
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("mean", "shape"), PAIRS)
def test_shares_and_quantiles_are_sums_of_probabilities(mean: float, shape: float) -> None:
    last = int(mean + 6 * math.sqrt(mean + shape * mean**2) + 20)
    sums = np.cumsum([_probability(count, mean, shape) for count in range(last)])
    counts = np.arange(last, dtype=float)
    found = cumulative(counts, np.array(mean), np.array(shape))
    np.testing.assert_allclose(found, sums, atol=2e-9)
    shares = np.array([0.02, 0.1, 0.5, 0.9, 0.975])
    expected = np.searchsorted(sums, shares)
    np.testing.assert_array_equal(quantile(shares, np.array(mean), np.array(shape)), expected)


def test_the_mean_and_the_variance_are_those_that_are_said() -> None:
    mean, shape, counts = 6.0, 0.4, np.arange(2000.0)
    found = np.diff(cumulative(counts, np.array(mean), np.array(shape)), prepend=0)
    assert (counts * found).sum() == pytest.approx(mean)
    assert (counts**2 * found).sum() - mean**2 == pytest.approx(mean + shape * mean**2)


def test_a_mean_is_near_what_is_said_and_above_nothing() -> None:
    scale = torch.tensor([4.0, 100.0, 9.0])
    mean, shape = mean_and_shape(torch.tensor([1.0, 2.0, -0.5]), torch.zeros(3), scale)
    torch.testing.assert_close(mean[:2], torch.tensor([4.0, 200.0]), rtol=5e-3, atol=0)
    assert 0 < mean[2] < 0.5
    torch.testing.assert_close(shape, math.log(2) / scale.sqrt() + 1e-4)
