"""What one time step computes: the cell language and the built-in cells. Equations only."""

from conveyor.cells.cell_registry import CELLS, find
from conveyor.cells.definition import Cell, cell
from conveyor.cells.grid_lstm import grid_lstm_with
from conveyor.cells.initial_value import Shared
from conveyor.cells.language import (
    Bias,
    Constant,
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
    normalise,
    relu,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    total,
)
from conveyor.cells.peepholes import lstm_with_peepholes

__all__ = [
    "CELLS",
    "Bias",
    "Cell",
    "Constant",
    "Input",
    "Matrix",
    "Shared",
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
    "normalise",
    "relu",
    "sigmoid",
    "softmax",
    "sqrt",
    "tanh",
    "total",
]
