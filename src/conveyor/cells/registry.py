"""The built-in cells by name."""

from conveyor.cells.definition import Cell
from conveyor.cells.elman import rnn, rnn_relu
from conveyor.cells.gru import gru, gru_reset_before
from conveyor.cells.lstm import lstm, lstm_coupled, lstm_peephole, lstm_projected
from conveyor.errors import UnknownCellError, did_you_mean

CELLS: dict[str, Cell] = {
    built_in.name: built_in
    for built_in in (
        rnn,
        rnn_relu,
        lstm,
        lstm_peephole,
        lstm_coupled,
        lstm_projected,
        gru,
        gru_reset_before,
    )
}


def find(name: str) -> Cell:
    """The built-in cell of that name.

    Raises:
        UnknownCellError: none has it; the text names the nearest.
    """
    if name not in CELLS:
        raise UnknownCellError(f"no cell is named {name!r}. {did_you_mean(str(name), CELLS)}")
    return CELLS[name]
