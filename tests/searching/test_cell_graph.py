"""Graphs of cells and the sources that are written of them: the cell stays the same."""

import ast

import pytest
import torch
from torch import Tensor

from conveyor.cells.cell_registry import CELLS, find
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.searching.cell_graph import CellNode, graph_of, in_order
from conveyor.searching.cell_source import cell_source, program_from_source

# Cells that have what no graph has, and what the error says of it.
WITHOUT = {
    "lstm_projected": "a width besides",
    "lstm_projected_peephole": "a width besides",
    "lstm_layer_norm": "normalise",
    "gru_layer_norm": "normalise",
    "lstm_depth_gated": "several inputs",
    "grid_lstm": "several inputs",
}
# One of each kind: gates and a state beside the output; a product of a product; an output that is
# no state; vectors; states that are what another was; gates of the step before.
KINDS = ("lstm", "gru_reset_before", "sru", "lstm_peephole", "qrnn_f", "lstm_full_recurrence")


def outputs_of(cell: object, weights: dict[str, Tensor] | None) -> tuple[Tensor, dict[str, Tensor]]:
    """The outputs of a small layer of the cell on fixed inputs, and its weights."""
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 4, dtype=torch.float64)  # type: ignore[arg-type]
    if weights is not None:
        layer.load_state_dict(weights)
    inputs = torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    outputs, _ = layer(inputs)
    return main_output(outputs), layer.state_dict()


@pytest.mark.parametrize("name", KINDS)
def test_the_source_of_a_cell_is_the_same_cell(name: str) -> None:
    program = trace(find(name))
    text = cell_source(graph_of(program), name, "A cell.", "a paper")
    written = program_from_source(text, name)
    expected, weights = outputs_of(program, None)
    got, _ = outputs_of(written, weights)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert dict(written.start) == dict(program.start)
    assert written.source == "a paper"


@pytest.mark.parametrize("name", [name for name in CELLS if name not in WITHOUT])
def test_every_source_is_python_without_long_lines(name: str) -> None:
    program = trace(find(name))
    text = cell_source(graph_of(program), name, "A cell.", "a paper")
    ast.parse(text)
    assert max(map(len, text.splitlines())) <= 100
    written = program_from_source(text, name)
    assert {leaf.name for leaf in written.leaves} == {leaf.name for leaf in program.leaves}
    # Values for a trace alone, as minlstm's gates, are left out.
    assert len(written.operations) in range(
        len(program.operations) - 2, len(program.operations) + 1
    )


@pytest.mark.parametrize("name", WITHOUT)
def test_a_cell_that_is_no_graph_is_an_error_that_says_why(name: str) -> None:
    with pytest.raises(SettingError, match=WITHOUT[name]):
        graph_of(trace(find(name)))


def test_states_that_change_places_keep_their_old_values() -> None:
    """h = tanh(W x + c), c = h' : neither letter may be overwritten before it is read."""
    nodes = [
        CellNode("input", name="x"),
        CellNode("state", name="h"),
        CellNode("state", name="c"),
        CellNode("product", (0,), "W"),
        CellNode("add", (3, 2)),
        CellNode("tanh", (4,)),
    ]
    graph = in_order(("h", "c"), nodes, [5, 1], 5, ())
    assert graph is not None
    program = program_from_source(cell_source(graph, "delayed", "A cell.", ""), "delayed")
    torch.manual_seed(0)
    layer = Recurrent(program, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        next(layer.parameters()).fill_(1.0)
    inputs = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)[:, None, None]
    outputs, _ = layer(inputs)
    first = torch.tanh(torch.tensor(1.0, dtype=torch.float64))
    third = torch.tanh(3.0 + first)
    torch.testing.assert_close(main_output(outputs)[2, 0, 0], third)


def test_a_value_that_is_computed_from_itself_is_no_graph() -> None:
    nodes = [CellNode("state", name="h"), CellNode("add", (0, 2)), CellNode("tanh", (1,))]
    assert in_order(("h",), nodes, [2], 2, ()) is None
