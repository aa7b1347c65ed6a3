"""A sequence of no steps: no output, and the state as it was."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

import conveyor
from tests.layers.named import draw

LAYERS: dict[str, Callable[..., Any]] = {
    "LSTM": lambda **kw: conveyor.LSTM(6, 5, **kw),
    "LSTM of layers and directions": lambda **kw: conveyor.LSTM(6, 5, 2, bidirectional=True, **kw),
    "GRU": lambda **kw: conveyor.GRU(6, 5, **kw),
    "Recurrent": lambda **kw: conveyor.Recurrent("slstm", 6, 5, **kw),
    "checkpointed": lambda **kw: conveyor.Recurrent("gru", 6, 5, checkpoint=2, **kw),
    "dropout": lambda **kw: conveyor.Recurrent("lstm", 6, 5, variational_dropout=0.5, **kw),
    "zoneout": lambda **kw: conveyor.Recurrent("lstm", 6, 5, zoneout=0.5, **kw),
}
FORMS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "lengths": {"lengths": [0, 0]},
    "reset": {"reset": torch.zeros(0, 2, dtype=torch.bool)},
}


def random_state(layer: Any) -> Any:
    state = layer.start(2)
    if isinstance(state, torch.Tensor):
        return draw(*state.shape).requires_grad_()
    drawn = [draw(*each.shape).requires_grad_() for each in state]
    return type(state)(*drawn) if hasattr(state, "_fields") else tuple(drawn)


def listed(state: Any) -> list[torch.Tensor]:
    return [state] if isinstance(state, torch.Tensor) else list(state)


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_the_state_stays(name: str, form: str) -> None:
    layer = LAYERS[name](dtype=torch.float64)
    x, state = torch.zeros(0, 2, 6, dtype=torch.float64), random_state(layer)
    for gradients in (True, False, False):
        with torch.set_grad_enabled(gradients):
            output, after = layer(x, state, **FORMS[form])
        width = 5 * (2 if layer.bidirectional else 1)
        assert output.shape == (0, 2, width)
        for new, old in zip(listed(after), listed(state), strict=True):
            assert torch.equal(new, old)
    output, after = layer(x, state, **FORMS[form])
    sum(each.sum() for each in listed(after)).backward()  # type: ignore[union-attr]
    for each in listed(state):
        assert each.grad is not None
        assert (each.grad == 1).all()
    output, after, trace = layer(x, trace=True, **FORMS[form])
    directions = (False, True) if layer.bidirectional else (False,)
    for number, reverse in itertools.product(range(layer.num_layers), directions):
        for values in trace.at(number, reverse=reverse).values():
            assert values.shape[:2] == (0, 2)


def test_in_other_orders_and_without_a_batch() -> None:
    assert conveyor.LSTM(6, 5, batch_first=True)(torch.zeros(2, 0, 6))[0].shape == (2, 0, 5)
    output, (h, _) = conveyor.LSTM(6, 5)(torch.zeros(0, 6))
    assert (output.shape, h.shape) == ((0, 5), (1, 5))
    assert conveyor.LSTM(6, 5)(torch.zeros(0, 0, 6))[0].shape == (0, 0, 5)


@pytest.mark.parametrize("make", [conveyor.LSTM, conveyor.GRU, conveyor.RNN])
def test_on_the_native_target(make: Any) -> None:
    with conveyor.use_target("native"):
        layer = make(6, 5, 2, bidirectional=True)
        for options in ({}, {"lengths": [0, 0]}):
            state = random_state(layer.double())
            output, after = layer(torch.zeros(0, 2, 6).double(), state, **options)
            assert output.shape == (0, 2, 10)
            for new, old in zip(listed(after), listed(state), strict=True):
                assert torch.equal(new, old)
        output, after = layer(draw(3, 2, 6), state, lengths=[0, 0])
        assert not output.any()


def test_of_the_other_layers() -> None:
    assert conveyor.Heads("lstm", 6, 8, 2)(torch.zeros(0, 2, 6))[0].shape == (0, 2, 8)
    stacked = conveyor.Stacked("lstm", 6, [8, 4], around="highway")
    assert stacked(torch.zeros(0, 2, 6))[0].shape == (0, 2, 4)
    assert conveyor.GridLSTM(6, 8, dimensions=1)(torch.zeros(0, 6)).shape == (0, 8)
    for shape in ((0, 3, 2, 6), (3, 0, 2, 6), (3, 2, 0, 6)):
        assert conveyor.GridLSTM(6, 8)(torch.zeros(shape)).shape == (*shape[:-1], 8)


@pytest.mark.parametrize("batch_first", [False, True])
def test_of_a_clockwork(batch_first: bool) -> None:
    clockwork = conveyor.Clockwork(6, 8, (1, 2), batch_first=batch_first)
    whole = draw(5, 2, 6).float()
    want = clockwork(whole.transpose(0, 1) if batch_first else whole)[0]
    parts, state = [], None
    for part in (whole[:2], whole[2:2], whole[2:]):  # the clock goes on where it was
        output, state = clockwork(part.transpose(0, 1) if batch_first else part, state)
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts, 1 if batch_first else 0), want)


def test_compiled() -> None:
    torch._dynamo.reset()
    layer = conveyor.LSTM(6, 5)
    fast = torch.compile(layer, backend="eager", fullgraph=True)
    state = (torch.randn(1, 2, 5), torch.randn(1, 2, 5))
    for steps in (3, 0, 4):
        x = torch.randn(steps, 2, 6)
        output, (h, c) = fast(x, state)
        want, (last_h, last_c) = layer(x, state)
        assert torch.equal(output, want)
        assert torch.equal(h, last_h)
        assert torch.equal(c, last_c)
    torch._dynamo.reset()
