"""Cells whose state goes up the layers too: what a layer reads of the one below is c_below.

``cells.grid_lstm_with`` makes the grid LSTM's other forms: o * tanh(m) as output, depth as priority
dimension, depth without memory. ``conveyor.GridLSTM`` is the grid of one and of three dimensions.
"""

from typing import Annotated

from conveyor.cells.definition import cell
from conveyor.cells.language import Bias, Input, Matrix, State, Value, Vector, sigmoid, tanh
from conveyor.cells.lstm import REMEMBER

DEPTH_GATED = "Yao, Cohn, Vylomova, Duh & Dyer 2015, Depth-gated recurrent neural networks"
GRID = "Kalchbrenner, Danihelka & Graves 2016, Grid long short-term memory"
# The depth gate begins nearly closed: a choice, not the paper's.
CLOSED = {**REMEMBER, "b.d": -1.0}


@cell(source=DEPTH_GATED, start=CLOSED, keep={"b.f": +1, "b.i": -1}, aliases=("dglstm",))
def lstm_depth_gated(
    x: Input,
    c_below: Annotated[Input, "H"],
    h: State,
    c: State,
    W: Matrix,
    U: Matrix,
    p: Vector,
    q: Vector,
    b: Bias,
) -> tuple[Value, Value, Value, Value]:
    """Peephole LSTM with a depth gate d, which lets in the cell state of the layer below; in the
    first layer the projected input, as in the authors' code (which leaves out q.d there)."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    d = sigmoid(W.d @ x + p.d * c + q.d * c_below + b.d)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = d * c_below + f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c, h, c


@cell(
    source=GRID,
    start={"b.f": 1.0, "b.df": 1.0},
    keep={"b.f": +1, "b.i": -1},
    aliases=("grid_lstm_2d",),
)
def grid_lstm(
    y_below: Input,
    d_below: Annotated[Input, "H"],
    h: State,
    m: State,
    W: Matrix,
    U: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value, Value]:
    """Grid LSTM of two dimensions: one LSTM goes along time (h, m), one up the layers (y, d); both
    read the states of both. The first layer's y and d below are projections of the input."""
    f = sigmoid(W.f @ y_below + U.f @ h + b.f)
    i = sigmoid(W.i @ y_below + U.i @ h + b.i)
    g = tanh(W.g @ y_below + U.g @ h + b.g)
    o = sigmoid(W.o @ y_below + U.o @ h + b.o)
    df = sigmoid(W.df @ y_below + U.df @ h + b.df)
    di = sigmoid(W.di @ y_below + U.di @ h + b.di)
    dg = tanh(W.dg @ y_below + U.dg @ h + b.dg)
    do = sigmoid(W.do @ y_below + U.do @ h + b.do)
    m = f * m + i * g
    h = tanh(o * m)
    d = df * d_below + di * dg
    y = tanh(do * d)
    return h, m, y, d
