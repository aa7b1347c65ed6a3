"""Cells by their names, and what is no cell."""

from typing import Any

import pytest
import torch

import conveyor
from conveyor.cells import CELLS, find
from conveyor.errors import ConveyorError, UnknownCellError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lstn", "Did you mean 'lstm'"),
        ("LSTMN", "Did you mean 'lstm'"),
        ("gru_reset_befor", "Did you mean 'gru_reset_before'"),
        ("xyz", "There are: grid_lstm, gru, gru_chung, gru_layer_norm, gru_reset_before, "),
        ("", "There are: grid_lstm, gru, "),
    ],
)
def test_an_unknown_cell_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UnknownCellError) as caught:
        find(name)
    assert str(caught.value).startswith(f"no cell is named {name!r}. {hint}")


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("clockwork", "conveyor.Clockwork"),
        ("CW-RNN", "conveyor.Clockwork"),
        ("grid_lstm_3d", "conveyor.GridLSTM(..., dimensions=3)"),
        ("irnn", "conveyor.Recurrent('rnn_relu', ..., init='irnn')"),
    ],
)
def test_what_is_no_cell_says_what_it_is(name: str, use: str) -> None:
    with pytest.raises(UnknownCellError) as caught:
        find(name)
    assert str(caught.value) == f"{name} is no cell of its own. Use {use}."


@pytest.mark.parametrize("name", ["LSTM", "Lstm-Peephole", "GRU-reset-after", "Elman"])
def test_names_are_found_in_any_letters(name: str) -> None:
    found = find(name)
    assert name.lower().replace("-", "_") in (found.name, *found.aliases)


def test_every_cell_is_found_by_its_name() -> None:
    for name, made in CELLS.items():
        assert find(name) is made
        assert made.name == name
        assert made.doc
        assert made.source
        assert repr(made) == f"<cell {name}>"


@pytest.mark.parametrize("thing", [3, None, torch.nn.LSTM, len], ids=repr)
def test_what_is_no_cell_is_refused_by_a_layer(thing: Any) -> None:
    """A function without @cell is the likeliest of them."""
    with pytest.raises(ConveyorError):
        conveyor.Recurrent(thing, 2, 3)
