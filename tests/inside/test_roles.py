"""What the local names of cells are called, told by what they compute."""

import pytest
import torch

import conveyor
from conveyor import inspect
from conveyor.inside.compared import spoken
from conveyor.inside.roles import how_open, roles


def titles(cell: str) -> dict[str, tuple[str, str]]:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(cell, 3, 6)
    (one,) = inspect.overview(layer, torch.randn(20, 1, 3))
    return {name: role.title for name, role in roles(one).items()}


def test_an_lstm_has_the_gates_of_the_articles() -> None:
    assert titles("lstm") == {
        "f": ("forget gate", "cổng quên"),
        "i": ("input gate", "cổng vào"),
        "g": ("candidate: what could be put on", "giá trị ứng viên: phần có thể nạp vào"),
        "o": ("output gate", "cổng ra"),
        "c": ("cell state: the conveyor belt", "trạng thái tế bào: băng truyền"),
        "h": (
            "hidden state: what the network passes on",
            "trạng thái ẩn: giá trị truyền cho bước sau",
        ),
    }


@pytest.mark.parametrize(
    ("cell", "name", "title"),
    [
        ("gru", "z", "update gate: what is kept"),
        ("gru", "r", "reset gate"),
        ("gru", "n", "candidate: what could be put on"),
        ("lstm_coupled", "f", "forget gate"),
        ("lstm_peephole", "o", "output gate"),
        ("rnn", "h", "hidden state: what the network passes on"),
        ("mgu", "f", "update gate: what is replaced"),
    ],
)
def test_other_cells_are_told_by_what_they_compute(cell: str, name: str, title: str) -> None:
    assert titles(cell)[name][0] == title


def test_a_gate_says_how_often_it_is_open() -> None:
    layer = conveyor.Recurrent("lstm", 3, 4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.get_parameter("l0.b.f").fill_(9.0)
    (one,) = inspect.overview(layer, torch.zeros(5, 1, 3))
    words = how_open(one, "f")
    assert words is not None
    assert words.en == "open (above 0.9) 100 % of all units and steps, shut (below 0.1) 0 %"
    assert words.vi == "mở (trên 0,9) 100 % số giá trị, đóng (dưới 0,1) 0 %"
    assert how_open(one, "c") is None


@pytest.mark.parametrize(
    ("cell", "name"),
    [("lstm", "LSTM"), ("gru_layer_norm", "GRU_layer_norm"), ("rnn", "RNN (Elman)")],
)
def test_acronyms_are_written_in_capitals(cell: str, name: str) -> None:
    assert spoken(conveyor.Recurrent(cell, 1, 1).program) == name
