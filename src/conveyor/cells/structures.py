"""Entries of ``conveyor cells`` that are not cells: layers made of cells, and start values."""

from dataclasses import dataclass

from conveyor.cells.clockwork_cell import CLOCKWORK, clockwork
from conveyor.cells.definition import Cell
from conveyor.cells.elman import rnn_relu
from conveyor.cells.grid_lstm import grid_block


@dataclass(frozen=True)
class Structure:
    """An entry of ``conveyor cells`` that is not a cell.

    Args:
        name: what people look for.
        doc: what it is.
        source: the paper.
        use: the Python expression that makes one.
        block: the cell whose equations are its own, or those of one of its parts.
        besides: what it has besides the parameters of the block.
        aliases: other names.
    """

    name: str
    doc: str
    source: str
    use: str
    block: Cell
    besides: str = ""
    aliases: tuple[str, ...] = ()


STRUCTURES: tuple[Structure, ...] = (
    Structure(
        "clockwork",
        "Elman network of modules that tick at their own periods T_1 < T_2 < ...; a module reads "
        "itself and all slower ones.",
        CLOCKWORK,
        "conveyor.Clockwork",
        block=clockwork,
        aliases=("cwrnn", "cw_rnn", "clockwork_rnn"),
    ),
    Structure(
        "grid_lstm_1d",
        "LSTM along depth: a feed-forward network whose layers hand on a memory; d' is d of the "
        "layer below.",
        "Kalchbrenner, Danihelka & Graves 2016, Grid long short-term memory",
        "conveyor.GridLSTM(..., dimensions=1)",
        block=grid_block(1),
        besides="a block, whose I is H, and 2·H·I below",
    ),
    Structure(
        "grid_lstm_3d",
        "LSTMs along columns (h, m), rows (k, n) and depth (y, d), each of which reads what comes "
        "in along all three.",
        "Kalchbrenner, Danihelka & Graves 2016, Grid long short-term memory",
        "conveyor.GridLSTM(..., dimensions=3)",
        block=grid_block(3),
        besides="a block, whose I is H, and 2·H·I below",
    ),
    Structure(
        "irnn",
        "Elman network with relu that begins with the identity as recurrent matrix U, and with "
        "small numbers in W, of standard deviation 0.001.",
        "Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified "
        "linear units",
        "conveyor.Recurrent('rnn_relu', ..., init='irnn')",
        block=rnn_relu,
    ),
)
