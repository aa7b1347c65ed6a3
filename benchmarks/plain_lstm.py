# ruff: noqa: PLR0917  (a cell's letters are its arguments; h = ...; return h)
"""The LSTM whose forget gate begins half open, as before Jozefowicz et al. 2015: the library's
begins with a bias of 1."""

from conveyor.cells import Bias, Input, Matrix, State, Value, cell, sigmoid, tanh


@cell(source="Gers, Schmidhuber & Cummins 2000, with biases that start at 0")
def plain_lstm(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias) -> tuple[Value, Value]:
    """The LSTM with all biases at 0."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    i = sigmoid(W.i @ x + U.i @ h + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c
