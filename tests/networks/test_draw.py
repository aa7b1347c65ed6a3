"""DRAW beside the paper in NumPy, beside an autoencoder, and beside likelihoods that are summed up
exactly; and the faults of well-known ports that ours does not have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.errors import SettingError, ShapeError
from conveyor.networks import DRAW
from tests.networks import draw_oracle

# Their methods have no types.
DISTRIBUTIONS: Any = torch.distributions

ROWS, COLUMNS, HIDDEN, LATENT, STEPS = 5, 4, 3, 2, 4
WINDOWS = [(2, 3), (None, None), (3, None), (None, 2)]


def network(read: int | None = 2, write: int | None = 3, **options: Any) -> DRAW:
    """A small network in float64, whose weights and biases are all not 0."""
    torch.manual_seed(3)
    sizes = {"steps": STEPS, "read": read, "write": write, **options}
    cell = sizes.pop("cell", "lstm")
    built = DRAW(cell, ROWS, COLUMNS, HIDDEN, LATENT, **sizes).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return built.eval()


def pictures(count: int = 3, seed: int = 5) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (torch.rand(count, ROWS, COLUMNS, generator=draw) < 0.4).double()


def noise(count: int = 3, seed: int = 7, steps: int = STEPS) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(steps, count, LATENT, generator=draw, dtype=torch.float64)


def arrays(of: nn.Module) -> dict[str, Any]:
    return {name: weight.detach().numpy() for name, weight in of.state_dict().items()}


@pytest.mark.parametrize(("read", "write"), WINDOWS)
def test_a_network_is_that_of_the_paper(read: int | None, write: int | None) -> None:
    net, x, epsilon = network(read, write), pictures(), noise()
    glimpses = net(x, epsilon)
    bound = glimpses.bound(x)
    for row in range(len(x)):
        one = x[row].numpy(), epsilon[:, row].numpy()
        expected = draw_oracle.draw(arrays(net), *one, read, write)
        canvases = glimpses.drawing.canvases[:, row].detach()
        np.testing.assert_allclose(canvases, expected["canvases"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(bound.kl[:, row].detach(), expected["kl"], rtol=1e-9)
        assert float(bound.reconstruction[row].detach()) == pytest.approx(
            expected["reconstruction"], rel=1e-9
        )
    torch.testing.assert_close(bound.total, bound.reconstruction + bound.kl.sum(0))


@pytest.mark.parametrize(("read", "write"), WINDOWS[:2])
def test_gradients_are_those_of_the_paper(read: int | None, write: int | None) -> None:
    """By finite differences of the NumPy oracle, of a number of each parameter."""
    net, x, epsilon = network(read, write), pictures(1), noise(1)
    net.loss(x, epsilon).total.sum().backward()  # type: ignore[no-untyped-call]
    weights = arrays(net)

    def bound(changed: dict[str, Any]) -> float:
        told = draw_oracle.draw(changed, x[0].numpy(), epsilon[:, 0].numpy(), read, write)
        return float(told["reconstruction"] + told["kl"].sum())

    pick = np.random.default_rng(0)
    for name, parameter in net.named_parameters():
        place = tuple(int(pick.integers(size)) for size in parameter.shape)
        ends = []
        for step in (1e-5, -1e-5):
            moved = weights[name].copy()
            moved[place] += step
            ends.append(bound({**weights, name: moved}))
        assert parameter.grad is not None, name
        slope = (ends[0] - ends[1]) / 2e-5
        assert float(parameter.grad[place]) == pytest.approx(slope, rel=1e-4, abs=1e-7), name


def test_second_derivatives_exist() -> None:
    net, x, epsilon = network(), pictures(1), noise(1).requires_grad_()
    (first,) = torch.autograd.grad(net.loss(x, epsilon).total.sum(), epsilon, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), net.reader.bias)
    assert torch.isfinite(second).all()
    assert second.abs().sum() > 0


def test_one_glimpse_without_windows_is_an_autoencoder() -> None:
    """The same loss from the same weights: an encoder of the picture and a decoder of z."""
    net, x, epsilon = network(None, None, steps=1), pictures(), noise(steps=1)
    start = net.decoder.start(len(x))
    light = net.canvas.sigmoid()
    read = torch.cat([x.flatten(1), (x - light).flatten(1), start.h[-1]], 1)
    hidden = net.encoder.step(read, net.encoder.start(len(x)))[0]
    mean, log_deviation = net.recognise(hidden).chunk(2, -1)
    q = DISTRIBUTIONS.Normal(mean, log_deviation.exp())
    z = mean + log_deviation.exp() * epsilon[0]
    logits = (net.canvas.flatten() + net.patch(net.decoder.step(z, start)[0])).view_as(x)
    nats = -DISTRIBUTIONS.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    prior = DISTRIBUTIONS.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = DISTRIBUTIONS.kl_divergence(q, prior).sum(1)
    torch.testing.assert_close(net.loss(x, epsilon).total, nats + kl)


@pytest.mark.parametrize(("read", "write"), WINDOWS)
def test_the_canvas_is_the_sum_of_what_is_written(read: int | None, write: int | None) -> None:
    net, x = network(read, write), pictures()
    outputs = []
    hook = net.patch.register_forward_hook(lambda _, read_, __: outputs.append(read_[0]))
    drawing = net(x, noise()).drawing
    hook.remove()
    added = [net._written(output)[0] for output in outputs]
    total = net.canvas + sum(added)
    torch.testing.assert_close(drawing.canvases[-1], total)
    torch.testing.assert_close(drawing.canvases[2] - drawing.canvases[1], added[1])
    torch.testing.assert_close(
        net.nats_of(torch.stack(outputs), x), net(x, noise()).reconstruction(x)
    )


@pytest.mark.parametrize(("read", "write"), WINDOWS[:2])
def test_divergences_are_those_of_torch_and_not_negative(
    read: int | None, write: int | None
) -> None:
    """T · n_z / 2 in all, and not T/2 (which is right where n_z is 1 or n_z is T)."""
    glimpses = network(read, write)(pictures(), noise())
    q = DISTRIBUTIONS.Normal(glimpses.mean, glimpses.log_deviation.exp())
    prior = DISTRIBUTIONS.Normal(torch.zeros(()).double(), torch.ones(()).double())
    expected = DISTRIBUTIONS.kl_divergence(q, prior).sum(-1)
    torch.testing.assert_close(glimpses.divergence, expected)
    assert (glimpses.divergence >= 0).all()
    ratio = (q.log_prob(glimpses.latent) - prior.log_prob(glimpses.latent)).sum(-1)
    torch.testing.assert_close(glimpses.ratio, ratio)


def test_log_deviations_have_their_own_weights() -> None:
    """A port computed log σ from the mean's layer, so that σ = exp(μ)."""
    net = network()
    mean, log_deviation = (net.recognise.weight[part] for part in (slice(2), slice(2, 4)))
    assert not torch.equal(mean, log_deviation)
    glimpses = net(pictures(), noise())
    assert (glimpses.mean - glimpses.log_deviation).abs().max() > 0.1
    before = glimpses.mean[0].clone()
    with torch.no_grad():
        net.recognise.bias[LATENT:] += 1.0
    after = net(pictures(), noise())
    torch.testing.assert_close(after.mean[0], before)
    torch.testing.assert_close(after.log_deviation[0], glimpses.log_deviation[0] + 1)


def test_the_nats_of_pixels_are_their_sum() -> None:
    """With their mean the divergence would weigh as many times too much as there are pixels."""
    net, x = network(), pictures()
    light = net(x, noise()).drawing.pictures
    chance = torch.where(x > 0, light, 1 - light).flatten(1).prod(1)
    torch.testing.assert_close(net.loss(x, noise()).reconstruction, -chance.log())


def test_what_the_canvas_lacks_is_seen_before_the_glimpse() -> None:
    """x̂_t is x - σ(c_{t-1}): the first glimpse knows c_0 and nothing that is drawn later."""
    net, x = network(None, None), pictures()
    read = []
    layer: Any = net.encoder
    real = layer.step

    def step(inputs: Tensor, state: Any) -> Any:
        read.append(inputs[:, ROWS * COLUMNS : 2 * ROWS * COLUMNS].view_as(x))
        return real(inputs, state)

    layer.step = step
    canvases = net(x, noise()).drawing.canvases
    for glimpse, lacking in enumerate(read):
        torch.testing.assert_close(lacking, x - canvases[glimpse].sigmoid())


def test_drawing_knows_nothing_of_the_encoder() -> None:
    net = network()
    before = net.sample(6, seed=4)
    with torch.no_grad():
        for part in (net.encoder, net.recognise, net.reader):
            for parameter in part.parameters():
                parameter.add_(1.0)
    after = net.sample(6, seed=4)
    assert torch.equal(before.canvases, after.canvases)
    with torch.no_grad():
        net.patch.bias.add_(1.0)
    assert not torch.equal(before.canvases, net.sample(6, seed=4).canvases)
    assert before.canvases.shape == (STEPS + 1, 6, ROWS, COLUMNS)
    assert len(before.written) == STEPS
    assert not before.read
    assert not torch.equal(before.canvases, net.sample(6, seed=5).canvases)


def test_the_estimate_rises_with_draws_to_what_is_known() -> None:
    """Of pictures of two pixels and one latent value, the probability is an integral, which is
    summed up on a grid; the estimate goes to it, and the bound is below."""
    torch.manual_seed(0)
    net = DRAW("lstm", 1, 2, 3, 1, steps=1, read=None, write=None).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        # As wide as the prior or wider, or weights of the tails would vary without bound.
        net.recognise.bias[1] = 0.5
    x = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]]).double()
    grid = torch.linspace(-40, 40, 40_001).double()
    light = net.draw(grid[None, :, None]).pictures.flatten(1)
    log_prior = -grid.square() / 2 - np.log(2 * np.pi) / 2
    draws = 400
    estimates = {
        samples: torch.stack(
            [net.log_likelihood(x, samples=samples, seed=seed) for seed in range(draws)]
        )
        for samples in (1, 4, 32)
    }
    many = net.log_likelihood(x, samples=20_000)
    assert many.dtype == torch.float64
    for row, picture in enumerate(x):
        chance = torch.where(picture.flatten() > 0, light, 1 - light).prod(1)
        known = float(torch.trapezoid(chance * log_prior.exp(), grid).log().detach())
        # The noise of the recognised distribution on the same grid: the bound exactly, and again
        # the probability, by the weights.
        repeated = picture.expand(len(grid), 1, 2)
        weights = net(repeated, grid[None, :, None]).log_weight(repeated).detach()
        bound = float(torch.trapezoid(weights * log_prior.exp(), grid))
        total = torch.trapezoid((weights + log_prior).exp(), grid)
        assert float(total.log()) == pytest.approx(known)
        means = [float(of_it[:, row].mean()) for of_it in estimates.values()]
        errors = [float(of_it[:, row].std()) / draws**0.5 for of_it in estimates.values()]
        assert means[0] == pytest.approx(bound, abs=4 * errors[0])
        assert bound < means[1] < means[2] < known + 4 * errors[2]
        assert float(many[row]) == pytest.approx(known, abs=0.02)


@pytest.mark.parametrize("cell", ["gru", "lstm_peephole", "mgu", "rnn"])
def test_any_cell_draws(cell: str) -> None:
    net = network(cell=cell, num_layers=2)
    bound = net.loss(pictures(), noise())
    bound.total.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(bound.total).all()
    assert net.encoder.program.name == net.decoder.program.name
    for name, parameter in net.named_parameters():
        # Peepholes of a state that is learned, and what nothing reads, may have none.
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("read", "write"), WINDOWS)
def test_it_is_stored_and_loaded(read: int | None, write: int | None, tmp_path: Path) -> None:
    net = network(read, write, cell="gru", num_layers=2, dropout=0.3).float()
    conveyor.save(net, tmp_path)
    loaded = conveyor.load(tmp_path)
    assert isinstance(loaded, DRAW)
    x, epsilon = pictures().float(), noise().float()
    loaded.eval()
    assert torch.equal(net.loss(x, epsilon).total, loaded.loss(x, epsilon).total)
    torch.manual_seed(0)
    dropped = net.train().loss(x, epsilon).total
    torch.manual_seed(0)
    assert torch.equal(dropped, loaded.train().loss(x, epsilon).total)


def test_a_canvas_begins_with_the_mean_of_pictures() -> None:
    net = network()
    light = torch.full((ROWS, COLUMNS), 0.2).double()
    net.begin_at(light)
    torch.testing.assert_close(net.canvas.detach().sigmoid(), light)
    assert net.log_likelihood(pictures(0)).shape == (0,)


def test_what_does_not_fit_is_named() -> None:
    net = network()
    with pytest.raises(ShapeError, match=r"x is \[3, 4, 5\]; expected pictures \[batch, 5, 4\]"):
        net(pictures().mT, noise())
    with pytest.raises(ShapeError, match=r"noise is \[4, 2, 2\]; expected \[4, 3, 2\]"):
        net(pictures(), noise(2))
    with pytest.raises(ShapeError, match=r"latent is \[3, 3, 2\]; expected \[4, batch, 2\]"):
        net.draw(noise(steps=3))
    with pytest.raises(SettingError, match="samples is 0"):
        net.log_likelihood(pictures(), samples=0)
    for wrong in ({"steps": 0}, {"read": 0}, {"write": 0}):
        with pytest.raises(SettingError, match="expected a whole number from 1"):
            network(**wrong)


def test_the_estimate_has_no_dropout() -> None:
    net, x = network(num_layers=2, dropout=0.5), pictures()
    expected = net.log_likelihood(x, samples=3)
    net.train()
    torch.testing.assert_close(net.log_likelihood(x, samples=3), expected, rtol=0, atol=0)
    assert net.training
    with pytest.raises(ShapeError):
        net.log_likelihood(x[:, 1:])
    assert net.training


def test_noise_is_where_the_weights_are() -> None:
    """On the device meta, which no other device's tensors can be put together with."""
    net = network().to("meta")
    assert net.sample(2).canvases.device.type == "meta"
    assert net.log_likelihood(pictures().to("meta"), samples=2).device.type == "meta"
