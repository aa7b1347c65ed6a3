"""Gated recurrent units. Letters: r reset, z update, n candidate; z = 1 keeps the old state."""

from conveyor.cells.definition import cell
from conveyor.cells.language import Bias, Input, Matrix, State, Value, sigmoid, tanh


@cell(
    source="Cho et al. 2014, arXiv 1406.1078v1: reset after the product; as torch and cuDNN",
    keep={"b.z": +1},
    aliases=("gru_reset_after",),
)
def gru(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Gated recurrent unit; the reset gate acts after the recurrent product."""
    r = sigmoid(W.r @ x + U.r @ h + b.r)
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = tanh(W.n @ x + b.n + r * (U.n @ h + b.hn))
    h = (1 - z) * n + z * h
    return h


@cell(
    source="Cho et al. 2014, arXiv 1406.1078v3: reset before the product",
    keep={"b.z": +1},
    aliases=("gru_cho",),
)
def gru_reset_before(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Gated recurrent unit; the reset gate acts on the state before the recurrent product."""
    r = sigmoid(W.r @ x + U.r @ h + b.r)
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = tanh(W.n @ x + U.n @ (r * h) + b.n)
    h = z * h + (1 - z) * n
    return h


@cell(
    source="Chung, Gulcehre, Cho & Bengio 2014; Olah 2015",
    keep={"b.z": -1},
)
def gru_chung(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """As gru_reset_before with the other sign of the update gate: here z = 1 takes the new."""
    r = sigmoid(W.r @ x + U.r @ h + b.r)
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = tanh(W.n @ x + U.n @ (r * h) + b.n)
    h = (1 - z) * h + z * n
    return h
