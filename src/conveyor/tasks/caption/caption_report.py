"""The sections of the report on captions."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from conveyor.pages.frame import paragraph, table
from conveyor.pages.pixel_image import colour_image
from conveyor.pages.words import Words, cell_text, number_text, same
from conveyor.tasks.caption.attention_frames import film_strip, looked_at_frames
from conveyor.tasks.caption.attention_pictures import enlarged, looked_at
from conveyor.tasks.caption.caption_examples import Seen, ShownPictures
from conveyor.tasks.caption.caption_scores import EXACT, METRICS, CaptionScores
from conveyor.tasks.caption.caption_settings import HARD, NONE, READING, SOFT
from conveyor.tasks.caption.captioner import Captioned, Captioner
from conveyor.tasks.caption.scored_captions import ScoredCaptions
from conveyor.tasks.results import Section

# So many of the worst captions are shown, and of the best; and so many with attention.
_SHOWN, _LOOKED = 6, 5
# Words of a caption that is shown with attention, at most, and captions of a picture.
_WORDS, _CAPTIONS = 16, 5
# Pictures that are shown of those that somebody asks about, at most.
_ASKED = 20


# How a network reads what it looks at: whether this is a video, and its attention.
_HOW = {
    (False, HARD): Words(
        "For each word this network reads one place, the framed one (hard attention). In "
        "training the place is sampled in proportion to its weight.",
        "Với mỗi từ, mạng này chỉ đọc một chỗ, chỗ có khung (chú ý cứng); khi học, chỗ ấy được "
        "rút ngẫu nhiên theo độ sáng.",
    ),
    (False, SOFT): Words(
        "For each word this network reads the weighted mean of all places (soft attention).",
        "Mạng này đọc trung bình của mọi chỗ, chỗ càng sáng càng nặng (chú ý mềm).",
    ),
    (True, HARD): Words(
        "For each word this network reads one frame, the darkest cell (hard attention). In "
        "training the frame is sampled in proportion to its weight.",
        "Với mỗi từ, mạng này chỉ đọc một khung hình, khung có ô đậm nhất (chú ý cứng); khi học, "
        "khung ấy được rút ngẫu nhiên.",
    ),
    (True, SOFT): Words(
        "For each word this network reads the weighted mean of all frames (soft attention).",
        "Mạng này đọc trung bình của mọi khung hình, ô càng đậm càng nặng (chú ý mềm).",
    ),
}


def sections(scored: ScoredCaptions) -> Iterable[Section]:
    """Yield the sections: what it wrote, where it looked, what is said without looking, how it
    searched, and what was learned from."""
    yield Section(Words("Examples", "Mạng đã viết gì"), _examples(scored))
    sizes = scored.network.sizes
    if sizes.attention != NONE and sizes.decoder != READING:
        yield Section(Words("Attention", "Mạng nhìn vào đâu"), _maps(scored))
    if scored.shuffled is not None:
        yield Section(
            Words("Control: shuffled frames", "Khi xáo thứ tự khung hình"), _order_of(scored)
        )
    if scored.blind is not None:
        yield Section(Words("Control: a blind network", "Khi không nhìn ảnh"), _blind(scored))
    yield Section(Words("Beam search", "Mạng tìm câu trả lời ra sao"), _search(scored))
    if scored.leaks:
        yield Section(Words("Overlap with the training set", "Đã gặp khi học"), _leaks(scored))


def shown_captions(
    network: Captioner, shown: ShownPictures, written: Sequence[Captioned]
) -> Iterable[Section]:
    """Yield a section for each of the first pictures or videos that were captioned: what is seen,
    what was written, and where the network looked for each word.

    Args:
        network: the network.
        shown: what was asked about.
        written: the caption of each.
    """
    looks = network.sizes.attention != NONE and network.sizes.decoder != READING
    for row in range(min(len(shown), _ASKED)):
        seen, caption = shown.seen([row]), written[row]
        parts = [f"<p><b>{html.escape(caption.text)}</b></p>"]
        if network.sizes.size and not (looks and network.sizes.frames):
            parts.insert(0, _pictured(network, seen, shown.places[row]))
        if looks:
            show = looked_at_frames if network.sizes.frames else looked_at
            parts.append(show(network, seen, caption))
        yield Section(same(Path(shown.places[row]).name), "".join(parts))


def _order(scored: ScoredCaptions) -> list[int]:
    quality = scored.scores.quality
    return sorted(range(len(scored.shown)), key=lambda number: (quality(number), number))


def _examples(scored: ScoredCaptions) -> str:
    """Return the worst captions and the best ones."""
    order = _order(scored)
    about = Words(
        "Each picture as the network sees it, the output, and the captions by people. A good "
        "score does not guarantee a single caption, so look at the worst ones, too.",
        "Mỗi mục gồm ảnh như mạng nhìn thấy, câu mạng viết và câu của người viết. Điểm cao không "
        "bảo đảm cho từng ảnh: hãy xem cả những mục tệ nhất.",
    )
    if scored.network.sizes.frames:
        about = Words(
            "The frames that the network reads of each video, in order, the output, and the "
            "captions by people. A good score does not guarantee a single caption, so look at "
            "the worst ones, too.",
            "Mỗi mục gồm các khung hình mạng đọc được của một video, theo thứ tự, câu mạng viết và "
            "câu của người viết. Điểm cao không bảo đảm cho từng video: hãy xem cả những mục tệ "
            "nhất.",
        )
    parts, done = [paragraph(about)], set[int]()
    for title, numbers in (
        (Words("Worst", "Tệ nhất"), order[:_SHOWN]),
        (Words("Best", "Tốt nhất"), order[: -_SHOWN - 1 : -1]),
    ):
        items = [_example(scored, number) for number in numbers if number not in done]
        done |= set(numbers)
        if items:
            parts.append(f'<h3>{title.html()}</h3><ol class="worst">{"".join(items)}</ol>')
    return "".join(parts)


def _picture(scored: ScoredCaptions, number: int) -> str:
    if not scored.network.sizes.size:
        return ""
    return _pictured(scored.network, scored.shown.seen([number]), scored.shown.places[number])


def _pictured(network: Captioner, seen: Seen, name: str) -> str:
    """Return a picture, or the frames of a video, as the network sees them."""
    if network.sizes.frames:
        return film_strip(seen, name)
    return colour_image(enlarged(seen.values[0].numpy()), name)


def _example(scored: ScoredCaptions, number: int) -> str:
    written, right = scored.texts[number], scored.shown.references[number]
    if scored.scores.right[number]:
        rows = [(Words("output, correct", "mạng viết, đúng"), written)]
    else:
        rows = [
            (Words("output", "mạng viết"), written or "—"),
            (Words("reference", "đúng ra là"), " | ".join(right[:_CAPTIONS])),
        ]
    lines = "".join(
        f'<p><span class="answer">{label.html()}</span> {html.escape(text)}</p>'
        for label, text in rows
    )
    name = f'<p class="answer">{html.escape(scored.shown.places[number])}</p>'
    return f"<li>{_picture(scored, number)}{lines}{name}</li>"


def _spread(order: Sequence[int]) -> list[int]:
    """Return some numbers of an order, evenly apart, the last first."""
    steps = np.linspace(len(order) - 1, 0, min(_LOOKED, len(order))).round().astype(int)
    return [order[step] for step in dict.fromkeys(steps.tolist())]


def _maps(scored: ScoredCaptions) -> str:
    network = scored.network
    about = Words(
        "One picture for each word. Bright places have a large weight; the place with the "
        "largest is framed. A place also carries information about its surroundings.",
        "Mỗi từ một ảnh: chỗ sáng là chỗ mạng nhìn khi viết từ ấy, khung vàng quanh chỗ được nhìn "
        "nhiều nhất. Mỗi chỗ còn mang thông tin của vùng xung quanh.",
    )
    if network.sizes.frames:
        about = Words(
            "Rows are words, columns are frames. The darker a cell, the larger the weight of the "
            "frame for that word. A frame also carries information about the frames before and "
            "after it, because a recurrent layer has read them in both directions.",
            "Mỗi từ một hàng, mỗi khung hình một cột: ô càng đậm thì khung hình càng nặng khi mạng "
            "viết từ ấy. Mỗi khung hình còn mang thông tin của các khung trước và sau, vì một lớp "
            "hồi quy đã đọc chuỗi khung theo cả hai chiều.",
        )
    gate = Words(
        "β is the share of the attended features that the decoder used for the word, from 0 to 1.",
        "β cho biết mạng dùng bao nhiêu phần điều nhìn thấy khi viết từ ấy, từ 0 đến 1.",
    )
    how = _HOW[network.sizes.frames > 0, network.sizes.attention]
    parts = [paragraph(about), paragraph(how)]
    if network.sizes.gate:
        parts.append(paragraph(gate))
    for number in _spread(_order(scored)):
        written = scored.written[number]
        if len(written.tokens) <= _WORDS:
            show = looked_at_frames if network.sizes.frames else looked_at
            parts.append(show(network, scored.shown.seen([number]), written))
    return "".join(parts)


def _order_of(scored: ScoredCaptions) -> str:
    """Return what becomes of captions where frames are shuffled."""
    shuffled = scored.shuffled
    assert shuffled is not None
    exact = CaptionScores(shuffled, scored.shown.references).row()[1]
    changed = sum(one != other for one, other in zip(scored.texts, shuffled, strict=True))
    ours, theirs = (EXACT.text(each) for each in (scored.scores.row()[1], exact))
    few, count = number_text(changed, ",.0f"), number_text(len(shuffled), ",.0f")
    said, shown = cell_text(theirs), cell_text(ours)
    return paragraph(
        Words(
            f"With shuffled frames the caption changes for {few.en} of {count.en} videos, and "
            f"{said.en} of the captions are exactly right instead of {shown.en}. The difference "
            "is what the network learns from the order of the frames.",
            f"Khi xáo trộn khung hình của mỗi video, mạng viết khác đi ở {few.vi} trong {count.vi} "
            f"video, và {said.vi} số câu đúng từng chữ, thay vì {shown.vi}: chênh lệch là điều thứ "
            "tự trước sau cho biết.",
        )
    )


def _blind(scored: ScoredCaptions) -> str:
    blind = scored.blind
    assert blind is not None
    ours, theirs = number_text(scored.nats, ".2f"), number_text(blind.nats, ".2f")
    text = html.escape(blind.text)
    steps = number_text(blind.steps, ",.0f")
    return paragraph(
        Words(
            f"A network of the same size that sees nothing, fitted for {steps.en} steps, gives "
            f"every picture the caption ‘{text}’. It needs {theirs.en} nats for a true word, and "
            f"the network that sees needs {ours.en}. The difference is what the picture "
            "contributes.",
            f"Một mạng cùng cỡ không nhìn thấy gì, học {steps.vi} bước, nói về mọi ảnh: ‘{text}’. "
            f"Mỗi từ đúng tốn {theirs.vi} nat với mạng ấy, {ours.vi} nat với mạng nhìn ảnh: chênh "
            "lệch là điều bức ảnh cho biết.",
        )
    )


def _search(scored: ScoredCaptions) -> str:
    rows: list[tuple[list[str], bool]] = []
    references = scored.shown.references
    for beam, written in ((scored.beam, scored.written), (1, scored.greedy)):
        if rows and scored.beam == 1:
            break
        values = CaptionScores([each.text for each in written], references).row()
        scores = [metric.text(value) for metric, value in zip(METRICS, values, strict=True)]
        rows.append(([f"{beam}", *scores], beam == scored.beam and scored.beam > 1))
    different = number_text(len(set(scored.texts)), ",.0f")
    brevity = number_text(scored.scores.brevity, ".2f")
    about = Words(
        "While it writes, the network keeps the most likely partial captions, as many as the "
        f"beam is wide. It wrote {different.en} different captions. BLEU is not smoothed; the "
        f"brevity penalty is {brevity.en}.",
        "Trong khi viết, mạng giữ lại vài phần mở đầu và viết tiếp những phần có xác suất cao nhất "
        f"(tìm kiếm chùm). Mạng đã viết {different.vi} câu khác nhau. BLEU không "
        f"làm trơn; hệ số phạt câu ngắn là {brevity.vi}.",
    )
    heads = ["beam width", *(metric.name for metric in METRICS)]
    return paragraph(about) + table(heads, rows)


def _leaks(scored: ScoredCaptions) -> str:
    few, count = number_text(scored.leaks, ",.0f"), number_text(len(scored.shown), ",.0f")
    return paragraph(
        Words(
            f"{few.en} of {count.en} pictures here are also in the training set. They are easier "
            "than new ones, so the scores are too good.",
            f"{few.vi} trong {count.vi} ảnh ở đây cũng có trong phần dùng để học. Chúng dễ hơn ảnh "
            "mới, nên điểm số cao hơn thực tế.",
        )
    )
