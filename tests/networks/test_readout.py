"""A readout of each step or of the last, and its losses."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from conveyor.data.synthetic import Batch
from conveyor.errors import SettingError
from conveyor.networks.readout import Readout, mean_loss

T, B, INPUTS, OUTPUTS = 6, 3, 4, 5
LENGTHS = torch.tensor([6, 2, 4])


def batch(wanted: str, *, last: bool) -> Batch:
    """Random sequences and targets."""
    draw = torch.Generator().manual_seed(1)
    shape = (B,) if last else (T, B)
    if wanted == "class":
        targets = torch.randint(0, OUTPUTS, shape, generator=draw)
    else:
        targets = torch.rand(*shape, OUTPUTS, generator=draw)
        targets = targets.round() if wanted == "symbols" else targets
    return Batch(torch.randn(T, B, INPUTS, generator=draw), targets, LENGTHS)


def one(output: Tensor, target: Tensor, wanted: str) -> float:
    """The loss of one answer."""
    if wanted == "class":
        return cross_entropy(output, target).item()
    if wanted == "symbols":
        return binary_cross_entropy_with_logits(output, target, reduction="sum").item()
    return (output - target).square().mean().item()


@pytest.mark.parametrize("wanted", ["numbers", "class", "symbols"])
@pytest.mark.parametrize("last", [True, False])
def test_the_loss_is_the_mean_over_what_counts(wanted: str, last: bool) -> None:
    torch.manual_seed(0)
    model = Readout("gru", INPUTS, 7, OUTPUTS, wanted=wanted, last=last)
    asked = batch(wanted, last=last)
    every, _ = model.recurrent(asked.inputs)
    each = []
    for number, length in enumerate(LENGTHS.tolist()):
        for step in [length - 1] if last else range(length):
            target = asked.targets[number] if last else asked.targets[step, number]
            each.append(one(model.head(every[step, number]), target, wanted))
    assert model.loss(asked).count == len(each)
    assert model.loss(asked).value.item() == pytest.approx(sum(each) / len(each), rel=1e-5)
    assert mean_loss(model(asked), asked, wanted).item() == model.loss(asked).value.item()


def test_dropout_is_for_training() -> None:
    torch.manual_seed(0)
    model = Readout("gru", INPUTS, 7, OUTPUTS, wanted="numbers", last=True, dropout=0.5)
    asked = batch("numbers", last=True)
    assert not torch.equal(model(asked), model(asked))
    assert model.recurrent.dropout == 0.5
    model.eval()
    assert torch.equal(model(asked), model(asked))


def test_what_is_wanted_must_be_known() -> None:
    with pytest.raises(SettingError, match="Did you mean 'class'"):
        Readout("gru", 1, 1, 1, wanted="classes", last=True)


@pytest.mark.parametrize("wanted", ["numbers", "class", "symbols"])
@pytest.mark.parametrize("last", [True, False])
def test_some_sequences_of_a_batch(wanted: str, last: bool) -> None:
    asked = batch(wanted, last=last)
    assert asked.at_end == last
    some = asked.taken(torch.tensor([2, 1]))
    assert some.lengths.tolist() == [4, 2]
    assert torch.equal(some.inputs, asked.inputs[:4, [2, 1]])
    assert torch.equal(some.targets, asked.targets[[2, 1]] if last else asked.targets[:4, [2, 1]])
    assert some.counted.sum(0).tolist() == [4, 2]
