"""Cells that normalise over their units, and the exponential LSTM."""

from collections.abc import Sequence

from conveyor.cells.definition import cell
from conveyor.cells.initial_value import NOTHING_SEEN
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
    mean,
    minimum,
    sigmoid,
    sqrt,
    tanh,
)
from conveyor.cells.lstm import REMEMBER

LAYER_NORM = "Ba, Kiros & Hinton 2016, Layer normalization"
# Of torch.nn.LayerNorm.
EPSILON = 1e-5


def spread(*parts: Value) -> tuple[Value, Value]:
    """The mean and the standard deviation of all numbers of some vectors."""
    centre = _mean([mean(part) for part in parts])
    variance = _mean([mean((part - centre) ** 2) for part in parts])
    return centre, sqrt(variance + EPSILON)


def _mean(numbers: Sequence[Value]) -> Value:
    total = sum(numbers[1:], numbers[0])
    return total if len(numbers) == 1 else total / len(numbers)


@cell(
    source=LAYER_NORM,
    start={
        **REMEMBER,
        **{f"{letter}.{gate}": 1.0 for letter in "wu" for gate in "figo"},
        "s.c": 1.0,
    },
    keep={"b.f": +1, "b.i": -1},
    aliases=("layer_norm_lstm",),
)
def lstm_layer_norm(
    x: Input,
    h: State,
    c: State,
    W: Matrix,
    U: Matrix,
    w: Vector,
    u: Vector,
    s: Vector,
    b: Bias,
) -> tuple[Value, Value]:
    """LSTM whose four gates are normalised together, once what comes from the input and once what
    comes from the state; the cell state is normalised where it is seen, not where it is kept."""
    xf, xi, xg, xo = W.f @ x, W.i @ x, W.g @ x, W.o @ x
    hf, hi, hg, ho = U.f @ h, U.i @ h, U.g @ h, U.o @ h
    mx, sx = spread(xf, xi, xg, xo)
    mh, sh = spread(hf, hi, hg, ho)
    f = sigmoid(w.f * ((xf - mx) / sx) + u.f * ((hf - mh) / sh) + b.f)
    i = sigmoid(w.i * ((xi - mx) / sx) + u.i * ((hi - mh) / sh) + b.i)
    g = tanh(w.g * ((xg - mx) / sx) + u.g * ((hg - mh) / sh) + b.g)
    o = sigmoid(w.o * ((xo - mx) / sx) + u.o * ((ho - mh) / sh) + b.o)
    c = f * c + i * g
    mc, sc = spread(c)
    h = o * tanh(s.c * ((c - mc) / sc) + b.c)
    return h, c


@cell(
    source=f"{LAYER_NORM}, supplement",
    start={f"{letter}.{gate}": 1.0 for letter in "wu" for gate in "rzn"},
    keep={"b.z": -1},
    aliases=("layer_norm_gru",),
)
def gru_layer_norm(
    x: Input, h: State, W: Matrix, U: Matrix, w: Vector, u: Vector, b: Bias
) -> Value:
    """GRU whose two gates are normalised together, and its candidate by itself."""
    xr, xz, xn = W.r @ x, W.z @ x, W.n @ x
    hr, hz, hn = U.r @ h, U.z @ h, U.n @ h
    mx, sx = spread(xr, xz)
    mh, sh = spread(hr, hz)
    r = sigmoid(w.r * ((xr - mx) / sx) + u.r * ((hr - mh) / sh) + b.r)
    z = sigmoid(w.z * ((xz - mx) / sx) + u.z * ((hz - mh) / sh) + b.z)
    mxn, sxn = spread(xn)
    mhn, shn = spread(hn)
    n = tanh(w.n * ((xn - mxn) / sxn) + r * (u.n * ((hn - mhn) / shn)) + b.n)
    h = (1 - z) * h + z * n
    return h


@cell(
    source="Beck et al. 2024, xLSTM: extended long short-term memory, sLSTM",
    # Nothing has been seen: the first step's own size counts.
    start={"b.f": (3.0, 6.0), "m": NOTHING_SEEN},
    keep={"b.f": +1, "b.i": -1},
    aliases=("xlstm_slstm",),
)
def slstm(
    x: Input, h: State, c: State, n: State, m: State, W: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value, Value, Value]:
    """LSTM with exponential gates; n counts what was taken in, m keeps the numbers small."""
    a = W.f @ x + U.f @ h + b.f
    log_f = minimum(a, 0) - log(1 + exp(-maximum(a, -a)))
    log_i = W.i @ x + U.i @ h + b.i
    z = tanh(W.z @ x + U.z @ h + b.z)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    m_before = m
    m = maximum(log_f + m_before, log_i)
    i = exp(log_i - m)
    f = exp(log_f + m_before - m)
    c = f * c + i * z
    n = f * n + i
    h = o * c / n
    return h, c, n, m
