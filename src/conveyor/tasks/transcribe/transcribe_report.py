"""The sections of the report on recordings."""

import html
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor

from conveyor.data.audio_file import read_sound
from conveyor.errors import DataError
from conveyor.pages.frame import paragraph, table
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.sound_player import SoundPlayers
from conveyor.pages.terms import term
from conveyor.pages.words import Words, cell_text, joined, number_text, same
from conveyor.tasks.length_groups import length_groups
from conveyor.tasks.results import Section
from conveyor.tasks.transcribe.placed_labels import PlacedLabel
from conveyor.tasks.transcribe.scored_recordings import ScoredRecordings
from conveyor.tasks.word_edits import WordEdits

# So many of the worst recordings are shown, and of the others.
_WORST, _OTHERS = 8, 3
# Bytes of sound that a page holds, at most, and seconds of a recording that are drawn.
_SOUND, _SECONDS = 3_000_000, 20
# Labels behind so many hundredths of a picture are written to the left of their mark.
_LATE = 85
# A row of a map is so many rem high: of up to so many rows, and of more.
_HIGH, _FEW, _LOW = 1.2, 16, 0.75
# Confusions and speakers that are shown, at most.
_CONFUSIONS, _SPEAKERS = 15, 40

_END = Words("end", "kết thúc")

# What is said above the recordings of a network that writes by CTC, and of one that looks.
_CTC = Words(
    "The sound and its log-mel frames: time runs from left to right, low frequencies are at the "
    "bottom. Below are the output and, if it is wrong, the reference, each label at the step "
    "where its probability is highest. A bidirectional network may place a label far from its "
    "sound.",
    "Hãy nghe và xem mạng đã nghe thấy gì: thời gian chạy từ trái sang phải, âm trầm ở dưới. "
    "Bên dưới là câu mạng viết và, nếu sai, câu đúng; mỗi nhãn đặt ở chỗ mạng chắc chắn nhất. "
    "Mạng đọc cả hai chiều có thể đặt nhãn xa chỗ âm vang lên.",
)
_ATTENTION = Words(
    "The sound and its log-mel frames: time runs from left to right, low frequencies are at the "
    "bottom. The map below shows the attention, with a row for each label, from the top, and one "
    "for the end unless the text was cut off; the brighter, the more attention. The name of a "
    "row is on the side with less attention. A good map looks like a staircase: a row that goes "
    "back repeats something, a jump leaves something out. Each label of the output and, if it is "
    "wrong, of the reference is where the attention is largest.",
    "Hãy nghe và xem mạng đã nghe thấy gì: thời gian chạy từ trái sang phải, âm trầm ở dưới. Bản "
    "đồ bên dưới cho biết mạng chú ý vào đâu trong khi viết: mỗi hàng là một nhãn, từ trên xuống, "
    "hàng cuối là chỗ kết thúc (trừ khi câu bị cắt); càng sáng là càng chú ý. Tên hàng nằm ở "
    "phía ít được chú ý hơn. Bản đồ tốt trông như bậc thang: hàng nào quay lại là viết lặp, hàng "
    "nào nhảy xa là bỏ sót. Mỗi nhãn của câu mạng viết và, nếu sai, của câu đúng đặt ở chỗ mạng "
    "chú ý nhất.",
)


def sections(scored: ScoredRecordings) -> Iterable[Section]:
    """Yield the sections: what it heard, by speaker, by length, what it confuses, how it searched,
    and what was learned from."""
    yield Section(Words("Examples", "Mạng nghe được gì"), _examples(scored))
    if len(set(scored.examples.speakers)) > 1:
        yield Section(Words("Speakers", "Người nói"), _by_speaker(scored))
    yield Section(Words("Scores by length", "Ngắn và dài"), _by_length(scored))
    if any(one != other for pairs in scored.edits.pairs for one, other in pairs):
        yield Section(Words("Most frequent mistakes", "Mạng nhầm những gì"), _confusions(scored))
    yield Section(Words("Beam search", "Mạng tìm câu trả lời ra sao"), _search(scored))
    if scored.leaks or scored.shared_speakers:
        yield Section(Words("Overlap with the training set", "Đã nghe khi học"), _leaks(scored))


def _examples(scored: ScoredRecordings) -> str:
    """Return recordings to listen to: the worst, and some that are right."""
    counts = scored.edits.counts
    wrong = counts[:, :3].sum(1)
    order = sorted(range(len(wrong)), key=lambda n: (-wrong[n], counts[n, 3], n))
    worst = [number for number in order if wrong[number]][:_WORST]
    right = [number for number in range(len(wrong)) if not wrong[number]][:_OTHERS]
    about = _ATTENTION if scored.looks else _CTC
    parts, players = [paragraph(about)], SoundPlayers(_SOUND)
    for title, numbers in (
        (Words("Worst", "Tệ nhất"), worst),
        (Words("Correct ones", "Những câu đúng"), right),
    ):
        items = [_example(scored, number, players) for number in numbers]
        if items:
            parts.append(f'<h3>{title.html()}</h3><ol class="worst">{"".join(items)}</ol>')
    return "".join(parts)


def _example(scored: ScoredRecordings, number: int, players: SoundPlayers) -> str:
    """Return a recording with its sound, where there is room for it."""
    examples, heard = scored.examples, scored.heard[number]
    said, written = examples.texts[number], heard.text
    if said == written:
        rows = [(Words("output, correct", "mạng viết, đúng"), written)]
    else:
        rows = [
            (Words("output", "mạng viết"), written or "—"),
            (Words("reference", "câu đúng"), said or "—"),
        ]
    lines = "".join(
        f'<p><span class="answer">{label.html()}</span> {html.escape(text)}</p>'
        for label, text in rows
    )
    name = f'<p class="answer">{html.escape(examples.places[number])}</p>'
    player = _player(scored, number, players)
    return f"<li>{lines}{name}{player}{_picture(scored, number)}</li>"


def _player(scored: ScoredRecordings, number: int, players: SoundPlayers) -> str:
    rate = scored.network.frames.rate
    try:
        samples = read_sound(scored.examples.files[number]).at(rate)[: _SECONDS * rate]
    except DataError:  # the file may be gone by now
        return ""
    player = players.of(samples, rate)
    return f'<div class="sound">{player}</div>' if player else ""


def _picture(scored: ScoredRecordings, number: int) -> str:
    """Return what the network heard, with where it hears what."""
    network, examples = scored.network, scored.examples
    most = round(_SECONDS / network.step_seconds)
    place, written = examples.places[number], scored.heard[number]
    frames = examples.frames[number][: most * network.sizes.stack]
    # The last step may have fewer frames than others, and is as much narrower.
    shown = len(frames) / network.sizes.stack
    picture = pixel_image(frames.T.flip(0), f"spectrogram of {place}")
    if written.looked is not None:
        weights = written.looked.repeat_interleave(network.sizes.stack, 1)[:, : len(frames)]
        names = [network.speller.labels[label - 1] for label in written.labels]
        picture += _map(weights, names, f"where the network looked in {place}")
    labels = tuple(examples.labels[number].tolist())
    rows = [_strip(scored, lambda: scored.placed(number), shown, "strip ours")]
    if labels != written.labels:
        rows.append(_strip(scored, lambda: scored.placed_truth(number), shown, "strip"))
    # Labels need room to be read side by side: on a narrow page the picture is scrolled.
    letters = sum(len(network.speller.labels[label - 1]) + 1 for label in (labels or (1,)))
    width = f"min-width: {0.55 * letters + 1:.0f}rem"
    return f'<div class="sound"><div style="{width}">{picture}{"".join(rows)}</div></div>'


def _map(weights: Tensor, names: Sequence[str], alternative: str) -> str:
    """Return where the network looked, with the name of each row at the side where it looked less.

    Args:
        weights: of the frames for each label, and for the end unless the text was cut off,
            [rows, frames].
        names: of the labels.
        alternative: see ``pixel_image``.
    """
    ends = [_END.html()] * (len(weights) - len(names))
    texts = [*(html.escape(name).replace(" ", "␣") for name in names), *ends]
    middle, rows = weights.shape[1] // 2, []
    for row, text in zip(weights, texts, strict=True):
        side = "right" if float(row[:middle].sum()) > float(row[middle:].sum()) else "left"
        rows.append(f'<span class="{side}">{text}</span>')
    height = _HIGH if len(texts) <= _FEW else _LOW
    style = f"--row: {height}rem; height: {height * len(texts):.1f}rem"
    return (
        f'<div class="attended" style="{style}">{pixel_image(weights, alternative)}'
        f'<div class="rows">{"".join(rows)}</div></div>'
    )


def _strip(
    scored: ScoredRecordings, placed: Callable[[], list[PlacedLabel]], shown: float, kind: str
) -> str:
    """Return labels at the times when the network hears them.

    Args:
        scored: what was heard.
        placed: gives the labels, and where they are heard.
        shown: steps that the picture shows, the last maybe in part.
        kind: the class of style.
    """
    try:
        every = placed()
    except DataError:  # more labels than steps
        return ""
    names, marks = scored.network.speller.labels, []
    at: dict[int, list[str]] = {}
    for label, step, _ in every:
        if step < shown:
            at.setdefault(step, []).append(names[label - 1])
    # Attention may look at one step for several labels, which share a mark.
    for step, several in at.items():
        place = 100 * step / shown
        text = " ".join(html.escape(name).replace(" ", "␣") for name in several)
        # What stands at the end is written before its mark, for there is no room behind it.
        where = f'style="left:{place:.1f}%"'
        if place > _LATE:
            where = f'class="late" style="right:{100 - place:.1f}%"'
        marks.append(f"<span {where}>{text}</span>")
    return f'<div class="{kind}">{"".join(marks)}</div>'


def _rates(edits: WordEdits, numbers: Sequence[int]) -> list[str]:
    rate = edits.rate(numbers)
    wrong = (edits.counts[list(numbers), :3].sum(1) > 0).mean()
    return ["" if rate is None else f"{100 * rate:.1f} %", f"{100 * wrong:.1f} %"]


def _by_speaker(scored: ScoredRecordings) -> str:
    speakers = scored.examples.speakers
    groups = {
        name: [number for number, its in enumerate(speakers) if its == name]
        for name in sorted(set(speakers))
    }
    order = sorted(groups, key=lambda name: -(scored.edits.rate(groups[name]) or 0))
    rows = [
        [
            same(name or "—"),
            *map(cell_text, [f"{len(groups[name]):,}", *_rates(scored.edits, groups[name])]),
        ]
        for name in order[:_SPEAKERS]
    ]
    return _verbatim(["speaker", "recordings", "WER", "wrong recordings"], rows)


def _by_length(scored: ScoredRecordings) -> str:
    counts = [int(count) for count in scored.edits.counts[:, 3]]
    rows = []
    for low, high, numbers in length_groups(counts):
        span = f"{low:,}–{high:,}" if high > low else f"{low:,}"
        rows.append(([span, f"{len(numbers):,}", *_rates(scored.edits, numbers)], False))
    return table(["reference words", "recordings", "WER", "wrong recordings"], rows)


def _confusions(scored: ScoredRecordings) -> str:
    other, left_out, put_in, said = (int(count) for count in scored.edits.counts.sum(0))
    about = Words(
        f"Of {said:,} words, {other:,} were substituted and {left_out:,} deleted; {put_in:,} were "
        "inserted.",
        f"Trong {number_text(said, ',.0f').vi} từ, {number_text(other, ',.0f').vi} từ bị viết "
        f"thành từ khác, {number_text(left_out, ',.0f').vi} từ bị bỏ sót, "
        f"{number_text(put_in, ',.0f').vi} từ bị thêm vào.",
    )
    nothing = Words("(nothing)", "(không có gì)")
    rows = [
        [same(one) if one else nothing, same(other) if other else nothing, cell_text(f"{count:,}")]
        for _, (one, other, count) in zip(
            range(_CONFUSIONS), scored.edits.confusions(), strict=False
        )
    ]
    return paragraph(about) + _verbatim(["reference", "output", "times"], rows)


def _verbatim(heads: Sequence[str], rows: Sequence[Sequence[Words]]) -> str:
    """Return a table whose cells are what was said: "one" is no word of the page, which would be
    translated."""
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


def _search(scored: ScoredRecordings) -> str:
    every = range(len(scored.examples))
    quick = "1" if scored.looks else "best path"
    rows = []
    if scored.beam > 1:
        rows.append(([f"{scored.beam}", *_rates(scored.edits, every)], True))
    rows.append(([quick, *_rates(scored.best_path_edits, every)], False))
    about = _about_attention(scored) if scored.looks else _about_ctc(scored)
    return paragraph(about) + table(["beam width", "WER", "wrong recordings"], rows)


def _about_ctc(scored: ScoredRecordings) -> Words:
    share = number_text(100 * (scored.blank_share or 0), ".0f")
    seconds = scored.network.step_seconds
    return Words(
        f"Every {1000 * seconds:.0f} ms the network outputs a label or a blank; {share.en} % of "
        "these steps are blanks. The output is the label sequence with the highest total "
        "probability over all alignments (prefix beam search). The best path takes the most "
        "likely label of each step.",
        f"Cứ {1000 * seconds:.0f} ms mạng nói nghe thấy nhãn nào, hoặc không có nhãn nào: ở "
        f"{share.vi} % số bước là không có. Câu được viết ra là câu có tổng xác suất trên mọi "
        "cách đặt nhãn lớn nhất (tìm kiếm chùm theo tiền tố); đường tốt nhất chỉ lấy nhãn có xác "
        "suất cao nhất ở mỗi bước.",
    )


def _about_attention(scored: ScoredRecordings) -> Words:
    about = Words(
        "The network attends to the whole recording before it writes each label, and before it "
        "ends (beam search).",
        "Trước khi viết mỗi nhãn và trước khi kết thúc, mạng nhìn lại cả bản ghi âm (tìm kiếm "
        "chùm).",
    )
    joint = number_text(scored.network.sizes.joint, ".2g")
    if scored.network.head is None:
        return about
    return joined(
        [
            about,
            Words(
                "All outputs in the beam are then ranked by the log-probabilities of attention "
                f"and CTC together, divided by the length. CTC has a weight of {joint.en}.",
                f"Sau đó mọi câu còn giữ lại được xếp theo log P của sự chú ý cộng với của CTC, "
                f"trong đó CTC chiếm {joint.vi}, chia cho độ dài.",
            ),
        ]
    )


def _leaks(scored: ScoredRecordings) -> str:
    parts = []
    if scored.leaks:
        parts.append(
            Words(
                f"{scored.leaks:,} of these recordings are also in the training set. They are "
                "easier than new ones, so the scores are too good.",
                f"{number_text(scored.leaks, ',.0f').vi} bản ghi âm ở đây cũng có trong phần dùng "
                "để học. Chúng dễ hơn bản mới, nên điểm số cao hơn thực tế.",
            )
        )
    if scored.shared_speakers:
        count = len(set(scored.examples.speakers))
        parts.append(
            Words(
                f"{scored.shared_speakers:,} of the {count:,} speakers here are also in the "
                "training set. Speakers that the network has never heard are harder.",
                f"Trong {count:,} người nói ở đây, mạng đã học giọng của "
                f"{scored.shared_speakers:,} người. Giọng chưa từng nghe sẽ khó hơn.",
            )
        )
    return "".join(map(paragraph, parts))
