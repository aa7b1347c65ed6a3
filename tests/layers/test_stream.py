"""Streams: the same numbers as the layer gives, step by step and without tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.errors import SettingError, ShapeError, TargetError
from tests.kernels.odd_cells import ODD

LAYERS: dict[str, Callable[..., Any]] = {
    "LSTM": lambda **kw: conveyor.LSTM(3, 5, num_layers=2, **kw),
    "LSTM projected": lambda **kw: conveyor.LSTM(3, 20, proj_size=17, num_layers=3, **kw),
    "GRU": lambda **kw: conveyor.GRU(3, 64, **kw),
    "RNN": lambda **kw: conveyor.RNN(3, 16, batch_first=True, **kw),
    "peephole": lambda **kw: conveyor.Recurrent("lstm_peephole", 3, 33, num_layers=2, **kw),
    # One of its states does not begin at 0.
    "sLSTM": lambda **kw: conveyor.Recurrent("slstm", 3, 5, num_layers=2, **kw),
    **{
        name: lambda own=own, sizes=sizes, **kw: conveyor.Recurrent(own, 3, 5, sizes=sizes, **kw)
        for name, (own, sizes) in ODD.items()
    },
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_a_stream_gives_the_bits_of_the_layer(name: str, batch: int) -> None:
    torch.manual_seed(0)
    layer: Any = LAYERS[name]()
    steps = [torch.randn(batch, 3) for _ in range(7)]
    stream, state = layer.stream(batch), layer.start(batch)
    with torch.no_grad():
        for x in steps:
            want, state = layer.step(x, state)
            np.testing.assert_array_equal(stream(x.numpy()), want.numpy(), strict=True)
    states = [state] if isinstance(state, torch.Tensor) else list(state)
    for got, right in zip(stream.state.values(), states, strict=True):
        np.testing.assert_array_equal(got, right.numpy(), strict=True)


def test_one_sequence_needs_no_batch_dimension() -> None:
    layer = conveyor.GRU(3, 5).double()
    stream, x = layer.stream(), np.ones(3)
    output = stream(x)
    assert output.shape == (5,)
    assert output.dtype == np.float64
    stream.restart()
    np.testing.assert_array_equal(stream(x[None]), output[None])


def test_outputs_are_the_users_own() -> None:
    stream = conveyor.GRU(3, 5).stream()
    first = stream(np.ones(3))
    before = first.copy()
    stream(np.zeros(3))
    np.testing.assert_array_equal(first, before)


def test_input_and_output_can_be_used_in_place() -> None:
    layer = conveyor.GRU(3, 5)
    one, other = layer.stream(2), layer.stream(2)
    one.input[:] = 0.5
    one.advance()
    np.testing.assert_array_equal(one.output, other(np.full((2, 3), 0.5)))


def test_the_state_can_be_taken_and_given_back() -> None:
    layer = conveyor.LSTM(3, 5, num_layers=2)
    stream, x = layer.stream(), np.ones(3, dtype=np.float32)
    for _ in range(3):
        stream(x)
        kept = stream.state
        want = stream(x)
        stream.state = kept
        np.testing.assert_array_equal(stream(x), want)
    assert {name: each.shape for name, each in kept.items()} == {"h": (2, 1, 5), "c": (2, 1, 5)}
    other = layer.stream()
    other.state = stream.state
    np.testing.assert_array_equal(other(x), stream(x))


def test_a_new_stream_has_the_new_weights_and_an_old_one_the_old() -> None:
    layer = conveyor.GRU(3, 5)
    old, x = layer.stream(), np.ones(3)
    before = layer.stream()(x)
    with torch.no_grad():
        for each in layer.parameters():
            each.mul_(2)
    np.testing.assert_array_equal(old(x), before)
    assert np.abs(layer.stream()(x) - before).max() > 0


@pytest.mark.parametrize("bad", [np.ones(4), np.ones((2, 3)), np.ones(()), [1.0]], ids=str)
def test_what_does_not_fit_is_refused(bad: Any) -> None:
    stream = conveyor.GRU(3, 5).stream()
    with pytest.raises(ShapeError, match=r"expected \[1, 3\], one step"):
        stream(bad)
    with pytest.raises(ShapeError, match=r"expected h \[1, 1, 5\]"):
        stream.state = {"h": np.ones((1, 5))}
    with pytest.raises(ShapeError, match=r"expected h \[1, 1, 5\]"):
        stream.state = {}


def test_what_has_no_stream() -> None:
    with pytest.raises(SettingError, match="bidirectional layer cannot go step by step"):
        conveyor.GRU(3, 5, bidirectional=True).stream()
    with pytest.raises(SettingError, match="batch is 0"):
        conveyor.GRU(3, 5).stream(0)
    with pytest.raises(TargetError, match=r"float32 and float64, not torch\.float16"):
        conveyor.GRU(3, 5).half().stream()
    with conveyor.use_target("reference"), pytest.raises(TargetError, match="asks for another"):
        conveyor.GRU(3, 5).stream()
