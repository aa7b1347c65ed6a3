"""conveyor: recurrent networks whose cells are written as their equations."""

from conveyor import signals

if signals.is_command():  # before torch is imported
    signals.leave_at_once()

from conveyor import cells, errors
from conveyor.cells import CELLS, cell
from conveyor.compiler.show import show
from conveyor.kernels.select import use_target
from conveyor.layers.clockwork import Clockwork
from conveyor.layers.drop_in import GRU, LSTM, RNN
from conveyor.layers.grid import GridLSTM
from conveyor.layers.heads import Heads
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.replace import replace, restore
from conveyor.layers.stacked import Stacked
from conveyor.networks.saving import save
from conveyor.tasks.saved import load
from conveyor.version import VERSION

__version__ = VERSION

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "Clockwork",
    "GridLSTM",
    "Heads",
    "Recurrent",
    "Stacked",
    "cell",
    "cells",
    "errors",
    "load",
    "replace",
    "restore",
    "save",
    "show",
    "use_target",
]
