"""Networks of sequences with latent values: their bound and their estimate beside likelihoods that
are known exactly, and the faults of well-known ports that ours do not have."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import Bias, Input, Matrix, State, Value, cell
from conveyor.networks import STORN, VRNN, BernoulliHead, GaussianHead, NextStep
from conveyor.networks.latent_sequences import LatentSequences

# Their methods have no types.
DISTRIBUTIONS: Any = torch.distributions
Bernoulli, Normal = DISTRIBUTIONS.Bernoulli, DISTRIBUTIONS.Normal
MultivariateNormal = DISTRIBUTIONS.MultivariateNormal
kl_divergence = DISTRIBUTIONS.kl_divergence

AnyNetwork = TypeVar("AnyNetwork", bound=LatentSequences)

INPUTS, HIDDEN, LATENT, FEATURES = 3, 5, 2, 4


@cell
def linear(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """A linear recurrence, whose likelihood under normal noise is known."""
    h = W @ x + U @ h + b
    return h  # noqa: RET504


def variational(inputs: int = INPUTS, latent: int = LATENT) -> VRNN:
    torch.manual_seed(1)
    head = BernoulliHead(FEATURES, inputs)
    return shaken(VRNN(inputs, HIDDEN, latent, FEATURES, head))


def stochastic(**options: Any) -> STORN:
    torch.manual_seed(2)
    return shaken(STORN("gru", INPUTS, HIDDEN, LATENT, BernoulliHead(HIDDEN, INPUTS), **options))


def plain() -> NextStep:
    torch.manual_seed(3)
    head = BernoulliHead(FEATURES, INPUTS)
    return shaken(NextStep("lstm", INPUTS, HIDDEN, head, features=FEATURES))


def shaken(network: AnyNetwork) -> AnyNetwork:
    """The same in float64, with biases that are not 0, so that every term counts."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    network.double().eval()
    return network


NETWORKS: dict[str, Callable[[], LatentSequences]] = {
    "vrnn": variational,
    "storn": stochastic,
    "storn of what came before": lambda: stochastic(bidirectional=False),
    "none": plain,
}


def notes(steps: int, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, count, INPUTS, generator=generator) < 0.4).double()


def noise_of(network: LatentSequences, steps: int, count: int, seed: int = 0) -> Tensor:
    return network.noise(steps, count, seed).double()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sequence_is_the_same_whatever_it_is_padded_with(name: str) -> None:
    network = NETWORKS[name]()
    x, noise, lengths = notes(6, 2), noise_of(network, 6, 2), torch.tensor([4, 6])
    alone, zeros = network(x[:4, :1], noise[:4, :1]), network(x, noise, lengths)
    x[4:, 0], noise[4:, 0] = 7.0, 9.0
    others = network(x, noise, lengths)
    for one, two, three in zip(*(vars(d).values() for d in (alone, zeros, others)), strict=True):
        assert torch.equal(two, three)
        assert not two[4:, 0].any()
        torch.testing.assert_close(one[:, 0], two[:4, 0])  # of other sums of torch's


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "storn"])
def test_a_later_step_changes_no_earlier_density(name: str) -> None:
    """What generates reads the step before, and never the one that it predicts. (A STORN that
    recognises from both ends has seen all of them.)"""
    network = NETWORKS[name]()
    noise, one = noise_of(network, 5, 1), notes(5, 1)
    other = one.clone()
    other[3] = 1 - other[3]
    first, second = (network(each, noise) for each in (one, other))
    assert torch.equal(first.losses[:3], second.losses[:3])
    assert not torch.equal(first.losses[3:], second.losses[3:])


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_drawn_step_by_step_is_what_a_call_says(name: str) -> None:
    """The steps of drawing give the densities that a call on the sequence gives, for the same
    latent values."""
    network = NETWORKS[name]()
    x = notes(5, 1)
    state, found, latent = network.begin(1), [], []
    for step in range(5):
        noise = noise_of(network, 1, 1, seed=step)[0]
        outputs, kept = network.answer(state, noise)
        found.append(network.head.losses(outputs, x[step]))
        latent.append(noise)
        state = network.read(kept, x[step])
    by_step = torch.stack(found)
    if isinstance(network, VRNN):
        read = {"x": x, "noise": torch.stack(latent), "known": torch.zeros(5, 1, LATENT).double()}
        outputs = network.head(network.recurrent(read)[0].answer)
    elif isinstance(network, STORN):
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        given = torch.cat([before, torch.stack(latent)], -1)
        outputs = network.head(network.generator(given)[0])
    else:
        outputs = network.outputs(x, torch.stack(latent), None)[0]
    torch.testing.assert_close(by_step, network.head.losses(outputs, x))


@pytest.mark.parametrize("name", ["vrnn", "storn"])
def test_what_is_drawn_asks_no_encoder(name: str) -> None:
    """Another encoder draws the same sequences; another prior or decoder does not."""
    network = NETWORKS[name]().float()
    before = network.sample(3, 6, seed=4)
    assert torch.equal(before, network.sample(3, 6, seed=4))
    assert not torch.equal(before, network.sample(3, 6, seed=5))
    encoder = [
        parameter
        for path, parameter in network.named_parameters()
        if path.startswith("recogni") or path.rpartition(".")[2] in ("e", "em", "es")
    ]
    assert encoder
    with torch.no_grad():
        for parameter in encoder:
            parameter.add_(1.0)
    assert torch.equal(before, network.sample(3, 6, seed=4))
    with torch.no_grad():
        network.head.bias.add_(3.0)
    assert not torch.equal(before, network.sample(3, 6, seed=4))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sequence_goes_on_from_its_beginning(name: str) -> None:
    """What follows is as likely as a call on the whole says, with the same latent values."""
    network = NETWORKS[name]()
    x, noise = notes(6, 1), noise_of(network, 6, 1)
    state = network.follow(x[:5], noise[:5])
    outputs, _ = network.answer(state, noise[5])
    if isinstance(network, VRNN):
        known = torch.ones_like(noise)
        known[5] = 0
        read = {"x": x, "noise": noise, "known": known}
        expected = network.head(network.recurrent(read)[0].answer[-1])
    elif isinstance(network, STORN):
        mean, deviation = network.recognise(x[:5])
        latent = torch.cat([mean + deviation * noise[:5], noise[5:]])
        given = torch.cat([torch.cat([torch.zeros_like(x[:1]), x[:-1]]), latent], -1)
        expected = network.head(network.generator(given)[0][-1])
    else:
        expected = network.outputs(x, noise, None)[0][-1]
    torch.testing.assert_close(outputs, expected)
    drawn = network.float().sample(2, 7, prime=x[:, 0].float())
    assert drawn.shape == (7, 2, INPUTS)
    assert network.sample(2, 0).shape == (0, 2, INPUTS)


def test_the_divergence_of_storn_is_that_of_normal_distributions() -> None:
    """With one half for each latent value, and of deviations, not of variances: ports have one for
    all, or the other."""
    network = stochastic()
    x, noise = notes(4, 2), noise_of(network, 4, 2)
    read = network.recogniser(x)[0]
    mean, raw = torch.chunk(network.recognised(read), 2, -1)
    encoder = Normal(mean, torch.nn.functional.softplus(raw) + 1e-4)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    z = encoder.mean + encoder.stddev * noise
    drawn = network(x, noise)
    torch.testing.assert_close(drawn.divergence, kl_divergence(encoder, prior).sum(-1))
    ratio = (encoder.log_prob(z) - prior.log_prob(z)).sum(-1)
    torch.testing.assert_close(drawn.ratio, ratio)


def test_the_deviation_is_not_made_of_the_mean() -> None:
    """A port has one layer for both, so that the deviation is exp of the mean."""
    network = stochastic()
    x = notes(3, 1)
    mean, deviation = network.recognise(x)
    with torch.no_grad():
        network.recognised.bias[:LATENT] += 0.5
    other, same = network.recognise(x)
    assert torch.equal(deviation, same)
    torch.testing.assert_close(mean + 0.5, other)


@pytest.mark.parametrize("name", ["vrnn", "storn"])
def test_the_ratio_is_in_expectation_the_divergence(name: str) -> None:
    """Of one step: later ones depend on what was drawn before."""
    network = NETWORKS[name]()
    x = notes(1, 1).expand(-1, 200_000, -1)
    with torch.no_grad():
        drawn = network(x, noise_of(network, 1, 200_000))
    assert float(drawn.ratio.mean()) == pytest.approx(float(drawn.divergence[0, 0]), abs=0.02)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_estimate_of_a_vrnn_is_the_integral_over_its_latent_values(steps: int) -> None:
    """One latent value a step: the integral is a sum over a grid."""
    network = variational(latent=1)
    x = notes(steps, 1, seed=3)[:, 0]
    points = torch.linspace(-6, 6, 301, dtype=torch.float64)
    grids = torch.meshgrid(*[points] * steps, indexing="ij")
    # Noise by which z comes from the prior: its density is that of the noise.
    noise = torch.stack([grid.flatten() for grid in grids]).unsqueeze(-1)
    read = {
        "x": x.unsqueeze(1).expand(-1, noise.shape[1], -1),
        "noise": noise,
        "known": torch.zeros_like(noise),
    }
    with torch.no_grad():
        outputs = network.head(network.recurrent(read)[0].answer)
        losses = network.head.losses(outputs, read["x"]).sum(0)
        weights = Normal(0, 1).log_prob(noise.squeeze(-1)).sum(0)
        width = float(points[1] - points[0])
        exact = float((weights - losses).logsumexp(0)) + steps * torch.tensor(width).log().item()
        assert network.log_density(x, draws=40_000) == pytest.approx(exact, abs=0.01)
        drawn = network(x.unsqueeze(1), noise_of(network, steps, 1))
    assert drawn.losses.shape == drawn.divergence.shape == (steps, 1)


def kalman(network: STORN, x: Tensor, deviation: Tensor) -> float:
    """The log-likelihood of x under h = W [x', z] + U h' + b, x ~ N(C h + d, deviation)."""
    own = dict(network.generator.get_submodule("l0").named_parameters())
    weights, step, bias = own["W"], own["U"], own["b"]
    read, drive = weights[:, : network.inputs], weights[:, network.inputs :]
    out, off = (part[: network.inputs] for part in (network.head.weight, network.head.bias))
    h, spread = torch.zeros(HIDDEN).double(), torch.zeros(HIDDEN, HIDDEN).double()
    before, total = torch.zeros(network.inputs).double(), 0.0
    for now in x:
        h = read @ before + step @ h + bias
        spread = step @ spread @ step.T + drive @ drive.T
        seen = out @ spread @ out.T + deviation.square().diag()
        total += float(MultivariateNormal(out @ h + off, seen).log_prob(now))
        gain = spread @ out.T @ seen.inverse()
        h = h + gain @ (now - out @ h - off)
        spread = spread - gain @ out @ spread
        before = now
    return total


def linear_storn() -> tuple[STORN, Tensor]:
    """A linear network with normal noise of one deviation, and that deviation."""
    torch.manual_seed(5)
    network = STORN(linear, 2, HIDDEN, 1, GaussianHead(HIDDEN, 2))
    with torch.no_grad():
        network.head.weight[2:] = 0  # the deviations depend on nothing
        network.head.bias[2:] = torch.tensor([-0.2, 0.1])
        network.recognised.weight *= 0.1
    network = network.double().eval()
    return network, torch.tensor([-0.2, 0.1]).double().exp() + 1e-3


@torch.no_grad()
def test_the_estimate_of_a_linear_network_is_what_a_kalman_filter_says() -> None:
    network, deviation = linear_storn()
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1)).double()
    exact = kalman(network, x, deviation)
    assert network.log_density(x, draws=100_000) == pytest.approx(exact, abs=0.02)


@torch.no_grad()
def test_the_bound_and_the_estimate_rise_with_the_draws_to_what_is_exact() -> None:
    """In expectation, over many repetitions."""
    network, deviation = linear_storn()
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1)).double()
    exact = kalman(network, x, deviation)
    weights = network(
        x.unsqueeze(1).expand(-1, 64_000, -1), noise_of(network, 4, 64_000, seed=2)
    ).log_weight
    means = []
    for draws in (1, 2, 5, 50):
        several = weights[: len(weights) // draws * draws].view(-1, draws)
        estimates = several.logsumexp(1) - torch.tensor(float(draws)).log()
        means.append(float(estimates.mean()))
    assert all(one < other for one, other in pairwise([*means, exact]))
    drawn = network(x.unsqueeze(1).expand(-1, 64_000, -1), noise_of(network, 4, 64_000, seed=2))
    # The bound has the divergence in closed form, and so the same expectation as one draw.
    assert float(-drawn.bound.sum(0).mean()) == pytest.approx(means[0], abs=0.02)


@torch.no_grad()
def test_an_exact_recogniser_leaves_the_estimate_no_variance() -> None:
    """z ~ N(0, 1), x = z + N(0, 1): the posterior is N(x / 2, 1 / 2), and x ~ N(0, 2)."""

    class Exact(LatentSequences):
        def __init__(self) -> None:
            super().__init__()
            self.inputs = self.latent = 1
            self.head = GaussianHead(1, 1, narrowest=1e-9)

        def outputs(self, x: Tensor, noise: Tensor, lengths: Tensor | None) -> Any:
            encoder, prior = Normal(x / 2, 0.5**0.5), Normal(torch.zeros_like(x), 1.0)
            z = encoder.mean + encoder.stddev * noise
            ratio = encoder.log_prob(z) - prior.log_prob(z)
            return torch.cat([z, torch.zeros_like(z)], -1), kl_divergence(encoder, prior), ratio

        def begin(self, count: int) -> Any: ...
        def follow(self, x: Tensor, noise: Tensor) -> Any: ...
        def answer(self, state: Any, noise: Tensor) -> Any: ...
        def read(self, kept: Any, x: Tensor) -> Any: ...

    x = torch.tensor([[0.3], [-1.2], [2.0]])
    exact = float(Normal(0.0, 2**0.5).log_prob(x).sum())
    for draws, seed in ((1, 0), (1, 1), (7, 2)):
        assert Exact().log_density(x, draws=draws, seed=seed) == pytest.approx(exact, abs=1e-5)


def test_a_network_without_latent_values_is_exact() -> None:
    network = plain().float()
    x = notes(6, 1)[:, 0].float()
    drawn = network(x.unsqueeze(1), network.noise(6, 1, seed=0))
    assert not drawn.divergence.any()
    assert network.log_density(x, draws=1) == pytest.approx(-drawn.losses.sum().item(), abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    conveyor.save(network, tmp_path)
    loaded = conveyor.load(tmp_path)
    assert type(loaded) is type(network)
    x, noise = notes(4, 2), noise_of(network, 4, 2)
    assert torch.equal(loaded(x, noise).bound, network(x, noise).bound)


def test_on_and_off_beside_torch_distributions() -> None:
    """The sum over the numbers of a step, not their mean, and by logits: of ports one is divided
    by 784, another has the logarithm of 0."""
    head = BernoulliHead(4, 3)
    outputs = torch.tensor([[0.3, -2.0, 1.0], [200.0, -200.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    expected = -Bernoulli(logits=outputs[0]).log_prob(targets[0]).sum()
    losses = head.losses(outputs, targets)
    torch.testing.assert_close(losses[0], expected)
    assert float(losses[1]) == pytest.approx(400 + torch.tensor(2.0).log().item())
    drawn = head.draw(outputs[0].expand(20_000, -1), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), outputs[0].sigmoid(), atol=0.02, rtol=0)
    assert set(drawn.flatten().tolist()) == {0.0, 1.0}


def test_normal_numbers_beside_torch_distributions() -> None:
    head = GaussianHead(4, 2, narrowest=0.01)
    outputs, targets = torch.tensor([0.5, -1.0, 0.2, -0.7]), torch.tensor([0.1, 2.0])
    deviations = torch.tensor([0.2, -0.7]).exp() + 0.01
    expected = Normal(outputs[:2], deviations)
    torch.testing.assert_close(head.losses(outputs, targets), -expected.log_prob(targets).sum())
    drawn = head.draw(outputs.expand(40_000, -1), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), outputs[:2], atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(0), deviations, atol=0.03, rtol=0)
    # A number that repeats is not infinitely likely.
    narrow = head.losses(torch.tensor([0.0, 0.0, -500.0, -500.0]), torch.zeros(2))
    assert float(narrow) == pytest.approx(-2 * 3.6862, abs=1e-3)
