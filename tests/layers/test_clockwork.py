"""The clockwork network beside its equations, with all modules computed at all steps and masks for
what does not tick."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import use_target
from conveyor.errors import SettingError, ShapeError
from tests.layers.named import draw

T, B, INPUTS = 21, 3, 4
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}


def make(units: int = 11, periods: tuple[int, ...] = (1, 2, 4, 8), **options: Any) -> Any:
    torch.manual_seed(1)
    layer = conveyor.Clockwork(INPUTS, units, periods, dtype=torch.float64, **options)
    with torch.no_grad():
        for seed, each in enumerate(layer.parameters()):
            each.copy_(draw(*each.shape, seed=seed) / each.shape[-1] ** 0.5)
    return layer


def paper(layer: Any, x: Tensor) -> Tensor:
    """Koutník et al. 2014, equation 1 and section 3, over [T, I] of one sequence: a full step of
    the whole network, of which the rows of modules that tick are taken. W_H is block-upper-
    triangular with modules sorted by rising period."""
    units = layer.units
    ends = np.cumsum(units)
    begins = ends - np.asarray(units)
    whole = int(ends[-1])
    W_H, W_I, b = np.zeros((whole, whole)), np.zeros((whole, INPUTS)), np.zeros(whole)
    for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        own = {
            name: each.detach().numpy()
            for name, each in layer.modules_by_period[place].l0.named_parameters()
        }
        W_I[begin:end] = own["W"][:, :INPUTS]
        W_H[begin:end, begin:end] = own["U"]
        W_H[begin:end, end:] = own["W"][:, INPUTS:]
        b[begin:end] = own["b"]
    period = np.repeat(layer.periods, units)
    y, seen = np.zeros(whole), []
    for t, now in enumerate(x.numpy()):
        new = np.tanh(W_H @ y + W_I @ now + b)
        y = np.where(t % period == 0, new, y)
        seen.append(y)
    return torch.from_numpy(np.stack(seen))


@pytest.mark.parametrize(
    ("units", "periods"),
    [(11, (1, 2, 4, 8)), (4, (1,)), (6, (2, 3, 7)), (9, (1, 2, 4, 8, 16, 32, 64, 128, 256))],
)
@pytest.mark.parametrize("target", [None, "reference"])
def test_it_computes_its_paper(units: int, periods: tuple[int, ...], target: str | None) -> None:
    layer = make(units, periods)
    x = draw(T, B, INPUTS, seed=50)
    with use_target(target):
        output, state = layer(x)
    for example in range(B):
        torch.testing.assert_close(output[:, example], paper(layer, x[:, example]), **CLOSE)
    torch.testing.assert_close(torch.cat(state.outputs, -1), output[-1], **CLOSE)
    assert state.step == T


def test_one_module_that_always_ticks_is_elmans() -> None:
    layer = make(5, (1,))
    plain = conveyor.Recurrent("rnn", INPUTS, 5, dtype=torch.float64)
    plain.load_state_dict(layer.modules_by_period[0].state_dict())
    x = draw(T, B, INPUTS, seed=50)
    assert torch.equal(layer(x)[0], plain(x)[0])


@pytest.mark.parametrize("cut", [1, 5, 8, 13])
def test_a_sequence_may_come_in_parts(cut: int) -> None:
    layer, x = make(), draw(T, B, INPUTS, seed=50)
    whole, _ = layer(x)
    first, state = layer(x[:cut])
    second, state = layer(x[cut : cut + 3], state)
    third, _ = layer(x[cut + 3 :], state)
    torch.testing.assert_close(torch.cat([first, second, third]), whole, **CLOSE)


def test_lengths() -> None:
    layer, x = make(), draw(T, B, INPUTS, seed=50)
    lengths = [13, 0, T]
    output, state = layer(x, lengths=lengths)
    for example, length in enumerate(lengths):
        own = x[:length, example : example + 1]
        assert not output[length:, example].any()
        if length:
            alone, last = layer(own)
            torch.testing.assert_close(output[:length, example], alone[:, 0], **CLOSE)
            for got, want in zip(state.outputs, last.outputs, strict=True):
                torch.testing.assert_close(got[example], want[0], **CLOSE)


def test_sequences_of_full_length_can_be_gone_on_with() -> None:
    layer, x = make(), draw(T, B, INPUTS, seed=50)
    whole, _ = layer(x)
    first, state = layer(x[:5], lengths=[5] * B)
    assert state.step == 5
    second, _ = layer(x[5:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, **CLOSE)


def test_gradients() -> None:
    layer = make(5, (1, 2))
    x = draw(7, 2, INPUTS, seed=50).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layer(x)[0], (x,))
    layer(x)[0].sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in layer.parameters())


def test_batch_first_and_other_cells() -> None:
    layer = make(8, (1, 4), cell="lstm", batch_first=True)
    x = draw(B, T, INPUTS, seed=50)
    output, state = layer(x)
    assert output.shape == (B, T, 8)
    again, _ = layer(x[:, :6])
    torch.testing.assert_close(output[:, :6], again, **CLOSE)
    assert state.modules[1]._fields == ("h", "c")


@pytest.mark.parametrize(("units", "modules"), [(12, 4), (9, 9), (64, 8)])
def test_parameters(units: int, modules: int) -> None:
    """The recurrent part has n²/2 + nk/2 numbers for g modules of k units (section 3)."""
    layer = conveyor.Clockwork(INPUTS, units, [2**power for power in range(modules)])
    each = units // modules
    recurrent = units * (units + each) // 2
    total = sum(parameter.numel() for parameter in layer.parameters())
    assert total == recurrent + units * INPUTS + units


def test_what_is_refused() -> None:
    for periods in ([], [2, 1], [0, 1], [1.5], [1, 1]):
        with pytest.raises(SettingError, match="periods are"):
            conveyor.Clockwork(3, 9, periods)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="cannot share 2 units"):
        conveyor.Clockwork(3, 2, [1, 2, 4])
    for wrong in (4, "12"):
        with pytest.raises(SettingError, match="periods are"):
            conveyor.Clockwork(3, 8, wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="cannot share '8' units"):
        conveyor.Clockwork(3, "8", (1, 2))  # type: ignore[arg-type]
    layer = make()
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(3, INPUTS)])
    ragged = layer(torch.zeros(3, 2, INPUTS).double(), lengths=[1, 3])[1]
    for given, says in (
        ((packed,), "takes no PackedSequence"),
        ((torch.zeros(3, 2, INPUTS).double(), torch.zeros(2, 11)), "none of this layer's"),
        ((torch.zeros(3, 2, INPUTS).double(), ragged), "clocks differ"),
    ):
        with pytest.raises(ShapeError, match=says):
            layer(*given)
    with pytest.raises(ShapeError, match="expected \\[T, B, 4\\]"):
        make()(torch.zeros(3, 2, 5))
