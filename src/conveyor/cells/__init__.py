"""What one time step computes: the cell language and the built-in cells. Equations only."""

from conveyor.cells.definition import Cell, cell
from conveyor.cells.grid import grid_lstm_with
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
    relu,
    sigmoid,
    sqrt,
    tanh,
    total,
)
from conveyor.cells.peepholes import lstm_with_peepholes
from conveyor.cells.registry import CELLS, find

__all__ = [
    "CELLS",
    "Bias",
    "Cell",
    "Input",
    "Matrix",
    "State",
    "Value",
    "Vector",
    "cell",
    "exp",
    "find",
    "grid_lstm_with",
    "log",
    "lstm_with_peepholes",
    "maximum",
    "mean",
    "minimum",
    "relu",
    "sigmoid",
    "sqrt",
    "tanh",
    "total",
]
