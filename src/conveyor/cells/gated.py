"""Gated units besides the LSTM and the GRU. Letters: z update, r reset, f forget, n candidate.

In minimal_rnn, as in its paper, z is the candidate and u the update gate.
"""

from conveyor.cells.definition import cell
from conveyor.cells.language import (
    Bias,
    Input,
    Matrix,
    State,
    Value,
    relu,
    sigmoid,
    tanh,
)

MUTANTS = "Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent networks"


@cell(source="Zhou, Wu, Zhang & Zhou 2016, Minimal gated unit", keep={"b.f": -1})
def mgu(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Minimal gated unit: one gate resets and updates."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    n = tanh(W.n @ x + U.n @ (f * h) + b.n)
    h = (1 - f) * h + f * n
    return h


@cell(source=f"{MUTANTS}, MUT1", keep={"b.z": -1})
def mut1(x: Input, h: State, W: Matrix, U: Matrix, P: Matrix, b: Bias) -> Value:
    """MUT1: the update gate sees the input only. The paper adds x itself to the candidate, which
    must then be as wide as the state; here it is projected first, P @ x."""
    z = sigmoid(W.z @ x + b.z)
    r = sigmoid(W.r @ x + U.r @ h + b.r)
    n = tanh(U.n @ (r * h) + tanh(P @ x) + b.n)
    h = n * z + h * (1 - z)
    return h


@cell(source=f"{MUTANTS}, MUT2", keep={"b.z": -1})
def mut2(x: Input, h: State, W: Matrix, U: Matrix, P: Matrix, b: Bias) -> Value:
    """MUT2: the paper adds x itself to the reset gate, which must then be as wide as the state;
    here it is projected first, P @ x. With P learned this is the GRU of Chung et al. with other
    letters; with P fixed it is the paper's."""
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    r = sigmoid(P @ x + U.r @ h + b.r)
    n = tanh(U.n @ (r * h) + W.n @ x + b.n)
    h = n * z + h * (1 - z)
    return h


@cell(source=f"{MUTANTS}, MUT3", keep={"b.z": -1})
def mut3(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """MUT3: the update gate sees the squashed state."""
    z = sigmoid(W.z @ x + U.z @ tanh(h) + b.z)
    r = sigmoid(W.r @ x + U.r @ h + b.r)
    n = tanh(U.n @ (r * h) + W.n @ x + b.n)
    h = n * z + h * (1 - z)
    return h


@cell(
    source="van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate",
    start={"b.f": 1.0},
    keep={"b.f": +1},
)
def janet(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """LSTM of a forget gate and nothing else; what is taken in is held back by 1."""
    a = W.f @ x + U.f @ h + b.f
    f = sigmoid(a)
    g = tanh(W.g @ x + U.g @ h + b.g)
    h = f * h + (1 - sigmoid(a - 1)) * g
    return h


@cell(
    source="Ravanelli, Brakel, Omologo & Bengio 2018, Light gated recurrent units",
    keep={"b.z": +1},
    aliases=("light_gru",),
)
def ligru(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """GRU without a reset gate, with relu. The paper normalises W @ x over the batch, which is for
    the layer before."""
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = relu(W.n @ x + U.n @ h + b.n)
    h = z * h + (1 - z) * n
    return h


@cell(
    source="Chen 2017, MinimalRNN, arXiv 1711.06788",
    keep={"b.u": +1},
    aliases=("minimalrnn",),
)
def minimal_rnn(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """MinimalRNN: each unit's state is a mean over time of a latent z that sees the input only;
    u is how much of it stays. W.u acts on z; the paper calls it U_z."""
    z = tanh(W.z @ x + b.z)
    u = sigmoid(U.u @ h + W.u @ z + b.u)
    h = u * h + (1 - u) * z
    return h
