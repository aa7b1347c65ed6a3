"""Constants: numbers of each unit that are not learned, on both targets."""

# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)

import copy
import io
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import (
    Bias,
    Constant,
    Input,
    Matrix,
    Shared,
    State,
    Value,
    cell,
    exp,
    sigmoid,
    tanh,
)
from conveyor.compiler.cost import cost
from conveyor.compiler.plan import plan
from conveyor.compiler.program_json import dumps, from_json
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError

every_target = pytest.mark.parametrize("target", ["reference", "llvm"])


@cell(source="a leaky integrator, of which each unit has its own time constant")
def leaky(x: Input, h: State, T: Constant, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Each unit forgets at its own speed."""
    d = exp(-1 / T)
    h = d * h + (1 - d) * tanh(W @ x + U @ h + b)
    return h


@cell(start={"T.s": (2.0, 5.0), "T.k": Shared((1.0, 2.0, 4.0)), "p": 3.0})
def declared(
    x: Input, h: State, T: Constant, p: Annotated[Constant, "P"], W: Matrix, V: Matrix
) -> Value:
    """Constants whose numbers the cell declares: drawn, shared out, of another width."""
    h = tanh(W @ x + V @ p) / T.s + sigmoid(h) * T.k
    return h


def by_hand(layer: conveyor.Recurrent, x: Tensor) -> Tensor:
    """The leaky integrator, from its definition, in float64."""
    own = layer.get_submodule("l0")
    T, W, U, b = (getattr(own, name) for name in ("T", "W", "U", "b"))
    state = x.new_zeros(x.shape[1], len(b))
    states = []
    for now in x:
        stays = torch.exp(-1 / T)
        state = stays * state + (1 - stays) * torch.tanh(now @ W.T + state @ U.T + b)
        states.append(state)
    return torch.stack(states)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PERIODS = [1.0, 2.5, 4.0, 9.0, 0.5, 3.0, 7.0, 1.5, 11.0]


@every_target
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_the_equations(target: str, dtype: torch.dtype) -> None:
    layer = conveyor.Recurrent(leaky, 4, 9, constants={"T": PERIODS}, dtype=dtype)
    x, upstream = numbers(7, 3, 4), numbers(7, 3, 9, seed=1)
    results = []
    for by_layer in (True, False):
        own = layer if by_layer else copy.deepcopy(layer).double()
        given = x.to(dtype if by_layer else torch.float64).requires_grad_()
        with conveyor.use_target(target):
            output = own(given)[0] if by_layer else by_hand(own, given)
            sources = [given, *own.parameters()]
            shares = torch.autograd.grad(output, sources, upstream.to(output.dtype))
        results.append([output, *shares])
    # Seven steps of float32: some units of its last place.
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=bound, atol=bound)


def test_a_constant_is_a_buffer() -> None:
    layer = conveyor.Recurrent(leaky, 4, 9, 2, constants={"T": PERIODS}, bidirectional=True)
    names = [f"l{n}{suffix}" for n in range(2) for suffix in ("", "_reverse")]
    assert {f"{name}.T" for name in names} <= layer.state_dict().keys()
    assert not [name for name, _ in layer.named_parameters() if name.endswith(".T")]
    for name in names:
        buffer = layer.get_buffer(f"{name}.T")
        assert buffer.tolist() == PERIODS
        assert not buffer.requires_grad
    assert layer.double().get_buffer("l1.T").dtype == torch.float64
    formula = cost(plan(trace(leaky))).parameters
    assert str(formula) == "H² + H·I + H"
    in_all = sum(formula.at({"H": 9, "I": reads}) for reads in (4, 18)) * 2
    assert sum(each.numel() for each in layer.parameters()) == in_all


def test_what_a_cell_declares() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(declared, 3, 8, sizes={"P": 5})
    drawn = layer.get_buffer("l0.T.s")
    assert 2 <= drawn.min() < drawn.max() <= 5
    assert layer.get_buffer("l0.T.k").tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0]
    assert layer.get_buffer("l0.p").tolist() == [3.0] * 5
    torch_like = conveyor.Recurrent(declared, 3, 8, sizes={"P": 5}, init="torch")
    assert torch_like.get_buffer("l0.p").tolist() == [3.0] * 5


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (2, [2.0] * 5),
        ([1, 2, 3, 4, 5.5], [1, 2, 3, 4, 5.5]),
        (torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), [5, 4, 3, 2, 1]),
        (Shared((1, 8)), [1, 1, 1, 8, 8]),
    ],
)
def test_what_a_layer_is_given(given: object, want: list[float]) -> None:
    layer = conveyor.Recurrent(declared, 3, 8, sizes={"P": 5}, constants={"p": given})  # type: ignore[dict-item]
    assert layer.get_buffer("l0.p").tolist() == want


@pytest.mark.parametrize(
    ("constants", "text"),
    [
        (None, "leaky does not say what its constant T is. Give its numbers, as in "
               "constants={'T': 1.0}, or declare them in the cell, as in @cell(start={'T': 1.0})."),
        ({"S": 1.0}, "leaky has no constant 'S'. There are: T."),
        ({"T": [1.0, 2.0]}, "the constant T is [1.0, 2.0]; expected a finite number, or 3 of them: "
                            "one for each unit."),
        ({"T": torch.ones(3, 1)}, "the constant T is a tensor of [3, 1]; expected a finite number, "
                                  "or 3 of them: one for each unit."),
        ({"T": float("nan")}, "the constant T is nan; expected a finite number, or 3 of them: one "
                              "for each unit."),
        ({"T": "123"}, "the constant T is '123'; expected a finite number, or 3 of them: one for "
                       "each unit."),
        ({"T": True}, "the constant T is True; expected a finite number, or 3 of them: one for "
                      "each unit."),
        ([1.0], "constants is [1.0]; expected numbers by name, as {'T': [1, 2, 4]}."),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(constants: object, text: str) -> None:
    with pytest.raises(SettingError) as caught:
        conveyor.Recurrent(leaky, 2, 3, constants=constants)  # type: ignore[arg-type]
    assert str(caught.value) == text


def test_a_cell_without_constants_is_given_none() -> None:
    with pytest.raises(SettingError, match=r"^lstm has no constant 'T'. It has none.$"):
        conveyor.Recurrent("lstm", 2, 3, constants={"T": 1.0})


def test_constants_are_printed_and_saved_with_the_cell() -> None:
    assert "  constant T[H]" in conveyor.show(leaky, "program").splitlines()
    assert r"d_t &= \exp(\frac{-1}{T})" in conveyor.show(leaky, "latex")
    program = trace(declared)
    assert from_json(json.loads(dumps(program))) == program
    assert dict(program.start)["T.k"] == Shared((1.0, 2.0, 4.0))


def test_the_gradient_computes_nothing_of_a_constant() -> None:
    gradients = plan(trace(leaky)).gradient.values_of("gradient")
    assert list(gradients) == ["x", "h'", "W", "U", "b"]


# What layers do ----------------------------------------------------------------------------------


def test_a_state_dict_carries_constants_into_another_layer() -> None:
    layer = conveyor.Recurrent(leaky, 4, 9, constants={"T": PERIODS})
    other = conveyor.Recurrent(leaky, 4, 9, constants={"T": 1.0})
    x = torch.randn(5, 2, 4)
    assert not torch.equal(layer(x)[0], other(x)[0])
    stored = io.BytesIO()
    torch.save(layer.state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored))
    for again in (other, copy.deepcopy(layer)):
        assert torch.equal(layer(x)[0], again(x)[0])


@pytest.mark.parametrize("kind", ["recurrent", "heads", "stacked"])
def test_a_saved_network_has_its_constants(tmp_path: Path, kind: str) -> None:
    layer: torch.nn.Module
    if kind == "recurrent":
        layer = conveyor.Recurrent(leaky, 4, 6, 2, constants={"T": PERIODS[:6]})
    elif kind == "heads":
        layer = conveyor.Heads(leaky, 4, 6, 2, constants={"T": PERIODS[:3]})
    else:
        constants = [{"T": PERIODS[:6]}, None]
        layer = conveyor.Stacked([leaky, "gru"], 4, [6, 3], constants=constants)
    conveyor.save(layer, tmp_path / "saved")
    again = conveyor.load(tmp_path / "saved")
    x = torch.randn(5, 2, 4)
    assert torch.equal(layer(x)[0], again(x)[0])
    held = [each.tolist() for name, each in again.state_dict().items() if name.endswith(".T")]
    assert held
    assert all(each == PERIODS[: len(each)] for each in held)


@every_target
def test_lengths_steps_and_checkpoints(target: str) -> None:
    with conveyor.use_target(target):
        layer = conveyor.Recurrent(leaky, 4, 9, 2, constants={"T": PERIODS}, dtype=torch.float64)
        x = numbers(6, 2, 4)
        output, _ = layer(x, lengths=[6, 3])
        alone, _ = layer(x[:3, 1:])
        torch.testing.assert_close(output[:3, 1:], alone)
        state, steps = layer.start(2), []
        for now in x:
            y, state = layer.step(now, state)
            steps.append(y)
        torch.testing.assert_close(torch.stack(steps)[:3], output[:3])
        gradients = []
        for checkpoint in (0, 2):
            layer.checkpoint = checkpoint
            layer.zero_grad()
            layer(x)[0].square().sum().backward()
            gradients.append([each.grad for each in layer.parameters()])
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


def test_a_stream_and_a_trace() -> None:
    layer = conveyor.Recurrent(leaky, 4, 9, constants={"T": PERIODS})
    x = torch.randn(6, 4)
    stream = layer.stream()
    got = np.stack([stream(now.numpy()).copy() for now in x])
    output, _, trace_of_it = layer(x, trace=True)
    np.testing.assert_allclose(got, output.detach().numpy(), rtol=1e-6, atol=1e-7)
    d = trace_of_it.at(layer=0)["d"]
    torch.testing.assert_close(d[0], torch.exp(-1 / torch.tensor(PERIODS)))


def test_regularisers_leave_constants_alone() -> None:
    layer = conveyor.Recurrent(
        leaky, 4, 9, constants={"T": PERIODS}, zoneout=0.2, variational_dropout=0.3,
        weight_dropout=0.3, clip={"h": 0.5}, tied=True, num_layers=2,
    )  # fmt: skip
    layer(torch.randn(6, 2, 4))[0].sum().backward()
    assert layer.get_buffer("l1.T").tolist() == PERIODS
    assert layer.l1.T is layer.l0.T


def test_compiled_and_exported() -> None:
    layer = conveyor.Recurrent(leaky, 4, 9, constants={"T": PERIODS})
    x = torch.randn(6, 2, 4)
    want = layer(x)[0]
    got = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)[0]
    torch.testing.assert_close(got, want)
    shares = [
        torch.autograd.grad(each.square().sum(), list(layer.parameters())) for each in (got, want)
    ]
    for one, other in zip(*shares, strict=True):
        torch.testing.assert_close(one, other)
    exported = torch.export.export(layer, (x,))
    assert "l0.T" in exported.state_dict
    torch.testing.assert_close(exported.module()(x)[0], want)
