"""The number of the step as a letter of a cell: what it is in every way to run a layer."""

# ruff: noqa: RET504  (a cell's letters are its arguments; h = ...; return h)

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import Input, Matrix, State, Step, Value, cell, equal, mod, tanh
from conveyor.errors import SettingError

every_target = pytest.mark.parametrize("target", ["reference", "llvm"])


@cell
def numbered(x: Input, t: Step, h: State, W: Matrix, U: Matrix) -> Value:
    """A state that is renewed at every third step."""
    renew = equal(mod(t, 3), 0)
    h = tanh(W @ x + (1 - renew) * (U @ h) + t / 10)
    return h


def by_hand(layer: conveyor.Recurrent, x: Tensor, begun: int = 0) -> Tensor:
    """The hidden states, from the definition."""
    W, U = layer.get_parameter("l0.W"), layer.get_parameter("l0.U")
    state = x.new_zeros(x.shape[1], len(U))
    states = []
    for t, now in enumerate(x, begun):
        of_state = torch.zeros_like(state) if t % 3 == 0 else state @ U.T
        state = torch.tanh(now @ W.T + of_state + t / 10)
        states.append(state)
    return torch.stack(states)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer_of(**options: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent(numbered, 4, 5, dtype=torch.float64, **options)


def numbers_seen(layer: conveyor.Recurrent, x: Tensor, **options: Any) -> list[list[int]]:
    """The number of each step, for each sequence, as the trace shows it."""
    *_, seen = layer(x, trace=True, **options)
    counted: Tensor = seen.at(layer=0)["t"]
    assert counted.shape[-1] == 1
    return counted[..., 0].T.long().tolist()


@every_target
def test_values_and_gradients_are_those_of_the_equations(target: str) -> None:
    layer, upstream = layer_of(), numbers(8, 3, 5, seed=1)
    results = []
    for by_layer in (True, False):
        x = numbers(8, 3, 4).requires_grad_()
        with conveyor.use_target(target):
            output = layer(x)[0] if by_layer else by_hand(layer, x)
            shares = torch.autograd.grad(output, [x, *layer.parameters()], upstream)
        results.append([output, *shares])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


@every_target
def test_what_the_number_of_a_step_is(target: str) -> None:
    with conveyor.use_target(target):
        layer, x = layer_of(), numbers(5, 2, 4)
        assert numbers_seen(layer, x) == [[0, 1, 2, 3, 4]] * 2
        reset = torch.zeros(5, 2, dtype=torch.bool)
        reset[3, 1] = True
        assert numbers_seen(layer, x, reset=reset) == [[0, 1, 2, 3, 4], [0, 1, 2, 0, 1]]
        assert numbers_seen(layer, x, lengths=[5, 3]) == [[0, 1, 2, 3, 4], [0, 1, 2, 0, 0]]
        _, state = layer(x)
        assert state.t.tolist() == [[[4.0], [4.0]]]
        assert numbers_seen(layer, x, state=state)[0] == [5, 6, 7, 8, 9]
        _, state = layer(x, lengths=[5, 3])
        assert state.t.tolist() == [[[4.0], [2.0]]]
        assert numbers_seen(layer, x, state=state) == [[5, 6, 7, 8, 9], [3, 4, 5, 6, 7]]


@every_target
def test_parts_of_a_sequence_are_the_sequence(target: str) -> None:
    with conveyor.use_target(target):
        layer, x = layer_of(), numbers(8, 2, 4)
        whole, _ = layer(x)
        first, state = layer(x[:4])
        second, _ = layer(x[4:], state)
        torch.testing.assert_close(torch.cat([first, second]), whole)
        state, steps = layer.start(2), []
        for now in x:
            y, state = layer.step(now, state)
            steps.append(y)
        torch.testing.assert_close(torch.stack(steps), whole)


def test_a_stream_counts_and_begins_anew() -> None:
    layer, x = layer_of(), numbers(8, 4)
    whole = layer(x)[0].detach().numpy()
    stream = layer.stream()
    for _ in range(2):
        got = np.stack([stream(now.numpy()).copy() for now in x])
        np.testing.assert_allclose(got, whole, rtol=1e-12, atol=1e-13)
        stream.restart()


@every_target
def test_the_reverse_direction_counts_from_the_end(target: str) -> None:
    with conveyor.use_target(target):
        layer = layer_of(bidirectional=True)
        *_, seen = layer(numbers(4, 1, 4), trace=True)
        backwards = seen.at(layer=0, reverse=True)["t"]
        assert backwards.flatten().tolist() == [3.0, 2.0, 1.0, 0.0]


def test_it_is_not_learned_and_not_regularised() -> None:
    layer = layer_of(learn_start=True, zoneout=0.5, variational_dropout=0.5)
    assert {name for name, _ in layer.named_parameters()} == {"l0.W", "l0.U", "start_h"}
    assert layer.start().t.tolist() == [[[-1.0]]]
    output, state = layer(numbers(6, 3, 4))
    output.sum().backward()
    assert state.t.flatten().tolist() == [5.0] * 3
    for options in ({"zoneout": {"t": 0.5}}, {"clip": {"t": 3.0}}):
        with pytest.raises(SettingError, match="numbered has no state 't'"):
            conveyor.Recurrent(numbered, 4, 5, **options)  # type: ignore[arg-type]


@every_target
def test_checkpoints_count_on(target: str) -> None:
    with conveyor.use_target(target):
        gradients = []
        for checkpoint in (0, 2):
            layer = layer_of(checkpoint=checkpoint)
            layer(numbers(7, 2, 4))[0].square().sum().backward()
            gradients.append([each.grad for each in layer.parameters()])
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


def test_it_is_saved_compiled_and_exported(tmp_path: Path) -> None:
    layer, x = layer_of(), numbers(7, 2, 4)
    want, _ = layer(x)
    conveyor.save(layer, tmp_path / "saved")
    assert torch.equal(conveyor.load(tmp_path / "saved")(x)[0], want)
    assert torch.equal(copy.deepcopy(layer)(x)[0], want)
    got, state = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(got, want)
    assert state.t.flatten().tolist() == [6.0, 6.0]
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x)[0], want)


def test_it_is_printed_as_numbers() -> None:
    assert conveyor.show(numbered).splitlines()[:2] == [
        "t = 0, 1, 2, ...",
        "renew = equal(mod(t, 3), 0)",
    ]
    rows = conveyor.show(numbered, "latex").splitlines()
    assert rows[1] == r"  t &= 0, 1, 2, \ldots \\"
    assert rows[2] == r"  \mathrm{renew}_t &= [\operatorname{mod}(t, 3) = 0] \\"


@every_target
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mod_is_exact_of_whole_numbers(target: str, dtype: torch.dtype) -> None:
    """Up to the number of steps that a float32 counts, before and behind each multiple."""

    @cell
    def ticking(x: Input, h: State, W: Matrix) -> Value:
        h = mod(W @ x, 7) + 10 * ((W @ x) % -49999)
        return h

    steps = torch.tensor([0, 1, 7, 6 * 7 - 1, 49999, 50000, 2**24 - 1, 16776 * 7, -1, -7, -8])
    steps = torch.cat([steps, torch.arange(2**23 - 30, 2**23), torch.arange(-60, 60)])
    with conveyor.use_target(target):
        layer = conveyor.Recurrent(ticking, 1, 1, dtype=dtype)
        with torch.no_grad():
            layer.get_parameter("l0.W").fill_(1)
        got, _ = layer(steps[:, None, None].to(dtype))
    want = steps % 7 + 10 * (steps % -49999)
    assert torch.equal(got.flatten().double(), want.double())
