"""torch.fx records a layer as one node, as it does those of torch.nn."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, symbolic_trace

import conveyor
from conveyor.errors import ShapeError, TargetError

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: conveyor.LSTM(6, 8, 2),
    "GRU": lambda: conveyor.GRU(6, 8),
    "RNN": lambda: conveyor.RNN(6, 8),
    "Recurrent": lambda: conveyor.Recurrent("lstm_peephole", 6, 8),
    "Heads": lambda: conveyor.Heads("lstm", 6, 8, 2),
    "Stacked": lambda: conveyor.Stacked("lstm", 6, [4, 8]),
    "Clockwork": lambda: conveyor.Clockwork(6, 8, (1, 2)),
}


class Model(nn.Module):
    """A layer between others."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the head's numbers."""
        output, _ = self.layer(x)
        answer: Tensor = self.head(torch.relu(output))
        return answer


def nodes(traced: GraphModule) -> list[str]:
    return [str(node.target) for node in traced.graph.nodes if node.op == "call_module"]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_one_node(name: str) -> None:
    model = Model(LAYERS[name]())
    traced = symbolic_trace(model)
    assert nodes(traced) == ["layer", "head"]
    x = torch.randn(5, 3, 6)
    assert torch.equal(traced(x), model(x))
    assert torch.equal(copy.deepcopy(traced)(x), model(x))


def test_options_left_at_their_defaults_are_not_recorded() -> None:
    """So that the node calls a layer of torch.nn too, once that stands in the place of ours."""
    traced = symbolic_trace(Model(conveyor.LSTM(6, 8)))
    x = torch.randn(5, 3, 6)
    want = traced(x)
    conveyor.restore(traced)
    assert type(traced.layer) is nn.LSTM
    torch.testing.assert_close(traced(x), want)


def test_a_grid_is_one_node() -> None:
    model = nn.Sequential(conveyor.GridLSTM(6, 8), nn.Linear(8, 2))
    traced = symbolic_trace(model)
    assert nodes(traced) == ["0", "1"]
    x = torch.randn(2, 3, 2, 6)
    assert torch.equal(traced(x), model(x))


def test_states_lengths_and_resets_are_recorded() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = conveyor.LSTM(6, 8)

        def forward(self, x: Tensor, h: Any, lengths: Tensor, reset: Tensor) -> Tensor:
            output, (last, _) = self.layer(x, h, lengths=lengths, reset=reset)
            whole: Tensor = output + last
            return whole

    model = Model()
    traced = symbolic_trace(model)
    h = (torch.randn(1, 2, 8), torch.randn(1, 2, 8))
    given = torch.randn(5, 2, 6), h, torch.tensor([5, 2]), torch.arange(10).view(5, 2) == 4
    assert torch.equal(traced(*given), model(*given))


def test_a_layer_alone_says_what_to_do() -> None:
    for layer in (conveyor.LSTM(6, 8), conveyor.GridLSTM(6, 8)):
        with pytest.raises(TargetError, match="Trace the model that holds the layer"):
            symbolic_trace(layer)


def test_a_step_is_no_module() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = conveyor.LSTM(6, 8)

        def forward(self, x: Tensor) -> Any:
            return self.layer.step(x)

    with pytest.raises(ShapeError, match="x_t is a Proxy; expected a tensor"):
        symbolic_trace(Model())
