"""What becomes of both directions: side by side, summed, or each by itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import use_target
from conveyor.errors import SettingError
from tests.layers.named import draw

T, B, INPUTS, UNITS = 6, 3, 4, 5
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
merges = pytest.mark.parametrize("merge", ["concatenate", "sum", "separate"])
cells = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
HOW: dict[str, dict[str, Any]] = {
    "dense": {},
    "lengths": {"lengths": [2, 6, 0]},
    "reset": {"reset": torch.arange(T)[:, None].expand(T, B) == 3},
}


def make(cell: str, merge: str, layers: int = 3, **options: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent(
        cell, INPUTS, UNITS, num_layers=layers, bidirectional=True, merge=merge,
        dtype=torch.float64, **options,
    )  # fmt: skip


def single(layer: conveyor.Recurrent, number: int, suffix: str) -> conveyor.Recurrent:
    """One layer of one direction, as a layer of its own."""
    own = layer.get_submodule(f"l{number}{suffix}")
    reads = next(each.shape[1] for key, each in own.named_parameters() if key.startswith("W"))
    alone = conveyor.Recurrent(layer.program, reads, UNITS, dtype=torch.float64)
    alone.get_submodule("l0").load_state_dict(own.state_dict())
    return alone


def backwards(x: Tensor, lengths: list[int]) -> Tensor:
    """Every sequence from its end."""
    turned = torch.zeros_like(x)
    for example, length in enumerate(lengths):
        turned[:length, example] = x[:length, example].flip(0)
    return turned


def by_hand(layer: conveyor.Recurrent, x: Tensor, lengths: list[int]) -> Tensor:
    """The stack of layers of one direction each."""
    reads = [x, x]
    for number in range(layer.num_layers):
        there, _ = single(layer, number, "")(reads[0], lengths=lengths)
        back, _ = single(layer, number, "_reverse")(backwards(reads[1], lengths), lengths=lengths)
        outputs = [there, backwards(back, lengths)]
        if layer.merge == "sum":
            reads = [outputs[0] + outputs[1]] * 2
        elif layer.merge == "separate" and number < layer.num_layers - 1:
            reads = outputs
        else:
            reads = [torch.cat(outputs, -1)] * 2
    return reads[0]


@merges
@cells
@pytest.mark.parametrize("lengths", [[T] * B, [2, 6, 0]], ids=["dense", "ragged"])
def test_a_stack_is_what_its_layers_are(cell: str, merge: str, lengths: list[int]) -> None:
    layer, x = make(cell, merge), draw(T, B, INPUTS, seed=1)
    got, _ = layer(x, lengths=lengths)
    assert got.shape[-1] == layer.output_size == (UNITS if merge == "sum" else 2 * UNITS)
    torch.testing.assert_close(got, by_hand(layer, x, lengths), **CLOSE)


def everything(layer: conveyor.Recurrent, **given: Any) -> list[Tensor]:
    x = draw(T, B, INPUTS, seed=50).requires_grad_()
    output, state = layer(x, **given)
    results = [output, *state]
    loss = torch.stack([(each * draw(*each.shape, seed=n)).sum() for n, each in enumerate(results)])
    return [*results, *torch.autograd.grad(loss.sum(), [x, *layer.parameters()])]


@merges
@pytest.mark.parametrize("how", HOW)
def test_machine_code_and_the_reference_agree(merge: str, how: str) -> None:
    layer = make("lstm", merge)
    got = everything(layer, **HOW[how])
    with use_target("reference"):
        want = everything(layer, **HOW[how])
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@merges
def test_calls_again_compiled_and_checkpointed(merge: str) -> None:
    layer, x = make("gru", merge), draw(T, B, INPUTS, seed=1)
    want = layer(x)[0]
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(layer(x)[0], want, **CLOSE)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], want, **CLOSE)
    kept = make("gru", merge, checkpoint=2)
    kept.load_state_dict(layer.state_dict())
    torch.testing.assert_close(kept(x)[0], want, **CLOSE)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [T] * B)
    torch.testing.assert_close(
        torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0], want, **CLOSE
    )
    assert "3 layer(s), 2 direction(s)" in layer.explain(x)


@merges
def test_dropout_lies_between_layers(merge: str) -> None:
    layer, x = make("rnn", merge, dropout=1.0), draw(T, B, INPUTS, seed=1)
    empty = make("rnn", merge, layers=1)
    zero = layer(x)[0]
    torch.testing.assert_close(layer(2 * x)[0], zero)  # nothing comes through
    layer.eval()
    assert not torch.equal(layer(2 * x)[0], layer(x)[0])
    assert empty(x)[0].shape == zero.shape


def test_separate_directions_never_meet() -> None:
    layer, x = make("lstm", "separate"), draw(T, B, INPUTS, seed=1).requires_grad_()
    layer(x)[0][0, :, :UNITS].sum().backward()
    assert x.grad is not None
    assert x.grad[1:].abs().sum() == 0  # forwards, the first step knows only itself
    assert "separate" in repr(layer)


def test_what_is_refused() -> None:
    with pytest.raises(SettingError, match="Did you mean 'separate'"):
        make("lstm", "seperate")
    with pytest.raises(SettingError, match="there is one direction"):
        conveyor.Recurrent("lstm", 3, 4, merge="sum")
