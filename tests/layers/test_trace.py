# ruff: noqa: RET504, PLR0917  (cells are written as equations: h = ...; return h)
"""What the cells computed at every step: right, differentiable, laid out as the output."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import conveyor
from conveyor.cells import (
    Bias,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    cell,
    maximum,
    mean,
    sigmoid,
    tanh,
    total,
)
from conveyor.errors import SettingError
from tests import table
from tests.cells import oracles
from tests.kinds import LONG, every_law_case
from tests.layers.named import assert_same, draw, leaf

every_cell = pytest.mark.parametrize("case", table.MIDDLING, ids=lambda case: case.cell)
every_kind = every_law_case()

# Float64: the same operations on the same numbers, summed in another order. A few units of 2e-16
# in sums of at most 10 products, carried over 7 steps.
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}

LENGTHS = [3, 0, 7]


def oracle_parameters(layer: conveyor.Recurrent, name: str = "l0") -> dict[str, Any]:
    """By the oracles' names: a letter without a gate is that of h."""
    return {
        key if "." in key else f"{key}.h": each.detach().numpy()
        for key, each in layer.get_submodule(name).named_parameters()
    }


@every_cell
def test_every_local_name_with_the_papers_values(case: table.Case) -> None:
    layer = table.make_layer(case)
    x, state = table.make_input(case), table.make_state(case, layer)
    _, _, trace = layer(x, state, trace=True)
    for b in range(case.batch):
        start = {name: each[0, b].numpy() for name, each in state._asdict().items()}
        want = oracles.run(case.cell, x[:, b].numpy(), start, oracle_parameters(layer))
        assert set(trace) >= set(want)  # a body may name what the paper does not
        for name, each in want.items():
            torch.testing.assert_close(trace[name][:, b], torch.from_numpy(each), **CLOSE)


@every_kind
def test_shapes(case: table.Case) -> None:
    layer, first = table.make_layer(case), table.make_layer(case, batch_first=True)
    x = table.make_input(case)
    axes = {name: layer.program.axes[value] for name, value in local_values(layer).items()}
    # A number for each example is one wide.
    widths = {name: case.widths[each[0]] if each else 1 for name, each in axes.items()}
    for name, each in layer(x, trace=True)[2].items():
        assert each.shape == (7, 3, widths[name]), name
    for name, each in first(x.transpose(0, 1), trace=True)[2].items():
        assert each.shape == (3, 7, widths[name]), name
    for name, each in layer(x[:, 0], trace=True)[2].items():
        assert each.shape == (7, widths[name]), name


def local_values(layer: conveyor.Recurrent) -> dict[str, str]:
    return layer.program.values_of("local")


@every_kind
def test_asking_for_a_trace_changes_no_result(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    output, final = layer(x, state)
    got, got_final, _ = layer(x, state, trace=True)
    assert torch.equal(got, output)
    for mine, other in zip(got_final, final, strict=True):
        assert torch.equal(mine, other)


@every_kind
def test_layouts_hold_the_same_values(case: table.Case) -> None:
    layer, first = table.make_layer(case), table.make_layer(case, batch_first=True)
    x = table.make_input(case)
    _, _, want = layer(x, trace=True)
    _, _, got = first(x.transpose(0, 1), trace=True)
    assert_same({name: each.transpose(0, 1) for name, each in got.items()}, dict(want), **CLOSE)
    for one in (layer, first):  # batch_first says nothing about a sequence without a batch
        _, _, single = one(x[:, 1], trace=True)
        assert_same(dict(single), {name: each[:, 1] for name, each in want.items()}, **CLOSE)


@every_kind
def test_differentiable_with_respect_to_everything(case: table.Case) -> None:
    layer = table.make_layer(case)
    x = leaf(table.make_input(case)[:3, :2])
    state = [leaf(each[:, :2]) for each in table.make_state(case, layer)]
    names = list(local_values(layer))
    parameters = list(layer.parameters())

    def traced(*_: Tensor) -> tuple[Tensor, ...]:
        _, _, trace = layer(x, state, trace=True)
        return tuple(trace[name] for name in names)

    # Central differences of steps of 1e-6, off by about 1e-10 of the third derivative and by
    # 2e-16 / 1e-6 of rounding: torch's usual tolerances for float64 hold.
    # In random directions, for some cells in every one.
    fast = not LONG and case.cell not in ("lstm_projected_peephole",)
    assert torch.autograd.gradcheck(traced, (x, *state, *parameters), fast_mode=fast)


def test_the_gradient_of_a_gate_is_that_of_its_equation() -> None:
    case = next(case for case in table.MIDDLING if case.cell == "lstm")
    layer = table.make_layer(case)
    x, state = table.make_input(case), table.make_state(case, layer)
    output, _, trace = layer(x, state, trace=True)
    before = torch.cat([state.h, output[:-1]])
    parameters = dict(layer.named_parameters())
    f = torch.sigmoid(
        x @ parameters["l0.W.f"].T + before @ parameters["l0.U.f"].T + parameters["l0.b.f"]
    )
    torch.testing.assert_close(trace["f"], f, **CLOSE)
    weights = draw(*f.shape, seed=4)
    found = []
    for values in (trace["f"], f):
        found.append(
            torch.autograd.grad(
                (weights * values).sum(),
                list(parameters.values()),
                retain_graph=True,
                materialize_grads=True,
                allow_unused=True,
            )
        )
    torch.testing.assert_close(found[0], found[1], **CLOSE)
    assert all((each != 0).any() for each in found[0])


@every_kind
def test_layers_and_directions(case: table.Case) -> None:
    stack = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, stack)
    output, _, trace = stack(x, state, trace=True)
    half = stack.output_size // 2
    main = next(iter(stack.program.values_of("output")))
    assert torch.equal(trace.at(1)[main], output[..., :half])
    assert torch.equal(trace.at(1, reverse=True)[main], output[..., half:])
    # The first layer alone, each direction: the reverse one turned around, and back.
    for reverse in (False, True):
        single = table.make_layer(case)
        suffix = "_reverse" if reverse else ""
        single.get_submodule("l0").load_state_dict(stack.get_submodule(f"l0{suffix}").state_dict())
        read = x.flip(0) if reverse else x
        _, _, want = single(read, [each[int(reverse)][None] for each in state], trace=True)
        turned = {name: each.flip(0) if reverse else each for name, each in want.items()}
        assert_same(dict(trace.at(0, reverse=reverse)), turned, **CLOSE)


@every_kind
def test_padded_steps_are_exact_zeros(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x = table.make_input(case)
    _, _, trace = layer(x, lengths=LENGTHS, trace=True)
    for number, reverse in ((0, False), (0, True), (1, False), (1, True)):
        for name, each in trace.at(number, reverse=reverse).items():
            for b, length in enumerate(LENGTHS):
                assert torch.equal(each[length:, b], torch.zeros_like(each[length:, b])), name
                assert length == 0 or (each[:length, b] != 0).any(), name


@every_kind
def test_packed_sequences_in_the_users_order(case: table.Case) -> None:
    lengths = [3, 1, 7]
    for batch_first in (False, True):
        layer = table.make_layer(case, bidirectional=True, batch_first=batch_first)
        x, state = table.make_input(case), table.make_state(case, layer)
        packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        _, _, trace = layer(packed, state, trace=True)
        _, _, want = layer(
            x.transpose(0, 1) if batch_first else x, state, lengths=lengths, trace=True
        )
        for reverse in (False, True):
            assert_same(
                dict(trace.at(0, reverse=reverse)), dict(want.at(0, reverse=reverse)), **CLOSE
            )


def test_the_layers_named_as_torchs() -> None:
    x = draw(7, 3, 2)
    layer = conveyor.LSTM(2, 4, proj_size=3, num_layers=2, dtype=torch.float64)
    output, _, trace = layer(x, trace=True)
    assert list(trace.at(0)) == ["f", "i", "g", "o", "c", "m", "h"]
    assert torch.equal(trace.at(1)["h"], output)
    _, _, trace = conveyor.GRU(2, 3, bias=False, dtype=torch.float64)(x, trace=True)
    assert list(trace) == ["r", "z", "n", "h"]


# The container -----------------------------------------------------------------------------------


def traced(**kwargs: Any) -> Any:
    return conveyor.Recurrent("lstm", 2, 3, **kwargs)(torch.zeros(4, 1, 2), trace=True)[2]


def test_a_trace_of_one_layer_is_a_mapping() -> None:
    trace = traced()
    assert list(trace) == ["f", "i", "g", "o", "c", "h"]
    assert len(trace) == 6
    assert "f" in trace
    assert "z" not in trace
    assert trace["f"] is trace.at(0)["f"]
    assert trace.get("z") is None


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"the cell has no local name 'ff'\. Did you mean 'f'\?"):
        traced()["ff"]
    with pytest.raises(KeyError, match=r"no local name 'forget'\. There are: c, f, g, h, i, o\."):
        traced()["forget"]


def test_an_unknown_name_of_one_of_several_layers_is_refused_with_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"no local name 'ff'\. Did you mean 'f'\?"):
        traced(num_layers=2).at(1)["ff"]


def test_an_unknown_layer_is_refused_with_those_that_are() -> None:
    with pytest.raises(SettingError, match=r"no layer 1 here\. There are: layer 0\."):
        traced().at(1)
    with pytest.raises(SettingError, match=r"no layer 0 reverse here\. There are: layer 0, layer"):
        traced(num_layers=2).at(0, reverse=True)
    with pytest.raises(SettingError, match=r"There are: layer 0, layer 0 reverse\."):
        traced(bidirectional=True).at(-1)


@pytest.mark.parametrize("stack", [{"num_layers": 2}, {"bidirectional": True}], ids=str)
def test_several_layers_must_be_told_apart(stack: dict[str, Any]) -> None:
    trace = traced(**stack)
    for ask in (lambda: trace["f"], lambda: len(trace), lambda: list(trace)):
        with pytest.raises(SettingError, match=r"holds 2 layers and directions.*trace\.at\("):
            ask()


# Odd local names ---------------------------------------------------------------------------------


@cell
def locals_of_all_kinds(x: Input, h: State, W: Matrix, U: Matrix, v: Vector, b: Bias) -> Value:
    """Local names that depend on nothing, on parameters, on the input, on the old state."""
    limit = maximum(0.5, 1.5)
    decay = sigmoid(v)
    weight = total(v)
    read = W @ x + b
    middle = mean(h)
    h = decay * h + (1 - decay) * tanh(read + U @ h) / limit + weight * middle
    return h


def test_every_local_name_is_over_time_whatever_it_depends_on() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(locals_of_all_kinds, 2, 3, dtype=torch.float64)
    vector, matrix, bias = (layer.get_parameter(f"l0.{letter}") for letter in "vWb")
    torch.nn.init.uniform_(vector, 0.1, 0.9)
    x, state = draw(7, 3, 2), draw(1, 3, 3, seed=1)
    for lengths in (None, LENGTHS):
        output, _, trace = layer(x, state, lengths=lengths, trace=True)
        valid = torch.ones(7, 3, 1, dtype=torch.float64)
        for b, length in enumerate(lengths or []):
            valid[length:, b] = 0
        before = torch.cat([state, output[:-1]])
        decay = torch.sigmoid(vector)
        want = {
            "limit": torch.full((7, 3, 1), 1.5, dtype=torch.float64) * valid,
            "decay": decay * valid,
            "weight": vector.sum() * valid,
            "read": (x @ matrix.T + bias) * valid,
            "middle": before.mean(-1, keepdim=True) * valid,
            "h": output,
        }
        assert_same(dict(trace), want, **CLOSE)
