"""Attention and decoders beside loops in NumPy, which are written from the equations of the papers:
one sequence, one step and one place at a time."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import gradcheck

import conveyor
from conveyor.errors import SettingError, ShapeError
from conveyor.networks import (
    Attention,
    BahdanauDecoder,
    Embedding,
    Encoder,
    EncoderDecoder,
    LuongDecoder,
    beam_search,
    greedy_search,
)
from conveyor.networks.encoder_decoder import Bridge
from tests.networks.padded_memory import check_padding_changes_no_bit

Array = NDArray[np.float64]

S, B, T, SYMBOLS, VECTOR, UNITS, MEMORY = 5, 3, 4, 7, 3, 4, 6
LENGTHS = [5, 1, 3]


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Most of the time would be that of compiling; one test runs the machine code."""
    torch.manual_seed(0)
    compiled = "by_heart" in request.node.name and "luong" in request.node.name
    with nullcontext() if compiled else conveyor.use_target("reference"):
        yield


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def arrays(module: nn.Module) -> dict[str, Array]:
    return {name: each.detach().numpy() for name, each in module.named_parameters()}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    shares: Array = np.exp(x) / np.exp(x).sum()
    return shares


def looked_at(scoring: str, p: dict[str, Array], query: Array, memory: Array) -> Array:
    """Return the weights of the places of one memory [S, M] for one query."""
    scores = []
    for place in memory:
        if scoring == "dot":
            scores.append(query @ place)
        elif scoring == "general":
            scores.append(query @ (p["of_memory.weight"] @ place))
        else:
            inner = p["of_query.weight"] @ query + p["of_memory.weight"] @ place
            scores.append(p["v"] @ np.tanh(inner))
    return softmax(np.array(scores))


# Attention ------------------------------------------------------------------------------------


def attention_of(scoring: Any, query: int = UNITS, memory: int = MEMORY) -> Attention:
    return Attention(memory if scoring == "dot" else query, memory, scoring).double()


@pytest.mark.parametrize("scoring", ["dot", "general", "concat"])
@pytest.mark.parametrize("lengths", [LENGTHS, None])
def test_weights_and_means(scoring: str, lengths: Any) -> None:
    attention = attention_of(scoring)
    queries, memory = numbers(T, B, attention.query_size), numbers(S, B, MEMORY)
    means, weights = attention(queries, attention.prepare(memory, lengths=lengths))
    p = arrays(attention)
    for row in range(B):
        length = S if lengths is None else lengths[row]
        places = memory[:length, row].numpy()
        for step in range(T):
            expected = looked_at(scoring, p, queries[step, row].numpy(), places)
            np.testing.assert_allclose(weights[step, row, :length].detach(), expected)
            assert not weights[step, row, length:].any()
            np.testing.assert_allclose(means[step, row].detach(), expected @ places)


@pytest.mark.parametrize("scoring", ["dot", "general", "concat"])
def test_a_permuted_memory_has_permuted_weights(scoring: str) -> None:
    attention, order = attention_of(scoring), torch.tensor([3, 0, 4, 1, 2])
    queries, memory = numbers(T, B, attention.query_size), numbers(S, B, MEMORY)
    means, weights = attention(queries, attention.prepare(memory))
    permuted_means, permuted = attention(queries, attention.prepare(memory[order]))
    torch.testing.assert_close(permuted, weights[..., order])
    torch.testing.assert_close(permuted_means, means)


@pytest.mark.parametrize("scoring", ["dot", "general", "concat"])
def test_padding_of_the_memory_changes_no_bit(scoring: str) -> None:
    attention = attention_of(scoring).float()
    queries, memory = numbers(T, 2, attention.query_size).float(), numbers(S, 2, MEMORY).float()
    check_padding_changes_no_bit(attention, queries, memory)


@pytest.mark.parametrize("scoring", ["dot", "general", "concat"])
def test_gradients_of_attention(scoring: str) -> None:
    attention = attention_of(scoring)

    def means(queries: Tensor, memory: Tensor) -> Any:
        return attention(queries, attention.prepare(memory, lengths=[3, 2]))

    inputs = numbers(2, 2, attention.query_size), numbers(3, 2, MEMORY)
    assert gradcheck(means, tuple(each.requires_grad_() for each in inputs))


def test_the_number_of_parameters() -> None:
    """Attention of Bahdanau 2015: n'(n + 2n) + n'; here n' 5, n 4 and 2n 6."""
    count = sum(each.numel() for each in Attention(4, 6, "concat", width=5).parameters())
    assert count == 5 * (4 + 6) + 5


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Attention(3, 4, "dot"), "query_size is 3 and memory_size 4; 'dot' multiplies"),
        (lambda: attention_of("genral", 3, 4), "scoring is 'genral'. Did you mean 'general'"),
        (lambda: Attention(3, 4, width=4), "width is 4; only 'concat' and 'location' have one"),
        (lambda: Attention(0, 4), "query_size is 0"),
        (lambda: Attention(3, 4, "concat", width=0), "width is 0"),
    ],
)
def test_what_attention_refuses(make: Callable[[], nn.Module], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        make()


def test_tensors_that_do_not_fit() -> None:
    attention = Attention(UNITS, MEMORY)
    with pytest.raises(ShapeError, match="memory 1 of the batch has no true place"):
        attention.prepare(torch.zeros(S, B, MEMORY), lengths=[5, 0, 2])
    with pytest.raises(ShapeError, match="memory 0 of the batch has no true place"):
        attention.prepare(torch.zeros(0, B, MEMORY))
    with pytest.raises(ShapeError, match=r"memory is \[5, 3, 4\]; expected \[S, B, 6\]"):
        attention.prepare(torch.zeros(S, B, UNITS))
    memory = attention.prepare(torch.zeros(S, B, MEMORY))
    with pytest.raises(ShapeError, match=r"queries is \[4, 2, 4\]; expected \[T, 3, 4\]"):
        attention(torch.zeros(T, 2, UNITS), memory)


# Decoders -------------------------------------------------------------------------------------


def luong(scoring: Any, feeding: bool, features: int = 5) -> LuongDecoder:
    read = VECTOR + features * feeding
    attention = Attention(UNITS, UNITS if scoring == "dot" else MEMORY, scoring)
    return LuongDecoder(
        conveyor.RNN(read, UNITS),
        Embedding(SYMBOLS, VECTOR),
        attention,
        features=features,
        input_feeding=feeding,
    ).double()


def luong_in_numpy(
    decoder: LuongDecoder, symbols: list[int], memory: Array, h: Array
) -> tuple[Array, Array]:
    """Return logits [T, V] and weights [T, S] of one sequence, after equations 1 to 10 of the
    paper with a plain recurrent layer."""
    p, attention = arrays(decoder), arrays(decoder.attention)
    fed = np.zeros(decoder.features if decoder.input_feeding else 0)
    logits, weights = [], []
    for symbol in symbols:
        x = np.concatenate([p["embedding.weight"][symbol], fed])
        h = np.tanh(
            p["layer.weight_ih_l0"] @ x
            + p["layer.bias_ih_l0"]
            + p["layer.weight_hh_l0"] @ h
            + p["layer.bias_hh_l0"]
        )
        weight = looked_at(decoder.attention.scoring, attention, h, memory)
        context = weight @ memory
        attentional = np.tanh(p["combine.weight"] @ np.concatenate([context, h]))
        fed = attentional if decoder.input_feeding else fed
        logits.append(p["head.weight"] @ attentional + p["head.bias"])
        weights.append(weight)
    return np.array(logits), np.array(weights)


@pytest.mark.parametrize("scoring", ["dot", "general", "concat"])
@pytest.mark.parametrize("feeding", [False, True])
def test_the_decoder_of_luong(scoring: str, feeding: bool) -> None:
    decoder = luong(scoring, feeding)
    memory, h = numbers(S, B, decoder.attention.memory_size), numbers(1, B, UNITS)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    logits, state, weights = decoder(symbols, decoder.begin(memory, h, lengths=LENGTHS))
    for row, length in enumerate(LENGTHS):
        expected = luong_in_numpy(
            decoder, symbols[:, row].tolist(), memory[:length, row].numpy(), h[0, row].numpy()
        )
        np.testing.assert_allclose(logits[:, row].detach(), expected[0])
        np.testing.assert_allclose(weights[:, row, :length].detach(), expected[1])
    torch.testing.assert_close(state.attention, weights[-1])


def bahdanau(cell: str = "gru_reset_before", features: int = 3) -> BahdanauDecoder:
    return BahdanauDecoder(
        conveyor.Recurrent(cell, VECTOR + MEMORY, UNITS),
        Embedding(SYMBOLS, VECTOR),
        Attention(UNITS, MEMORY, "concat", width=5),
        features=features,
    ).double()


def test_the_decoder_of_bahdanau() -> None:
    """After appendix A.2 of the paper, where the update gate takes the new state at 1; that of
    ``gru_reset_before`` keeps the old one."""
    decoder = bahdanau()
    p, attention = arrays(decoder), arrays(decoder.attention)
    memory, start = numbers(S, B, MEMORY), numbers(1, B, UNITS)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    logits, _, weights = decoder(symbols, decoder.begin(memory, (start,), lengths=LENGTHS))
    for row, length in enumerate(LENGTHS):
        places, s = memory[:length, row].numpy(), start[0, row].numpy()
        for step in range(T):
            y = p["embedding.weight"][int(symbols[step, row])]
            alpha = looked_at("concat", attention, s, places)
            c = alpha @ places
            t = p["readout.weight"] @ np.concatenate([s, y, c])
            maxout = [max(t[2 * k], t[2 * k + 1]) for k in range(3)]
            expected = p["head.weight"] @ maxout + p["head.bias"]
            np.testing.assert_allclose(logits[step, row].detach(), expected)
            np.testing.assert_allclose(weights[step, row, :length].detach(), alpha)
            x = np.concatenate([y, c])

            def gate(name: str, x: Array, old: Array) -> Array:
                inner: Array = p[f"layer.l0.W.{name}"] @ x + p[f"layer.l0.U.{name}"] @ old
                return inner + p[f"layer.l0.b.{name}"]

            z, r = 1 - sigmoid(gate("z", x, s)), sigmoid(gate("r", x, s))
            s = (1 - z) * s + z * np.tanh(gate("n", x, r * s))


def test_the_parameters_of_bahdanaus_decoder() -> None:
    """Without biases: 3n(m+n+2n) of the cell, n'(n+2n) + n' of the attention, 2l(n+m+2n) + V l of
    the readout, V m of the embedding; 2n is the memory's size."""
    n, m, l, v = 4, 3, 2, SYMBOLS  # noqa: E741  (the paper's letters)
    decoder = BahdanauDecoder(
        conveyor.Recurrent("gru_reset_before", m + 2 * n, n, bias=False),
        Embedding(v, m),
        Attention(n, 2 * n, "concat", width=5),
        features=l,
    )
    expected = 3 * n * (m + n + 2 * n) + 5 * (n + 2 * n) + 5 + 2 * l * (n + m + 2 * n) + v * l
    count = sum(each.numel() for each in decoder.parameters())
    assert count == expected + v * m + v  # and the biases of the softmax


DECODERS: dict[str, Callable[[], Any]] = {
    "luong": lambda: luong("general", False),
    "luong, fed": lambda: luong("concat", True),
    "bahdanau": bahdanau,
    "bahdanau of sru": lambda: bahdanau("sru"),
}


@pytest.mark.parametrize("name", DECODERS)
def test_steps_are_those_of_the_whole(name: str) -> None:
    decoder = DECODERS[name]()
    memory, symbols = numbers(S, B, MEMORY), torch.randint(0, SYMBOLS, (T, B))
    begun = decoder.begin(memory, lengths=LENGTHS)
    logits, final, weights = decoder(symbols, begun)
    state = begun
    for step, read in enumerate(symbols):
        log_probabilities, state = decoder.step(state, read)
        torch.testing.assert_close(log_probabilities, logits[step].log_softmax(-1))
        torch.testing.assert_close(state.attention, weights[step])
    torch.testing.assert_close(state.recurrent, final.recurrent)
    first, middle, _ = decoder(symbols[:2], begun)
    torch.testing.assert_close(torch.cat([first, decoder(symbols[2:], middle)[0]]), logits)


def test_without_feeding_all_steps_are_one_call_of_the_layer() -> None:
    for feeding, calls in ((False, 1), (True, T)):
        decoder, counts = luong("general", feeding), {"call": 0}

        def count(*_: Any, counts: dict[str, int] = counts) -> None:
            counts["call"] += 1

        decoder.layer.register_forward_hook(count)
        step = decoder.layer.step

        def counted(*given: Any, counts: dict[str, int] = counts, step: Any = step) -> Any:
            counts["call"] += 1
            return step(*given)

        decoder.layer.step = counted  # type: ignore[method-assign,assignment]
        decoder(torch.zeros(T, B, dtype=torch.long), decoder.begin(numbers(S, B, MEMORY)))
        assert counts["call"] == calls


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: LuongDecoder(conveyor.GRU(3, 4), Embedding(7, 5), Attention(4, 6)),
            "layer.input_size is 3; the decoder hands it 5 numbers",
        ),
        (
            lambda: LuongDecoder(
                conveyor.GRU(3, 4), Embedding(7, 3), Attention(4, 6), input_feeding=True
            ),
            "layer.input_size is 3; the decoder hands it 7 numbers",
        ),
        (
            lambda: LuongDecoder(conveyor.GRU(3, 4), Embedding(7, 3), Attention(5, 6)),
            "attention.query_size is 5; the layer gives 4 numbers",
        ),
        (
            lambda: BahdanauDecoder(conveyor.GRU(9, 4), Embedding(7, 3), Attention(5, 6)),
            "attention.query_size is 5; the layer gives 4 numbers",
        ),
        (
            lambda: LuongDecoder(
                conveyor.GRU(3, 4, batch_first=True), Embedding(7, 3), Attention(4, 6)
            ),
            "layer is bidirectional, batch_first or dilated",
        ),
        (
            lambda: LuongDecoder(nn.GRU(3, 4), Embedding(7, 3), Attention(4, 6)),  # type: ignore[arg-type]
            "layer is a GRU; expected a Recurrent, LSTM, GRU or RNN of conveyor",
        ),
    ],
)
def test_parts_that_do_not_fit(make: Callable[[], nn.Module], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        make()


def test_symbols_must_be_time_first_and_whole() -> None:
    for decoder in (luong("general", False), bahdanau()):
        state = decoder.begin(numbers(S, B, MEMORY))
        for wrong in (torch.zeros(B).long(), torch.zeros(T, B), torch.zeros(0, B).long()):
            with pytest.raises(ShapeError, match=r"symbols is \[.*expected whole numbers \[T, B\]"):
                decoder(wrong, state)


# Encoder and decoder --------------------------------------------------------------------------


def translator(
    cell: str = "gru", style: str = "luong", source_cell: str = "lstm"
) -> EncoderDecoder:
    """Return a model of 9 symbols that reads both ways."""
    encoder = Encoder(conveyor.Recurrent(source_cell, 6, 8, bidirectional=True), Embedding(9, 6))
    decoder: Any
    if style == "bahdanau":
        layer = conveyor.Recurrent(cell, 6 + 16, 8)
        attention = Attention(layer.output_size, 16, "concat")
        decoder = BahdanauDecoder(layer, Embedding(9, 6), attention)
    else:
        feeding = style == "fed"
        layer = conveyor.Recurrent(cell, 6 + 8 * feeding, 8)
        attention = Attention(layer.output_size, 16)
        decoder = LuongDecoder(layer, Embedding(9, 6), attention, input_feeding=feeding, features=8)
    return EncoderDecoder(encoder, decoder)


# Targets begin with 1 and end with 2; 0 is padding.
SOURCES = torch.tensor([[3, 4, 5, 6, 7], [8, 3, 0, 0, 0], [5, 5, 8, 0, 0]]).t()
TARGETS = torch.tensor([[1, 7, 6, 5, 4, 3, 2], [1, 3, 8, 2, 0, 0, 0], [1, 8, 2, 0, 0, 0, 0]]).t()
SOURCE_LENGTHS, TARGET_LENGTHS = torch.tensor([5, 2, 3]), torch.tensor([7, 4, 3])
EXPECTED = [(7, 6, 5, 4, 3), (3, 8), (8,)]


@pytest.mark.parametrize(
    ("cell", "style", "source_cell"),
    [
        ("gru", "luong", "lstm"),
        ("lstm", "fed", "mgu"),
        ("gru_reset_before", "bahdanau", "gru"),
    ],
)
def test_three_pairs_are_learned_by_heart_and_found_again(
    cell: str, style: str, source_cell: str
) -> None:
    model = translator(cell, style, source_cell)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.loss(
            SOURCES, TARGETS, source_lengths=SOURCE_LENGTHS, target_lengths=TARGET_LENGTHS
        )
        torch.autograd.backward(loss)
        optimizer.step()
    assert loss.item() < 0.1
    begun = model.begin(SOURCES, lengths=SOURCE_LENGTHS)
    first = torch.ones(3, dtype=torch.long)
    greedy = greedy_search(model.step, begun, first, end=2, longest=12, forbidden=[0, 1])
    assert [each.tokens for each in greedy] == EXPECTED
    found = beam_search(
        model.step,
        begun,
        first,
        end=2,
        longest=2 * SOURCE_LENGTHS + 10,
        beam=4,
        length_penalty=1.0,
        coverage_penalty=0.1,
        attention=lambda state: state.attention,
        source_lengths=SOURCE_LENGTHS,
        forbidden=[0, 1],
    )
    assert [hypotheses[0].tokens for hypotheses in found] == EXPECTED
    # Each alone gives the same, and what the model says of them is what the search summed.
    likelihoods = model(SOURCES, TARGETS[:-1], lengths=SOURCE_LENGTHS)[0].log_softmax(-1)
    for row, (hypotheses, length) in enumerate(zip(found, TARGET_LENGTHS.tolist(), strict=True)):
        alone = model.begin(SOURCES[:, row : row + 1], lengths=SOURCE_LENGTHS[row : row + 1])
        ((one,),) = beam_search(
            model.step, alone, first[:1], end=2, longest=20, beam=4, forbidden=[0, 1]
        )
        assert one.tokens == hypotheses[0].tokens
        assert one.log_probability == pytest.approx(hypotheses[0].log_probability, abs=1e-5)
        steps = range(length - 1)
        total = sum(
            float(likelihoods[step, row, TARGETS[step + 1, row]].detach()) for step in steps
        )
        assert total == pytest.approx(one.log_probability, abs=1e-5)
        assert hypotheses[0].attention is not None
        assert hypotheses[0].attention.shape == (length - 1, SOURCE_LENGTHS[row])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "sru", "slstm", "qrnn_fo", "minlstm"])
@pytest.mark.parametrize("style", ["luong", "bahdanau"])
def test_any_cell_reads_and_writes(cell: str, style: str) -> None:
    model = translator(cell, style, cell)
    loss = model.loss(
        SOURCES, TARGETS, source_lengths=SOURCE_LENGTHS, target_lengths=TARGET_LENGTHS
    )
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    unused = [
        name
        for (name, _), gradient in zip(model.named_parameters(), gradients, strict=True)
        if gradient is None or not gradient.isfinite().all()
    ]
    assert unused == []


def test_padding_of_source_and_target_changes_no_bit() -> None:
    for style in ("luong", "fed", "bahdanau"):
        torch.manual_seed(0)
        model, results = translator(style=style), []
        for more in (0, 1, 20):
            padding = torch.full((more, 3), 4)
            loss = model.loss(
                torch.cat([SOURCES, padding]),
                torch.cat([TARGETS, padding]),
                source_lengths=SOURCE_LENGTHS,
                target_lengths=TARGET_LENGTHS,
            )
            results.append(loss)
        assert results[0] == results[1] == results[2]


def test_the_loss_is_the_mean_over_true_symbols() -> None:
    model = translator()
    lengths: Any = {"source_lengths": SOURCE_LENGTHS, "target_lengths": TARGET_LENGTHS}
    logits = model(SOURCES, TARGETS[:-1], lengths=SOURCE_LENGTHS)[0].log_softmax(-1)
    nats = [
        -float(logits[step - 1, row, TARGETS[step, row]].detach())
        for row, length in enumerate(TARGET_LENGTHS.tolist())
        for step in range(1, length)
    ]
    assert model.loss(SOURCES, TARGETS, **lengths).item() == pytest.approx(sum(nats) / 11)
    spread = [
        -float(logits[step - 1, row].detach().mean())
        for row, length in enumerate(TARGET_LENGTHS.tolist())
        for step in range(1, length)
    ]
    smoothed = model.loss(SOURCES, TARGETS, **lengths, label_smoothing=0.1).item()
    assert smoothed == pytest.approx((0.9 * sum(nats) + 0.1 * sum(spread)) / 11)
    with pytest.raises(ShapeError, match="target 2 of the batch has 1 symbols; expected 2 or"):
        model.loss(SOURCES, TARGETS, target_lengths=[7, 4, 1])
    with pytest.raises(ShapeError, match="memory 1 of the batch has no true place"):
        model.loss(SOURCES, TARGETS, source_lengths=[5, 0, 1])


def test_the_bridge() -> None:
    """The decoder's second layer reads the encoder's second, both directions; c is read from h by
    name where the encoder has no c."""
    encoder = conveyor.Recurrent("gru", 3, 4, 2, bidirectional=True)
    decoder = conveyor.Recurrent("lstm", 3, 5, 2)
    bridge = Bridge(encoder, decoder)
    assert sorted(bridge) == ["c_0", "c_1", "h_0", "h_1"]
    _, ends = encoder(torch.randn(6, 2, 3))
    begun = bridge.begin(encoder, ends, decoder, 2)
    for name in ("h", "c"):
        for layer in range(2):
            map_: Any = bridge[f"{name}_{layer}"]
            read = torch.cat([ends.h[2 * layer], ends.h[2 * layer + 1]], -1)
            expected = torch.tanh(read @ map_.weight.T + map_.bias)
            torch.testing.assert_close(getattr(begun, name)[layer], expected)
    deep = conveyor.Recurrent("slstm", 3, 5, 3)
    begun = Bridge(encoder, deep).begin(encoder, ends, deep, 2)
    torch.testing.assert_close(begun.m, deep.start(2).m)
    assert begun.h.shape == (3, 2, 5)


def test_without_a_bridge_the_decoder_begins_as_its_cell_says() -> None:
    encoder = Encoder(conveyor.Heads("gru", 6, 8, 2), Embedding(9, 6))
    decoder = LuongDecoder(conveyor.LSTM(6, 8), Embedding(9, 6), Attention(8, 8, "dot"))
    with pytest.raises(SettingError, match="layer is a Heads, whose states have no bridge"):
        EncoderDecoder(encoder, decoder)
    model = EncoderDecoder(encoder, decoder, bridge=False)
    state = model.begin(SOURCES, lengths=SOURCE_LENGTHS)
    assert not any(each.any() for each in state.recurrent)
    assert model.loss(SOURCES, TARGETS, source_lengths=SOURCE_LENGTHS).isfinite()


def test_parts_of_a_model_that_do_not_fit() -> None:
    decoder = LuongDecoder(conveyor.GRU(6, 8), Embedding(9, 6), Attention(8, 8, "dot"))
    pooled = Encoder(conveyor.GRU(6, 8), Embedding(9, 6), pooling="last")
    with pytest.raises(SettingError, match="the encoder has pooling or is batch_first"):
        EncoderDecoder(pooled, decoder)
    wide = Encoder(conveyor.GRU(6, 9), Embedding(9, 6))
    with pytest.raises(SettingError, match=r"the encoder gives 9 numbers; .*memory_size is 8"):
        EncoderDecoder(wide, decoder)


@pytest.mark.parametrize("style", ["luong", "fed", "bahdanau"])
def test_a_model_is_saved(style: str, tmp_path: Path) -> None:
    model = translator(style=style)
    model.decoder.embedding = model.encoder.embedding  # type: ignore[assignment]
    conveyor.save(model, tmp_path)
    loaded: Any = conveyor.load(tmp_path)
    assert repr(loaded) == repr(model)
    assert loaded.decoder.embedding is loaded.encoder.embedding
    call = SOURCES, TARGETS[:-1]
    model.eval()
    for one, other in zip(
        model(*call, lengths=SOURCE_LENGTHS), loaded(*call, lengths=SOURCE_LENGTHS), strict=True
    ):
        assert torch.equal(one, other)
