"""Cells whose units do not see each other's states: all products are done before the loop."""

from conveyor.cells.definition import cell
from conveyor.cells.language import (
    Bias,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    exp,
    log,
    maximum,
    relu,
    sigmoid,
    tanh,
)

QRNN = "Bradbury, Merity, Xiong & Socher 2017, Quasi-recurrent neural networks, window 2"
MIN = "Feng et al. 2024, Were RNNs all we needed?"
PARA = "Danieli et al. 2025, ParaRNN"


def softplus_of_minus(value: Value) -> Value:
    """log(1 + exp(-value)), in which nothing overflows."""
    return maximum(-value, 0) + log(1 + exp(-maximum(value, -value)))


@cell(
    source="Li, Li, Cook, Zhu & Gao 2018, Independently recurrent neural network",
    start={"u": (0.0, 1.0)},
    aliases=("ind_rnn",),
)
def indrnn(x: Input, h: State, W: Matrix, u: Vector, b: Bias) -> Value:
    """Elman network with relu whose units see only their own state. Keep |u| below 2^(1/T)."""
    h = relu(W @ x + u * h + b)
    return h


@cell(source="Lei, Zhang, Wang, Dai & Artzi 2018, Simple recurrent units", keep={"b.f": +1})
def sru(x: Input, c: State, W: Matrix, v: Vector, b: Bias) -> tuple[Value, Value]:
    """Simple recurrent unit: a forget gate, and a highway r around it. The input is projected for
    the highway, W.x @ x, and not scaled by α."""
    f = sigmoid(W.f @ x + v.f * c + b.f)
    r = sigmoid(W.r @ x + v.r * c + b.r)
    c = f * c + (1 - f) * (W.g @ x)
    h = r * c + (1 - r) * (W.x @ x)
    return c, h


@cell(source=f"{QRNN}, f-pooling", keep={"b.f": +1})
def qrnn_f(
    x: Input, h: State, zx: State, fx: State, W: Matrix, V: Matrix, b: Bias
) -> tuple[Value, Value, Value]:
    """Quasi-recurrent network that sees two inputs at a time; V acts on the one before."""
    z = tanh(W.z @ x + zx + b.z)
    f = sigmoid(W.f @ x + fx + b.f)
    h = f * h + (1 - f) * z
    zx = V.z @ x
    fx = V.f @ x
    return h, zx, fx


@cell(source=f"{QRNN}, fo-pooling", keep={"b.f": +1}, aliases=("qrnn",))
def qrnn_fo(
    x: Input,
    c: State,
    zx: State,
    fx: State,
    ox: State,
    W: Matrix,
    V: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value, Value, Value]:
    """Quasi-recurrent network with an output gate."""
    z = tanh(W.z @ x + zx + b.z)
    f = sigmoid(W.f @ x + fx + b.f)
    o = sigmoid(W.o @ x + ox + b.o)
    c = f * c + (1 - f) * z
    h = o * c
    zx = V.z @ x
    fx = V.f @ x
    ox = V.o @ x
    return c, zx, fx, ox, h


@cell(source=f"{QRNN}, ifo-pooling", keep={"b.f": +1, "b.i": -1})
def qrnn_ifo(
    x: Input,
    c: State,
    zx: State,
    fx: State,
    ox: State,
    ix: State,
    W: Matrix,
    V: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value, Value, Value, Value]:
    """Quasi-recurrent network with an input and an output gate."""
    z = tanh(W.z @ x + zx + b.z)
    f = sigmoid(W.f @ x + fx + b.f)
    o = sigmoid(W.o @ x + ox + b.o)
    i = sigmoid(W.i @ x + ix + b.i)
    c = f * c + i * z
    h = o * c
    zx = V.z @ x
    fx = V.f @ x
    ox = V.o @ x
    ix = V.i @ x
    return c, zx, fx, ox, ix, h


@cell(source=f"{MIN}, minGRU", keep={"b.z": -1}, aliases=("min_gru",))
def mingru(x: Input, h: State, W: Matrix, b: Bias) -> Value:
    """GRU whose gate and candidate see the input only."""
    z = sigmoid(W.z @ x + b.z)
    n = W.n @ x + b.n
    h = (1 - z) * h + z * n
    return h


@cell(source=f"{MIN}, minLSTM", keep={"b.f": +1, "b.i": -1}, aliases=("min_lstm",))
def minlstm(x: Input, h: State, W: Matrix, b: Bias) -> Value:
    """LSTM whose gates and candidate see the input only; the gates share out 1: f1 is f / (f + i),
    i1 the rest."""
    af = W.f @ x + b.f
    ai = W.i @ x + b.i
    f = sigmoid(af)  # noqa: F841  (for a trace)
    i = sigmoid(ai)  # noqa: F841
    n = W.n @ x + b.n
    # f / (f + i) and i / (f + i) by their logarithms, as in the paper's appendix: where both gates
    # are nearly 0, the quotient would be 0/0.
    diff = softplus_of_minus(af) - softplus_of_minus(ai)
    f1 = sigmoid(-diff)
    i1 = sigmoid(diff)
    h = f1 * h + i1 * n
    return h


@cell(source=f"{PARA}, ParaGRU", keep={"b.z": -1}, aliases=("paragru",))
def para_gru(x: Input, h: State, W: Matrix, u: Vector, b: Bias) -> Value:
    """GRU whose units see only their own state."""
    z = sigmoid(W.z @ x + u.z * h + b.z)
    r = sigmoid(W.r @ x + u.r * h + b.r)
    n = tanh(W.n @ x + u.n * (r * h) + b.n)
    h = (1 - z) * h + z * n
    return h


@cell(source=f"{PARA}, ParaLSTM", start={"b.f": 1.0}, keep={"b.f": +1}, aliases=("paralstm",))
def para_lstm(
    x: Input, h: State, c: State, W: Matrix, u: Vector, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Coupled peephole LSTM whose units see only their own state."""
    f = sigmoid(W.f @ x + u.f * h + p.f * c + b.f)
    g = tanh(W.g @ x + u.g * h + b.g)
    c = f * c + (1 - f) * g
    o = sigmoid(W.o @ x + u.o * h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c
