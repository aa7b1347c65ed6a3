"""The sections of the report on handwriting."""

import html
from collections.abc import Iterable

import numpy as np

from conveyor.pages.frame import paragraph, table
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.stroke_picture import stroke_picture
from conveyor.pages.words import Words, number_text
from conveyor.tasks.length_groups import length_groups
from conveyor.tasks.results import Section
from conveyor.tasks.write.scored_strokes import ScoredStrokes

# Texts that are written, and how neatly.
_SHOWN, _BIASES = 6, (0.0, 0.5, 1.0, 3.0)
# Texts whose strokes are hardest to predict, and pictures of the window.
_WORST, _WINDOWS = 4, 2


def sections(scored: ScoredStrokes) -> Iterable[Section]:
    """Yield the sections: what it writes, where its window looks, by length, and what was hard to
    predict."""
    yield Section(Words("Samples", "Mạng viết ra gì"), _written(scored))
    if scored.network.sizes.texts:
        yield Section(Words("Alignment", "Cửa sổ nhìn vào đâu"), _windows(scored))
    yield Section(Words("Scores by length", "Ngắn và dài"), _by_length(scored))
    yield Section(Words("Hardest to predict", "Khó đoán nhất"), _worst(scored))


def _rows(rows: Iterable[tuple[Words, str]]) -> str:
    items = (
        f'<figure class="pen"><figcaption>{label.html()}</figcaption>{picture}</figure>'
        for label, picture in rows
    )
    return f'<div class="hands">{"".join(items)}</div>'


def _neatness(bias: float) -> Words:
    if not bias:
        return Words("bias 0", "tự nhiên như đã học (độ nắn 0)")
    return Words(f"bias {bias:g}", f"độ nắn {bias:g}".replace(".", ","))


def _written(scored: ScoredStrokes) -> str:
    network, examples = scored.network, scored.examples
    if not network.sizes.texts:
        about = Words(
            "The network learned strokes without their texts, so its output looks like letters "
            "but means nothing.",
            "Mạng chỉ học nét bút mà không biết nội dung chữ, nên nét nó viết trông giống chữ "
            "nhưng vô nghĩa.",
        )
        rows = [
            (
                _neatness(bias),
                stroke_picture(
                    network.points(network.write("", bias=bias).movements),
                    "strokes",
                    standalone=False,
                ),
            )
            for bias in _BIASES[:3]
        ]
        return paragraph(about) + _rows(rows)
    about = Words(
        "Texts of the test set in their true handwriting, and as the network writes them. It has "
        "not seen these strokes. The larger the bias, the closer it keeps to the most likely "
        "strokes: neater, and less varied.",
        "Các dòng chữ của phần kiểm tra: bản viết tay thật và bản mạng viết. Mạng chưa từng thấy "
        "những nét này. Độ nắn càng lớn, mạng càng theo nét có xác suất cao: gọn hơn và ít biến "
        "đổi hơn.",
    )
    parts = [paragraph(about)]
    for number in range(min(_SHOWN, len(examples))):
        text = examples.texts[number]
        rows = [
            (
                Words("by hand", "viết tay"),
                stroke_picture(network.points(examples.movements[number]), text, standalone=False),
            )
        ]
        for bias in _BIASES:
            written = network.write(text, bias=bias, seed=number)
            label = _neatness(bias)
            if not written.finished:
                label = Words(
                    f"{label.en}, cut off before the end of the text",
                    f"{label.vi}, bị cắt trước khi hết chữ",
                )
            picture = stroke_picture(network.points(written.movements), text, standalone=False)
            rows.append((label, picture))
        parts.append(f"<h3>{html.escape(text)}</h3>{_rows(rows)}")
    return "".join(parts)


def _windows(scored: ScoredStrokes) -> str:
    network, examples = scored.network, scored.examples
    about = Words(
        "Time runs from left to right, the text from top to bottom. The window is bright over "
        "the letter that is being written. The network learns by itself which movement belongs "
        "to which letter.",
        "Thời gian chạy từ trái sang phải, chữ xếp từ trên xuống dưới. Chỗ sáng là chữ cái mà cửa "
        "sổ đang nhìn: mạng tự tìm ra nét nào thuộc chữ cái nào.",
    )
    parts = [paragraph(about)]
    longest = sorted(range(len(examples)), key=lambda n: -len(examples.texts[n]))
    for number in longest[:_WINDOWS]:
        movements, text = examples.movements[number], examples.texts[number]
        weights = network.window_of(movements, examples.characters[number])[:, : len(text)]
        shares = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
        image = pixel_image(shares.T.repeat_interleave(8, 0), f"the window on {text}")
        letters = "".join(
            f'<span style="top:{100 * (place + 0.5) / len(text):.1f}%">{html.escape(letter)}</span>'
            for place, letter in enumerate(text)
        )
        picture = stroke_picture(network.points(movements), text, standalone=False)
        parts.append(
            f'<h3>{html.escape(text)}</h3><div class="pen">{picture}</div>'
            f'<div class="window"><div class="letters">{letters}</div>{image}</div>'
        )
    return "".join(parts)


def _by_length(scored: ScoredStrokes) -> str:
    counts = [len(text) for text in scored.examples.texts]
    rows = []
    for low, high, numbers in length_groups(counts):
        span = f"{low:,}–{high:,}" if high > low else f"{low:,}"
        total = sum(float(scored.nats[n].double().sum()) for n in numbers)
        movements = sum(scored.examples.lengths[n] for n in numbers)
        rows.append(
            ([span, f"{len(numbers):,}", f"{movements:,}", f"{total / movements:.3f}"], False)
        )
    return table(["characters", "texts", "movements", "nats per movement"], rows)


def _worst(scored: ScoredStrokes) -> str:
    means = np.array([float(each.double().mean()) for each in scored.nats])
    order = np.argsort(-means, kind="stable")[:_WORST]
    rows = []
    for number in order:
        text = scored.examples.texts[number]
        label = Words(
            f"{text}: {means[number]:.2f} nats per movement",
            f"{text}: {number_text(means[number], '.2f').vi} nat mỗi bước bút",
        )
        points = scored.network.points(scored.examples.movements[number])
        rows.append((label, stroke_picture(points, text, standalone=False)))
    return _rows(rows)
