"""Elman networks: the plain recurrent network."""

from conveyor.cells.definition import cell
from conveyor.cells.language import Bias, Input, Matrix, State, Value, relu, tanh


@cell(source="Elman 1990, Finding structure in time", aliases=("elman", "rnn_tanh"))
def rnn(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Elman network with tanh."""
    h = tanh(W @ x + U @ h + b)
    return h


@cell(source="Elman 1990; with relu: Le, Jaitly & Hinton 2015")
def rnn_relu(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Elman network with relu."""
    h = relu(W @ x + U @ h + b)
    return h
