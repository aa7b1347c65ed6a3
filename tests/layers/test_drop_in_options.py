"""What the layers named as torch's take besides torch's arguments, beside ``Recurrent`` with the
same numbers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.errors import SettingError

T, B, INPUTS, UNITS = 5, 3, 4, 6
DropIn = conveyor.LSTM | conveyor.GRU | conveyor.RNN

# Each drop-in layer, its cell, and what else it is made with.
KINDS: dict[str, tuple[type[DropIn], str, dict[str, Any]]] = {
    "LSTM": (conveyor.LSTM, "lstm", {}),
    "LSTM projected": (conveyor.LSTM, "lstm_projected", {"proj_size": 3}),
    "GRU": (conveyor.GRU, "gru", {}),
    "RNN": (conveyor.RNN, "rnn", {}),
    "RNN relu": (conveyor.RNN, "rnn_relu", {"nonlinearity": "relu"}),
}


def pair(name: str, **options: Any) -> tuple[DropIn, conveyor.Recurrent]:
    """Return a drop-in layer and a ``Recurrent`` with the same parameters."""
    kind, cell, more = KINDS[name]
    torch.manual_seed(0)
    drop_in = kind(INPUTS, UNITS, 2, dtype=torch.float64, **more, **options)
    sizes = {"P": more["proj_size"]} if "proj_size" in more else None
    other = conveyor.Recurrent(cell, INPUTS, UNITS, 2, dtype=torch.float64, sizes=sizes, **options)
    with torch.no_grad():
        for layer, directions in enumerate(drop_in._stack_parameters()):
            for direction, parameters in enumerate(directions):
                own = other.get_submodule(f"l{layer}{'_reverse' * direction}")
                for letter, value in parameters.by_name.items():
                    own.get_parameter(letter).copy_(value)
    return drop_in, other


def x() -> Tensor:
    return torch.randn(
        T, B, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )


OPTIONS: dict[str, dict[str, Any]] = {
    "zoneout": {"zoneout": 0.3},
    "zoneout of h": {"zoneout": {"h": 0.4}},
    "variational": {"variational_dropout": 0.4},
    "weights": {"weight_dropout": 0.4},
    "clip": {"clip": {"h": 0.1}},
    "sum": {"bidirectional": True, "merge": "sum"},
    "separate": {"bidirectional": True, "merge": "separate"},
    "learned start": {"learn_start": True},
    "all": {
        "zoneout": 0.2,
        "variational_dropout": 0.3,
        "clip": {"h": 0.2},
        "bidirectional": True,
        "merge": "sum",
    },
}


# torch stores all gates in one tensor, so that other weights are drawn in training.
CASES = [
    (option, training)
    for option in OPTIONS
    for training in (True, False)
    if not (training and option == "weights")
]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("option", "training"), CASES)
def test_they_are_those_of_recurrent(name: str, option: str, training: bool) -> None:
    results, options = [], OPTIONS[option]
    for layer in pair(name, **options):
        layer.train(training)
        read = x().requires_grad_()
        torch.manual_seed(5)
        output, state = layer(read, lengths=torch.tensor([5, 2, 3]))
        states = state if isinstance(state, tuple) else (state,)
        (gradient,) = torch.autograd.grad(output.square().sum(), read)
        results.append([output, *states, gradient])
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


def test_recurrent_weights_are_dropped_in_training_alone() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS, weight_dropout=0.5, dtype=torch.float64)
    assert not torch.equal(layer(x())[0], layer(x())[0])
    layer.eval()
    assert torch.equal(layer(x())[0], layer(x())[0])
    plain = conveyor.LSTM(INPUTS, UNITS, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x())[0], plain(x())[0])


def test_units_of_the_candidate_are_dropped() -> None:
    drop_in, other = pair("LSTM", recurrent_dropout={"g": 0.5})
    results = []
    for layer in (drop_in, other):
        torch.manual_seed(5)
        results.append(layer(x())[0])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("merge", ["concatenate", "separate"])
def test_start_values_are_torchs_unless_something_else_is_asked_for(merge: str) -> None:
    torch.manual_seed(1)
    theirs = nn.LSTM(INPUTS, UNITS, 1, bidirectional=True)
    torch.manual_seed(1)
    ours = conveyor.LSTM(INPUTS, UNITS, 1, bidirectional=True, merge="concatenate")
    for name, parameter in theirs.named_parameters():
        assert torch.equal(ours.get_parameter(name), parameter)
    wide = conveyor.LSTM(INPUTS, UNITS, 2, bidirectional=True, merge=merge)
    width = wide.get_parameter("weight_ih_l1").shape[1]
    assert width == (2 if merge == "concatenate" else 1) * UNITS
    bound = 1 / math.sqrt(UNITS)
    assert all(p.abs().max() <= bound for p in wide.parameters())


def by_name(layer: DropIn, number: int = 0) -> dict[str, Tensor]:
    """Return a layer's parameters by the cell's names."""
    return layer._stack_parameters()[number][0].by_name


def test_start_values_of_conveyor() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS, 2, init="default")
    for number in range(2):
        named = by_name(layer, number)
        identity = named["U.f"] @ named["U.f"].T
        torch.testing.assert_close(identity, torch.eye(UNITS), rtol=0, atol=1e-5)
        assert torch.equal(named["b.f"], torch.ones(UNITS))
        assert not named["b.i"].any()
    assert not by_name(conveyor.GRU(INPUTS, UNITS, init="default"))["b.hn"].any()


def test_chrono_start() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS, init="chrono", longest_dependency=50)
    named = by_name(layer)
    torch.testing.assert_close(named["b.i"], -named["b.f"])
    assert (named["b.f"] >= 0).all()
    assert (named["b.f"] <= math.log(49)).all()
    assert len(set(named["b.f"].tolist())) == UNITS


def test_identity_start() -> None:
    named = by_name(conveyor.RNN(INPUTS, UNITS, nonlinearity="relu", init="irnn"))
    assert torch.equal(named["U"], torch.eye(UNITS))


@pytest.mark.parametrize("name", KINDS)
def test_they_are_saved(name: str, tmp_path: Path) -> None:
    layer, _ = pair(name, zoneout={"h": 0.2}, bidirectional=True, merge="sum", clip={"h": 0.3})
    conveyor.save(layer, tmp_path)
    loaded: Any = conveyor.load(tmp_path)
    assert repr(loaded) == repr(layer)
    assert "merge=sum" in repr(layer)
    assert "zoneout={'h': 0.2}" in repr(layer)
    torch.testing.assert_close(loaded(x())[0], layer.eval()(x())[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"learn_start": True}, "learns its start state"),
        ({"merge": "sum", "bidirectional": True}, "merges its directions otherwise"),
        ({"zoneout": 0.1}, "is regularised inside its cell"),
        ({"weight_dropout": 0.1}, "is regularised inside its cell"),
    ],
)
def test_what_torch_lacks_is_not_lost_on_the_way_to_torch(
    options: dict[str, Any], says: str
) -> None:
    layer = conveyor.GRU(INPUTS, UNITS, **options)
    with pytest.raises(SettingError, match=says):
        layer.to_torch()
    model = nn.Sequential(nn.Linear(2, INPUTS), layer)
    with pytest.raises(SettingError, match=f"1 {says}.*Nothing was swapped"):
        conveyor.restore(model)
    assert model[1] is layer


def test_a_rate_that_was_set_by_hand_is_not_lost_on_the_way_to_torch() -> None:
    layer = conveyor.LSTM(INPUTS, UNITS)
    layer.weight_dropout = 0.5
    assert "weight_dropout=0.5" in repr(layer)
    with pytest.raises(SettingError, match="is regularised inside its cell"):
        layer.to_torch()
    layer.weight_dropout = 0.0
    assert type(layer.to_torch()) is nn.LSTM


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "rate": (lambda: conveyor.LSTM(3, 4, zoneout=1.5), "zoneout of h is 1.5"),
    "name": (lambda: conveyor.GRU(3, 4, zoneout={"c": 0.1}), "gru has no state 'c'"),
    "merge": (lambda: conveyor.GRU(3, 4, merge="add"), "merge is 'add'"),
    "one direction": (lambda: conveyor.GRU(3, 4, merge="sum"), "there is one direction"),
    "init": (lambda: conveyor.GRU(3, 4, init="torhc"), "Did you mean 'torch'"),
    "chrono": (lambda: conveyor.LSTM(3, 4, longest_dependency=9), "go together"),
    "clip": (lambda: conveyor.LSTM(3, 4, clip={"c": -1.0}), "clip of c is -1.0"),
    "weights": (lambda: conveyor.RNN(3, 4, weight_dropout=2), "weight_dropout is 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_out_of_range(name: str) -> None:
    make, says = WRONG[name]
    with pytest.raises(SettingError, match=says):
        make()
