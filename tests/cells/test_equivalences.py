"""Cells that are each other under some setting of their parameters.

A cell and its relative are run on the same numbers, of which ``same`` gives the relative's
parameters by the cell's: what the papers say about their kinship.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import (
    Bias,
    Input,
    Matrix,
    State,
    Value,
    cell,
    lstm_with_peepholes,
    sigmoid,
    tanh,
)
from conveyor.errors import SettingError
from tests.layers.named import draw

T, B, INPUTS, UNITS = 6, 3, 4, 5
# A sigmoid of this is 1 in float64, to the last bit.
OPEN = 40.0

Parameters = Mapping[str, Tensor]


def drawn(layer: conveyor.Recurrent) -> Parameters:
    """Random numbers for a layer's parameters, by the cell's names."""
    own = layer.get_submodule("l0").named_parameters()
    return {name: draw(*each.shape, seed=seed) for seed, (name, each) in enumerate(own)}


def filled(cell: str, values: Callable[[conveyor.Recurrent], Parameters]) -> conveyor.Recurrent:
    """A layer of a cell with these parameters; all must be given."""
    layer = conveyor.Recurrent(
        cell,
        INPUTS,
        UNITS,
        sizes={"P": UNITS} if "projected" in cell else {},
        dtype=torch.float64,
    )
    given = values(layer)
    own = dict(layer.get_submodule("l0").named_parameters())
    assert own.keys() == given.keys()
    with torch.no_grad():
        for name, each in own.items():
            each.copy_(given[name])
    return layer


def zeros_like(parameters: Parameters, *names: str) -> dict[str, Tensor]:
    """The parameters, those that begin with one of these names zero."""
    return {
        name: torch.zeros_like(each) if name.startswith(names) else each
        for name, each in parameters.items()
    }


def without(parameters: Parameters, *names: str) -> dict[str, Tensor]:
    """The parameters but those that begin with one of these names."""
    return {name: each for name, each in parameters.items() if not name.startswith(names)}


def negated(parameters: Parameters, gate: str) -> dict[str, Tensor]:
    """The parameters with those of a gate negated: its sigmoid becomes 1 less it."""
    return {name: -each if name.endswith(f".{gate}") else each for name, each in parameters.items()}


def renamed(parameters: Parameters, **gates: str) -> dict[str, Tensor]:
    """The parameters with gates called otherwise."""

    def new(name: str) -> str:
        family, _, gate = name.partition(".")
        return f"{family}.{gates.get(gate, gate)}" if gate else family

    return {new(name): each for name, each in parameters.items()}


def opened(parameters: Parameters, gate: str) -> dict[str, Tensor]:
    """The parameters and those of a gate that is always 1."""
    square, wide = torch.zeros(UNITS, UNITS), torch.zeros(UNITS, INPUTS)
    more = {"W": wide, "U": square, "p": torch.zeros(UNITS), "b": torch.full((UNITS,), OPEN)}
    return {**parameters, **{f"{letter}.{gate}": each for letter, each in more.items()}}


def diagonal(parameters: Parameters, letter: str, new: str) -> dict[str, Tensor]:
    """The parameters, vectors of a letter as diagonals of matrices of another."""
    return {
        name.replace(letter, new, 1) if name.split(".")[0] == letter else name: torch.diag(each)
        if name.split(".")[0] == letter
        else each
        for name, each in parameters.items()
    }


@dataclass(frozen=True)
class Kin:
    """``cell`` with the parameters that ``special`` makes of random ones is ``relative`` with
    those that ``same`` makes of the special ones."""

    cell: str
    relative: str
    same: Callable[[Parameters], Parameters]
    special: Callable[[Parameters], Parameters] = lambda parameters: parameters

    def __str__(self) -> str:
        return f"{self.cell} is {self.relative}"


IDENTITY = torch.eye(UNITS)


def ur_of_coupled(p: Parameters) -> Parameters:
    """A refine gate of one half changes nothing: g = f."""
    return zeros_like(p, "W.r", "U.r", "d")


def as_coupled(p: Parameters) -> Parameters:
    return {**renamed(without(p, "W.r", "U.r", "d"), u="g"), "b.f": torch.zeros(UNITS)}


def constant_candidate(p: Parameters) -> Parameters:
    return {**zeros_like(p, "V", "W.z"), "b.z": p["b.z"] / 2}


def of_mingru(p: Parameters) -> Parameters:
    """QRNN's forget gate keeps the old; minGRU's update gate takes the new."""
    return {
        "W.z": -p["W.f"],
        "b.z": -p["b.f"],
        "W.n": torch.zeros_like(p["W.z"]),
        "b.n": torch.tanh(p["b.z"]),
    }


def tied_input(p: Parameters) -> Parameters:
    """An input gate whose weights are those of the forget gate, negated, is 1 less it."""
    tied = {name[:-1] + "i": -each for name, each in p.items() if name.endswith(".f")}
    return {**p, **tied}


KINSHIPS = [
    Kin("lstm_peephole", "lstm", lambda p: without(p, "p"), lambda p: zeros_like(p, "p")),
    Kin(
        "lstm_coupled_input",
        "lstm_coupled",
        lambda p: renamed(negated(without(p, "p"), "i"), i="f"),
        lambda p: zeros_like(p, "p"),
    ),
    Kin("lstm_coupled", "lstm", tied_input),
    Kin("gru_reset_before", "gru_chung", lambda p: negated(p, "z")),
    Kin(
        "lstm_projected",
        "lstm",
        lambda p: without(p, "R"),
        lambda p: {**p, "R": IDENTITY},
    ),
    Kin(
        "lstm_projected_peephole",
        "lstm_peephole",
        lambda p: without(p, "R"),
        lambda p: {**p, "R": IDENTITY},
    ),
    Kin(
        "lstm_full_recurrence",
        "lstm_peephole",
        lambda p: without(p, "R"),
        lambda p: zeros_like(p, "R"),
    ),
    Kin("lstm_peephole", "lstm_peephole_full", lambda p: diagonal(p, "p", "P")),
    Kin("lstm_no_input_gate", "lstm_peephole", lambda p: opened(p, "i")),
    Kin("lstm_no_forget_gate", "lstm_peephole", lambda p: opened(p, "f")),
    Kin(
        "lstm_no_output_gate",
        "lstm_peephole",
        lambda p: opened(p, "o"),
    ),
    Kin("mut2", "gru_chung", lambda p: {**without(p, "P"), "W.r": p["P"]}),
    Kin("ur_lstm", "lstm_coupled", as_coupled, ur_of_coupled),
    Kin("qrnn_f", "mingru", of_mingru, constant_candidate),
    Kin("indrnn", "rnn_relu", lambda p: diagonal(p, "u", "U")),
    Kin("para_gru", "gru_chung", lambda p: diagonal(p, "u", "U")),
]


def state_of(layer: conveyor.Recurrent, start: Mapping[str, Tensor]) -> Any:
    return type(layer.start(B))(*(start[name] for name in layer.start(B)._fields))


@pytest.mark.parametrize("kin", KINSHIPS, ids=str)
def test_kinship(kin: Kin) -> None:
    special: dict[str, Parameters] = {}

    def one(layer: conveyor.Recurrent) -> Parameters:
        special["of"] = {name: each.double() for name, each in kin.special(drawn(layer)).items()}
        return special["of"]

    cell = filled(kin.cell, one)
    relative = filled(kin.relative, lambda _: kin.same(special["of"]))
    x = draw(T, B, INPUTS, seed=100)
    start = {name: draw(1, B, UNITS, seed=200 + n) for n, name in enumerate(cell.start()._fields)}
    if kin.cell == "qrnn_f":  # what V made of the step before: nothing
        start |= {"zx": torch.zeros(1, B, UNITS).double(), "fx": torch.zeros(1, B, UNITS).double()}
    outputs = [each(x, state_of(each, start))[0] for each in (cell, relative)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-12, atol=1e-12)
    # Or else the test could compare constants.
    assert outputs[0].std() > 1e-3


@pytest.mark.parametrize("gates", ["", "f", "i", "o", "fi", "of", "io", "fio"])
def test_peepholes_on_some_gates(gates: str) -> None:
    """As peepholes on all, those of the other gates zero."""
    some = conveyor.Recurrent(lstm_with_peepholes(gates), INPUTS, UNITS, dtype=torch.float64)
    every = filled("lstm_peephole", drawn)
    own = dict(every.named_parameters())
    assert {name for name in own if name not in dict(some.named_parameters())} == {
        f"l0.p.{gate}" for gate in set("fio") - set(gates)
    }
    with torch.no_grad():
        for name, each in some.named_parameters():
            each.copy_(own[name])
        for gate in set("fio") - set(gates):
            own[f"l0.p.{gate}"].zero_()
    x = draw(T, B, INPUTS, seed=100)
    torch.testing.assert_close(some(x)[0], every(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gates", ["g", "ff", "F", None])
def test_gates_that_cannot_have_peepholes(gates: Any) -> None:
    with pytest.raises(SettingError, match="gates are"):
        lstm_with_peepholes(gates)


def test_layer_norm_does_not_see_how_large_weights_are() -> None:
    """Only ε does, where the weights are as large as this a little."""

    def times(by: float) -> Callable[[conveyor.Recurrent], Parameters]:
        return lambda layer: {
            name: each * by if name[0] in "WU" else each for name, each in drawn(layer).items()
        }

    layers = [filled("lstm_layer_norm", times(by)) for by in (100.0, 1000.0)]
    x = draw(T, B, INPUTS, seed=100)
    torch.testing.assert_close(layers[0](x)[0], layers[1](x)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "cell",
    ["lstm_peephole", "lstm_coupled_input", "lstm_full_recurrence", "lstm_projected_peephole"],
)
def test_the_output_gate_sees_the_new_cell_state(cell: str) -> None:
    """With all that the output gate reads at 0 but its peephole, o is σ(p * c) of this step."""

    def only_the_peephole(layer: conveyor.Recurrent) -> Parameters:
        return zeros_like(drawn(layer), "W.o", "U.o", "b.o", "R.i_o", "R.f_o", "R.o_o")

    layer = filled(cell, only_the_peephole)
    trace = layer(draw(T, B, INPUTS, seed=1), trace=True)[2]
    peephole = dict(layer.named_parameters())["l0.p.o"]
    torch.testing.assert_close(trace["o"], torch.sigmoid(peephole * trace["c"]))


def test_gates_that_are_both_nearly_closed_still_share_out_one() -> None:
    """minLSTM: f / (f + i) of two gates that are 0 in float32 is 1/2, not 0/0."""
    layer = conveyor.Recurrent("minlstm", 1, 1)
    with torch.no_grad():
        for name, each in layer.named_parameters():
            each.fill_({"l0.b.f": -120.0, "l0.b.i": -120.0, "l0.W.n": 1.0}.get(name, 0.0))
    x = torch.ones(1, 1, 1, requires_grad=True)
    output = layer(x)[0]
    output.sum().backward()
    assert output.item() == pytest.approx(0.5)
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_states_start_within_what_a_type_holds() -> None:
    layer = conveyor.Recurrent("slstm", INPUTS, UNITS).half()
    assert layer.start(1).m.isfinite().all()
    assert layer(torch.randn(T, B, INPUTS).half())[0].isfinite().all()


def test_a_state_that_does_not_start_at_zero() -> None:
    """sLSTM's stabiliser: the first step counts by its own size, however small its gates are."""
    layer = conveyor.Recurrent("slstm", INPUTS, UNITS, num_layers=2)
    assert float(layer.start(1).m.max()) == pytest.approx(-1e30)
    with torch.no_grad():
        for name, each in layer.named_parameters():
            if name.endswith("b.i"):
                each.fill_(-200.0)  # exp(-200) is 0 in float32
    x = torch.randn(T, B, INPUTS)
    whole, state = layer(x)
    assert whole.isfinite().all()
    assert state.m.max() < -100
    torch.testing.assert_close(layer(x, layer.start(B))[0], whole)
    with conveyor.use_target("reference"):
        torch.testing.assert_close(layer(x)[0], whole)

    steps, now = [], None
    for one in x:
        output, now = layer.step(one, now)
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps), whole)

    stream = layer.stream(B)
    for _ in range(2):
        streamed = [torch.from_numpy(stream(one.numpy())) for one in x]
        torch.testing.assert_close(torch.stack(streamed), whole.detach())
        stream.restart()

    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[3, 1] = True
    torch.testing.assert_close(layer(x, reset=reset)[0][3:, 1], layer(x[3:, 1:2])[0][:, 0])
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x)[0], whole)
    torch.testing.assert_close(compiled(x, reset=reset)[0], layer(x, reset=reset)[0])


@cell
def mut3_of_the_state(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """MUT3 whose update gate sees the state as it is."""
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    r = sigmoid(W.r @ x + U.r @ h + b.r)
    n = tanh(U.n @ (r * h) + W.n @ x + b.n)
    h = n * z + h * (1 - z)
    return h  # noqa: RET504  (as equations are written)


def test_mut3_is_a_gru_but_for_a_squashed_state() -> None:
    one = conveyor.Recurrent(mut3_of_the_state, INPUTS, UNITS, dtype=torch.float64)
    other = conveyor.Recurrent("gru_chung", INPUTS, UNITS, dtype=torch.float64)
    mutant = conveyor.Recurrent("mut3", INPUTS, UNITS, dtype=torch.float64)
    for each in (other, mutant):
        each.load_state_dict(one.state_dict())
    x = draw(T, B, INPUTS, seed=3)
    torch.testing.assert_close(one(x)[0], other(x)[0], rtol=1e-12, atol=1e-12)
    assert (mutant(x)[0] - other(x)[0]).abs().max() > 1e-4
