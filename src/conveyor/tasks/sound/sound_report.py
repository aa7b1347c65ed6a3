"""The sections of the report on a network of samples."""

import math
from collections.abc import Iterable

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray

from conveyor.data.audio_file import Samples
from conveyor.data.mu_law import mu_law_samples
from conveyor.networks.log_mel import LogMel
from conveyor.pages.frame import BASELINE, OTHER, OURS, chart, paragraph, table
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.sound_player import SoundPlayers
from conveyor.pages.words import Words, joined, number_text, same
from conveyor.tasks.results import Section
from conveyor.tasks.sound.scored_sound import ScoredSound

# Recordings of the test set that are shown, how many seconds before the middle of each are heard,
# and how long the network goes on from there.
_SHOWN, _HEARD, _SECONDS = 3, 2.0, 1.0
# How long a sound is that begins anew, and at what temperatures it is drawn.
_ANEW, _TEMPERATURES = 2.0, (0.6, 0.8, 1.0)
# Bytes of sound that a page holds, at most.
_SOUND = 3_000_000
# Stretches whose loudness is told apart, in seconds, and how many groups of loudness there are.
_STRETCH, _GROUPS = 0.02, 5
# Seconds of a recording whose bits are drawn.
_DRAWN = 1.0


def sections(scored: ScoredSound) -> Iterable[Section]:
    """Yield the sections: what it sounds like, how surprising each moment was, how loudness counts,
    and what was learned from."""
    players = SoundPlayers(_SOUND)
    yield Section(Words("Listen", "Nghe thử"), _listen(scored, players))
    yield Section(Words("Bits over time", "Số bit theo thời gian"), _over_time(scored))
    yield Section(Words("Bits by loudness", "Nhỏ và to"), _by_loudness(scored))
    if scored.leaks:
        yield Section(Words("Overlap with the training set", "Đã nghe khi học"), _leaks(scored))


def _listen(scored: ScoredSound, players: SoundPlayers) -> str:
    about = Words(
        "The network samples one value after the other, each from its prediction given the "
        "values before. It knows no words: trained on minutes of sound, it babbles in the voices "
        "that it has heard. The first sounds start from nothing. The others continue recordings "
        "of the test set from the middle, after at most two seconds. Time runs from left to "
        "right, low frequencies are at the bottom.",
        "Mạng rút từng mẫu một, mỗi mẫu theo dự đoán sau những mẫu trước. Mạng không biết từ ngữ: "
        "chỉ học vài phút âm thanh thì nó bập bẹ bằng những giọng đã nghe. Đầu tiên mạng tự bắt "
        "đầu; bên dưới, mạng nói tiếp từ giữa bản ghi âm của phần kiểm tra, sau khi nghe tối đa "
        "hai giây. Thời gian chạy từ trái sang phải, âm trầm ở dưới.",
    )
    network, rate = scored.network, scored.network.rate
    figures = []
    for temperature in _TEMPERATURES:
        drawn = network.sampled(round(_ANEW * rate), temperature=temperature)
        title = joined([Words("temperature", "nhiệt độ"), number_text(temperature, "g")])
        figures.append(_figure(title, mu_law_samples(drawn), rate, players))
    parts = [
        paragraph(about),
        f"<h3>{Words('From nothing', 'Tự bắt đầu').html()}</h3>",
        f'<div class="voices">{"".join(figures)}</div>',
    ]
    for number in _shown(scored):
        middle = len(scored.levels[number]) // 2
        levels = scored.levels[number][max(middle - round(_HEARD * rate), 0) :]
        half = levels[: min(middle, round(_HEARD * rate))]
        count = min(len(levels) - len(half), round(_SECONDS * rate))
        drawn = network.sampled(count, temperature=0.8, heard=half)
        both = np.concatenate([half, drawn])
        pair = [
            _figure(
                Words("true", "bản thật"),
                mu_law_samples(levels[: len(both)]),
                rate,
                players,
            ),
            _figure(
                Words("continued by the network", "mạng nói tiếp từ giữa"),
                mu_law_samples(both),
                rate,
                players,
            ),
        ]
        name = same(scored.part.names[number])
        parts.append(f'<h3>{name.html()}</h3><div class="voices">{"".join(pair)}</div>')
    return "".join(parts)


def _shown(scored: ScoredSound) -> list[int]:
    count = len(scored.levels)
    return sorted({round(place) for place in np.linspace(0, count - 1, min(_SHOWN, count))})


def _figure(title: Words, samples: Samples, rate: int, players: SoundPlayers) -> str:
    """Return a sound with its spectrogram."""
    frames = LogMel(rate=rate)(torch.from_numpy(samples))
    picture = ""
    if len(frames):
        # What is softer than a ten-thousandth of the loudest is silence.
        quiet = float(frames.max()) + math.log(1e-6)
        picture = pixel_image(frames.clamp(min=quiet).T.flip(0), f"spectrogram: {title.en}")
    player = players.of(samples, rate)
    return f"<figure><figcaption>{title.html()}</figcaption>{player}{picture}</figure>"


def _means(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the mean of each stretch of ``width`` numbers; what is left at the end is not in
    any."""
    count = len(values) // width
    means: NDArray[np.float64] = values[: count * width].reshape(count, width).mean(1)
    return means


def _over_time(scored: ScoredSound) -> str:
    about = Words(
        "How many bits each moment of a recording takes. Predictable moments take few: the onset "
        "of a sound is expensive, its continuation is cheap.",
        "Mỗi khoảnh khắc của một bản ghi âm tốn bao nhiêu bit: chỗ người nghe đoán được thì tốn "
        "ít. Chỗ âm bắt đầu tốn nhiều, chỗ kéo dài như trước thì tốn ít.",
    )
    rate = scored.network.rate
    number = _shown(scored)[0]
    width = max(rate // 200, 1)
    best = min(scored.theirs, key=lambda name: float(np.concatenate(scored.theirs[name]).mean()))
    figure = go.Figure()
    lines = {
        scored.network.title: (scored.ours[number], OURS),
        best: (scored.theirs[best][number], BASELINE),
    }
    for name, (nats, colour) in lines.items():
        bits = _means(nats[: round(_DRAWN * rate)] / math.log(2), width)
        times = (np.arange(len(bits)) + 0.5) * width / rate
        figure.add_scatter(
            x=times.tolist(), y=bits.tolist(), name=name, line={"color": colour}, mode="lines"
        )
    wave = mu_law_samples(scored.levels[number][: round(_DRAWN * rate)]).astype(np.float64)
    loud = np.sqrt(_means(wave**2, width))
    figure.add_scatter(
        x=((np.arange(len(loud)) + 0.5) * width / rate).tolist(),
        y=loud.tolist(),
        name="loudness",
        line={"color": OTHER, "width": 1},
        yaxis="y2",
        mode="lines",
    )
    # Loudness has a scale of its own, of which only the shape is to be seen.
    hidden = {"overlaying": "y", "side": "right", "showgrid": False, "showticklabels": False}
    figure.update_layout(yaxis2=hidden)
    figure.update_xaxes(title="seconds")
    figure.update_yaxes(title="bits per sample", selector={"overlaying": None})
    heading = same(scored.part.names[number]).html()
    return (
        paragraph(about)
        + f"<h3>{heading}</h3>"
        + chart(figure, "bits-over-time", words=[Words("seconds", "giây")])
    )


def _by_loudness(scored: ScoredSound) -> str:
    about = Words(
        "Segments of 20 ms in five groups of the same size, from the softest to the loudest. "
        "Soft noise is hard to predict because its levels are fine; silence is easy.",
        "Các đoạn dài 20 ms chia thành năm nhóm bằng nhau, từ nhỏ nhất đến to nhất. Tiếng ồn nhỏ "
        "khó đoán vì các mức ở đó rất mịn, còn im lặng thì dễ.",
    )
    width = max(round(_STRETCH * scored.network.rate), 1)
    loud = np.concatenate(
        [_means(mu_law_samples(levels).astype(np.float64) ** 2, width) for levels in scored.levels]
    )
    if len(loud) < _GROUPS:
        return paragraph(
            Words(
                "The recordings are too short for this table.", "Bản ghi âm quá ngắn để chia nhóm."
            )
        )
    order = np.argsort(loud, kind="stable")
    rows: list[tuple[list[str], bool]] = []
    for name, nats in {scored.network.title: scored.ours, **scored.theirs}.items():
        bits = np.concatenate([_means(each, width) for each in nats]) / math.log(2)
        groups = np.array_split(bits[order], _GROUPS)
        numbers = [f"{group.mean():.3f}" for group in groups]
        rows.append(([name, *numbers], name == scored.network.title))
    decibels = [
        f"{10 * math.log10(group.mean() + 1e-10):.0f} dB"
        for group in np.array_split(loud[order], _GROUPS)
    ]
    return paragraph(about) + table(["bits per sample", *decibels], rows)


def _leaks(scored: ScoredSound) -> str:
    count = number_text(scored.leaks, ",.0f")
    return paragraph(
        Words(
            f"{count.en} of these recordings are also in the training set, so the scores are too "
            "good.",
            f"{count.vi} bản ghi âm ở đây cũng có trong phần dùng để học, nên điểm số cao hơn thực "
            "tế.",
        )
    )
