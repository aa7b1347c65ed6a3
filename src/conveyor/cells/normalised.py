"""Cells that normalise over their units, and the exponential LSTM."""

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
    minimum,
    normalise,
    sigmoid,
    tanh,
)
from conveyor.cells.lstm import REMEMBER

LAYER_NORM = "Ba, Kiros & Hinton 2016, Layer normalization"


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
    of_x, of_h = (xf, xi, xg, xo), (hf, hi, hg, ho)
    f = sigmoid(w.f * normalise(xf, over=of_x) + u.f * normalise(hf, over=of_h) + b.f)
    i = sigmoid(w.i * normalise(xi, over=of_x) + u.i * normalise(hi, over=of_h) + b.i)
    g = tanh(w.g * normalise(xg, over=of_x) + u.g * normalise(hg, over=of_h) + b.g)
    o = sigmoid(w.o * normalise(xo, over=of_x) + u.o * normalise(ho, over=of_h) + b.o)
    c = f * c + i * g
    h = o * tanh(s.c * normalise(c) + b.c)
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
    of_x, of_h = (xr, xz), (hr, hz)
    r = sigmoid(w.r * normalise(xr, over=of_x) + u.r * normalise(hr, over=of_h) + b.r)
    z = sigmoid(w.z * normalise(xz, over=of_x) + u.z * normalise(hz, over=of_h) + b.z)
    n = tanh(w.n * normalise(xn) + r * (u.n * normalise(hn)) + b.n)
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
