# ruff: noqa: PLR0917  (a cell's letters are its arguments)
"""The target ``native``: torch's own cells, recognised by what they compute."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import conveyor
from conveyor.cells import CELLS, Bias, Input, Matrix, State, Value, cell, sigmoid, tanh
from conveyor.compiler.plan import plan
from conveyor.compiler.simplify import without_bias
from conveyor.compiler.trace import trace
from conveyor.kernels.native.native_target import Native, recognise
from conveyor.kernels.target import Placement
from tests.layers.named import assert_same, run

CPU = torch.device("cpu")

LAYERS: dict[str, Callable[..., Any]] = {
    "LSTM": lambda: conveyor.LSTM(3, 5, num_layers=2, bidirectional=True),
    "LSTM projected": lambda: conveyor.LSTM(3, 5, proj_size=2, bidirectional=True),
    "GRU": lambda: conveyor.GRU(3, 5, num_layers=2),
    "GRU without bias": lambda: conveyor.GRU(3, 5, bias=False),
    "RNN": lambda: conveyor.RNN(3, 5, bidirectional=True),
    "RNN relu": lambda: conveyor.RNN(3, 5, nonlinearity="relu"),
    "Recurrent lstm": lambda: conveyor.Recurrent("lstm", 3, 5, bidirectional=True),
    "Recurrent gru": lambda: conveyor.Recurrent("gru", 3, 5),
    "Recurrent rnn": lambda: conveyor.Recurrent("rnn", 3, 5, bias=False),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("lengths", [None, [3, 0, 6, 2], [6, 6, 6, 6]], ids=str)
def test_it_computes_what_the_reference_does(name: str, lengths: list[int] | None) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    zeros = layer.start(4)
    begin: Any
    if isinstance(zeros, torch.Tensor):
        begin = torch.randn_like(zeros)
    else:
        begin = tuple(torch.randn_like(zero) for zero in zeros)
    for state in (None, begin):
        with conveyor.use_target("reference"):
            want = run(layer, x, state, lengths=lengths)
        with conveyor.use_target("native"):
            got = run(layer, x, state, lengths=lengths)
        # Float64, sums of at most 8 products in another order, over 6 steps.
        assert_same(got, want, rtol=1e-12, atol=1e-13)


@cell
def renamed(v: Input, s: State, m: State, A: Matrix, B: Matrix, k: Bias) -> tuple[Value, Value]:
    """The LSTM, by other letters."""
    keep = sigmoid(A.keep @ v + B.keep @ s + k.keep)
    add = sigmoid(A.add @ v + B.add @ s + k.add)
    new = tanh(A.new @ v + B.new @ s + k.new)
    show = sigmoid(A.show @ v + B.show @ s + k.show)
    m = keep * m + add * new
    s = show * tanh(m)
    return s, m


@cell
def lstm(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias) -> tuple[Value, Value]:
    """Called as the LSTM, and another cell: its output is not squashed."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    i = sigmoid(W.i @ x + U.i @ h + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    c = f * c + i * g
    h = o * c
    return h, c


@cell
def crossed(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias) -> tuple[Value, Value]:
    """The LSTM, but for the states of the step before, which have changed places."""
    f = sigmoid(W.f @ x + U.f @ c + b.f)
    i = sigmoid(W.i @ x + U.i @ c + b.i)
    g = tanh(W.g @ x + U.g @ c + b.g)
    o = sigmoid(W.o @ x + U.o @ c + b.o)
    c = f * h + i * g
    h = o * tanh(c)
    return h, c


def test_a_cell_is_known_by_which_state_it_reads_where() -> None:
    assert recognise(plan(trace(crossed)).program) is None


def test_a_cell_is_known_by_its_equations_not_by_its_name() -> None:
    found = recognise(plan(trace(renamed)).program)
    assert found is not None
    assert found.cell == "lstm"
    assert found.names["U.f"] == "B.keep"
    assert recognise(plan(trace(lstm)).program) is None
    torch.manual_seed(0)
    layer = conveyor.Recurrent(renamed, 3, 5).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    with conveyor.use_target("reference"):
        want = run(layer, x)
    with conveyor.use_target("native"):
        assert_same(run(layer, x), want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CELLS)
def test_which_cells_torch_has(name: str) -> None:
    for program in (trace(CELLS[name]), without_bias(trace(CELLS[name]))):
        found = recognise(plan(program).program)
        has = name in {"rnn", "rnn_relu", "lstm", "lstm_projected", "gru"}
        assert (found is not None and found.cell == name) == has


def test_what_it_refuses() -> None:
    own = plan(trace(CELLS["gru"]))
    other = plan(trace(CELLS["lstm_peephole"]))
    gpu = torch.device("cuda", 0)
    refuses = Native().refuses
    assert refuses(own, Placement(gpu, torch.float16)) is None
    assert refuses(own, Placement(CPU, torch.float64)) is None
    assert "no such cell" in str(refuses(other, Placement(gpu, torch.float32)))
    assert "do not show" in str(refuses(own, Placement(gpu, torch.float32, observed=True)))
    assert "every operation" in str(refuses(own, Placement(gpu, torch.float32, transformed=True)))
    assert "not on meta" in str(refuses(own, Placement(torch.device("meta"), torch.float32)))
    assert "bfloat16" in str(refuses(own, Placement(CPU, torch.bfloat16)))
