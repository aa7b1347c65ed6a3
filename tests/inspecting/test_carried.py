"""What is carried over of a state, the two ways of a gradient, and units."""

# ruff: noqa: RET504, PLR0917  (cells are written as equations: h = ...; return h)

from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import inspect
from conveyor.cells import (
    CELLS,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    cell,
    exp,
    log,
    maximum,
    mean,
    minimum,
    relu,
    sigmoid,
    sqrt,
    tanh,
)
from conveyor.compiler.carry import with_carried
from conveyor.compiler.first_layer import first_layer
from conveyor.compiler.lower import lowered
from conveyor.compiler.trace import trace
from conveyor.errors import ProgramError, SettingError
from conveyor.kernels.reference import evaluate, widths
from tests import table
from tests.kinds import LAW_CELLS
from tests.layers.named import draw

T, B, I, H = 7, 3, 4, 5  # noqa: E741


def a_layer(cell: Any = "lstm", **settings: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(cell, I, H, dtype=torch.float64, **settings)
    with torch.no_grad():
        for each in layer.parameters():
            each.normal_(std=0.5)
    return layer


# What is carried over -----------------------------------------------------------------------------


def by_autograd(layer: conveyor.Recurrent, case: table.Case, x: Tensor, name: str) -> Tensor:
    """The derivative unit by unit, by autograd, with products and sums over units held fast."""
    program = lowered(first_layer(trace(CELLS[case.cell])))
    parameters = dict(layer.get_submodule("l0").named_parameters())
    (read,) = [leaf.name for leaf in program.leaves_of("input")]
    begin = layer.start(x.shape[1])
    state = {f"{key}'": each[0] for key, each in begin._asdict().items()}
    shares = []
    for x_t in x:
        old = state[f"{name}'"].detach().requires_grad_()
        values: dict[str, Tensor] = {**parameters, **state, read: x_t, f"{name}'": old}
        axes = widths(program, values)
        for operation in program.operations:
            evaluate([operation], values, axes, x_t)
            if operation.op in ("matmul", "total", "largest"):
                values[operation.name] = values[operation.name].detach()
        new = {key: values[value] for key, value in program.values_of("state").items()}
        (gradient,) = (
            torch.autograd.grad(new[name].sum(), [old], materialize_grads=True)
            if new[name].requires_grad
            else (torch.zeros_like(old),)
        )
        shares.append(gradient)
        state = {f"{key}'": each.detach() for key, each in new.items()}
    return torch.stack(shares)


@pytest.mark.parametrize("case", table.MIDDLING, ids=lambda case: case.cell)
def test_what_is_carried_over_is_the_derivative_unit_by_unit(case: table.Case) -> None:
    layer, x = table.make_layer(case), table.make_input(case)
    target = "llvm" if case.cell in LAW_CELLS else "reference"  # compiling takes half a second
    for name, axes in {s.name[:-1]: s.axes for s in layer.plan.program.states}.items():
        if axes:
            with conveyor.use_target(target):
                got = inspect.carried(layer, x, name=name)
            want = by_autograd(layer, case, x, name)
            torch.testing.assert_close(got, want.expand(got.shape), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_of_an_lstm_it_is_the_forget_gate(target: str) -> None:
    layer, x = a_layer(num_layers=2, batch_first=True), draw(B, T, I, seed=1)
    with conveyor.use_target(target):
        for number in range(2):
            f = layer(x, trace=True)[2].at(number)["f"].transpose(0, 1)
            torch.testing.assert_close(inspect.carried(layer, x, number=number), f)


@cell
def of_every_operation(
    x: Input, h: State, W: Matrix, U: Matrix, p: Vector, q: Annotated[Vector, "H"]
) -> Value:
    """One of each operation on the old state."""
    a = maximum(h, q) - minimum(h, p) * 0.5
    b = exp(-h * h) + log(2 + tanh(h)) + sqrt(1 + h * h) + relu(h - p)
    c = a / (3 + b) - sigmoid(h) * mean(h)
    h = tanh(W @ x + U @ h) * 0.1 + c
    return h


def test_every_operation() -> None:
    layer, x = a_layer(of_every_operation), draw(T, B, I, seed=1)
    own = dict(layer.get_submodule("l0").named_parameters())
    h, shares = torch.zeros(B, H, dtype=torch.float64), []
    for x_t in x:
        old = h.detach().requires_grad_()
        a = torch.maximum(old, own["q"]) - torch.minimum(old, own["p"]) * 0.5
        b = (-old * old).exp() + (2 + old.tanh()).log() + (1 + old * old).sqrt()
        b = b + (old - own["p"]).relu()
        c = a / (3 + b) - old.sigmoid() * h.mean(-1, keepdim=True)
        h = (x_t @ own["W"].T + h @ own["U"].T).tanh() * 0.1 + c
        shares.append(torch.autograd.grad(h.sum(), [old])[0])
        h = h.detach()
    torch.testing.assert_close(inspect.carried(layer, x), torch.stack(shares))


def test_programs_without_such_a_state() -> None:
    with pytest.raises(ProgramError, match="lstm has no state 'm' of several units"):
        with_carried(trace(CELLS["lstm"]), "m")


# Two ways -----------------------------------------------------------------------------------------


def jacobian(layer: conveyor.Recurrent, x: Tensor, at: int) -> Tensor:
    """The derivative of the last cell state by that of a step, [B, H, H], by autograd."""
    with conveyor.use_target("reference"):
        _, first = layer(x[: at + 1])
        jacobians = []
        for b in range(B):

            def last(c: Tensor, b: int = b) -> Tensor:
                # h is a function of c, where the output gate stays as it is.
                gate = layer(x[: at + 1], trace=True)[2]["o"][-1:, b : b + 1].detach()
                state = type(first)(h=gate * c.tanh(), c=c)
                last_c: Tensor = layer(x[at + 1 :, b : b + 1], state)[1].c[0, 0]
                return last_c

            c = first.c[:, b : b + 1].detach()
            whole: Any = torch.autograd.functional.jacobian(last, c)  # type: ignore[no-untyped-call]
            jacobians.append(whole[:, 0, 0])
    return torch.stack(jacobians)


def test_the_split_is_that_of_the_derivative() -> None:
    layer, x = a_layer(), draw(T, B, I, seed=1)
    path = inspect.state_path(layer, x)
    f = layer(x, trace=True)[2]["f"].detach()
    for at in range(T - 1):
        whole, product = jacobian(layer, x, at), torch.diag_embed(f[at + 1 :].prod(0))
        distance = T - 1 - at
        for got, want in (
            (path.total, whole),
            (path.direct, product),
            (path.rest, whole - product),
        ):
            norm = (want**2).sum((1, 2)).mean().sqrt()
            torch.testing.assert_close(got[distance], norm, rtol=1e-9, atol=1e-11)
    assert path.total[0] == path.direct[0] == H**0.5
    assert path.rest[0] == 0


def test_without_recurrent_weights_there_is_one_way() -> None:
    """Then c_T by c_t is the product of the forget gates, and nothing besides."""
    layer, x = a_layer(), draw(T, B, I, seed=1)
    with torch.no_grad():
        for gate in "ifgo":
            layer.get_parameter(f"l0.U.{gate}").zero_()
    path = inspect.state_path(layer, x)
    torch.testing.assert_close(path.total, path.direct, rtol=1e-12, atol=1e-14)
    assert path.rest.max() < 1e-14


def test_some_of_the_units() -> None:
    layer, x = a_layer(), draw(T, B, I, seed=1)
    some = inspect.state_path(layer, x, units=2)
    assert float(some.total[0]) == pytest.approx(2**0.5, rel=1e-14)
    many, all_of_them = inspect.state_path(layer, x, units=99), inspect.state_path(layer, x)
    assert torch.equal(many.total, all_of_them.total)
    with pytest.raises(SettingError, match="units is 0"):
        inspect.state_path(layer, x, units=0)


# Units --------------------------------------------------------------------------------------------


def test_time_constants_of_gates_that_stand_still() -> None:
    layer, x = a_layer("lstm"), draw(T, B, I, seed=1)
    with torch.no_grad():
        layer.get_parameter("l0.W.f").zero_()
        layer.get_parameter("l0.U.f").zero_()
        steps = torch.tensor([1.0, 2.0, 10.0, 100.0, 0.1], dtype=torch.float64)
        layer.get_parameter("l0.b.f").copy_(torch.exp(-1 / steps).logit())
    torch.testing.assert_close(inspect.time_constants(layer, x), steps)
    keeps, forgets = a_layer("lstm_1997"), a_layer("rnn")
    assert inspect.time_constants(keeps, x).isinf().all()
    assert not inspect.time_constants(forgets, x).any()


def test_gates_at_their_ends() -> None:
    layer, x = a_layer(), draw(T, B, I, seed=1)
    with torch.no_grad():
        layer.get_parameter("l0.b.f").copy_(torch.tensor([20.0, -20.0, 0, 0, 0]))
        layer.get_parameter("l0.b.g").copy_(torch.tensor([20.0, -20.0, 0, 0, 0]))
    shares = inspect.saturation(layer, x)
    assert list(shares) == ["f", "i", "g", "o"] or set(shares) == set("figo")
    for name in "fg":
        assert shares[name].high[:2].tolist() == [1, 0]
        assert shares[name].low[:2].tolist() == [0, 1]
    _, _, traced = layer(x, trace=True)
    i = traced["i"].detach().flatten(0, 1)
    torch.testing.assert_close(shares["i"].high, (i > 0.9).double().mean(0))
    torch.testing.assert_close(shares["i"].low, (i < 0.1).double().mean(0))
    g = traced["g"].detach().flatten(0, 1)
    torch.testing.assert_close(shares["g"].high, (g > 0.8).double().mean(0))


def test_units_that_never_change() -> None:
    layer, x = a_layer("rnn"), draw(T, B, I, seed=1)
    with torch.no_grad():
        layer.get_parameter("l0.W")[2] = 0
        layer.get_parameter("l0.U")[2] = 0
    assert inspect.dead_units(layer, x).tolist() == [False, False, True, False, False]
    with pytest.raises(SettingError, match="share is 2"):
        inspect.dead_units(layer, x, share=2)
    with pytest.raises(KeyError, match="no local name"):
        inspect.dead_units(layer, x, name="nothing")


def test_what_cannot_be_asked_for() -> None:
    x = draw(T, B, I, seed=1)
    with pytest.raises(SettingError, match="number is 1; the layers are 0 to 0"):
        inspect.carried(a_layer(), x, number=1)
    with pytest.raises(SettingError, match="lstm has no state 'm'"):
        inspect.carried(a_layer(), x, name="m")
    question: Any
    for question in (inspect.carried, inspect.state_path, inspect.time_constants):
        with pytest.raises(SettingError, match="Linear has no trace"):
            question(torch.nn.Linear(4, 4), x)
    with pytest.raises(SettingError, match="Linear has no trace"):
        inspect.spectra(torch.nn.Linear(4, 4))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="a dilated layer reads its state of some steps before"):
        inspect.state_path(a_layer(dilation=2), x)
