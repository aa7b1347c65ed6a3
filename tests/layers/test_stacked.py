"""Layers of different cells and widths on top of each other."""

from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.errors import SettingError, ShapeError
from tests.layers.named import draw

T, B, INPUTS = 5, 3, 4
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
arounds = pytest.mark.parametrize("around", ["nothing", "residual", "highway"])
LAYERS = (["lstm", "gru", "mgu"], INPUTS, [6, 6, 7])


def make(**options: Any) -> conveyor.Stacked:
    torch.manual_seed(0)
    return conveyor.Stacked(*LAYERS, dtype=torch.float64, **options)


def by_hand(stack: conveyor.Stacked, x: Tensor, around: str, **given: Any) -> Tensor:
    """The papers' formulas over the layers."""
    for number, layer in enumerate(stack.each):
        output = layer(x, **given)[0]
        if number and around != "nothing":
            own: Any = stack.arounds[number - 1]
            past = x if x.shape == output.shape else x @ own.project.weight.T
            if around == "residual":
                output = output + past
            else:
                share = torch.sigmoid(x @ own.gate.weight.T + own.gate.bias)
                output = output * share + past * (1 - share)
        x = output
    return x


@arounds
@pytest.mark.parametrize("given", [{}, {"lengths": [2, 5, 0]}], ids=["dense", "lengths"])
def test_a_stack_is_what_the_papers_say(around: str, given: dict[str, Any]) -> None:
    stack, x = make(around=around), draw(T, B, INPUTS, seed=1)
    output, state = stack(x, **given)
    assert output.shape == (T, B, stack.output_size) == (T, B, 7)
    torch.testing.assert_close(output, by_hand(stack, x, around, **given), **CLOSE)
    assert [each.h.shape[-1] for each in state] == [6, 6, 7]
    if given:
        assert output[2:, 0].abs().max() == 0  # exact zeros behind the end
        assert output[:, 2].abs().max() == 0


@arounds
def test_steps_are_a_sequence_and_parts_a_whole(around: str) -> None:
    stack, x = make(around=around), draw(T, B, INPUTS, seed=1)
    whole, final = stack(x)
    state = stack.start(B)
    outputs = []
    for now in x:
        output, state = stack.step(now, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs), whole, **CLOSE)
    first, state = stack(x[:2])
    second, state = stack(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, **CLOSE)
    torch.testing.assert_close([*map(tuple, state)], [*map(tuple, final)], **CLOSE)


@arounds
def test_gradients_agree_with_differences(around: str) -> None:
    stack = conveyor.Stacked(["rnn", "gru"], 2, [2, 3], around=around, dtype=torch.float64)
    x = draw(3, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: stack(x)[0], (x, *stack.parameters()))


def test_a_highway_begins_by_handing_on() -> None:
    stack = conveyor.Stacked("lstm", INPUTS, [6, 6], around="highway", dtype=torch.float64)
    gate: Any = stack.arounds[0].gate
    assert gate.bias.tolist() == [-1.0] * 6
    with torch.no_grad():
        gate.bias.fill_(-1e3)
    x = draw(T, B, INPUTS, seed=1)
    torch.testing.assert_close(stack(x)[0], stack.each[0](x)[0])


def test_directions_batches_first_traces_and_options_for_each() -> None:
    stack = conveyor.Stacked(
        "gru", INPUTS, [3, 5], around="residual", bidirectional=True, merge=["concatenate", "sum"],
        batch_first=True, zoneout=[0.0, 0.5], dropout=0.5, learn_start=True,
    )  # fmt: skip
    assert stack.output_size == 5
    x = torch.randn(B, T, INPUTS)
    output, state, traces = stack(x, trace=True)
    assert output.shape == (B, T, 5)
    assert traces[1].at(0, reverse=True)["h"].shape == (B, T, 5)
    assert len(state) == len(traces) == 2
    stack.eval()
    assert torch.equal(stack(x)[0], stack(x)[0])
    assert "residual" in repr(stack)


def test_dropout_lies_between_layers_only() -> None:
    stack = conveyor.Stacked("rnn", INPUTS, [6, 6], dropout=1.0)
    x = torch.randn(T, B, INPUTS)
    torch.testing.assert_close(stack(x)[0], stack(2 * x)[0])
    assert conveyor.Stacked("rnn", INPUTS, [6], dropout=1.0)(x)[0].abs().sum() > 0


def test_a_stack_is_compiled_without_a_break() -> None:
    stack, x = make(around="highway"), draw(T, B, INPUTS, seed=1)
    compiled = torch.compile(stack, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], stack(x)[0], **CLOSE)


def test_what_is_refused() -> None:
    for arguments, options, says in (
        (("lstm", 3, []), {}, "expected the units of each layer"),
        (("lstm", 3, 4), {}, "expected the units of each layer"),
        (("lstm", 3, [4, 0]), {}, "hidden_size is 0"),
        ((["lstm"], 3, [4, 4]), {}, "cell holds 1; there are 2 layers"),
        (("lstm", 3, [4]), {"around": "residuals"}, "Did you mean 'residual'"),
        (("lstm", 3, [4]), {"dropout": 2}, "dropout is 2"),
        (("lstm_depth_gated", 3, [4, 4]), {}, "Use Recurrent with num_layers"),
        (("lstm", 3, [4, 4]), {"batch_first": [True, False]}, "one for all layers"),
    ):
        with pytest.raises(SettingError, match=says):
            conveyor.Stacked(*arguments, **options)
    stack = conveyor.Stacked("gru", 3, [4, 4])
    with pytest.raises(ShapeError, match="there are 2"):
        stack(torch.zeros(2, 1, 3), stack.start(1)[:1])
    with pytest.raises(ShapeError, match="no PackedSequence"):
        stack(torch.nn.utils.rnn.pack_sequence([torch.zeros(2, 3)]))


def test_what_no_longer_fits_around_a_layer() -> None:
    x = torch.zeros(T, B, 3)
    for around, name, shape, says in (
        ("residual", "project.weight", (7, 4), r"project.weight .* \[7, 4\]; expected \[5, 4\]"),
        ("residual", "project.weight", (1, 4), r"project.weight .* \[1, 4\]; expected \[5, 4\]"),
        ("residual", "project.weight", (5, 3), r"project.weight .* \[5, 3\]; expected \[5, 4\]"),
        ("highway", "gate.weight", (1, 4), r"gate.weight .* \[1, 4\]; expected \[5, 4\]"),
        ("highway", "gate.bias", (1,), r"gate.bias .* \[1\]; expected \[5\]"),
    ):
        stack = conveyor.Stacked("lstm", 3, [4, 5], around=around)
        linear, _, parameter = name.partition(".")
        module = stack.arounds[0].get_submodule(linear)
        setattr(module, parameter, torch.nn.Parameter(torch.ones(shape)))
        with pytest.raises(ShapeError, match=says):
            stack(x)
    stack = conveyor.Stacked("lstm", 3, [4, 4], around="residual")
    stack.each[1] = conveyor.Recurrent("lstm", 4, 1)  # torch would broadcast its output
    with pytest.raises(ShapeError, match="a layer gives 1 feature and 4 go around it"):
        stack(x)
