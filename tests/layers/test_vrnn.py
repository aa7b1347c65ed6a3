"""The variational recurrent network of Chung et al. 2015 as a cell: noise is an input, and what the
loss needs are outputs.

The oracle is written from the paper's equations 5 to 11 in torch, with the distributions of
``torch.distributions``.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import vrnn
from tests.layers.named import draw

# Their methods have no types.
DISTRIBUTIONS: Any = torch.distributions

T, B, X, Z, F, H = 5, 3, 4, 2, 7, 6
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}


def make() -> conveyor.Recurrent:
    reads = {"x": X, "noise": Z, "known": Z}
    layer = conveyor.Recurrent(vrnn, reads, H, sizes={"F": F}, dtype=torch.float64)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5)
    return layer


def by_hand(p: dict[str, Tensor], x: Tensor, noise: Tensor, known: Tensor) -> dict[str, Tensor]:
    """All sequences step by step."""
    h, c = torch.zeros(2, B, H, dtype=torch.float64)
    steps: list[dict[str, Tensor]] = []
    softplus = torch.nn.functional.softplus

    def distribution(features: Tensor, kind: str) -> Any:
        """The heads of a mean and of a deviation, which the authors keep from 0."""
        raw = features @ p[f"M.{kind}s"].T + p[f"d.{kind}s"]
        return DISTRIBUTIONS.Normal(
            features @ p[f"M.{kind}m"].T + p[f"d.{kind}m"], softplus(raw) + 1e-4
        )

    for now, drawn, seen in zip(x, noise, known, strict=True):
        prior = distribution((h @ p["B.p"].T + p["a.p"]).relu(), "p")  # equation 5
        phi_x = (now @ p["X.x"].T + p["a.x"]).relu()
        code = (phi_x @ p["A.e"].T + h @ p["B.e"].T + p["a.e"]).relu()
        encoder = distribution(code, "e")  # equation 9
        # Where x is not known, z comes from the prior, as in generating.
        z = torch.where(
            seen > 0, encoder.mean + encoder.stddev * drawn, prior.mean + prior.stddev * drawn
        )
        phi_z = (z @ p["Y.z"].T + p["a.z"]).relu()
        answer = (phi_z @ p["A.d"].T + h @ p["B.d"].T + p["a.d"]).relu()  # equation 6
        divergence = torch.where(seen > 0, DISTRIBUTIONS.kl_divergence(encoder, prior), 0.0)
        ratio = torch.where(seen > 0, encoder.log_prob(z) - prior.log_prob(z), 0.0)

        def gate(name: str, phi_x: Tensor = phi_x, phi_z: Tensor = phi_z, h: Tensor = h) -> Tensor:
            read = phi_x @ p[f"W.{name}"].T + phi_z @ p[f"V.{name}"].T
            return read + h @ p[f"U.{name}"].T + p[f"b.{name}"]

        c = gate("f").sigmoid() * c + gate("i").sigmoid() * gate("g").tanh()
        h = gate("o").sigmoid() * c.tanh()  # equation 7, of an LSTM
        values = (answer, z, divergence, ratio, h)
        steps.append(dict(zip(("answer", "z", "divergence", "ratio", "h"), values, strict=True)))
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("seen", ["all", "none", "some"])
def test_values_and_all_gradients_are_those_of_the_paper(seen: str) -> None:
    layer = make()
    x, noise = draw(T, B, X, seed=50).requires_grad_(), draw(T, B, Z, seed=51).requires_grad_()
    known = torch.full((T, B, Z), float(seen == "all"), dtype=torch.float64)
    if seen == "some":
        known[::2, 1] = 1
    own: dict[str, Tensor] = dict(layer.get_submodule("l0").named_parameters())
    outputs, state = layer({"x": x, "noise": noise, "known": known})
    got, want = outputs._asdict(), by_hand(own, x, noise, known)
    torch.testing.assert_close(state.h[0], want.pop("h")[-1], **CLOSE)
    assert got.keys() == want.keys()
    for name, values in want.items():
        torch.testing.assert_close(got[name], values, **CLOSE)

    def loss(values: dict[str, Tensor]) -> Tensor:
        """Every output counts, each of its numbers by another weight."""
        weighed = [
            (each * draw(*each.shape, seed=70 + place)).sum()
            for place, each in enumerate(values[name] for name in sorted(values))
        ]
        return torch.stack(weighed).sum()

    sources = [x, noise, *own.values()]
    ours = torch.autograd.grad(loss(got), sources, allow_unused=seen == "none")
    theirs = torch.autograd.grad(loss(want), sources, allow_unused=seen == "none")
    for source, one, other in zip(sources, ours, theirs, strict=True):
        zeros = torch.zeros_like(source)
        torch.testing.assert_close(
            zeros if one is None else one, zeros if other is None else other, **CLOSE
        )


def test_it_can_be_sampled_step_by_step() -> None:
    """Noise given step by step is noise given at once."""
    layer = make()
    x, noise = draw(T, B, X, seed=50), draw(T, B, Z, seed=51)
    known = torch.ones(T, B, Z, dtype=torch.float64)
    whole, _ = layer({"x": x, "noise": noise, "known": known})
    state: Any = None
    for t in range(T):
        outputs, state = layer.step({"x": x[t], "noise": noise[t], "known": known[t]}, state)
        torch.testing.assert_close(outputs.z, whole.z[t], **CLOSE)


def test_what_is_drawn_from_the_prior_does_not_depend_on_x() -> None:
    """Until the LSTM has read it: x is what is drawn from the answer."""
    layer = make()
    noise, known = draw(1, B, Z, seed=51), torch.zeros(1, B, Z, dtype=torch.float64)
    one, other = (
        layer({"x": draw(1, B, X, seed=seed), "noise": noise, "known": known}) for seed in (1, 2)
    )
    assert torch.equal(one[0].z, other[0].z)
    assert torch.equal(one[0].answer, other[0].answer)
    assert not torch.equal(one[1].h, other[1].h)


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_deviations_neither_overflow_nor_vanish(size: float) -> None:
    """Ports give NaN here: softplus as log(1 + exp(x)), and no floor under a deviation."""
    layer = make().float()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith(("d.ps", "d.es")):
                parameter.fill_(size)
    read = {"x": torch.randn(T, B, X), "noise": torch.randn(T, B, Z), "known": torch.ones(T, B, Z)}
    outputs, _ = layer(read)
    loss = outputs.answer.sum() + outputs.divergence.sum()
    gradients = torch.autograd.grad(loss, list(layer.parameters()))
    assert loss.isfinite()
    assert all(each.isfinite().all() for each in gradients)
    assert (outputs.divergence >= 0).all()
