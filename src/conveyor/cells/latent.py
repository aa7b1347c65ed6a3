"""Cells with latent values: at each step some are drawn, by noise that is an input."""

from typing import Annotated

from conveyor.cells.definition import cell
from conveyor.cells.language import (
    Bias,
    Input,
    Matrix,
    State,
    Value,
    exp,
    log,
    maximum,
    minimum,
    relu,
    sigmoid,
    tanh,
)

# The least standard deviation of a latent value, of the authors' code.
_LEAST = 1e-4


def _softplus(value: Value) -> Value:
    """log(1 + exp(value)), which overflows nowhere."""
    return maximum(value, 0) + log(1 + exp(minimum(value, -value)))


@cell(
    source="Chung et al. 2015, A recurrent latent variable model for sequential data, equations 5 "
    "to 11",
    start={"b.f": 1.0, "d.ps": 0.6, "d.es": 0.6},
    keep={"b.f": 1},
)
def vrnn(
    x: Input,
    noise: Annotated[Input, "Z"],
    known: Annotated[Input, "Z"],
    h: State,
    c: State,
    X: Annotated[Matrix, "F", "I"],
    Y: Annotated[Matrix, "F", "Z"],
    A: Annotated[Matrix, "F", "F"],
    B: Annotated[Matrix, "F", "H"],
    M: Annotated[Matrix, "Z", "F"],
    W: Annotated[Matrix, "H", "F"],
    V: Annotated[Matrix, "H", "F"],
    U: Matrix,
    a: Annotated[Bias, "F"],
    d: Annotated[Bias, "Z"],
    b: Bias,
) -> tuple[Value, ...]:
    """The variational recurrent network. The latent values ``z`` are drawn from what x and h say
    (the encoder: ``mean`` and ``deviation``) where ``known`` is 1, and from what h alone says
    (``prior`` and ``prior_deviation``) where it is 0. ``answer`` is what the decoder makes of z and
    h, for a head that says what x may be. ``divergence`` is the KL divergence of the encoder's
    distribution from the prior, ``ratio`` the logarithm of the ratio of their densities at z, both
    in nats of each latent value, and 0 where ``known`` is 0. The LSTM reads x and z last."""
    of_prior = relu(B.p @ h + a.p)
    prior = M.pm @ of_prior + d.pm
    prior_raw = M.ps @ of_prior + d.ps
    prior_deviation = _softplus(prior_raw) + _LEAST
    of_x = relu(X.x @ x + a.x)
    code = relu(A.e @ of_x + B.e @ h + a.e)
    mean = M.em @ code + d.em
    raw = M.es @ code + d.es
    deviation = _softplus(raw) + _LEAST
    centre = known * mean + (1 - known) * prior
    width = known * deviation + (1 - known) * prior_deviation
    z = centre + width * noise
    of_z = relu(Y.z @ z + a.z)
    answer = relu(A.d @ of_z + B.d @ h + a.d)
    narrower = deviation / prior_deviation
    apart = (mean - prior) / prior_deviation
    divergence = known * (0.5 * (narrower * narrower + apart * apart - 1) - log(narrower))
    away = (z - prior) / prior_deviation
    ratio = known * (0.5 * (away * away - noise * noise) - log(narrower))
    f = sigmoid(W.f @ of_x + V.f @ of_z + U.f @ h + b.f)
    i = sigmoid(W.i @ of_x + V.i @ of_z + U.i @ h + b.i)
    g = tanh(W.g @ of_x + V.g @ of_z + U.g @ h + b.g)
    o = sigmoid(W.o @ of_x + V.o @ of_z + U.o @ h + b.o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c, answer, z, divergence, ratio
