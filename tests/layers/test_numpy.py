"""Sequences as NumPy arrays: the bits of the layer, with the weights of when it was asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import Input, Matrix, State, Value, cell, tanh, total
from conveyor.errors import ShapeError, TargetError
from tests.kernels.odd_cells import ODD

T, B, INPUTS = 6, 4, 3
LENGTHS = [2, 6, 0, 5]

LAYERS: dict[str, Callable[..., Any]] = {
    "LSTM": lambda **kw: conveyor.LSTM(INPUTS, 16, **kw),
    "LSTM projected": lambda **kw: conveyor.LSTM(INPUTS, 20, proj_size=7, num_layers=3, **kw),
    "GRU both ways": lambda **kw: conveyor.GRU(INPUTS, 5, num_layers=2, bidirectional=True, **kw),
    "RNN batch first": lambda **kw: conveyor.RNN(INPUTS, 16, batch_first=True, **kw),
    "summed": lambda **kw: conveyor.Recurrent(
        "lstm_peephole", INPUTS, 5, num_layers=2, bidirectional=True, merge="sum", **kw
    ),
    "separate": lambda **kw: conveyor.Recurrent(
        "gru", INPUTS, 5, num_layers=2, bidirectional=True, merge="separate", **kw
    ),
    # One of its states does not begin at 0.
    "sLSTM": lambda **kw: conveyor.Recurrent("slstm", INPUTS, 5, num_layers=2, **kw),
    "learned start": lambda **kw: conveyor.Recurrent("lstm", INPUTS, 5, learn_start=True, **kw),
    "dilated": lambda **kw: conveyor.Recurrent(
        "lstm", INPUTS, 5, num_layers=3, dilation=(2, 1, 7), **kw
    ),
    "one dilated layer": lambda **kw: conveyor.GRU(INPUTS, 5, dilation=2, batch_first=True, **kw),
    "dilated both ways": lambda **kw: conveyor.Recurrent(
        "slstm", INPUTS, 5, num_layers=2, dilation=3, bidirectional=True, **kw
    ),
    # Layers above the first read more of the layer below.
    "depth": lambda **kw: conveyor.Recurrent("lstm_depth_gated", INPUTS, 5, num_layers=3, **kw),
    **{
        name: lambda own=own, sizes=sizes, **kw: conveyor.Recurrent(own, 3, 5, sizes=sizes, **kw)
        for name, (own, sizes) in ODD.items()
    },
}


def arrays(state: Any) -> list[Any]:
    """The arrays of a state, of tensors or of arrays."""
    each = state if isinstance(state, tuple) else (state,)
    return [one.numpy() if isinstance(one, Tensor) else one for one in each]


def assert_same(got: tuple[Any, Any], want: tuple[Any, Any]) -> None:
    # A cell of several outputs gives arrays by name.
    outputs = list(got[0].values()) if isinstance(got[0], dict) else [got[0]]
    for mine, theirs in zip(outputs, arrays(want[0]), strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)
    assert type(got[1]).__name__ in (type(want[1]).__name__, "ndarray")
    for mine, theirs in zip(arrays(got[1]), arrays(want[1]), strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_the_bits_of_the_layer(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().to(dtype).eval()
    for each in layer.parameters():
        each.add_(0.05 * torch.randn_like(each))
    run = layer.numpy()
    shape = (B, T, INPUTS) if layer.batch_first else (T, B, INPUTS)
    x = torch.randn(shape, dtype=dtype)
    begin = layer.start(B)
    each = begin if isinstance(begin, tuple) else (begin,)
    state = tuple(torch.randn_like(one).abs() for one in each)
    given: Any = state if isinstance(begin, tuple) else state[0]
    as_arrays: Any = tuple(arrays(state)) if isinstance(begin, tuple) else state[0].numpy()
    for _ in range(2):
        assert_same(run(x.numpy()), layer(x))
        assert_same(run(x.numpy(), as_arrays), layer(x, given))
        assert_same(run(x.numpy(), lengths=LENGTHS), layer(x, lengths=LENGTHS))
        assert_same(run(x.numpy(), as_arrays, lengths=LENGTHS), layer(x, given, lengths=LENGTHS))
    one, first = torch.randn(T, INPUTS, dtype=dtype), layer.start(1)
    assert_same(run(one.numpy()), layer(one))
    alone: Any = [each[:, 0] for each in (first if isinstance(first, tuple) else (first,))]
    assert_same(run(one.numpy(), [each.numpy() for each in alone]), layer(one, tuple(alone)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("units", [64, 72])
@torch.no_grad()
def test_large_arrays_and_several_threads(units: int, threads: int) -> None:
    """Inputs of more than 64 KiB are read where they lie, outputs without padding written there."""
    torch.manual_seed(0)
    layer = conveyor.LSTM(40, units)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run, x = layer.numpy(), torch.randn(50, 16, 40)
        for given in (x, x + 1, torch.randn(16, 50, 40).transpose(0, 1), x.double()):
            assert_same(run(given.numpy()), layer(given.float()))
        kept = run(x.numpy())
        copies = [kept[0].copy(), *[each.copy() for each in kept[1]]]
        run(x.numpy() * 2)
        for mine, copy in zip((kept[0], *kept[1]), copies, strict=True):
            np.testing.assert_array_equal(mine, copy)
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def test_a_large_input_that_is_read_with_padding() -> None:
    """A sum over features reads whole vectors of them, so rows stand apart in memory."""

    @cell
    def summed(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        h = tanh(W @ x + U @ h + 0.01 * total(x))
        return h  # noqa: RET504  (cells are written as equations)

    layer, x = conveyor.Recurrent(summed, 45, 5), torch.randn(50, 16, 45)
    assert_same(layer.numpy()(x.numpy()), layer(x))


@torch.no_grad()
def test_numbers_of_other_types_and_layouts() -> None:
    layer = conveyor.GRU(2, 5)
    run = layer.numpy()
    inputs: list[Any] = [
        np.arange(12).reshape(2, 3, 2),
        np.arange(12.0)[::-1].reshape(2, 3, 2),
        [[[0.5, 1], [2, 3]]],
        np.ones((2, 3, 2), dtype=bool),
        np.ones((2, 3, 2), dtype=">f4"),
    ]
    for x in inputs:
        given = np.ascontiguousarray(x, dtype=np.float32)
        assert_same(run(x), layer(torch.from_numpy(given)))


@torch.no_grad()
def test_the_weights_stay_as_they_were() -> None:
    layer = conveyor.LSTM(INPUTS, 16)
    x = torch.randn(T, 40, INPUTS)
    want = {batch: layer(x[:, :batch]) for batch in (1, 2, 7, 40)}
    run = layer.numpy()
    for each in layer.parameters():
        each.zero_()
    for batch, results in want.items():  # other panels for more rows: packed anew
        assert_same(run(x[:, :batch].numpy()), results)
    assert not layer.numpy()(x.numpy())[0].any()


@torch.no_grad()
def test_a_sequence_in_two_parts_is_the_whole() -> None:
    run = conveyor.Recurrent("lstm", INPUTS, 5, num_layers=2, bidirectional=False).numpy()
    x = np.random.default_rng(0).normal(size=(T, B, INPUTS)).astype(np.float32)
    whole, last = run(x)
    first, between = run(x[:2])
    second, final = run(x[2:], between)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=0, atol=1e-6)
    for mine, theirs in zip(final, last, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)
    assert final._fields == ("h", "c")


@torch.no_grad()
def test_no_steps() -> None:
    layer = conveyor.LSTM(INPUTS, 5, bidirectional=True)
    run = layer.numpy()
    state = tuple(torch.randn(2, B, 5) for _ in range(2))
    none = torch.zeros(0, B, INPUTS)
    assert_same(run(none.numpy(), arrays(state)), layer(none, state))
    nobody = torch.zeros(T, 0, INPUTS)
    assert_same(run(nobody.numpy()), layer(nobody))
    x = torch.randn(T, B, INPUTS)
    assert_same(run(x.numpy(), arrays(state), lengths=[0] * B), layer(x, state, lengths=[0] * B))


@torch.no_grad()
def test_several_threads_of_python() -> None:
    layer = conveyor.GRU(INPUTS, 32)
    run = layer.numpy()
    inputs = [torch.randn(20, 2, INPUTS) for _ in range(8)]
    want = [layer(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for got, right in zip(pool.map(run, [x.numpy() for x in inputs]), want, strict=True):
                assert_same(got, right)


@torch.no_grad()
def test_ever_other_shapes_do_not_fill_memory() -> None:
    run = conveyor.GRU(INPUTS, 5).numpy()
    for steps in range(1, 60):
        run(np.ones((steps, 1, INPUTS)))
    kernel: Any = run._single
    assert len(kernel._ready.calls) <= 16


BAD: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "features": ((np.ones((T, B, 4)),), {}, r"x is \[6, 4, 4\]; expected \[T, B, 3\], or \[T, 3\]"),
    "dimensions": ((np.ones(3),), {}, r"x is \[3\]; expected"),
    "a number": ((1.0,), {}, r"x is \[\]; expected"),
    "words": ((np.full((T, B, INPUTS), "a"),), {}, r"x is of <U1; expected real numbers"),
    "complex": ((np.ones((T, B, INPUTS), complex),), {}, "x is of complex128; expected real"),
    "one state": (
        (np.ones((T, B, INPUTS)), np.ones((1, B, 5))),
        {},
        r"expected real numbers: h \[",
    ),
    "state of another batch": (
        (np.ones((T, B, INPUTS)), (np.ones((1, 3, 5)), np.ones((1, B, 5)))),
        {},
        r"the state is \[1, 3, 5\] of float64, .*; expected real numbers: h \[1, 4, 5\], c \[1, 4",
    ),
    "state of one sequence": (
        (np.ones((T, INPUTS)), (np.ones((1, 1, 5)), np.ones((1, 1, 5)))),
        {},
        r"expected real numbers: h \[1, 5\], c \[1, 5\]",
    ),
    "state of words": (
        (np.ones((T, B, INPUTS)), (np.full((1, B, 5), "a"), np.ones((1, B, 5)))),
        {},
        "of <U1",
    ),
    "too few lengths": ((np.ones((T, B, INPUTS)),), {"lengths": [1, 2]}, "expected .4. whole"),
    "too long": ((np.ones((T, B, INPUTS)),), {"lengths": [1, 2, 3, 7]}, "lengths go from 1 to 7"),
}


@pytest.mark.parametrize(("arguments", "keywords", "says"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused(
    arguments: tuple[Any, ...], keywords: dict[str, Any], says: str
) -> None:
    run = conveyor.LSTM(INPUTS, 5).numpy()
    with pytest.raises(ShapeError, match=says):
        run(*arguments, **keywords)


def test_what_runs_on_no_arrays() -> None:
    with pytest.raises(TargetError, match=r"float32 and float64, not torch\.float16"):
        conveyor.GRU(3, 5).half().numpy()
    with conveyor.use_target("reference"), pytest.raises(TargetError, match="sequences without"):
        conveyor.GRU(3, 5).numpy()
    layer: Any = conveyor.GRU(3, 5)
    layer.weight_hh_l0.data = torch.zeros(2, 2)
    with pytest.raises(ShapeError, match=r"parameter weight_hh_l0 is \[2, 2\]"):
        layer.numpy()
