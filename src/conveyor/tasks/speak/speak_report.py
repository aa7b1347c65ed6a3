"""The sections of the report on a voice."""

import html
from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from conveyor.data.audio_file import Samples
from conveyor.errors import DataError
from conveyor.pages.frame import paragraph
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.sound_player import SoundPlayers
from conveyor.pages.terms import term
from conveyor.pages.words import Words, cell_text, number_text, same
from conveyor.tasks.results import Section
from conveyor.tasks.speak.scored_speech import ScoredSpeech
from conveyor.tasks.speak.true_speech import Saying

# Sayings to listen to, those that are farthest off, and pictures of the window.
_SHOWN, _WORST, _WINDOWS = 8, 4, 3
# Bytes of sound that a page holds, at most.
_SOUND = 4_000_000
# Speakers that are shown, at most.
_SPEAKERS = 40


def sections(scored: ScoredSpeech) -> Iterable[Section]:
    """Yield the sections: what it says, where its window looks, by speaker, what is farthest off,
    and what was learned from."""
    player = SoundPlayers(_SOUND)
    yield Section(Words("Listen", "Nghe thử"), _listen(scored, player))
    yield Section(Words("Alignment", "Cửa sổ nhìn vào đâu"), _windows(scored))
    if len({saying.name for saying in scored.sayings}) > 1:
        yield Section(Words("Speakers", "Người nói"), _by_speaker(scored))
    yield Section(Words("Largest distortion", "Lệch nhiều nhất"), _worst(scored, player))
    if scored.leaks:
        yield Section(Words("Overlap with the training set", "Đã nghe khi học"), _leaks(scored))


def _title(saying: Saying) -> Words:
    name = f" · {saying.name}" if saying.name else ""
    return same(f"{saying.text}{name}")


def _listen(scored: ScoredSpeech, player: SoundPlayers) -> str:
    about = Words(
        "Each text as a true recording of the test set, as the sound that is reconstructed from "
        "the frames of that recording, and as the network speaks it. The second is the best that "
        "any network can reach here: frames hold the energy of each frequency band but not the "
        "phase, so a sound reconstructed from them is hoarse. Time runs from left to right, low "
        "frequencies are at the bottom.",
        "Mỗi câu có ba đoạn: bản ghi âm thật của phần kiểm tra, âm thanh dựng lại từ các khung của "
        "chính bản ghi ấy, và lời mạng nói. Đoạn thứ hai là mức tốt nhất mọi mạng có thể đạt ở "
        "đây: khung chỉ cho biết mỗi dải tần mạnh bao nhiêu chứ không cho biết pha, nên âm thanh "
        "dựng lại nghe hơi khàn. Thời gian chạy từ trái sang phải, âm trầm ở dưới.",
    )
    count = len(scored.sayings)
    chosen = sorted({round(place) for place in np.linspace(0, count - 1, min(_SHOWN, count))})
    return paragraph(about) + "".join(_saying(scored, number, player) for number in chosen)


def _worst(scored: ScoredSpeech, player: SoundPlayers) -> str:
    about = Words(
        "The texts with the largest distortion.",
        "Những câu mà lời mạng nói khác xa mọi bản ghi âm của câu ấy nhất.",
    )
    order = np.argsort([-value for value in scored.nearness.distortion], kind="stable")[:_WORST]
    return paragraph(about) + "".join(_saying(scored, int(number), player) for number in order)


def _saying(scored: ScoredSpeech, number: int, player: SoundPlayers) -> str:
    """Return a saying to listen to: the true recording, its resynthesis, and what is spoken."""
    network, saying = scored.network, scored.sayings[number]
    rate, first = network.frames.rate, saying.numbers[0]
    true_frames, spoken = scored.true.examples.frames[first], scored.spoken[number][0]
    figures: list[tuple[Words, Samples, Tensor]] = []
    try:
        true = scored.true.sound(first)
        figures.append((Words("true", "bản thật"), true, true_frames))
    except DataError:  # the file may be gone by now
        pass
    again = scored.true.resynthesised[number][0]
    label = Words("true, reconstructed", "dựng lại từ khung của bản thật")
    figures.append((label, again.numpy(), network.frames(again)))
    off = cell_text(f"{scored.nearness.distortion[number]:.1f}")
    label = Words(f"spoken by the network, MCD {off.en}", f"lời mạng nói, MCD {off.vi}")
    if not spoken.finished:
        label = Words(f"{label.en}, cut off", f"{label.vi}, bị cắt")
    figures.append((label, scored.waves[number][0].numpy(), spoken.frames))
    # All pictures of a saying have the same scale of time.
    longest = max(len(frames) for _, _, frames in figures)
    items = []
    for words, samples, frames in figures:
        picture = _spectrogram(frames, longest, scored, saying)
        items.append(
            f"<figure><figcaption>{words.html()}</figcaption>{player.of(samples, rate)}{picture}"
            "</figure>"
        )
    return f'<h3>{_title(saying).html()}</h3><div class="voices">{"".join(items)}</div>'


def _spectrogram(frames: Tensor, longest: int, scored: ScoredSpeech, saying: Saying) -> str:
    values = frames.new_full((longest, frames.shape[1]), float(scored.true.quiet))
    values[: len(frames)] = frames.clamp(min=float(scored.true.quiet))
    return pixel_image(values.T.flip(0), f"spectrogram of {saying.text}")


def _windows(scored: ScoredSpeech) -> str:
    about = Words(
        "Time runs from left to right, the text from top to bottom. The letters that the "
        "network attends to are bright. The network learns by itself how long each letter sounds. "
        "Below the last letter is the end of the text.",
        "Thời gian chạy từ trái sang phải, chữ xếp từ trên xuống dưới. Chỗ sáng là chữ cái mà mạng "
        "chú ý trong lúc nói: mạng tự tìm ra mỗi chữ kêu bao lâu. Sau chữ cuối là chỗ hết "
        "câu.",
    )
    parts = [paragraph(about)]
    longest = sorted(range(len(scored.sayings)), key=lambda n: -len(scored.sayings[n].text))
    seen: set[str] = set()
    for number in longest:
        saying = scored.sayings[number]
        if saying.text in seen or len(seen) == _WINDOWS:
            continue
        seen.add(saying.text)
        window = scored.spoken[number][0].window
        shares = window / window.sum(1, keepdim=True).clamp(min=1e-6)
        tokens = [*scored.network.speller.tokens(saying.text), "·"]
        image = pixel_image(shares.T.repeat_interleave(8, 0), f"the attention on {saying.text}")
        letters = "".join(
            f'<span style="top:{100 * (place + 0.5) / len(tokens):.1f}%">{html.escape(token)}'
            "</span>"
            for place, token in enumerate(tokens)
        )
        parts.append(
            f"<h3>{_title(saying).html()}</h3>"
            f'<div class="window"><div class="letters">{letters}</div>{image}</div>'
        )
    remark = number_text(100 * scored.last_letter_share, ".0f")
    parts.append(
        paragraph(
            Words(
                f"The attention reached the last letter in {remark.en} % of the sounds.",
                f"Trong {remark.vi} % số đoạn, mạng chú ý tới chữ cái cuối.",
            )
        )
    )
    return "".join(parts)


def _by_speaker(scored: ScoredSpeech) -> str:
    groups: dict[str, list[int]] = {}
    for number, saying in enumerate(scored.sayings):
        groups.setdefault(saying.name, []).append(number)
    order = sorted(groups, key=lambda name: -(scored.nearness.over(groups[name])[0] or 0))
    near = {
        "MCD": scored.nearness,
        "mean recording": scored.true.mean_nearness,
        "true recordings": scored.true.true_nearness,
    }
    kept = {title: each for title, each in near.items() if each is not None}
    rows = []
    for name in order[:_SPEAKERS]:
        means = [each.over(groups[name])[0] for each in kept.values()]
        values = ["" if mean is None else f"{mean:.2f}" for mean in means]
        rows.append(
            [same(name or "—"), cell_text(f"{len(groups[name]):,}"), *map(cell_text, values)]
        )
    return _verbatim(["speaker", "texts", *kept], rows)


def _verbatim(heads: Sequence[str], rows: Sequence[Sequence[Words]]) -> str:
    """Return a table whose first cells are names, which are not translated."""
    head = "".join(f'<th scope="col">{term(text)}</th>' for text in heads)
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{cell.html()}</td>" for cell in others)
        lines.append(f'<tr><th scope="row">{first.html()}</th>{cells}</tr>')
    label = 'aria-label="Scores" data-label-en="Scores" data-label-vi="Điểm số"'
    return (
        f'<div class="wide" tabindex="0" role="region" {label}><table class="scores">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _leaks(scored: ScoredSpeech) -> str:
    return paragraph(
        Words(
            f"{scored.leaks:,} of these recordings are also in the training set. The network is "
            "closer to them than to new ones, so the scores are too good.",
            f"{number_text(scored.leaks, ',.0f').vi} bản ghi âm ở đây cũng có trong phần dùng để "
            "học. Mạng nói giống chúng hơn bản mới, nên điểm số cao hơn thực tế.",
        )
    )
