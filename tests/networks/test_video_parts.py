"""Looking at videos: frames that are encoded and attended to over time (Yao et al. 2015), and the
network that reads frames and then writes (Venugopalan et al. 2015), against their equations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import gelu

import conveyor
from conveyor.errors import SettingError, ShapeError
from conveyor.networks import (
    S2VT,
    Attention,
    Embedding,
    PictureDecoder,
    VideoEncoder,
    beam_search,
)
from conveyor.networks.s2vt import S2VTState

SIZE, FEATURES, HIDDEN, WORDS, EMBEDDED = 8, 24, 5, 9, 3
LENGTHS = [5, 2, 4]


def randomised(module: Any) -> Any:
    """A module in float64 whose numbers are not all alike."""
    torch.manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.4 * torch.randn_like(parameter))
    return module


def videos(batch: int = 3, frames: int = 5) -> Tensor:
    """Frames of some videos."""
    torch.manual_seed(1)
    return torch.randn(batch, frames, 3, SIZE, SIZE, dtype=torch.float64)


def read_symbols(steps: int = 4, batch: int = 3) -> Tensor:
    """Symbols that are read."""
    torch.manual_seed(2)
    return torch.randint(0, WORDS, (steps, batch))


def encoder(cell: str | None = "lstm") -> VideoEncoder:
    """A small encoder."""
    layer = None
    if cell is not None:
        layer = conveyor.Recurrent(cell, FEATURES, FEATURES // 2, bidirectional=True)
    made: VideoEncoder = randomised(VideoEncoder(SIZE, FEATURES, layer))
    return made


# The encoder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru", None])
def test_each_frame_is_seen_alone_and_then_in_order(cell: str | None) -> None:
    """Frame by frame and video by video, with what reads one direction turned by hand."""
    made = encoder(cell)
    frames = videos()
    together = made(frames, lengths=LENGTHS)
    assert together.shape == (5, 3, FEATURES)
    for row, count in enumerate(LENGTHS):
        vectors = []
        for frame in frames[row, :count]:
            places = made.pictures(frame[None])[:, 0]
            total = sum(gelu(made.of_places(place)) for place in places)
            vectors.append(total / len(places) ** 0.5)
        expected = torch.stack(vectors)[:, None]
        if made.layer is not None:
            expected = expected + made.layer(expected)[0]
        torch.testing.assert_close(together[:count, row], expected[:, 0])
        assert not together[count:, row].any()


def test_what_stands_at_padding_changes_no_bit() -> None:
    made, frames = encoder(), videos()
    one = made(frames, lengths=LENGTHS)
    other = torch.cat([frames, frames[:, :2]], 1)
    for row, count in enumerate(LENGTHS):
        other[row, count:] = 99.0
    two = made(other, lengths=LENGTHS)
    assert torch.equal(one, two[:5])
    assert not two[5:].any()


def test_where_something_is_can_be_told() -> None:
    """A dot at two places far from all edges: means of places alone would hardly differ."""
    made = VideoEncoder(32, FEATURES).eval()
    frames = torch.zeros(2, 1, 3, 32, 32)
    frames[0, 0, :, 14:17, 12:15] = 3
    frames[1, 0, :, 14:17, 18:21] = 3
    left, right = made(frames)[0]
    assert (left - right).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: VideoEncoder(layer=torch.nn.LSTM(72, 3)), "expected a Recurrent"),  # type: ignore[arg-type]
        (lambda: VideoEncoder(layer=conveyor.LSTM(3, 3)), "layer reads 3 numbers; expected 72"),
        (
            lambda: VideoEncoder(layer=conveyor.LSTM(72, 3, batch_first=True)),
            "batch first; expected 72, time first",
        ),
        (lambda: VideoEncoder(layer=conveyor.LSTM(72, 3)), "gives 3 numbers; expected 72"),
        (lambda: encoder()(videos()[:, :, :1]), r"expected \[B, frames, 3, 8, 8\]"),
        (lambda: encoder()(videos(), lengths=[1, 0, 2]), "video 1 of the batch has no frame"),
        (lambda: S2VT(conveyor.LSTM(3, 4), conveyor.LSTM(4, 4), Embedding(5, 2)), "have 6 numb"),
        (
            lambda: S2VT(
                conveyor.LSTM(3, 4, bidirectional=True), conveyor.LSTM(10, 4), Embedding(5, 2)
            ),
            "frames is bidirectional",
        ),
        (
            lambda: S2VT(conveyor.LSTM(3, 4), torch.nn.LSTM(6, 4), Embedding(5, 2)),  # type: ignore[arg-type]
            "words is a LSTM; expected a Recurrent",
        ),
        (lambda: s2vt().begin(torch.zeros(3, 2, 4)), r"expected \[F, B, 24\]"),
        (lambda: s2vt().begin(seen(), lengths=[0, 1, 2]), "video 0 of the batch has no frame"),
        (
            lambda: s2vt()(torch.zeros(2, 3), s2vt().begin(seen())),
            "expected whole numbers",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, said: str) -> None:
    with pytest.raises((SettingError, ShapeError), match=said):
        make()


# Attention over time ---------------------------------------------------------------------------


def test_attention_over_time_is_that_of_yao() -> None:
    """e_ti = w·tanh(W h_{t-1} + U v_i), over the frames that a video has, in NumPy loops."""
    sees = encoder()
    layer = conveyor.Recurrent("lstm", EMBEDDED + FEATURES, HIDDEN)
    made: PictureDecoder = randomised(
        PictureDecoder(layer, Embedding(WORDS, EMBEDDED), Attention(HIDDEN, FEATURES, "concat"))
    )
    annotations, symbols = sees(videos(), lengths=LENGTHS), read_symbols()
    looked = made.look(symbols, made.begin(annotations, lengths=LENGTHS))
    values = {name: each.detach().numpy() for name, each in made.named_parameters()}
    for row, count in enumerate(LENGTHS):
        state: Any = made.begin(annotations[:count, [row]]).recurrent
        h = state[0][0, 0].detach().numpy()
        for step in range(len(symbols)):
            scores = []
            for frame in annotations[:count, row].detach().numpy():
                inside = values["attention.of_query.weight"] @ h
                inside = inside + values["attention.of_memory.weight"] @ frame
                scores.append(float(values["attention.v"] @ np.tanh(inside)))
            alpha = np.exp(scores) / np.exp(scores).sum()
            got = looked.weights[step, row].detach().numpy()
            np.testing.assert_allclose(got[:count], alpha, rtol=1e-9)
            assert not got[count:].any()
            context = np.zeros(FEATURES)
            for share, frame in zip(alpha, annotations[:count, row].detach().numpy(), strict=True):
                context = context + share * frame
            beta = 1 / (1 + np.exp(-(values["selector.weight"][0] @ h + values["selector.bias"])))
            context = beta * context
            np.testing.assert_allclose(looked.contexts[step, row].detach(), context, rtol=1e-9)
            vector = made.embedding(symbols[step, [row]])
            read = torch.cat([vector[0], torch.from_numpy(context)])
            _, state = made.layer.step(read[None], state)
            h = state[0][0, 0].detach().numpy()


# S2VT ------------------------------------------------------------------------------------------


def s2vt(cell: str = "lstm", layers: int = 1) -> S2VT:
    """A small network."""
    frames = conveyor.Recurrent(cell, FEATURES, HIDDEN, layers)
    words = conveyor.Recurrent(cell, HIDDEN + EMBEDDED, HIDDEN + 1, layers)
    made: S2VT = randomised(S2VT(frames, words, Embedding(WORDS, EMBEDDED)))
    return made


def seen() -> Tensor:
    """Vectors of frames, [F, B, width]."""
    torch.manual_seed(3)
    return torch.randn(5, 3, FEATURES, dtype=torch.float64)


Numbers = NDArray[np.float64]


def lstm_step(
    values: dict[str, Numbers], x: Numbers, h: Numbers, c: Numbers
) -> tuple[Numbers, Numbers]:
    """One step of the LSTM in NumPy."""

    def gate(name: str) -> Numbers:
        total: Numbers = values[f"W.{name}"] @ x + values[f"U.{name}"] @ h + values[f"b.{name}"]
        return total

    def sigmoid(a: Numbers) -> Numbers:
        return 1 / (1 + np.exp(-a))

    c = sigmoid(gate("f")) * c + sigmoid(gate("i")) * np.tanh(gate("g"))
    return sigmoid(gate("o")) * np.tanh(c), c


def test_it_is_an_encoder_and_a_decoder_that_share_their_cells() -> None:
    """The paper's one unrolled loop over n frames and m words in NumPy: two cells, which at each
    step read the frame or zeros, and what the first gives beside a word or zeros."""
    made, frames, symbols = s2vt(), seen(), read_symbols()
    logits, _ = made(symbols, made.begin(frames, lengths=LENGTHS))
    lower, upper = (
        {name.removeprefix("l0."): each.detach().numpy() for name, each in part.named_parameters()}
        for part in (made.frames, made.words)
    )
    words = made.embedding.weight.detach().numpy()
    for row, count in enumerate(LENGTHS):
        h1 = c1 = np.zeros(HIDDEN)
        h2 = c2 = np.zeros(HIDDEN + 1)
        for time in range(count + len(symbols)):
            encoding = time < count
            frame = frames[time, row].numpy() if encoding else np.zeros(FEATURES)
            word = np.zeros(EMBEDDED) if encoding else words[symbols[time - count, row]]
            h1, c1 = lstm_step(lower, frame, h1, c1)
            h2, c2 = lstm_step(upper, np.concatenate([h1, word]), h2, c2)
            if not encoding:
                expected = made.head.weight.detach().numpy() @ h2 + made.head.bias.detach().numpy()
                np.testing.assert_allclose(
                    logits[time - count, row].detach(), expected, rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize(("cell", "layers"), [("gru", 2), ("mgu", 1), ("lstm_peephole", 1)])
def test_any_cell_reads_and_writes(cell: str, layers: int) -> None:
    """Step by step by ``layer.step``, in values and in gradients of all weights."""
    made, frames, symbols = s2vt(cell, layers), seen(), read_symbols()
    logits, _ = made(symbols, made.begin(frames))
    logits.square().sum().backward()
    gradients = {name: each.grad for name, each in made.named_parameters()}
    made.zero_grad()
    below: Any = None
    above: Any = None
    answers = []
    for time in range(5 + len(symbols)):
        frame = frames[time] if time < 5 else torch.zeros_like(frames[0])
        word = made.embedding(symbols[time - 5]) if time >= 5 else frame.new_zeros(3, EMBEDDED)
        first, below = made.frames.step(frame, below)
        second, above = made.words.step(torch.cat([first, word], -1), above)
        answers.append(made.head(second))
    by_step = torch.stack(answers[5:])
    torch.testing.assert_close(logits, by_step)
    by_step.square().sum().backward()  # type: ignore[no-untyped-call]
    for name, each in made.named_parameters():
        torch.testing.assert_close(each.grad, gradients[name], msg=name)


def test_frames_at_padding_change_no_bit() -> None:
    made, symbols = s2vt(), read_symbols()
    frames = seen()
    one, _ = made(symbols, made.begin(frames, lengths=LENGTHS))
    wide = torch.cat([frames, torch.full_like(frames[:2], 7.0)])
    for row, count in enumerate(LENGTHS):
        wide[count:, row] = 50.0
    other, _ = made(symbols, made.begin(wide, lengths=LENGTHS))
    assert torch.equal(one, other)


def test_a_step_goes_on_as_the_whole() -> None:
    made, symbols = s2vt(), read_symbols()
    state = made.begin(seen(), lengths=LENGTHS)
    whole, _ = made(symbols, state)
    for step, read in enumerate(symbols):
        chances, state = made.step(state, read)
        torch.testing.assert_close(chances, whole[step].log_softmax(-1))
    assert isinstance(state, S2VTState)
    made.float()
    begun = made.begin(seen().float())
    begin = torch.zeros(3, dtype=torch.long)
    best = beam_search(made.step, begun, begin, end=1, longest=6, beam=3)
    assert [len(each) for each in best] == [1, 1, 1]


def test_frames_in_another_order_are_another_video() -> None:
    made, symbols = s2vt(), read_symbols()
    one, _ = made(symbols, made.begin(seen()))
    other, _ = made(symbols, made.begin(seen()[[4, 0, 3, 1, 2]]))
    assert (one - other).abs().max() > 1e-3


# Saving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", None])
def test_they_are_saved(cell: str | None, tmp_path: Path) -> None:
    made: Any = torch.nn.ModuleDict({"sees": encoder(cell), "writes": s2vt("gru")})
    conveyor.save(made, tmp_path / "saved")
    loaded: Any = conveyor.load(tmp_path / "saved").eval()
    for name in ("sees", "writes"):
        assert repr(loaded[name]) == repr(made[name])
    frames = videos()
    assert torch.equal(
        made["sees"](frames, lengths=LENGTHS), loaded["sees"](frames, lengths=LENGTHS)
    )
    symbols = read_symbols()
    one, _ = made["writes"](symbols, made["writes"].begin(seen()))
    other, _ = loaded["writes"](symbols, loaded["writes"].begin(seen()))
    assert torch.equal(one, other)
