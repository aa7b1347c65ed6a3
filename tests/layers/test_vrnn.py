"""The variational recurrent network of Chung et al. 2015 as a cell: noise is an input, and what the
loss needs are outputs.

The oracle is written from the paper's equations 5 to 9 in torch.
"""

from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import Bias, Input, Matrix, State, Value, cell, exp, log, relu, tanh
from tests.layers.named import draw

T, B, X, Z, H = 5, 3, 4, 2, 6
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}

ToHidden = Annotated[Matrix, "H", "Z"]
ToLatent = Annotated[Matrix, "Z", "H"]
OfLatent = Annotated[Bias, "Z"]


@cell(source="Chung et al. 2015, A recurrent latent variable model for sequential data")
def vrnn(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    noise: Annotated[Input, "Z"],
    h: State,
    W: Matrix,
    F: ToHidden,
    A: Matrix,
    M: ToLatent,
    U: Matrix,
    b: Bias,
    d: OfLatent,
) -> tuple[Value, ...]:
    """z is drawn from what x and h say (the encoder); its prior is what h alone says."""
    before = relu(A.p @ h + b.p)
    prior = M.pm @ before + d.pm
    prior_deviation = log(1 + exp(M.ps @ before + d.ps))
    seen = relu(W.x @ x + b.x)
    code = relu(A.e @ seen + U.e @ h + b.e)
    mean = M.em @ code + d.em
    deviation = log(1 + exp(M.es @ code + d.es))
    z = mean + deviation * noise
    read = relu(F.z @ z + b.z)
    answer = relu(A.d @ read + U.d @ h + b.d)
    h = tanh(A.h @ seen + A.z @ read + U.h @ h + b.h)
    return h, answer, z, mean, deviation, prior, prior_deviation


def make() -> conveyor.Recurrent:
    layer = conveyor.Recurrent(vrnn, {"x": X, "noise": Z}, H, dtype=torch.float64)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5)
    return layer


def by_hand(p: dict[str, Tensor], x: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """All sequences step by step."""
    h = torch.zeros(B, H, dtype=torch.float64)
    steps: list[dict[str, Tensor]] = []
    softplus = torch.nn.functional.softplus
    for now, drawn in zip(x, noise, strict=True):
        phi_x = (now @ p["W.x"].T + p["b.x"]).relu()  # features of x
        of_prior = (h @ p["A.p"].T + p["b.p"]).relu()
        prior = of_prior @ p["M.pm"].T + p["d.pm"]  # equation 5
        prior_deviation = softplus(of_prior @ p["M.ps"].T + p["d.ps"])
        encoded = (phi_x @ p["A.e"].T + h @ p["U.e"].T + p["b.e"]).relu()  # equation 9
        mean = encoded @ p["M.em"].T + p["d.em"]
        deviation = softplus(encoded @ p["M.es"].T + p["d.es"])
        z = mean + deviation * drawn
        phi_z = (z @ p["F.z"].T + p["b.z"]).relu()
        answer = (phi_z @ p["A.d"].T + h @ p["U.d"].T + p["b.d"]).relu()  # equation 6
        h = (phi_x @ p["A.h"].T + phi_z @ p["A.z"].T + h @ p["U.h"].T + p["b.h"]).tanh()  # 7
        values = (answer, z, mean, deviation, prior, prior_deviation)
        names = ("answer", "z", "mean", "deviation", "prior", "prior_deviation")
        steps.append(dict(zip(names, values, strict=True)))
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}


def lower_bound(values: dict[str, Tensor]) -> Tensor:
    """A loss as the paper's: what is answered, and how far z is from its prior."""
    mean, deviation = values["mean"], values["deviation"]
    prior, prior_deviation = values["prior"], values["prior_deviation"]
    ratio = (deviation**2 + (mean - prior) ** 2) / prior_deviation**2
    divergence = 0.5 * (ratio - 1) + prior_deviation.log() - deviation.log()
    return values["answer"].pow(2).mean() + divergence.mean()


@pytest.mark.usefixtures("each_target")
def test_values_and_gradients_are_those_of_the_paper() -> None:
    layer = make()
    x, noise = draw(T, B, X, seed=50).requires_grad_(), draw(T, B, Z, seed=51).requires_grad_()
    own: dict[str, Tensor] = dict(layer.get_submodule("l0").named_parameters())
    outputs, _ = layer({"x": x, "noise": noise})
    got, want = outputs._asdict(), by_hand(own, x, noise)
    assert got.keys() == want.keys()
    for name, values in want.items():
        torch.testing.assert_close(got[name], values, **CLOSE)
    sources = [x, noise, *own.values()]
    for one, other in zip(
        torch.autograd.grad(lower_bound(got), sources),
        torch.autograd.grad(lower_bound(want), sources),
        strict=True,
    ):
        torch.testing.assert_close(one, other, **CLOSE)


def test_it_can_be_sampled_step_by_step() -> None:
    """Noise given step by step is noise given at once."""
    layer = make()
    x, noise = draw(T, B, X, seed=50), draw(T, B, Z, seed=51)
    whole, _ = layer({"x": x, "noise": noise})
    state: Any = None
    for t in range(T):
        outputs, state = layer.step({"x": x[t], "noise": noise[t]}, state)
        torch.testing.assert_close(outputs.z, whole.z[t], **CLOSE)
