"""torch's recurrent layers in a model, swapped for ours and back."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

import conveyor
from conveyor.errors import SettingError
from tests.layers.named import assert_same, run

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")

pruned: Any = prune.random_unstructured


class Model(nn.Module):
    """Recurrent layers at several places, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True, dropout=0.1)
        self.inner = nn.Sequential(nn.Linear(16, 3), nn.ModuleDict({"gru": nn.GRU(3, 4)})["gru"])
        self.relu = nn.RNN(4, 4, nonlinearity="relu", bias=False)
        self.same = self.relu
        self.projected = nn.LSTM(4, 8, proj_size=3)

    def forward(self, x: Tensor) -> Tensor:
        """Run all layers."""
        y, _ = self.encoder(x)
        y, _ = self.inner(y)
        y, _ = self.same(self.relu(y)[0])
        output: Tensor = self.projected(y)[0]
        return output


def kinds(model: nn.Module) -> dict[str, str]:
    return {
        path: type(module).__module__.split(".")[0]
        for path, module in model.named_modules()
        if isinstance(module, nn.RNNBase)
    }


def test_there_and_back() -> None:
    torch.manual_seed(0)
    model: Any = Model().eval()
    x = torch.randn(2, 5, 6)
    want = model(x)
    held = {path: set(vars(module)) for path, module in model.named_modules()}
    parameters = {path: id(parameter) for path, parameter in model.named_parameters()}

    assert id(conveyor.replace(model)) == id(model)
    assert set(kinds(model).values()) == {"conveyor"}
    assert len(kinds(model)) == 4
    assert model.same is model.relu
    assert {path: id(p) for path, p in model.named_parameters()} == parameters
    torch.testing.assert_close(model(x), want)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(model(x), want)
    assert not model.encoder.training
    model.train()
    assert model.encoder.training

    assert id(conveyor.restore(model.eval())) == id(model)
    assert set(kinds(model).values()) == {"torch"}
    assert {path: set(vars(module)) for path, module in model.named_modules()} == held
    assert {path: id(p) for path, p in model.named_parameters()} == parameters
    assert torch.equal(model(x), want)
    copy.deepcopy(model)
    pickle.dumps(model)


def test_an_optimiser_made_before_goes_on() -> None:
    torch.manual_seed(0)
    model, twin = Model().eval(), Model().eval()
    twin.load_state_dict(model.state_dict())
    optimisers = [torch.optim.Adam(each.parameters(), lr=0.01) for each in (model, twin)]
    conveyor.replace(model)
    x = torch.randn(2, 5, 6)
    for _ in range(3):
        for each, optimiser in zip((model, twin), optimisers, strict=True):
            optimiser.zero_grad()
            each(x).square().sum().backward()
            optimiser.step()
    conveyor.restore(model)
    for got, want in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
def test_a_layer_itself(layer: str) -> None:
    theirs: Any = getattr(nn, layer)(6, 5, dtype=torch.float64)
    ours = conveyor.replace(theirs)
    assert type(ours) is getattr(conveyor, layer)
    x = torch.randn(7, 2, 6, dtype=torch.float64)
    assert_same(run(ours, x), run(theirs, x), rtol=1e-12, atol=1e-13)
    back = conveyor.restore(ours)
    assert type(back) is getattr(nn, layer)
    assert_same(run(back, x), run(theirs, x), rtol=0, atol=0)
    assert conveyor.replace(nn.Linear(2, 2)).__class__ is nn.Linear
    made: Any = conveyor.restore(getattr(conveyor, layer)(6, 5, 2, bidirectional=True))
    assert made(torch.randn(7, 2, 6))[0].shape == (7, 2, 10)


def test_hooks_and_pruned_weights_stay() -> None:
    model = nn.ModuleDict({"lstm": nn.LSTM(6, 5)})
    called = []
    handle = model["lstm"].register_forward_hook(lambda module, *_: called.append(type(module)))
    pruned(model["lstm"], "weight_hh_l0", 0.5)
    x = torch.randn(7, 2, 6)
    want = model["lstm"](x)[0]
    conveyor.replace(model)
    torch.testing.assert_close(model["lstm"](x)[0], want)
    conveyor.restore(model)
    assert torch.equal(model["lstm"](x)[0], want)
    assert called == [nn.LSTM, conveyor.LSTM, nn.LSTM]
    handle.remove()
    model["lstm"](x)
    assert len(called) == 3


def test_what_is_left_alone() -> None:
    class Own(nn.LSTM):
        """A subclass with code of its own."""

    class Doubled(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2 * weight

    parametrised = nn.GRU(6, 5)
    parametrize.register_parametrization(parametrised, "weight_hh_l0", Doubled())
    model = nn.ModuleDict(
        {"own": Own(6, 5), "parametrised": parametrised, "cell": nn.LSTMCell(2, 3)}
    )
    with pytest.warns(UserWarning, match="is left alone") as warned:
        conveyor.replace(model)
    texts = " ".join(str(each.message) for each in warned)
    assert "own is left alone: Own" in texts
    assert "parametrised is left alone: ParametrizedGRU" in texts
    assert type(model["own"]) is Own
    assert model["parametrised"] is parametrised
    with pytest.warns(UserWarning, match="is left alone"):
        conveyor.restore(type("Mine", (conveyor.GRU,), {})(6, 5))


def test_a_layer_left_alone_at_two_places_is_told_of_once() -> None:
    own = type("Own", (nn.LSTM,), {})(6, 6)
    with pytest.warns(UserWarning, match="is left alone") as warned:
        conveyor.replace(nn.Sequential(own, nn.Identity(), own))
    assert [str(each.message).partition(":")[0] for each in warned] == ["0 is left alone"]


def test_a_learned_start_cannot_be_restored() -> None:
    model = nn.Sequential(conveyor.GRU(6, 5), conveyor.LSTM(5, 5, learn_start=True))
    with pytest.raises(SettingError, match=r"1 learns its start state .* Nothing was swapped"):
        conveyor.restore(model)
    assert type(model[0]) is conveyor.GRU
    with pytest.raises(SettingError, match="learns its start state"):
        model[1].to_torch()  # type: ignore[operator]
    with pytest.raises(SettingError, match=r"LSTM.from_torch takes a torch.nn.LSTM, not a"):
        conveyor.LSTM.from_torch(nn.GRU(6, 5))


def test_checkpoint_is_left_out() -> None:
    layer = conveyor.LSTM(6, 5, checkpoint=2)
    back: Any = conveyor.restore(layer)
    assert not hasattr(back, "checkpoint")
    x = torch.randn(7, 2, 6)
    torch.testing.assert_close(back(x)[0], layer(x)[0])
