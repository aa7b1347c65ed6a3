"""Parts that read words: the embedding, pooling that learns, noise, and what counted."""

import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.data.token_vocabulary import PAD, UNK
from conveyor.errors import SettingError
from conveyor.networks import AttentionPooling, Encoder, Noise, WordEmbedding
from conveyor.networks.saliency import integrated_gradients


def numbers(*shape: int, seed: int = 3) -> Tensor:
    """Return random numbers, the same at each call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# The embedding ---------------------------------------------------------------------------------


def test_the_unknown_word_is_trained_by_words_seen_once() -> None:
    """Otherwise its vector would stay as it was drawn, although every unknown word gets it."""
    torch.manual_seed(0)
    symbols = torch.tensor([[2, 3, 4, PAD]] * 50)
    for rare_from, trained in ((4, True), (None, False)):
        embedding = WordEmbedding(5, 3, rare_from=rare_from)
        embedding(symbols).sum().backward()
        gradient = embedding.weight.grad
        assert gradient is not None
        assert bool(gradient[UNK].any()) == trained
        assert gradient[3].eq(50).all()  # one that was seen twice is always read as itself
        assert not gradient[PAD].any()
    assert not embedding.weight[PAD].any()


def test_every_second_rare_word_is_read_as_unknown_in_training_only() -> None:
    torch.manual_seed(0)
    embedding = WordEmbedding(4, 1, rare_from=3)
    with torch.no_grad():
        embedding.weight.copy_(torch.tensor([[0.0], [10.0], [2.0], [3.0]]))
    symbols = torch.full((4000,), 3)
    read = embedding(symbols)
    assert set(read.unique().tolist()) == {3.0, 10.0}
    assert float((read == 10).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert embedding.eval()(symbols).eq(3).all()


def test_a_dropped_word_is_dropped_at_all_its_places() -> None:
    torch.manual_seed(0)
    embedding = WordEmbedding(200, 2, word_dropout=0.5)
    nn.init.ones_(embedding.weight)
    read = embedding(torch.arange(200).repeat(3, 1))
    assert set(read.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(read[0], read[1])
    assert torch.equal(read[..., 0], read[..., 1])


def test_wrong_embeddings() -> None:
    with pytest.raises(SettingError, match="words is 1; expected 2 or more"):
        WordEmbedding(1, 3)
    with pytest.raises(SettingError, match="word_dropout is"):
        WordEmbedding(3, 3, word_dropout=1.5)
    with pytest.raises(SettingError, match=r"deviation is -1"):
        Noise(-1)


# Pooling that learns ---------------------------------------------------------------------------


def test_attention_is_a_weighted_mean_of_the_steps_that_count() -> None:
    torch.manual_seed(0)
    pooling, output = AttentionPooling(4, 3), numbers(5, 3, 4)
    lengths = torch.tensor([5, 2, 0])
    expected = []
    for row, length in enumerate(lengths.tolist()):
        total, mass = torch.zeros(4), 0.0
        for step in output[:length, row]:  # as the paper says it, a step at a time
            hidden = torch.tanh(pooling.hidden.weight @ step + pooling.hidden.bias)
            weight = (pooling.score.weight[0] @ hidden).exp().item()
            total, mass = total + weight * step, mass + weight
        expected.append(total / mass if mass else total)
        output[length:, row] = float("nan")  # padding may hold anything
    torch.testing.assert_close(pooling(output, lengths), torch.stack(expected))
    assert pooling.weights(output, lengths).sum(0).tolist() == pytest.approx([1, 1, 0])


def test_attention_of_nothing_has_a_gradient() -> None:
    pooling, output = AttentionPooling(4), numbers(2, 1, 4).requires_grad_()
    pooling(output, torch.tensor([0])).sum().backward()
    assert output.grad is not None
    assert not output.grad.any()
    for parameter in pooling.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    assert not pooling(torch.zeros(0, 2, 4)).any()


def test_a_network_of_these_parts_is_saved_and_loaded(tmp_path: object) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        Encoder(
            conveyor.Recurrent("gru", 3, 4, bidirectional=True),
            nn.Sequential(WordEmbedding(9, 3, rare_from=5, word_dropout=0.25), Noise(0.5)),
            pooling=AttentionPooling(8, 2),
        )
    ).eval()
    conveyor.save(network, f"{tmp_path}/saved")
    loaded = conveyor.load(f"{tmp_path}/saved")
    symbols, lengths = torch.randint(1, 9, (6, 2)), torch.tensor([6, 2])
    assert torch.equal(
        network[0](symbols, lengths=lengths)[0], loaded[0](symbols, lengths=lengths)[0]
    )
    assert repr(loaded) == repr(network)
    with pytest.raises(SettingError, match="the pooling reads 3 features; the layer gives 4"):
        Encoder(conveyor.LSTM(2, 4), pooling=AttentionPooling(3))


def test_noise_is_added_in_training_only() -> None:
    torch.manual_seed(0)
    noise, inputs = Noise(0.5), torch.zeros(10_000)
    assert float(noise(inputs).std()) == pytest.approx(0.5, rel=0.05)
    assert torch.equal(noise.eval()(inputs), inputs)


# What counted ----------------------------------------------------------------------------------


def test_what_the_steps_counted_comes_to_the_whole() -> None:
    """Completeness: the answer to the inputs minus that to zeros."""
    torch.manual_seed(0)
    layer, inputs = conveyor.Recurrent("lstm", 3, 5), 2 * numbers(7, 3)

    def answer(path: Tensor) -> Tensor:
        output: Tensor = layer(path)[0]
        return output.amax(0).pow(2).sum(-1)

    with torch.no_grad():
        whole = answer(inputs[:, None]) - answer(torch.zeros(7, 1, 3))
    counted = integrated_gradients(answer, inputs, 400)
    torch.testing.assert_close(counted.sum(), whole[0], atol=1e-3, rtol=0)


def test_a_step_that_is_not_looked_at_does_not_count() -> None:
    weights = numbers(4)
    counted = integrated_gradients(lambda path: (path[1] * weights).sum(-1), numbers(3, 4, seed=5))
    torch.testing.assert_close(counted[1], numbers(3, 4, seed=5)[1] @ weights)
    assert counted[[0, 2]].eq(0).all()
