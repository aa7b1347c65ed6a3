"""The head for movements of a pen, beside torch's distributions, which were written independently,
and what Graves 2013 says of it."""

from math import log, pi
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, MixtureSameFamily, MultivariateNormal

from conveyor.errors import SettingError
from conveyor.networks import PenHead
from conveyor.networks.pen_head import MOST_CORRELATED

M = 3


def outputs(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 6 * M + 1, generator=generator, dtype=torch.float64)


def movements(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(*shape, 2, generator=generator, dtype=torch.float64)
    lifted = torch.rand(*shape, 1, generator=generator, dtype=torch.float64) < 0.3
    return torch.cat([offsets, lifted], -1)


def parts(raw: Tensor, narrowest: float) -> tuple[Tensor, Tensor, Tensor]:
    """The mixture's logits, means and covariances, from equations 19 to 25."""
    weights, means, deviations, correlations, _ = torch.split(raw, [M, 2 * M, 2 * M, M, 1], -1)
    deviations = deviations.reshape(*raw.shape[:-1], M, 2).exp() + narrowest
    rho = MOST_CORRELATED * correlations.tanh()
    one, two = deviations.unbind(-1)
    rows = [torch.stack([one**2, rho * one * two], -1), torch.stack([rho * one * two, two**2], -1)]
    return weights, means.reshape(*raw.shape[:-1], M, 2), torch.stack(rows, -2)


def expected(raw: Tensor, targets: Tensor, narrowest: float) -> Tensor:
    weights, means, covariances = parts(raw, narrowest)
    mixture: Any = MixtureSameFamily(
        Categorical(logits=weights), MultivariateNormal(means, covariances)
    )
    lift: Any = Bernoulli(logits=raw[..., -1])
    nats: Tensor = -mixture.log_prob(targets[..., :2]) - lift.log_prob(targets[..., 2])
    return nats


@pytest.mark.parametrize("narrowest", [0.01, 0.1])
def test_values_and_gradients_are_those_of_torchs_distributions(narrowest: float) -> None:
    head = PenHead(2, M, narrowest=narrowest).double()
    raw, targets = outputs(4, 5).requires_grad_(), movements(4, 5)
    got, want = head.losses(raw, targets), expected(raw, targets, narrowest)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got.sum(), raw), torch.autograd.grad(want.sum(), raw)
    )


def test_one_round_gaussian_has_the_nats_of_the_paper() -> None:
    head = PenHead(1, 1, narrowest=1e-9).double()
    targets = movements(7)
    nats = head.losses(torch.zeros(7, 7, dtype=torch.float64), targets)
    want = log(2 * pi) + targets[:, :2].square().sum(-1) / 2 + log(2)
    torch.testing.assert_close(nats, want, rtol=0, atol=1e-8)


def test_larger_units_add_their_logarithm() -> None:
    """A density of a thing measured in units s times smaller is s times smaller in each of two
    directions."""
    head, scale = PenHead(1, 1, narrowest=1e-12).double(), 5.0
    raw = outputs(6)[:, :7]
    larger = raw.clone()
    larger[:, 1:3] *= scale
    larger[:, 3:5] += log(scale)
    targets = movements(6)
    scaled = targets * torch.tensor([scale, scale, 1.0], dtype=torch.float64)
    more = head.losses(larger, scaled) - head.losses(raw, targets)
    torch.testing.assert_close(more, torch.full((6,), 2 * log(scale), dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_nothing_that_outputs_may_be_gives_nan(dtype: torch.dtype) -> None:
    head = PenHead(1, 1).to(dtype)
    for correlation in (-60.0, 60.0):
        for deviation in (-60.0, 0.0, 40.0):
            raw = torch.tensor([0, 0, 0, deviation, deviation, correlation, 80.0], dtype=dtype)
            raw.requires_grad_()
            for offset in ((0.0, 0.0), (1.0, 1.0), (1.0, -1.0), (300.0, -4.0)):
                targets = torch.tensor([*offset, 0.0], dtype=dtype)
                loss = head.losses(raw, targets)
                (gradient,) = torch.autograd.grad(loss, raw)
                assert loss.isfinite()
                assert gradient.isfinite().all()


def test_components_far_away_are_added_without_losing_digits() -> None:
    """A probability of exp(-1800) is 0 as a number, and its logarithm is not."""
    head = PenHead(1, 2, narrowest=1.0)
    raw = torch.zeros(13)
    raw[6:10] = -60.0  # deviations of 1
    nats = head.losses(raw, torch.tensor([60.0, 0.0, 0.0]))
    torch.testing.assert_close(nats, torch.tensor(1800 + log(2 * pi) + log(2)))


@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_what_is_drawn_has_the_moments_of_the_mixture(bias: float) -> None:
    head, count = PenHead(2, M, narrowest=0.01).double(), 200_000
    raw = outputs(seed=3)
    biased = raw.clone()
    biased[:M] *= 1 + bias  # equation 62
    biased[3 * M : 5 * M] -= bias  # equation 61
    weights, means, covariances = parts(biased, 0.01)
    shares = weights.softmax(-1)
    mean = (shares[:, None] * means).sum(0)
    spread = covariances + means[:, :, None] * means[:, None, :]
    covariance = (shares[:, None, None] * spread).sum(0) - mean[:, None] * mean[None, :]
    drawn = head.draw(raw.expand(count, -1), bias, generator=torch.Generator().manual_seed(0))
    offsets = drawn[:, :2]
    # Five standard errors of the mean of so many draws.
    near = 5 * covariance.diagonal().max().sqrt().item() / count**0.5
    torch.testing.assert_close(offsets.mean(0), mean, rtol=0, atol=near)
    torch.testing.assert_close(offsets.T.cov(), covariance, rtol=0.03, atol=0.02)
    assert drawn[:, 2].mean() == pytest.approx((raw[-1] * (1 + bias)).sigmoid().item(), abs=0.01)


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(SettingError, match="narrowest is 0; expected a number above 0"):
        PenHead(3, narrowest=0)
    with pytest.raises(SettingError, match="components is 0"):
        PenHead(3, 0)
    with pytest.raises(SettingError, match="bias is -1"):
        PenHead(3, M).mixture(outputs(2), -1)
