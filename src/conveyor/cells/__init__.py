"""What one time step computes: the cell language and the built-in cells. Equations only."""

from conveyor.cells.blocks import Blocks
from conveyor.cells.cell_registry import CELLS, find
from conveyor.cells.definition import Cell, cell
from conveyor.cells.grid_lstm import grid_lstm_with
from conveyor.cells.holt_winters import holt_winters_with
from conveyor.cells.initial_value import Shared
from conveyor.cells.language import (
    Bias,
    Constant,
    Input,
    Last,
    Matrix,
    State,
    Step,
    Value,
    Vector,
    equal,
    exp,
    floor,
    greater,
    log,
    maximum,
    mean,
    minimum,
    mod,
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
    "Blocks",
    "Cell",
    "Constant",
    "Input",
    "Last",
    "Matrix",
    "Shared",
    "State",
    "Step",
    "Value",
    "Vector",
    "cell",
    "equal",
    "exp",
    "find",
    "floor",
    "greater",
    "grid_lstm_with",
    "holt_winters_with",
    "log",
    "lstm_with_peepholes",
    "maximum",
    "mean",
    "minimum",
    "mod",
    "normalise",
    "relu",
    "sigmoid",
    "softmax",
    "sqrt",
    "tanh",
    "total",
]
