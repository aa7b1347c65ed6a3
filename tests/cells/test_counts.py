"""How many parameters each cell has, as the papers and textbooks count them."""

from collections.abc import Callable

import pytest
import torch

import conveyor
from conveyor.cells import CELLS
from conveyor.cells.structures import STRUCTURES, Structure
from conveyor.compiler.page import parameters_of

# Of D inputs, H units, P projected ones. One bias a gate. The formulas are the literature's: Greff
# et al. 2017, table of variants; Sak et al. 2014; Jozefowicz et al. 2015 with a projection of the
# input where it adds the input itself; the others from their papers' equations.
COUNTS: dict[str, Callable[[int, int, int], int]] = {
    "lstm_depth_gated": lambda D, H, P: 4 * H * (D + H + 1) + 3 * H + H * D + 3 * H + H * D,
    "grid_lstm": lambda D, H, P: 16 * H * H + 8 * H + 2 * H * D,
    "rnn": lambda D, H, P: H * (D + H + 1),
    "rnn_relu": lambda D, H, P: H * (D + H + 1),
    "lstm": lambda D, H, P: 4 * H * (D + H + 1),
    "lstm_peephole": lambda D, H, P: 4 * H * (D + H + 1) + 3 * H,
    "lstm_coupled": lambda D, H, P: 3 * H * (D + H + 1),
    "lstm_projected": lambda D, H, P: 4 * H * (D + P) + 4 * H + P * H,
    "lstm_1997": lambda D, H, P: 3 * H * (D + 3 * H + 1),
    "lstm_no_input_gate": lambda D, H, P: 3 * H * (D + H + 1) + 2 * H,
    "lstm_no_forget_gate": lambda D, H, P: 3 * H * (D + H + 1) + 2 * H,
    "lstm_no_output_gate": lambda D, H, P: 3 * H * (D + H + 1) + 2 * H,
    "lstm_no_input_activation": lambda D, H, P: 4 * H * (D + H + 1) + 3 * H,
    "lstm_no_output_activation": lambda D, H, P: 4 * H * (D + H + 1) + 3 * H,
    "lstm_coupled_input": lambda D, H, P: 3 * H * (D + H + 1) + 2 * H,
    "lstm_full_recurrence": lambda D, H, P: 4 * H * (D + H + 1) + 3 * H + 9 * H * H,
    "lstm_peephole_full": lambda D, H, P: 4 * H * (D + H + 1) + 3 * H * H,
    "lstm_projected_peephole": lambda D, H, P: 4 * H * (D + P) + 4 * H + P * H + 3 * H,
    "lstm_jozefowicz": lambda D, H, P: 4 * H * (D + H + 1),
    "ur_lstm": lambda D, H, P: 4 * H * (D + H) + 3 * H,
    "gru": lambda D, H, P: 3 * H * (D + H + 1) + H,
    "gru_reset_before": lambda D, H, P: 3 * H * (D + H + 1),
    "gru_chung": lambda D, H, P: 3 * H * (D + H + 1),
    "mgu": lambda D, H, P: 2 * H * (D + H + 1),
    "mut1": lambda D, H, P: 2 * H * D + 2 * H * H + 3 * H + H * D,
    "mut2": lambda D, H, P: 2 * H * D + 3 * H * H + 3 * H + H * D,
    "mut3": lambda D, H, P: 3 * H * D + 3 * H * H + 3 * H,
    "janet": lambda D, H, P: 2 * H * (D + H + 1),
    "ligru": lambda D, H, P: 2 * H * (D + H + 1),
    "minimal_rnn": lambda D, H, P: H * D + 2 * H * H + 2 * H,
    "indrnn": lambda D, H, P: H * (D + 2),
    "sru": lambda D, H, P: 3 * D * H + 4 * H + D * H,
    "qrnn_f": lambda D, H, P: 2 * 2 * D * H + 2 * H,
    "qrnn_fo": lambda D, H, P: 2 * 3 * D * H + 3 * H,
    "qrnn_ifo": lambda D, H, P: 2 * 4 * D * H + 4 * H,
    "mingru": lambda D, H, P: 2 * D * H + 2 * H,
    "minlstm": lambda D, H, P: 3 * D * H + 3 * H,
    "para_gru": lambda D, H, P: 3 * H * (D + 2),
    "para_lstm": lambda D, H, P: 3 * H * (D + 2) + 2 * H,
    "lstm_layer_norm": lambda D, H, P: 4 * H * (D + H + 1) + 8 * H + 2 * H,
    "gru_layer_norm": lambda D, H, P: 3 * H * (D + H + 1) + 6 * H,
    "slstm": lambda D, H, P: 4 * H * (D + H + 1),
}


def test_every_cell_is_counted() -> None:
    lacks = CELLS.keys() - COUNTS.keys()
    assert not lacks, f"give their number of parameters in COUNTS of this file: {lacks}"
    assert COUNTS.keys() <= CELLS.keys()


@pytest.mark.parametrize("name", CELLS)
def test_parameters(name: str) -> None:
    D, H, P = 3, 5, 2
    layer = conveyor.Recurrent(name, D, H, sizes={"P": P} if "projected" in name else {})
    assert sum(each.numel() for each in layer.parameters()) == COUNTS[name](D, H, P)


@pytest.mark.parametrize(
    ("inputs", "blocks", "outputs", "biases_of_cells", "total"),
    [
        # Hochreiter & Schmidhuber 1997, experiments with one memory cell a block: the Reber
        # grammar, 4 blocks; two sequences, 3 blocks, biases everywhere but at the output.
        (7, 4, 7, False, 264),
        (1, 3, 1, True, 102),
    ],
)
def test_the_counts_that_the_first_paper_prints(
    inputs: int, blocks: int, outputs: int, biases_of_cells: bool, total: int
) -> None:
    layer = conveyor.Recurrent("lstm_1997", inputs, blocks)
    own = sum(each.numel() for each in layer.parameters())
    readout = outputs * blocks
    assert own + readout - (0 if biases_of_cells else blocks) == total


def test_the_network_of_the_timing_tasks() -> None:
    """Gers, Schraudolph & Schmidhuber 2002: one cell with peepholes and an output, 17 weights."""
    layer = conveyor.Recurrent("lstm_peephole", 1, 1)
    own = dict(layer.get_submodule("l0").named_parameters())
    # Input, own output and bias for each of four gates, three peepholes; a readout and its bias.
    assert sum(each.numel() for each in own.values()) + 2 == 17


@pytest.mark.parametrize("each", STRUCTURES, ids=lambda each: each.name)
def test_what_is_no_cell_has_as_many_parameters_as_it_says(each: Structure) -> None:
    inputs, units = 3, 8
    shown = parameters_of(each)
    if each.name == "clockwork":
        made: torch.nn.Module = conveyor.Clockwork(inputs, units, (1, 2, 4, 8))
        assert shown == "H²/2 + H·I + H²/(2·N) + H"
        want = (units**2 + units * 2) // 2 + units * inputs + units
    elif each.name == "irnn":
        made = conveyor.Recurrent("rnn_relu", inputs, units, init="irnn")
        assert shown == "H² + H·I + H"
        want = units**2 + units * inputs + units
    else:
        dimensions = int(each.name[-2])
        made = conveyor.GridLSTM(inputs, units, 2, dimensions=dimensions)
        squares, biases = 4 * dimensions**2, 4 * dimensions
        of_x, of_states = 4 * dimensions, squares - 4 * dimensions
        recurrent = f"{of_states}·H² + " if of_states else ""
        formula = f"{recurrent}{of_x}·H·I + {biases}·H"
        assert shown == f"{formula} a block, whose I is H, and 2·H·I below"
        want = 2 * (squares * units**2 + biases * units) + 2 * units * inputs
    assert sum(parameter.numel() for parameter in made.parameters()) == want


def test_the_network_of_the_fourth_article() -> None:
    """LSTM(50) on one feature and a dense layer: 10,451 parameters in Keras."""
    layer = conveyor.Recurrent("lstm", 1, 50)
    assert sum(each.numel() for each in layer.parameters()) + 51 == 10_451
