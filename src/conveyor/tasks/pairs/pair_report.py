"""The sections of the report on pairs."""

import html
from collections.abc import Iterable, Sequence

from conveyor.pages.frame import paragraph, table
from conveyor.pages.words import Words, number_text
from conveyor.tasks.length_groups import length_groups
from conveyor.tasks.pairs.prepared_pairs import Sides
from conveyor.tasks.pairs.scored_pairs import ScoredPairs, cut_share
from conveyor.tasks.pairs.translator import Written
from conveyor.tasks.results import Section

# So many of the best and of the worst answers are shown.
_SHOWN = 6
# Characters of a text that are shown, at most.
_CHARACTERS = 320
# Maps of attention: so many, of answers of 3 to so many tokens.
MAPS, SHORTEST, LONGEST = 3, 3, 16


# What is said above maps of attention.
ABOUT_MAPS = Words(
    "Rows are the tokens that were written, columns the tokens that were read. The darker a "
    "cell, the larger the attention to that column. Each row sums to 100 %. If the encoder reads "
    "in both directions, a column also carries information about its neighbours.",
    "Mỗi hàng là một đơn vị mạng viết ra, mỗi cột là một đơn vị mạng đọc; ô càng đậm, mạng "
    "càng nhìn nhiều vào đó khi viết. Mỗi hàng cộng lại bằng 100 %. Khi bộ mã hoá đọc cả hai "
    "chiều, mỗi ô còn mang thông tin của các ô lân cận.",
)


def sections(scored: ScoredPairs) -> Iterable[Section]:
    """Yield the sections: what it wrote, by length, where it looked, how it searched, and what was
    seen before."""
    yield Section(Words("Examples", "Mạng đã viết gì"), _examples(scored))
    yield Section(Words("Attention", "Mạng nhìn vào đâu"), _maps(scored))
    yield Section(Words("Scores by length", "Ngắn và dài"), _by_length(scored))
    yield Section(Words("Beam search", "Mạng tìm câu trả lời ra sao"), _search(scored))
    if scored.leaks:
        yield Section(
            Words("Overlap with the training set", "Đã gặp khi học"),
            leaks_told(scored.sides, scored.leaks, len(scored.asked)),
        )


def _examples(scored: ScoredPairs) -> str:
    """Return answers in the order of how good they are: the worst, some between, and the best."""
    asked, judge = scored.asked, scored.judge
    quality = [
        judge.quality(text, right)
        for text, right in zip(scored.texts, asked.references, strict=True)
    ]
    order = sorted(range(len(asked)), key=lambda number: (quality[number], number))
    groups = (
        (Words("Worst", "Tệ nhất"), order[:_SHOWN]),
        (Words("Median", "Ở giữa"), _middle(order)),
        (Words("Best", "Tốt nhất"), order[: -_SHOWN - 1 : -1]),
    )
    one, _, vi = scored.sides.source_name
    about = Words(
        f"Each {one}, the output of the network, and the reference. A good score does not "
        "guarantee a single output, so look at the worst ones, too.",
        f"Mỗi mục gồm {vi} được đọc, kết quả mạng viết ra và kết quả đúng. Điểm cao không bảo đảm "
        "cho từng mục: hãy xem cả những mục tệ nhất.",
    )
    parts, shown = [paragraph(about)], set[int]()
    for title, numbers in groups:
        items = [_example(scored, number) for number in numbers if number not in shown]
        shown |= set(numbers)
        if items:
            parts.append(f'<h3>{title.html()}</h3><ol class="worst">{"".join(items)}</ol>')
    return "".join(parts)


def _middle(order: list[int]) -> list[int]:
    begin = max(len(order) // 2 - _SHOWN // 4, 0)
    return order[begin : begin + _SHOWN // 2]


def _example(scored: ScoredPairs, number: int) -> str:
    asked, written = scored.asked, scored.written[number]
    right = " | ".join(asked.references[number])
    is_right = written.text in asked.references[number]
    one, _, vi = scored.sides.source_name
    rows = [(Words(one, vi), shortened(asked.shown[number]))]
    if is_right:
        rows.append((Words("output, correct", "mạng viết, đúng"), shortened(written.text)))
    else:
        rows += [
            (Words("output", "mạng viết"), shortened(written.text) or "—"),
            (Words("reference", "đúng ra là"), shortened(right)),
        ]
    lines = "".join(
        f'<p><span class="answer">{label.html()}</span> {text}</p>' for label, text in rows
    )
    return f"<li>{lines}</li>"


def shortened(text: str) -> str:
    """Return a text as HTML, its end left out where it is long."""
    return html.escape(text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS].rstrip()} …")


def _maps(scored: ScoredPairs) -> str:
    """Return maps of attention over the tokens of some answers."""
    chosen = [
        number
        for number, written in enumerate(scored.written)
        if SHORTEST <= len(written.tokens) <= LONGEST
        and len(scored.asked.sources[number]) <= LONGEST
    ][:MAPS] or [0]
    sources = [scored.asked.sources[number] for number in chosen]
    written = scored.network.write(sources, beam=scored.beam, attention=True)
    maps = [
        attention_map(scored.network.reader.source_tokens(scored.asked.shown[number]), best[0])
        for number, best in zip(chosen, written, strict=True)
    ]
    return paragraph(ABOUT_MAPS) + "".join(maps)


def attention_map(source: Sequence[str], written: Written) -> str:
    """Return a map of the attention of an answer as a table."""
    if written.attention is None:
        return ""
    head = "".join(f'<th scope="col">{html.escape(token)}</th>' for token in source)
    tokens = [*map(html.escape, written.tokens), Words("(end)", "(hết)").html()]
    rows = []
    for token, weights in zip(tokens, written.attention.tolist(), strict=False):
        cells = "".join(_shaded(share) for share in weights[: len(source)])
        rows.append(f'<tr><th scope="row">{token}</th>{cells}</tr>')
    corner = Words("output ↓ input →", "viết ↓ đọc →").html()
    label = 'aria-label="Attention" data-label-en="Attention" data-label-vi="Sự chú ý"'
    return (
        f'<div class="wide" tabindex="0" role="region" {label}><table class="confusion">'
        f'<thead><tr><th scope="col">{corner}</th>{head}</tr></thead><tbody>{"".join(rows)}'
        "</tbody></table></div>"
    )


def _shaded(share: float) -> str:
    percent = round(100 * share)
    if not percent:
        return "<td></td>"
    depth = max(round(75 * share), 5)
    style = f"background: color-mix(in srgb, var(--ours) {depth}%, transparent)"
    return f'<td style="{style}">{percent}</td>'


def _by_length(scored: ScoredPairs) -> str:
    judge = scored.judge
    rows = []
    for low, high, numbers in length_groups([len(source) for source in scored.asked.sources]):
        values = judge.row(
            [scored.texts[n] for n in numbers], [scored.asked.references[n] for n in numbers]
        )
        scores = [metric.text(value) for metric, value in zip(judge.metrics, values, strict=True)]
        span = f"{low:,}–{high:,}" if high > low else f"{low:,}"
        rows.append(([span, f"{len(numbers):,}", *scores], False))
    heads = ["tokens of the source", "sources", *(metric.name for metric in judge.metrics)]
    return table(heads, rows)


def _search(scored: ScoredPairs) -> str:
    judge, references = scored.judge, scored.asked.references
    rows: list[tuple[list[str], bool]] = []
    for beam, written in ((scored.beam, scored.written), (1, scored.greedy)):
        if rows and scored.beam == 1:
            break
        values = judge.row([each.text for each in written], references)
        rows.append(
            (
                [
                    f"{beam}",
                    *(metric.text(v) for metric, v in zip(judge.metrics, values, strict=True)),
                    f"{100 * cut_share(written):.1f} %",
                    f"{100 * scored.repeated_share(written):.1f} %",
                ],
                beam == scored.beam and scored.beam > 1,
            )
        )
    share = number_text(100 * scored.unknown, ".1f")
    about = Words(
        "While it writes, the network keeps the most likely partial outputs, as many as the beam "
        "is wide. Outputs that have not ended at a little more than twice the length of the "
        f"source are cut off. {share.en} % of the input tokens are unknown.",
        "Trong khi viết, mạng giữ lại vài phần mở đầu và viết tiếp những phần có xác suất cao nhất "
        "(tìm kiếm chùm). Câu nào dài quá khoảng gấp đôi câu nguồn mà chưa hết thì bị cắt. Trong "
        f"các đơn vị mạng đọc ở đây, {share.vi} % là chưa biết.",
    )
    heads = [
        "beam width",
        *(metric.name for metric in judge.metrics),
        "cut off",
        "repeats itself",
    ]
    return paragraph(about) + table(heads, rows)


def leaks_told(sides: Sides, leaks: int, count: int) -> str:
    """Return how many sources were learned from, as HTML.

    Args:
        sides: what they are called.
        leaks: how many.
        count: of all sources.
    """
    few, all_ = sides.counted(leaks), sides.counted(count)
    return paragraph(
        Words(
            f"{few.en} of {all_.en} here also occur in the training set. They are easier than new "
            "ones, so the scores are slightly too good.",
            f"{few.vi} trong {all_.vi} ở đây cũng có trong phần dùng để học. Chúng dễ hơn cái mới, "
            "nên điểm số hơi cao hơn thực tế.",
        )
    )
