"""All that a layer computed over one sequence, and the gradients between its steps."""

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import jacrev

import conveyor
from conveyor import inspect
from conveyor.errors import SettingError, ShapeError
from conveyor.inspect import one_sequence
from conveyor.inspect.overview import Overview, thinned

T, I, H = 23, 3, 5  # noqa: E741


def a_layer(cell: Any = "lstm", **settings: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(cell, I, H, dtype=torch.float64, **settings)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.5)
    return layer


def a_sequence(steps: int = T) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(steps, 1, I, dtype=torch.float64)


# What is inside -----------------------------------------------------------------------------------


def test_the_belt_of_an_lstm_is_what_its_equations_say() -> None:
    (one,) = inspect.overview(a_layer(), a_sequence())
    values = one.values
    torch.testing.assert_close(one.put_on, values["i"] * values["g"])
    torch.testing.assert_close(one.taken_off, (1 - values["f"]) * one.before)
    torch.testing.assert_close(one.before + one.put_on - one.taken_off, values["c"])
    torch.testing.assert_close(one.before[1:], values["c"][:-1])
    assert not one.before[0].any()


@pytest.mark.parametrize("cell", ["gru", "rnn", "lstm_peephole", "sru"])
def test_what_is_put_on_and_taken_off_adds_up_in_every_cell(cell: str) -> None:
    (one,) = inspect.overview(a_layer(cell), a_sequence())
    torch.testing.assert_close(
        one.before + one.put_on - one.taken_off, one.values[one.memory], msg=cell
    )


def test_a_gru_puts_its_candidate_on() -> None:
    (one,) = inspect.overview(a_layer("gru"), a_sequence())
    torch.testing.assert_close(one.carried, one.values["z"])
    torch.testing.assert_close(one.put_on, (1 - one.values["z"]) * one.values["n"])


@pytest.mark.parametrize("settings", [{}, {"num_layers": 2}, {"bidirectional": True}])
def test_the_values_are_those_of_a_trace(settings: dict[str, Any]) -> None:
    layer, x = a_layer(**settings), a_sequence()
    trace = layer(x, trace=True)[2]
    for one in inspect.overview(layer, x):
        of_place = trace.at(one.layer, reverse=one.reverse)
        assert set(one.values) == set(of_place)
        for name, values in one.values.items():
            torch.testing.assert_close(values, of_place[name][:, 0].detach())


def test_backwards_the_step_before_is_the_next_one() -> None:
    backwards = inspect.overview(a_layer(bidirectional=True), a_sequence())[1]
    assert backwards.reverse
    torch.testing.assert_close(backwards.before[:-1], backwards.values["c"][1:])
    assert not backwards.before[-1].any()


def test_a_long_sequence_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = a_layer(num_layers=2), a_sequence()
    whole = inspect.overview(layer, x)
    # The function of the same name stands before the module.
    monkeypatch.setattr(importlib.import_module("conveyor.inspect.overview"), "CHUNK", 4)
    steps = [0, 3, 4, 11, 22]
    for one, other in zip(whole, inspect.overview(layer, x, steps=steps), strict=True):
        assert other.steps == tuple(steps)
        torch.testing.assert_close(other.values["h"], one.values["h"][steps])
        torch.testing.assert_close(other.before, one.before[steps])
        torch.testing.assert_close(other.carried, one.carried[steps])


def test_a_start_state_is_what_was_before_the_first_step() -> None:
    layer, x = a_layer(), a_sequence()
    _, state = layer(x)
    (one,) = inspect.overview(layer, x, state=state)
    torch.testing.assert_close(one.before[0], state.c[0, 0].detach())


@pytest.mark.parametrize("form", ["[T, width]", "batch first"])
def test_a_sequence_may_be_laid_out_as_the_layer_reads_it(form: str) -> None:
    x = a_sequence()
    (expected,) = inspect.overview(a_layer(), x)
    if form == "batch first":
        (one,) = inspect.overview(a_layer(batch_first=True), x.transpose(0, 1))
    else:
        (one,) = inspect.overview(a_layer(), x[:, 0])
    torch.testing.assert_close(one.values["c"], expected.values["c"])


def test_the_statistics_are_those_of_the_functions() -> None:
    layer, x = a_layer(), a_sequence()
    (one,) = inspect.overview(layer, x)
    torch.testing.assert_close(one.time_constants, inspect.time_constants(layer, x))
    for name, saturation in inspect.saturation(layer, x).items():
        torch.testing.assert_close(one.saturation[name].low, saturation.low)
        torch.testing.assert_close(one.saturation[name].high, saturation.high)
    assert torch.equal(one.dead, inspect.dead_units(layer, x, name="c"))


def an_overview(memory: Tensor) -> Overview:
    zeros = torch.zeros_like(memory)
    return Overview(0, False, tuple(range(len(memory))), {"h": memory}, {}, "h", zeros, zeros)


def test_units_that_move_alike_stand_together() -> None:
    time = torch.linspace(0, 12, 60)
    waves = [time.sin(), time.cos(), -time.sin(), time.sin(), time.cos(), -time.sin()]
    order = an_overview(torch.stack(waves, 1)).order
    assert sorted(order) == list(range(6))
    places = {unit: place for place, unit in enumerate(order)}
    for unit, other in ((0, 3), (1, 4), (2, 5)):
        # The ends of a circle are neighbours.
        assert abs(places[unit] - places[other]) in (1, 5)


@pytest.mark.parametrize("memory", [torch.zeros(4, 3), torch.ones(1, 3), torch.randn(4, 1)])
def test_units_that_stand_still_have_an_order_too(memory: Tensor) -> None:
    assert sorted(an_overview(memory).order) == list(range(memory.shape[1]))


def test_steps_are_thinned_evenly_with_both_ends() -> None:
    assert thinned(5, 9) == [0, 1, 2, 3, 4]
    assert thinned(100_000, 400)[0] == 0
    assert thinned(100_000, 400)[-1] == 99_999
    assert len(set(thinned(100_000, 400))) == 400
    assert thinned(7, 1) == [6]


@pytest.mark.parametrize("steps", [[], [1, 1], [3, 2], [-1, 0], [0, T]])
def test_steps_that_are_not_there_are_an_error(steps: list[int]) -> None:
    with pytest.raises(SettingError, match="steps must be rising"):
        inspect.overview(a_layer(), a_sequence(), steps=steps)


@pytest.mark.parametrize("shape", [(T, 2, I), (0, 1, I), (T,)])
def test_one_sequence_is_expected(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ShapeError, match="expected one sequence"):
        inspect.overview(a_layer(), x)
    with pytest.raises(ShapeError, match="expected one sequence"):
        inspect.gradients_between(a_layer(), x)


def test_a_dilated_layer_is_no_belt() -> None:
    with pytest.raises(SettingError, match="dilated"):
        inspect.overview(a_layer(dilation=2), a_sequence())


# Gradients between steps --------------------------------------------------------------------------


def exact(layer: conveyor.Recurrent, x: Tensor, output: int) -> Tensor:
    """The Frobenius norm of the derivative of an output by the cell state of each step, [T], by a
    run from each step on."""
    norms = torch.zeros(len(x), dtype=torch.float64)
    for step in range(output + 1):
        state = layer(x[: step + 1])[1]

        def follows(memory: Tensor, step: int = step, state: Any = state) -> Tensor:
            """What follows of c, also through h of the same step."""
            trace = layer(x[: step + 1], trace=True)[2]
            hidden = trace["o"][-1:, :1].detach() * memory.tanh()
            if step == output:
                at_once: Tensor = hidden[0, 0]
                return at_once
            moved = state._replace(c=memory, h=hidden)
            outputs: Tensor = layer(x[step + 1 : output + 1], moved)[0]
            last: Tensor = outputs[-1, 0]
            return last

        norms[step] = jacrev(follows)(state.c.detach()).norm()
    return norms


def test_the_norms_are_those_of_the_derivative() -> None:
    layer, x = a_layer(), a_sequence(9)
    norms = inspect.gradients_between(layer, x, outputs=[8, 3], draws=4000)
    for row, output in enumerate((8, 3)):
        torch.testing.assert_close(norms[row], exact(layer, x, output), rtol=0.05, atol=1e-9)
    assert not norms[1, 4:].any()


def test_all_directions_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = a_layer(), a_sequence(9)
    expected = exact(layer, x, 8)
    torch.testing.assert_close(
        inspect.gradients_between(layer, x, outputs=[8], draws=None)[0], expected
    )
    monkeypatch.setattr("conveyor.inspect.between.AT_ONCE", 90)  # two copies at a time
    both = inspect.gradients_between(layer, x, outputs=[8, 3], draws=None)
    torch.testing.assert_close(both[0], expected)
    torch.testing.assert_close(both[1], exact(layer, x, 3))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_all_outputs_together_are_each_alone(cell: str) -> None:
    """The directions are drawn anew, so what is compared is exact: one unit has one direction."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent(cell, I, 1, dtype=torch.float64)
    x = a_sequence(12)
    norms = inspect.gradients_between(layer, x)
    name = "c" if cell == "lstm" else "h"
    for output in (0, 5, 11):
        alone = inspect.gradient_by_distance(layer, x, at=output).norms[0, False, name].flip(0)
        row = norms[output, : output + 1]
        torch.testing.assert_close(row / row[-1], alone / alone[-1])


def test_copies_go_by_parts_and_windows_begin_with_their_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent("lstm", I, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.get_parameter("l0.b.f").fill_(4.0)  # it remembers the steps before a window
    x = a_sequence(30)
    whole = inspect.gradients_between(layer, x)
    whole = whole / whole.diagonal()[:, None]
    monkeypatch.setattr("conveyor.inspect.between.AT_ONCE", 40)
    monkeypatch.setattr(one_sequence, "CHUNK", 4)
    parts = inspect.gradients_between(layer, x)
    torch.testing.assert_close(parts / parts.diagonal()[:, None], whole)
    back = inspect.gradients_between(layer, x, outputs=[29, 2, 17], back=6)
    for row, output in enumerate((29, 2, 17)):
        first = max(0, output - 5)
        assert back[row, :first].isnan().all()
        torch.testing.assert_close(
            back[row, first : output + 1] / back[row, output], whole[output, first : output + 1]
        )
        assert not back[row, output + 1 :].any()


def test_the_layer_of_a_stack_may_be_chosen() -> None:
    layer, x = a_layer(num_layers=2), a_sequence(6)
    top, bottom = (inspect.gradients_between(layer, x, number=number) for number in (1, 0))
    torch.testing.assert_close(inspect.gradients_between(layer, x), top)
    assert not torch.allclose(top, bottom)  # noqa: TID251 - that they differ is what is asked


@pytest.mark.parametrize(
    ("settings", "arguments", "text"),
    [
        ({"bidirectional": True}, {}, "reads both ways"),
        ({}, {"outputs": [T]}, "the sequence has 23 steps"),
        ({}, {"draws": 0}, "draws is 0"),
        ({}, {"back": 0}, "back 0"),
        ({}, {"number": 1}, "the layers are 0 to 0"),
        ({}, {"name": "z"}, "has no state 'z'"),
    ],
)
def test_what_cannot_be_asked_is_an_error(
    settings: dict[str, Any], arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(SettingError, match=text):
        inspect.gradients_between(a_layer(**settings), a_sequence(), **arguments)
