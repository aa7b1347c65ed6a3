"""The sections of a tagger's report."""

import html
from collections import Counter
from collections.abc import Iterable, Sequence

from conveyor.errors import counted
from conveyor.pages.frame import paragraph, table
from conveyor.pages.shaded_table import Shade, shaded_table
from conveyor.pages.words import Words, counted_words, number_text
from conveyor.tasks.confusion import confusion_table
from conveyor.tasks.results import Section
from conveyor.tasks.span_scores import span_scores
from conveyor.tasks.tag.scored_tags import ScoredTags
from conveyor.tasks.tag.tag_scores import ACCURACY

# A matrix of more tags is too wide to read; what is commonest is listed then.
_WIDEST_MATRIX, _LISTED = 18, 15
# So many of the worst sentences are shown, each with so many words at most.
_WORST, _SHOWN_WORDS = 8, 60
# Tags of a table of scores, at most: the commonest.
_MOST_TAGS = 60


def sections(scored: ScoredTags) -> Iterable[Section]:
    """Yield the sections: the worst sentences, what is mixed up, tag by tag, type by type, known
    and unknown words, which tags follow each other, and what was seen before."""
    if any(_wrong(scored)):
        yield Section(Words("Worst mistakes", "Những câu sai nhiều nhất"), _worst(scored))
    yield Section(Words("Confusion matrix", "Mạng nhầm lẫn gì"), _confusion(scored))
    if scored.iob2:
        yield Section(Words("Scores by type", "Từng loại cụm"), _by_type(scored))
    yield Section(Words("Scores by tag", "Từng nhãn"), _by_tag(scored))
    yield Section(Words("Unknown words", "Từ chưa biết"), _unknown(scored))
    if scored.network.intents:
        yield Section(Words("Intents", "Câu nói về điều gì"), _intents(scored))
    if scored.network.crf is not None:
        yield Section(Words("Transition scores", "Nhãn nào theo sau nhãn nào"), _follows(scored))
    if scored.leaks:
        yield Section(Words("Overlap with the training set", "Đã gặp khi học"), _leaks(scored))


def _wrong(scored: ScoredTags) -> list[int]:
    """Return how many tags of each sentence are wrong."""
    return [
        sum(a != b for a, b in zip(true, said, strict=True))
        for true, said in zip(scored.gold, scored.predicted, strict=True)
    ]


def _worst(scored: ScoredTags) -> str:
    wrong = _wrong(scored)
    order = sorted(range(len(wrong)), key=lambda number: (-wrong[number], number))
    about = Words(
        "The sentences with the most wrong tags. The tag is under each word. For an orange word "
        "it is wrong: the predicted tag is struck out, and the true one follows. A dotted line "
        "marks words that do not occur in the training set.",
        "Những câu có nhiều nhãn sai nhất. Dưới mỗi từ là nhãn của nó; từ màu cam là từ bị gán "
        "nhãn sai: trước là nhãn mạng chọn (gạch ngang), sau là nhãn đúng. Từ có gạch chấm bên "
        "dưới là từ chưa gặp khi học.",
    )
    items = []
    for number in order[:_WORST]:
        if not wrong[number]:
            break
        sentence, answer = scored.sentences[number], scored.answers[number]
        of_words = counted_words(len(sentence.words), "word", "từ")
        line = Words(
            f"{wrong[number]:,} of {of_words.en} wrong · {sentence.place}",
            f"sai {wrong[number]:,} trong {of_words.vi} · {_place_vi(sentence.place)}",
        )
        shown = "".join(
            _tagged_word(*each)
            for each in list(
                zip(sentence.words, sentence.tags, answer.tags, scored.known[number], strict=True)
            )[:_SHOWN_WORDS]
        )
        more = " …" if len(sentence.words) > _SHOWN_WORDS else ""
        items.append(
            f'<li><p class="answer">{line.html()}</p><p class="tagged">{shown}{more}</p></li>'
        )
    return f'{paragraph(about)}<ol class="worst">{"".join(items)}</ol>'


def _place_vi(place: str) -> str:
    return place.replace("line", "dòng").replace(",", ".")


def _tagged_word(word: str, true: str, said: str, known: bool) -> str:
    """Return a word above its tag, or above the two that were mixed up."""
    tags = html.escape(true)
    if said != true:
        tags = f"<s>{html.escape(said)}</s> {tags}"
    classes = " ".join(
        name for name, holds in (("mistaken", said != true), ("strange", not known)) if holds
    )
    mark = f' class="{classes}"' if classes else ""
    return f"<span{mark}><b>{html.escape(word)}</b> <i>{tags}</i></span> "


def _confusion(scored: ScoredTags) -> str:
    return _mixed_up(scored.pairs, list(scored.network.tags))


def _mixed_up(pairs: Counter[tuple[str, str]], every: Sequence[str]) -> str:
    """Return what was taken for what, as a matrix or, of many, as a list."""
    present = {name for pair in pairs for name in pair}
    order = [name for name in every if name in present]
    order += sorted(present - set(order))
    if len(order) > _WIDEST_MATRIX:
        return _mistakes(pairs, len(order))
    about = Words(
        "Rows are true tags, columns are predicted tags. Correct answers are on the diagonal. "
        "The darker a cell, the larger its share of the row.",
        "Mỗi hàng là các mục mang một nhãn, mỗi cột là nhãn mà mạng chọn. Đường chéo là những lần "
        "đúng; ô càng đậm, tỷ lệ trong hàng càng lớn.",
    )
    counts = [[pairs[name, other] for other in order] for name in order]
    corner = Words("true ↓ predicted →", "đúng ra ↓ mạng chọn →")
    return paragraph(about) + confusion_table(counts, order, corner)


def _mistakes(pairs: Counter[tuple[str, str]], count: int) -> str:
    """Return a table of the commonest mistakes."""
    of_tag: Counter[str] = Counter()
    for (true, _), times in pairs.items():
        of_tag[true] += times
    wrong = [(-times, pair) for pair, times in pairs.items() if pair[0] != pair[1]]
    rows = [
        ([true, said, f"{-times:,}", f"{-100 * times / of_tag[true]:.0f} %"], False)
        for times, (true, said) in sorted(wrong)[:_LISTED]
    ]
    about = Words(
        f"The most frequent mistakes among {count}.",
        f"Những nhầm lẫn hay gặp nhất trong {count} loại.",
    )
    return paragraph(about) + table(["true", "predicted", "times", "of its class"], rows)


def _by_tag(scored: ScoredTags) -> str:
    rows = [
        ([tag, f"{count:,}", f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}"], False)
        for tag, (precision, recall, f1, count) in list(scored.by_tag().items())[:_MOST_TAGS]
    ]
    return table(["tag", "words", "precision", "recall", "F1"], rows)


def _by_type(scored: ScoredTags) -> str:
    scores = span_scores(scored.gold, scored.predicted).by_type
    order = sorted(scores, key=lambda kind: (-scores[kind].gold, kind))[:_MOST_TAGS]
    rows = [
        (
            [
                kind,
                f"{scores[kind].gold:,}",
                f"{scores[kind].precision:.3f}",
                f"{scores[kind].recall:.3f}",
                f"{scores[kind].f1:.3f}",
            ],
            False,
        )
        for kind in order
    ]
    about = Words(
        "A span is correct if its type, first word and last word are, as in the program conlleval.",
        "Một cụm được tính là đúng khi đúng cả loại, từ đầu và từ cuối, theo cách tính của chương "
        "trình conlleval.",
    )
    return paragraph(about) + table(["type", "spans", "precision", "recall", "F1"], rows)


def _unknown(scored: ScoredTags) -> str:
    known = [each for of_words in scored.known for each in of_words]
    right = [
        a == b
        for true, said in zip(scored.gold, scored.predicted, strict=True)
        for a, b in zip(true, said, strict=True)
    ]
    share = number_text(100 * (1 - sum(known) / max(len(known), 1)), ".1f")
    about = Words(
        f"{share.en} % of the words here do not occur in the training set. The network tags them "
        "by their spelling and their neighbours.",
        f"{share.vi} % số từ ở đây mạng chưa gặp khi học. Với những từ ấy, mạng dựa vào cách viết "
        "và các từ bên cạnh.",
    )
    rows = []
    for name, which in (("seen words", True), ("unseen words", False)):
        chosen = [each for each, is_known in zip(right, known, strict=True) if is_known == which]
        if chosen:
            accuracy = ACCURACY.text(sum(chosen) / len(chosen))
            rows.append(([name, f"{len(chosen):,}", accuracy], False))
    return paragraph(about) + table(["", "words", "accuracy"], rows)


def _intents(scored: ScoredTags) -> str:
    pairs = Counter(
        (sentence.intent, answer.intent or "")
        for sentence, answer in zip(scored.sentences, scored.answers, strict=True)
    )
    return _mixed_up(pairs, list(scored.network.intents))


def _follows(scored: ScoredTags) -> str:
    network = scored.network
    assert network.crf is not None
    weights = network.crf.transitions.detach()
    names = list(network.tags)
    about = Words(
        "What the CRF adds to the score of two successive tags: blue if it favours a tag "
        "(column) after another (row), orange if not.",
        "Số điểm CRF cộng thêm cho hai nhãn liền nhau: màu xanh là nhãn ở cột nên theo sau nhãn ở "
        "hàng, màu cam là không nên.",
    )
    if scored.iob2:
        rule = Words(
            "I- follows only B- and I- of its type, whatever the score.",
            "Dù số ở đây là bao nhiêu, I- chỉ được theo sau B- và I- cùng loại.",
        )
        about = Words(f"{about.en} {rule.en}", f"{about.vi} {rule.vi}")
    if len(names) > _WIDEST_MATRIX:
        order = weights.flatten().abs().argsort(descending=True, stable=True)[:_LISTED].tolist()
        rows = [
            ([names[place // len(names)], names[place % len(names)], f"{value:+.2f}"], False)
            for place in order
            for value in [float(weights.flatten()[place])]
        ]
        return paragraph(about) + table(["tag", "next tag", "score"], rows)
    most = float(weights.abs().max()) or 1.0
    cells = [
        (
            name,
            [
                Shade(f"{value:z.1f}", abs(value) / most, "ours" if value > 0 else "baseline")
                for value in weights[number].tolist()
            ],
        )
        for number, name in enumerate(names)
    ]
    corner = Words("tag ↓ next tag →", "sau ↓ là →")
    label = Words("Transitions", "Điểm chuyển nhãn")
    return paragraph(about) + shaded_table(corner, names, cells, label)


def _leaks(scored: ScoredTags) -> str:
    few, every = counted(scored.leaks, "sentence"), len(scored.sentences)
    return paragraph(
        Words(
            f"{few} of {every:,} here also occur in the training set. They are easier than new "
            "ones, so the scores are slightly too good.",
            f"{number_text(scored.leaks, ',').vi} trong {number_text(every, ',').vi} câu ở đây "
            "cũng có trong phần dùng để học. Chúng dễ hơn câu mới, nên điểm số hơi cao hơn thực "
            "tế.",
        )
    )
