"""Every part works on a device that is not the CPU, and says what it says there."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

import conveyor
from conveyor import networks
from conveyor.networks import (
    CRF,
    DRAW,
    S2VT,
    STORN,
    VRNN,
    Attention,
    AttentionPooling,
    BahdanauDecoder,
    BernoulliHead,
    ClassHead,
    ComposedWords,
    CRFStream,
    Embedding,
    Encoder,
    EncoderDecoder,
    FrameAugmentation,
    GaussianHead,
    LabelHead,
    LogMel,
    LuongDecoder,
    NextStep,
    Noise,
    NumberHead,
    PenHead,
    PictureDecoder,
    PictureEncoder,
    PreNet,
    QuantileHead,
    Transitions,
    VideoEncoder,
    WindowHead,
    WordEmbedding,
    beam_search,
    best_path,
    ctc_alignment,
    ctc_loss,
    draw_tokens,
    filter_bank,
    greedy_search,
    griffin_lim,
    pooled,
    prefix_beam_search,
    sample,
    spectral_convergence,
    wave_of,
)
from tests.other_device import on_cpu, on_other_device, other_device

T, B = 5, 4


@dataclass(frozen=True)
class Place:
    """Where something is done: on the CPU or the other device, and where lengths are."""

    there: bool = False
    lengths_there: bool = False

    def put(self, value: Any) -> Any:
        """Return a part or a tensor, moved."""
        return on_other_device(value) if self.there else value

    def numbers(self, *shape: int) -> Tensor:
        """Return numbers that are the same at each call."""
        drawn: Tensor = self.put(torch.randn(shape, generator=torch.Generator().manual_seed(5)))
        return drawn

    def symbols(self, *shape: int, count: int = 7) -> Tensor:
        """Return whole numbers from 1 to below ``count``, the same at each call."""
        draw = torch.Generator().manual_seed(6)
        symbols: Tensor = self.put(torch.randint(1, count, shape, generator=draw))
        return symbols

    @property
    def lengths(self) -> Tensor:
        """How many of ``T`` steps count, [B]."""
        lengths = torch.tensor([5, 1, 3, 4])
        return on_other_device(lengths) if self.lengths_there else lengths


def draws() -> torch.Generator:
    """Return the generator of the CPU that users have."""
    return torch.Generator().manual_seed(7)


def attentions(place: Place) -> Any:
    answers = []
    for scoring in ("dot", "general", "concat", "location"):
        part: Any = place.put(Attention(6, 6, scoring))
        for lengths in (None, place.lengths):
            memory = part.prepare(place.numbers(T, B, 6), lengths=lengths)
            answers.append(part(place.numbers(3, B, 6), memory))
    return answers


def translator(decoder: type[Any], **options: Any) -> EncoderDecoder:
    reader = Encoder(conveyor.GRU(6, 4, bidirectional=True), Embedding(7, 6))
    reads = 6 + 8 * (decoder is BahdanauDecoder) + 5 * bool(options)
    features = {"features": 5} if options else {}
    layer, attention = conveyor.GRU(reads, 5), Attention(5, 8, "general")
    return EncoderDecoder(reader, decoder(layer, Embedding(9, 6), attention, **features, **options))


def translations(place: Place) -> Any:
    answers: list[Any] = []
    for model in (
        translator(LuongDecoder),
        translator(LuongDecoder, input_feeding=True),
        translator(BahdanauDecoder),
    ):
        model = place.put(model)  # noqa: PLW2901
        sources, targets = place.symbols(T, B), place.symbols(T, B)
        lengths: Any = {"source_lengths": place.lengths, "target_lengths": place.lengths + 1}
        lengths["target_lengths"] = lengths["target_lengths"].clamp(max=T)
        answers += [model(sources, targets), model.loss(sources, targets, **lengths)]
        state = model.begin(sources, lengths=place.lengths)
        begin = place.put(torch.ones(B, dtype=torch.long))
        for longest in (4, place.lengths + 1):
            best = beam_search(
                model.step,
                state,
                begin,
                end=2,
                longest=longest,
                attention=lambda state: state.attention,
                source_lengths=place.lengths,
                coverage_penalty=0.1,
            )
            answers += [(each.tokens, each.attention) for row in best for each in row]
            found = [
                *greedy_search(model.step, state, begin, end=2, longest=longest, shortest=2),
                *sample(model.step, state, begin, end=2, longest=longest, generator=draws()),
                *sample(model.step, state, begin, end=2, longest=longest),
            ]
            answers += [(each.tokens, each.log_probability) for each in found]
    return answers


def tokens(place: Place) -> Any:
    logits = place.numbers(B, 7)
    return [
        draw_tokens(logits, top_k=3, top_p=0.9, temperature=0.7, generator=draws()),
        draw_tokens(logits),
    ]


def fields(place: Place) -> Any:
    allowed = Transitions.iob2(["O", "B-a", "I-a"])
    emissions, tags = place.numbers(T, B, 3), place.put(torch.zeros(T, B, dtype=torch.long))
    answers = []
    for field in (CRF(3), CRF(3, allowed), CRF(3, allowed, constrain_loss=True)):
        part: Any = place.put(field)
        for lengths in (None, place.lengths):
            answers += [
                part(emissions, lengths=lengths),
                part.loss(emissions, tags, lengths=lengths),
                part.marginals(emissions, lengths=lengths),
                part.log_partition(emissions, lengths=lengths),
            ]
        stream = CRFStream(part)
        for step in emissions[:, 0]:
            stream.add(step)
        answers += [stream.tags, stream.chances]
    return answers


def labels(place: Place) -> Any:
    logits = place.numbers(T, B, 4)
    targets = place.put(torch.tensor([[1, 2, 0, 3], [3, 0, 0, 0]]))
    counts = torch.tensor([2, 1, 0, 1])
    counts = on_other_device(counts) if place.lengths_there else counts
    of_one = logits[:, 0].log_softmax(-1)
    return [
        ctc_loss(logits, targets, place.lengths, counts),
        best_path(logits[:, 0]),
        ctc_alignment(of_one, [1, 2]),
        prefix_beam_search(of_one)[0].labels,
    ]


def heads(place: Place) -> Any:
    outputs = place.numbers(T, B, 6)
    counted = place.put(torch.arange(T)[:, None] < torch.tensor([5, 1, 3, 4]))
    zero_one = (place.numbers(T, B, 2) > 0).float()
    movements = torch.cat([place.numbers(T, B, 2), zero_one[..., :1]], -1)
    answers = []
    parts: list[tuple[nn.Module, Tensor]] = [
        (NumberHead(6, 2), place.numbers(T, B, 2)),
        (ClassHead(6, 7), place.symbols(T, B)),
        (LabelHead(6, 2), zero_one),
        (QuantileHead(6, 2, (0.1, 0.5, 0.9)), place.numbers(T, B, 2)),
        (BernoulliHead(6, 2), zero_one),
        (GaussianHead(6, 2), place.numbers(T, B, 2)),
        (PenHead(6, 3), movements),
    ]
    for made, targets in parts:
        part: Any = place.put(made)
        said = part(outputs)
        answers.append(part.losses(said, targets))
        if hasattr(part, "draw"):
            answers.append(part.draw(said, generator=draws()))
        else:
            each = counted.unsqueeze(-1) if isinstance(made, QuantileHead) else counted
            answers.append(part.loss(said, targets, each))
    return answers


def latent_sequences(place: Place) -> Any:
    answers: list[Any] = []
    for made in (
        VRNN(3, 4, 2, 5, BernoulliHead(5, 3)),
        STORN("lstm", 3, 4, 2, GaussianHead(4, 3)),
        NextStep("gru", 3, 4, BernoulliHead(4, 3)),
    ):
        part: Any = place.put(made)
        x = (place.numbers(T, B, 3) > 0).float()
        noise = place.numbers(T, B, part.latent)
        drawn = part(x, noise, place.lengths)
        answers += [drawn.bound, drawn.log_weight, part.log_density(x[:, 0], draws=3)]
        answers += [part.sample(2, 3), part.sample(2, 3, prime=x[:2, 0]), part.sample(2, 0)]
    return answers


def drawings(place: Place) -> Any:
    answers = []
    for window in (None, 2):
        part: Any = place.put(DRAW("lstm", 6, 5, 4, 2, steps=3, read=window, write=window))
        x = (place.numbers(B, 6, 5) > 0).float()
        answers += [part.loss(x).total, part.log_likelihood(x, samples=2), part.sample(2).pictures]
    head: Any = place.put(WindowHead(6, 2, 6, 5))
    window_of = head.window(head(place.numbers(B, 6)))
    answers += [window_of.read(place.numbers(B, 1, 6, 5)), window_of.box]
    ones = place.put(torch.ones(B))
    answers.append(filter_bank(ones, ones, ones, filters=2, pixels=5))
    return answers


def sounds(place: Place) -> Any:
    frames = LogMel(rate=8000, bands=6)
    wave, answers = 0.1 * place.numbers(900), list[Any]()
    stream = frames.stream()
    pieces = [stream.push(wave[:0]), stream.push(wave[:300]), stream.push(wave[300:])]
    answers += [frames(wave), torch.cat(pieces), stream.finish(), frames(wave[:50])]
    magnitudes = place.numbers(3, frames.points // 2 + 1).abs()
    found = griffin_lim(magnitudes, frames, iterations=3)
    answers += [found, wave_of(frames(wave), frames, iterations=3)]
    answers.append(spectral_convergence(magnitudes, found, frames))
    augmentation: Any = place.put(FrameAugmentation())
    least = torch.tensor([2, 1, 1, 2])
    least = on_other_device(least) if place.lengths_there else least
    answers += [augmentation(place.numbers(T, B, 6), place.lengths, least)]
    return answers


def words(place: Place) -> Any:
    spelled = Encoder(conveyor.LSTM(3, 3, bidirectional=True), WordEmbedding(7, 3), pooling="last")
    composed: Any = place.put(ComposedWords(WordEmbedding(7, 3), WordEmbedding(7, 2), spelled))
    answers = [
        composed(place.symbols(B), syllables=place.symbols(2, B), characters=place.symbols(T, B))
    ]
    embedding: Any = place.put(
        WordEmbedding(7, 3, rare_from=4, unknown=0.5, word_dropout=0.3, dropout=0.2)
    )
    embedding.put(torch.tensor([2, 3]), torch.tensor(np.ones((2, 3))), learn=False)
    answers += [embedding(place.symbols(T, B))]
    pooling = place.put(AttentionPooling(4))
    outputs = place.numbers(T, B, 4)
    for lengths in (None, place.lengths):
        answers += [pooling(outputs, lengths)]
        answers += [pooled(outputs, lengths, how) for how in ("last", "mean", "max")]
    reader: Any = place.put(Encoder(conveyor.Recurrent("mgu", 3, 4), Embedding(7, 3)))
    return [*answers, reader(place.symbols(T, B), lengths=place.lengths)[0]]


def smaller_parts(place: Place) -> Any:
    values = place.numbers(T, B, 6)
    answers = [place.put(Noise(0.3))(values)]
    pre_net = place.put(PreNet(6, 5))
    answers += [pre_net(values), pre_net(values, draws())]
    return answers


def sights(place: Place) -> Any:
    encoder: Any = place.put(PictureEncoder(8, 24))
    videos: Any = place.put(VideoEncoder(8, 24, conveyor.LSTM(24, 12, bidirectional=True)))
    film = place.numbers(B, T, 3, 8, 8)
    seen = encoder(film[:, 0])
    answers = [seen, videos(film), videos(film, lengths=place.lengths)]
    for looking in ("soft", "hard", "mean"):
        decoder: Any = place.put(
            PictureDecoder(
                conveyor.LSTM(6 + 24, 5),
                Embedding(7, 6),
                Attention(5, 24, "concat"),
                looking=looking,
            )
        )
        answers.append(decoder(place.symbols(3, B), decoder.begin(seen))[0])
        state = decoder.begin(answers[2], lengths=place.lengths)
        answers.append(decoder(place.symbols(3, B), state)[0])
    layers = conveyor.LSTM(24, 6), conveyor.LSTM(6 + 4, 6)
    reading: Any = place.put(S2VT(*layers, Embedding(7, 4)))
    state = reading.begin(answers[2], lengths=place.lengths)
    return [*answers, reading(place.symbols(3, B), state)[0]]


USES: list[Callable[[Place], Any]] = [
    attentions,
    translations,
    tokens,
    fields,
    labels,
    heads,
    latent_sequences,
    drawings,
    sounds,
    words,
    smaller_parts,
    sights,
]


def used(use: Callable[[Place], Any], place: Place) -> Any:
    """Return what a use gives, with the same weights and the same random numbers each time."""
    torch.manual_seed(11)
    return on_cpu(use(place))


@pytest.mark.parametrize("lengths_there", [False, True], ids=["lengths here", "lengths there"])
@pytest.mark.parametrize("use", USES)
def test_parts_on_another_device(use: Callable[[Place], Any], lengths_there: bool) -> None:
    expected = used(use, Place())
    with other_device():
        there = used(use, Place(True, lengths_there))
    # In float32, in another order of sums: compiled layers against the reference.
    torch.testing.assert_close(there, expected, rtol=1e-4, atol=1e-5)


def test_every_public_part_is_among_them() -> None:
    kinds: set[type] = set()
    handle = register_module_forward_hook(lambda part, *_: kinds.add(type(part)))
    try:
        for use in USES:
            used(use, Place())
    finally:
        handle.remove()
    public = [getattr(networks, name) for name in networks.__all__]
    parts = {
        each
        for each in public
        if isinstance(each, type) and issubclass(each, nn.Module) and not inspect.isabstract(each)
    }
    assert parts - kinds - {networks.Head} == set()
