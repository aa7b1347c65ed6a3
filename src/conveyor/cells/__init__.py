"""What one time step computes: the cell language and the built-in cells. Equations only."""

from conveyor.cells.blocks import Blocks
from conveyor.cells.cell_registry import CELLS, find
from conveyor.cells.definition import Cell, cell
from conveyor.cells.grid_lstm import grid_lstm_with
from conveyor.cells.holt_winters import holt_winters_with, level_and_season_with
from conveyor.cells.initial_value import Shared
from conveyor.cells.language import (
    Bias,
    Constant,
    Input,
    Last,
    Matrix,
    Memory,
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
    places,
    relu,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    total,
)
from conveyor.cells.latent import vrnn
from conveyor.cells.memory_cells import bahdanau, graves_window, luong
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
    "Memory",
    "Shared",
    "State",
    "Step",
    "Value",
    "Vector",
    "bahdanau",
    "cell",
    "equal",
    "exp",
    "find",
    "floor",
    "graves_window",
    "greater",
    "grid_lstm_with",
    "holt_winters_with",
    "level_and_season_with",
    "log",
    "lstm_with_peepholes",
    "luong",
    "maximum",
    "mean",
    "minimum",
    "mod",
    "normalise",
    "places",
    "relu",
    "sigmoid",
    "softmax",
    "sqrt",
    "tanh",
    "total",
    "vrnn",
]
