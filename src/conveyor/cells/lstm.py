"""Long short-term memory and its variants. Letters: f forget, i input, g candidate, o output."""

from typing import Annotated

from conveyor.cells.definition import cell
from conveyor.cells.language import (
    Bias,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    sigmoid,
    tanh,
)

# A forget bias of 1 lets a fresh cell remember: Jozefowicz, Zaremba & Sutskever 2015.
REMEMBER = {"b.f": 1.0}


@cell(
    source="Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000",
    start=REMEMBER,
    keep={"b.f": +1, "b.i": -1},
)
def lstm(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias) -> tuple[Value, Value]:
    """Long short-term memory with a forget gate."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    i = sigmoid(W.i @ x + U.i @ h + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(
    source="Gers & Schmidhuber 2000, Recurrent nets that time and count",
    start=REMEMBER,
    keep={"b.f": +1, "b.i": -1},
    aliases=("peephole_lstm",),
)
def lstm_peephole(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """LSTM whose gates see the cell state; the output gate sees the new one."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c


@cell(
    source="Greff et al. 2017, CIFG, written by its forget gate as in Olah 2015",
    start=REMEMBER,
    keep={"b.f": +1},
    aliases=("coupled_lstm",),
)
def lstm_coupled(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value]:
    """LSTM that forgets exactly where it takes in: the input gate is 1 - f."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    g = tanh(W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    c = f * c + (1 - f) * g
    h = o * tanh(c)
    return h, c


@cell(
    source="Sak, Senior & Beaufays 2014, the recurrent projection, without peepholes",
    start=REMEMBER,
    keep={"b.f": +1, "b.i": -1},
)
def lstm_projected(
    x: Input,
    h: Annotated[State, "P"],
    c: State,
    W: Matrix,
    U: Matrix,
    b: Bias,
    R: Annotated[Matrix, "P"],
) -> tuple[Value, Value]:
    """LSTM whose hidden state is projected to fewer units before it is fed back."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    i = sigmoid(W.i @ x + U.i @ h + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    c = f * c + i * g
    m = o * tanh(c)
    h = R @ m
    return h, c
