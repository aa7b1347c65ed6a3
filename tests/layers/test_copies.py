"""Copies and pickles of layers, also of parametrised ones, take no compiled code along."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

import conveyor
from tests.layers.named import draw

pruned: Any = prune.random_unstructured


class Doubled(nn.Module):
    """A parametrisation."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return twice the weight."""
        return 2 * weight


def with_parametrisation(layer: Any, module: nn.Module, name: str) -> Any:
    parametrize.register_parametrization(module, name, Doubled())
    return layer


LAYERS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: conveyor.LSTM(6, 5),
    "LSTM parametrised": lambda: with_parametrisation(
        layer := conveyor.LSTM(6, 5), layer, "weight_hh_l0"
    ),
    "GRU parametrised": lambda: with_parametrisation(
        layer := conveyor.GRU(6, 5), layer, "bias_ih_l0"
    ),
    "Recurrent": lambda: conveyor.Recurrent("lstm", 6, 5),
    "Recurrent parametrised": lambda: with_parametrisation(
        layer := conveyor.Recurrent("rnn", 6, 5), layer.get_submodule("l0"), "U"
    ),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(
        conveyor.LSTM(6, 5), "weight_hh_l0"
    ),
    "GridLSTM": lambda: conveyor.GridLSTM(6, 5, dimensions=1),
    "Heads": lambda: conveyor.Heads("gru", 6, 4, 2),
    "Clockwork": lambda: conveyor.Clockwork(6, 5, (1, 2)),
}


def first(result: Any) -> Tensor:
    output: Tensor = result if isinstance(result, Tensor) else result[0]
    return output


def called(layer: Any, x: Tensor) -> Tensor:
    """Call a layer in training and replayed, so that it holds all that it ever holds."""
    with torch.no_grad():
        layer(x)
        layer(x)
    if hasattr(layer, "stream"):
        layer.stream()
    return first(layer(x)).detach()


@pytest.mark.parametrize("name", LAYERS)
def test_deep_copies(name: str) -> None:
    x = draw(7, 2, 6).float()
    layer = LAYERS[name]()
    want = called(layer, x)
    copied = copy.deepcopy(layer)
    assert torch.equal(called(copied, x), want)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert torch.equal(called(layer, x), want)


def test_a_deep_copy_begins_with_nothing_worked_out() -> None:
    """What both kept would live as long as either, and two threads would write into it."""
    layer = conveyor.LSTM(6, 5)
    called(layer, draw(7, 2, 6).float())
    copied = copy.deepcopy(layer)
    for name in ("_kernels", "_replays"):
        assert len(layer.__dict__[name]) > 0, "nothing was kept: the test tests nothing"
        assert len(copied.__dict__[name]) == 0


@pytest.mark.parametrize("name", LAYERS)
def test_averaged_models(name: str) -> None:
    x = draw(7, 2, 6).float()
    layer = LAYERS[name]()
    want = called(layer, x)
    averaged = torch.optim.swa_utils.AveragedModel(layer)
    averaged.update_parameters(layer)
    torch.testing.assert_close(first(averaged(x)), want)


@pytest.mark.parametrize(
    "name", [name for name in LAYERS if "param" not in name and name != "weight norm"]
)
def test_pickles(name: str) -> None:
    x = draw(7, 2, 6).float()
    layer = LAYERS[name]()
    want = called(layer, x)
    assert torch.equal(called(pickle.loads(pickle.dumps(layer)), x), want)


def test_shallow_copies_and_pruned_layers() -> None:
    x = draw(7, 2, 6).float()
    layer = conveyor.LSTM(6, 5)
    pruned(layer, "weight_hh_l0", 0.5)
    want = called(layer, x)
    assert torch.equal(called(copy.copy(layer), x), want)
    assert torch.equal(called(pickle.loads(pickle.dumps(layer)), x), want)
