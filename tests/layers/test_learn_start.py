"""Start states that are learned."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import use_target
from conveyor.cells.language import Input, Matrix, State, Value, tanh
from conveyor.errors import TargetError
from tests.layers.named import draw

T, B, INPUTS, UNITS = 5, 3, 4, 6
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}


@conveyor.cell(start={"h": 0.5})
def from_a_half(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
    """A state that begins elsewhere than at 0."""
    h = tanh(W @ x + U @ h)
    return h  # noqa: RET504  (as equations are written)


def make(cell: str = "lstm", **options: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(
        cell, INPUTS, UNITS, num_layers=2, learn_start=True, dtype=torch.float64, **options
    )
    with torch.no_grad():
        for number, name in enumerate(layer._state_widths):
            start = layer.get_parameter(f"start_{name}")
            start.copy_(draw(*start.shape, seed=90 + number))
    return layer


def plain(layer: conveyor.Recurrent, **options: Any) -> conveyor.Recurrent:
    """The same without a start of its own."""
    other = conveyor.Recurrent(
        layer.program, INPUTS, UNITS, num_layers=2, dtype=torch.float64, **options
    )
    own = layer.state_dict()
    other.load_state_dict({key: each for key, each in own.items() if "start_" not in key})
    return other


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("lengths", [None, [2, 5, 0]])
def test_a_call_begins_with_what_was_learned(
    cell: str, options: dict[str, Any], lengths: list[int] | None
) -> None:
    layer = make(cell, **options)
    other, x = plain(layer, **options), draw(T, B, INPUTS, seed=1)
    start = layer.start(B)
    got, final = layer(x, lengths=lengths)
    want, wanted = other(x, type(other.start(B))(*start), lengths=lengths)
    torch.testing.assert_close(got, want, **CLOSE)
    torch.testing.assert_close(tuple(final), tuple(wanted), **CLOSE)
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(layer(x, lengths=lengths)[0], want, **CLOSE)


def test_a_reset_goes_back_to_it() -> None:
    layer, x = make(), draw(T, B, INPUTS, seed=1)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2] = True
    whole = layer(x, reset=reset)[0]
    torch.testing.assert_close(whole[2:], layer(x[2:])[0], **CLOSE)


def test_it_begins_as_the_cell_says() -> None:
    for cell in ("lstm", from_a_half):
        layer = conveyor.Recurrent(cell, INPUTS, UNITS, learn_start=True)
        other = conveyor.Recurrent(cell, INPUTS, UNITS)
        torch.testing.assert_close(tuple(layer.start(B)), tuple(other.start(B)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_what_begins_at_minus_infinity_is_learned_from_zero(dtype: torch.dtype) -> None:
    """The sLSTM's m would hide what c and n have learned; the outputs are the same ones."""
    layer = conveyor.Recurrent("slstm", INPUTS, UNITS, learn_start=True, dtype=dtype)
    assert layer.get_parameter("start_m").abs().max() == 0
    if dtype == torch.float16:
        return
    other = conveyor.Recurrent("slstm", INPUTS, UNITS, dtype=dtype)
    own = layer.state_dict()
    other.load_state_dict({key: each for key, each in own.items() if "start_" not in key})
    x = draw(T, B, INPUTS, seed=1).to(dtype)
    torch.testing.assert_close(layer(x)[0], other(x)[0])
    layer(x)[0].square().sum().backward()
    for name in ("start_h", "start_c", "start_n"):
        found = layer.get_parameter(name).grad
        assert found is not None
        assert (found != 0).all(), name


@pytest.mark.parametrize("how", ["dense", "lengths", "reset"])
def test_it_is_learned(how: str) -> None:
    every: dict[str, dict[str, Any]] = {
        "dense": {},
        "lengths": {"lengths": [2, 5, 0]},
        "reset": {"reset": torch.arange(T)[:, None].expand(T, B) == 3},
    }
    layer = make()
    x = draw(T, B, INPUTS, seed=1)

    def gradients() -> list[Tensor]:
        output, _ = layer(x, **every[how])
        loss = (output * draw(*output.shape, seed=2)).sum()
        return list(
            torch.autograd.grad(
                loss, [layer.get_parameter("start_h"), layer.get_parameter("start_c")]
            )
        )

    got = gradients()
    assert all(each.abs().sum() > 0 for each in got)
    with use_target("reference"):
        want = gradients()
    torch.testing.assert_close(got, want, **CLOSE)

    def loss(h: Tensor, c: Tensor) -> Tensor:
        given = {"start_h": h, "start_c": c}
        output: Tensor = torch.func.functional_call(layer, given, (x,), every[how])[0]
        return (output * draw(*output.shape, seed=2)).sum()

    leaves = [layer.get_parameter(f"start_{n}").detach().clone().requires_grad_() for n in "hc"]
    assert torch.autograd.gradcheck(loss, leaves)


def test_steps_streams_copies_and_compiled_layers_begin_there() -> None:
    layer, x = make(), draw(T, B, INPUTS, seed=1)
    want = layer(x)[0]
    torch.testing.assert_close(layer.step(x[0])[0], want[0], **CLOSE)
    torch.testing.assert_close(copy.deepcopy(layer)(x)[0], want, **CLOSE)
    stream = layer.stream(B)
    for _ in range(2):
        got = [torch.from_numpy(stream(now.numpy())) for now in x]
        torch.testing.assert_close(torch.stack(got), want.detach(), **CLOSE)
        stream.restart()
    fresh = torch.compile(copy.deepcopy(make()), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(fresh(x)[0], want, **CLOSE)
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x)[0], want, **CLOSE)
    reset = torch.arange(T)[:, None].expand(T, B) == 3
    torch.testing.assert_close(compiled(x, reset=reset)[0], layer(x, reset=reset)[0], **CLOSE)


def test_an_export_with_resets_is_refused_not_wrong() -> None:
    layer, x = make(), draw(T, B, INPUTS, seed=1)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x)[0], layer(x)[0])
    reset = torch.zeros(T, B, dtype=torch.bool)
    with pytest.raises(TargetError, match="learned start state"):
        torch.export.export(layer, (x,), {"reset": reset})


def test_drop_in_layers_can_learn_it_too() -> None:
    torch.manual_seed(0)
    layer = conveyor.LSTM(INPUTS, UNITS, 2, learn_start=True)
    other = torch.nn.LSTM(INPUTS, UNITS, 2)
    with torch.no_grad():
        for name in ("start_h", "start_c"):
            layer.get_parameter(name).normal_()
    own = layer.state_dict()
    other.load_state_dict({key: each for key, each in own.items() if "start_" not in key})
    x = torch.randn(T, B, INPUTS)
    torch.testing.assert_close(layer(x)[0], other(x, layer.start(B))[0])
    layer(x)[0].sum().backward()
    assert layer.get_parameter("start_h").grad is not None
    assert "start_h" not in conveyor.LSTM(3, 4).state_dict()
