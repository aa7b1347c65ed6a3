"""Cells that read the last values of a state: the same as states of a state, written by hand."""

# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)

import json
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import Bias, Input, Last, Matrix, State, Value, cell, tanh
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps, from_json
from conveyor.compiler.trace import trace

every_target = pytest.mark.parametrize("target", ["reference", "llvm"])


@cell(start={"h": 0.5})
def narx(x: Input, h: Annotated[State, Last(3)], W: Matrix, U: Matrix, b: Bias) -> Value:
    """A network that reads its last three outputs (Lin et al. 1996)."""
    h = tanh(W @ x + U.a @ h[1] + U.b @ h[2] + U.c @ h[3] + b)
    return h


@cell(start={"h": 0.5, "p": 0.5, "q": 0.5})
def chain(
    x: Input, h: State, p: State, q: State, W: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value, Value]:
    """The same with a state for each."""
    old = h
    h = tanh(W @ x + U.a @ h + U.b @ p + U.c @ q + b)
    q = p
    p = old
    return h, p, q


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer_of(of: Any = narx, **options: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent(of, 4, 5, dtype=torch.float64, **options)


def by_hand(layer: conveyor.Recurrent, x: Tensor, start: list[Tensor]) -> Tensor:
    """The outputs, from the definition; ``start`` are the last three, the latest first."""
    W, b = layer.get_parameter("l0.W"), layer.get_parameter("l0.b")
    matrices = [layer.get_parameter(f"l0.U.{gate}") for gate in "abc"]
    last = list(start)
    outputs = []
    for now in x:
        read = sum(state @ U.T for state, U in zip(last, matrices, strict=True))
        last = [torch.tanh(now @ W.T + read + b), *last[:2]]
        outputs.append(last[0])
    return torch.stack(outputs)


@every_target
def test_values_and_gradients_are_those_of_the_equations(target: str) -> None:
    layer, upstream = layer_of(), numbers(7, 3, 5, seed=1)
    results = []
    for by_layer in (True, False):
        x = numbers(7, 3, 4).requires_grad_()
        start = [numbers(1, 3, 5, seed=n).requires_grad_() for n in (2, 3, 4)]
        with conveyor.use_target(target):
            if by_layer:
                output = layer(x, type(layer.start(3))(*start))[0]
            else:
                output = by_hand(layer, x, [each[0] for each in start])
            shares = torch.autograd.grad(output, [x, *start, *layer.parameters()], upstream)
        results.append([output, *shares])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


@every_target
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"checkpoint": 2}], ids=str
)
def test_it_is_a_chain_of_states(target: str, options: dict[str, Any]) -> None:
    """To the same bits, with sequences of different length and new starts in them."""
    reset = torch.zeros(6, 3, dtype=torch.bool)
    reset[2, 0] = reset[4, 2] = True
    found = []
    for of in (narx, chain):
        layer = layer_of(of, **options)
        with conveyor.use_target(target):
            x = numbers(6, 3, 4).requires_grad_()
            output, state = layer(x, lengths=[6, 0, 5], reset=reset)
            (output.square().sum() + state[1].sum() + state[2].sum()).backward()
        found.append([output, *state, x.grad, *[each.grad for each in layer.parameters()]])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_state_has_its_last_values() -> None:
    layer, x = layer_of(), numbers(6, 2, 4)
    output, state = layer(x)
    assert state._fields == ("h", "h_2", "h_3")
    for steps, each in enumerate(state, 1):
        assert torch.equal(each[0], output[-steps])
    assert all(torch.equal(each, torch.full_like(each, 0.5)) for each in layer.start(2))
    first, state = layer(x[:2])
    torch.testing.assert_close(torch.cat([first, layer(x[2:], state)[0]]), output)


def test_steps_and_streams() -> None:
    layer, x = layer_of(), numbers(6, 4)
    whole, _ = layer(x)
    state, steps = layer.start(1), []
    for now in x[:, None]:
        y, state = layer.step(now, state)
        steps.append(y[0])
    torch.testing.assert_close(torch.stack(steps), whole)
    stream = layer.stream()
    got = np.stack([stream(now.numpy()).copy() for now in x])
    np.testing.assert_allclose(got, whole.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_zoneout_keeps_the_last_values_what_they_were() -> None:
    """What is zoned out is h; its value of two steps before is what h was, whatever it was."""
    layer = layer_of(zoneout=0.5)
    output, state = layer(numbers(6, 2, 4))
    assert torch.equal(state.h_2[0], output[-2])
    assert torch.equal(state.h_3[0], output[-3])


def test_it_is_printed_as_papers_do() -> None:
    assert conveyor.show(narx) == "h = tanh(W @ x + U.a @ h' + U.b @ h[2] + U.c @ h[3] + b)"
    assert conveyor.show(narx, "latex").splitlines()[1:-1] == [
        r"  h_t &= \tanh(W x_t + U_{a} h_{t-1} + U_{b} h_{t-2} + U_{c} h_{t-3} + b)"
    ]
    assert "  state h_2 is h'" in conveyor.show(narx, "program").splitlines()


def test_it_is_saved_as_states() -> None:
    program: Program = trace(narx)
    again = from_json(json.loads(dumps(program)))
    assert again == program
    assert again.past == {"h_2": ("h", 2), "h_3": ("h", 3)}
    assert dict(again.start) == {"h": 0.5, "h_2": 0.5, "h_3": 0.5}


def test_a_state_of_that_name_that_is_something_else_is_printed_as_it_is() -> None:
    @cell
    def other(x: Input, h: State, h_2: State, W: Matrix) -> tuple[Value, Value]:
        h = tanh(W @ x + h + h_2)
        return h, 2 * h

    assert trace(other).past == {}
    assert conveyor.show(other).splitlines()[0] == "h = tanh(W @ x + h' + h_2')"
