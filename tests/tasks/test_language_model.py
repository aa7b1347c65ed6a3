"""What keeps a language model from learning a text by heart, beside the AWD-LSTM's definitions."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conveyor.cells.cell_registry import CELLS
from conveyor.data.text import Chunks, Vocabulary
from conveyor.data.text_pieces import Pieces
from conveyor.layers.state import main_output
from conveyor.networks.network import Loss
from conveyor.tasks.saved import load, save
from conveyor.tasks.settings import Training
from conveyor.tasks.text.language_model import LanguageModel
from conveyor.tasks.text.tied_head import TiedHead
from conveyor.training.fitter import Fitter
from tests.series import VERSES

VOCABULARY = Vocabulary.of(VERSES)
READ, NEXT = Chunks(VOCABULARY.encode(VERSES), 3, 12)[0]
AWD: dict[str, Any] = {
    "dropout": 0.4,
    "locked_dropout": True,
    "word_dropout": 0.1,
    "weight_dropout": 0.3,
    "activation_penalty": 2.0,
    "change_penalty": 1.0,
    "tied": True,
}


def model(cell: str = "lstm", **options: Any) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(cell, VOCABULARY, **{"hidden": 16, "embedding": 12, **options})


def loss(network: LanguageModel, seed: int = 0) -> Loss:
    torch.manual_seed(seed)
    return network.loss((READ, NEXT))


def outputs(network: LanguageModel, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What the last layer writes, before and after dropout."""
    torch.manual_seed(seed)
    before, after, _ = network._run(READ, None)
    return before, after


def test_the_output_drops_the_same_units_at_all_steps() -> None:
    network = model(output_dropout=0.5, locked_dropout=True)
    before, after = outputs(network)
    ratio = after / before
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert set(ratio[0].detach().round(decimals=3).flatten().tolist()) == {0.0, 2.0}
    network.locked_dropout = False
    before, after = outputs(network)
    free = (after / before).detach()
    assert float((free[0] - free[1]).abs().max()) > 1
    network.eval()
    assert torch.equal(*outputs(network))


def test_the_input_drops_the_same_numbers_at_all_steps() -> None:
    """Seen by what reaches the vectors: a number that is dropped gets no gradient."""
    network = model(input_dropout=0.5, locked_dropout=True)
    seen: list[Tensor] = []
    network.recurrent.register_forward_pre_hook(lambda _, read: seen.append(read[0]))
    loss(network)
    ratio = seen[0] / network.embedding(READ)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert 0.3 < float((ratio == 0).float().mean()) < 0.7


def test_a_symbol_is_dropped_at_all_its_places() -> None:
    network = model(word_dropout=0.4)
    seen: list[Tensor] = []
    network.recurrent.register_forward_pre_hook(lambda _, read: seen.append(read[0]))
    loss(network)
    ratio = (seen[0] / network.embedding(READ)).detach()
    dropped = {
        symbol: sorted(set((ratio[symbol == READ] * 0.6).round(decimals=3).flatten().tolist()))
        for symbol in set(READ.flatten().tolist())
    }
    assert all(len(values) == 1 for values in dropped.values())
    assert {values[0] for values in dropped.values()} == {0.0, 1.0}


def test_dropout_of_one_place_leaves_the_others() -> None:
    network = model(dropout=0.5, input_dropout=0.0, layers=2)
    torch.manual_seed(0)
    vectors = network.embedding(READ)
    assert torch.equal(network._dropped(vectors, network.input_dropout), vectors)
    before, after = outputs(network)
    assert not torch.equal(before, after)  # as between layers
    assert network.recurrent.dropout == 0.5


def test_weights_are_dropped_anew_for_each_chunk_and_never_in_evaluation() -> None:
    network = model(weight_dropout=0.5)
    assert not torch.equal(outputs(network, 1)[0], outputs(network, 2)[0])
    whole = {name: weight.clone() for name, weight in network.named_parameters()}
    loss(network)
    assert all(torch.equal(weight, whole[name]) for name, weight in network.named_parameters())
    network.eval()
    assert torch.equal(outputs(network, 1)[0], outputs(network, 2)[0])


def test_ar_is_of_what_is_dropped_and_tar_of_what_is_not() -> None:
    """α·mean(h_drop²) + β·mean((h_t − h_{t−1})²)."""
    network = model(output_dropout=0.5, activation_penalty=2.0, change_penalty=3.0)
    before, after = outputs(network)
    expected = 2 * (after**2).mean() + 3 * ((before[1:] - before[:-1]) ** 2).mean()
    assert not torch.equal((after**2).mean(), (before**2).mean())
    taken = loss(network)
    assert taken.penalty is not None
    torch.testing.assert_close(taken.penalty, expected)
    torch.testing.assert_close(taken.minimised, taken.value + expected)


def test_neither_is_counted_in_the_loss_that_is_reported() -> None:
    plain, penalised = loss(model()), loss(model(activation_penalty=2.0, change_penalty=1.0))
    assert plain.penalty is None
    assert plain.minimised is plain.value
    assert torch.equal(plain.value, penalised.value)
    network = model(activation_penalty=2.0).eval()
    assert network.loss((READ, NEXT)).penalty is None
    fitter = Fitter(model(activation_penalty=50.0), Training(), "", in_order=True)
    taken = fitter._loss(type("Share", (), {"batch": (READ, NEXT), "copies": 1})(), "train")
    total, count = fitter._sums["train"]
    assert float(total / count) == pytest.approx(float(plain.value.detach()))
    assert float(taken.minimised.detach()) > float(plain.value.detach()) + 0.01


def test_a_chunk_of_one_step_has_no_change() -> None:
    taken = model(change_penalty=1.0).loss((READ[:1], NEXT[:1]))
    assert float(taken.minimised.detach()) == pytest.approx(float(taken.value.detach()))


@pytest.mark.parametrize("hidden", [12, 16])
def test_tied_vectors_are_one_parameter(hidden: int, tmp_path: Path) -> None:
    symbols = len(VOCABULARY)
    network, free = model(tied=True, hidden=hidden), model(hidden=hidden)
    assert isinstance(network.head, TiedHead)
    # The output's weight is saved, and the map to the vectors' width comes in its place.
    projection = 0 if hidden == 12 else 16 * 12
    assert free.parameter_count - network.parameter_count == symbols * hidden - projection
    names = [name for name, weight in network.named_parameters() if weight.shape == (symbols, 12)]
    assert names == ["embedding.weight"]
    # Its gradient is that of both places.
    features = torch.randn(5, hidden)
    rows = torch.tensor([1, 2])
    read = network.embedding(rows).sum() + network.logits(features)[:, 3].sum()
    (gradient,) = torch.autograd.grad(read, [network.embedding.weight])
    assert torch.equal(gradient[1:3], torch.ones(2, 12))
    assert float(gradient[3].abs().sum()) > 0
    save(tmp_path, "text", network)
    again: Any = load(tmp_path).network
    network.eval()
    assert torch.equal(again(READ)[0], network(READ)[0])
    assert sorted(dict(again.named_parameters())) == sorted(dict(network.named_parameters()))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("embedding", [16, 64])
def test_an_untrained_model_knows_nothing(embedding: int, tied: bool) -> None:
    """The first loss is within 5 % of ln V, that of a model for which all are equally likely."""
    network = model(tied=tied, embedding=embedding).eval()
    first = float(network.loss((READ, NEXT)).value.detach())
    assert first == pytest.approx(math.log(len(VOCABULARY)), rel=0.05)


@pytest.mark.parametrize("cell", ["rnn", "gru", "mgu", "lstm_peephole", "indrnn", "slstm"])
def test_all_of_it_works_for_any_cell(cell: str) -> None:
    assert cell in CELLS
    network = model(cell, **AWD, layers=2)
    taken = loss(network)
    minimised: Any = taken.minimised
    minimised.backward()
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert float(taken.minimised.detach()) > float(taken.value.detach())


def test_all_of_it_comes_back_from_a_run_s_files(tmp_path: Path) -> None:
    pieces = Pieces.of([VERSES * 2], "syllable")
    network = LanguageModel("gru", pieces, hidden=16, embedding=8, layers=2, **AWD).eval()
    save(tmp_path, "text", network)
    again: Any = load(tmp_path).network
    assert again.description() == network.description()
    assert again.vocabulary == pieces
    read = pieces.encode("Trăm năm trong").unsqueeze(1)
    assert torch.equal(again(read)[0], network(read)[0])
    again.train()
    torch.manual_seed(3)
    ours = again.loss((READ[:5] % 9, NEXT[:5] % 9))
    network.train()
    torch.manual_seed(3)
    theirs = network.loss((READ[:5] % 9, NEXT[:5] % 9))
    assert torch.equal(ours.minimised, theirs.minimised)


def test_a_description_of_before_is_read(tmp_path: Path) -> None:
    network = model()
    described = network.description()
    before = {name: described["network"][name] for name in ("hidden", "layers", "dropout")}
    again = LanguageModel.described(
        network.recurrent.program,
        {**described, "network": {**before, "projection": 0, "embedding": 12}},
        "a file",
    )
    assert again.description() == described


def test_generated_text_does_not_depend_on_how_it_is_fitted() -> None:
    """What is dropped in training is not dropped in writing, and a step is a step of the whole."""
    network = model(**AWD)
    written = "".join(network.generate("Trăm", 20, seed=1))
    network.eval()
    assert "".join(network.generate("Trăm", 20, seed=1)) == written
    output = main_output(network.recurrent(network.embedding(READ))[0])
    torch.testing.assert_close(network.logits(output), network(READ)[0])
