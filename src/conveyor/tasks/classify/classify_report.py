"""The sections of a classifier's report."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import torch
from torch import Tensor

from conveyor.data.token_vocabulary import unknown_counts
from conveyor.data.tokens import UNIT_NAMES
from conveyor.pages.frame import OTHER, OURS, chart, paragraph, table
from conveyor.pages.shaded_table import Shade, shaded_table
from conveyor.pages.words import Words, counted_words, number_text
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.class_scores import ACCURACY, MACRO_F1, ClassTable, confusion_of
from conveyor.tasks.classify.classifier import Classifier, Explained
from conveyor.tasks.classify.noun import Noun
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.length_groups import length_groups
from conveyor.tasks.results import Section

# A matrix of more classes is too wide to read; the commonest mistakes are listed then.
_WIDEST_MATRIX, _MISTAKES = 12, 15
# So many of the worst answers are shown, each with so many tokens at most.
_WORST, _SHOWN_TOKENS = 10, 120
# Calibration is drawn in so many points, each of so many answers or more.
_POINTS, _LEAST_GROUP = 10, 20
# Classes of a table of scores, at most: the commonest.
_MOST_CLASSES = 40


@dataclass(frozen=True)
class Scored:
    """What a classifier answered on examples whose classes are known.

    Attributes:
        network: the classifier.
        noun: what an example is called.
        examples: the examples.
        answers: the logarithm of the probability of each class, [N, classes].
        classes: their names, in order.
        leaks: how many of the examples were learned from.
        telling: the words that speak most for each class, to a regression.
    """

    network: Classifier
    noun: Noun
    examples: ClassExamples
    answers: Tensor
    classes: tuple[str, ...]
    leaks: int = 0
    telling: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def right(self) -> Tensor:
        """Whether each answer is right, [N]."""
        return self.answers.argmax(-1) == self.examples.targets


def sections(scored: Scored) -> Iterable[Section]:
    """Yield the sections: what is mixed up, class by class, the worst answers, by length, unknown
    words, how sure it may be, and what the regression goes by."""
    yield Section(Words("What it mixes up", "Mạng nhầm lẫn gì"), _confusion(scored))
    yield Section(Words("Class by class", "Từng lớp"), _by_class(scored))
    if not bool(scored.right.all()):
        yield Section(Words("Where it was most wrong", "Những lần sai nhất"), _worst(scored))
    yield Section(Words("Short ones and long ones", "Ngắn và dài"), _by_length(scored))
    if isinstance(scored.network.reader, TextReader):
        yield Section(Words("Words it does not know", "Từ chưa biết"), _unknown(scored))
    yield Section(Words("How sure it may be", "Tin được đến đâu"), _calibration(scored))
    if scored.telling:
        yield Section(
            Words("What the regression goes by", "Phương pháp hồi quy dựa vào đâu"),
            _telling(scored),
        )
    if scored.leaks:
        yield Section(Words("Seen before", "Đã gặp khi học"), _leaks(scored))


def _confusion(scored: Scored) -> str:
    classes = scored.classes
    matrix = confusion_of(scored.answers.argmax(-1), scored.examples.targets, len(classes))
    if len(classes) > _WIDEST_MATRIX:
        return _mistakes(matrix, classes)
    about = Words(
        "A row holds what belongs to a class, a column what was taken for one. On the diagonal is "
        "what was got right; the darker, the larger the share of its row.",
        "Mỗi hàng là các mục thuộc một lớp, mỗi cột là lớp mà mạng chọn. Đường chéo là những lần "
        "đúng; ô càng đậm, tỷ lệ trong hàng càng lớn.",
    )
    rows = []
    for number, name in enumerate(classes):
        counts = matrix[number].tolist()
        total = max(sum(counts), 1)
        cells = [
            Shade(f"{count:,}", count / total, "ours" if place == number else "baseline")
            for place, count in enumerate(counts)
        ]
        rows.append((name, cells))
    corner = Words("belongs to ↓ taken for →", "thuộc lớp ↓ mạng chọn →")
    label = Words("Confusion matrix", "Ma trận nhầm lẫn")
    return paragraph(about) + shaded_table(corner, classes, rows, label)


def _mistakes(matrix: Tensor, classes: Sequence[str]) -> str:
    """Return a table of the commonest mistakes."""
    wrong = matrix - torch.diag(matrix.diagonal())
    order = wrong.flatten().argsort(descending=True, stable=True)[:_MISTAKES].tolist()
    rows = []
    for place in order:
        true, said = divmod(place, len(classes))
        count, total = int(wrong[true, said]), int(matrix[true].sum())
        if count:
            share = f"{100 * count / max(total, 1):.0f} %"
            rows.append(([classes[true], classes[said], f"{count:,}", share], False))
    about = Words(
        f"The commonest mistakes among {len(classes)} classes.",
        f"Những nhầm lẫn hay gặp nhất trong {len(classes)} lớp.",
    )
    return paragraph(about) + table(["belongs to", "taken for", "times", "of its class"], rows)


def _by_class(scored: Scored) -> str:
    classes = scored.classes
    confusion = confusion_of(scored.answers.argmax(-1), scored.examples.targets, len(classes))
    scores = ClassTable.of(confusion)
    order = scores.support.argsort(descending=True, stable=True).tolist()[:_MOST_CLASSES]
    rows = [
        (
            [
                classes[number],
                f"{int(scores.support[number]):,}",
                MACRO_F1.text(float(scores.precision[number])),
                MACRO_F1.text(float(scores.recall[number])),
                MACRO_F1.text(float(scores.f1[number])),
            ],
            False,
        )
        for number in order
    ]
    return table(["class", "examples", "precision", "recall", "F1"], rows)


def _worst(scored: Scored) -> str:
    targets, answers = scored.examples.targets, scored.answers
    losses = -answers.gather(1, targets[:, None])[:, 0]
    losses = losses.masked_fill(scored.right, -torch.inf)
    wrong = int((~scored.right).sum())
    order = losses.argsort(descending=True, stable=True)[: min(_WORST, wrong)].tolist()
    is_text = isinstance(scored.network.reader, TextReader)
    about = Words(
        "The wrong answers that it was surest of. ", "Những câu trả lời sai mà mạng tin chắc nhất. "
    )
    if is_text:
        about = Words(
            f"{about.en}Words in blue spoke for its answer, words in orange against it; the "
            "stronger the colour, the more they counted.",
            f"{about.vi}Từ màu xanh ủng hộ câu trả lời của mạng, từ màu cam thì phản đối; màu càng "
            "đậm, từ ấy càng có trọng lượng.",
        )
    items = []
    for number in order:
        true = scored.classes[int(targets[number])]
        said = scored.classes[int(answers[number].argmax())]
        share = number_text(100 * float(answers[number].max().exp()), ".0f")
        place = html.escape(scored.examples.places[number])
        line = Words(
            f"taken for {said} ({share.en} % sure); it is {true}",
            f"mạng chọn {said} (chắc {share.vi} %); đúng ra là {true}",
        )
        shown = scored.examples.shown[number]
        body = f"<p>{html.escape(shown)}</p>"
        if isinstance(scored.network.reader, TextReader):
            body = _weighed(scored.network.explain(shown))
        items.append(f'<li><p class="answer">{line.html()} · {place}</p>{body}</li>')
    return f'{paragraph(about)}<ol class="worst">{"".join(items)}</ol>'


def _weighed(explained: Explained) -> str:
    """Return a text with its words coloured by how much each counted."""
    steps = explained.steps[:_SHOWN_TOKENS]
    most = max(map(abs, explained.weights), default=0.0) or 1.0
    words = []
    for token, weight in zip(steps, explained.weights, strict=False):
        depth = round(65 * abs(weight) / most)
        role = "ours" if weight > 0 else "baseline"
        style = f"background: color-mix(in srgb, var(--{role}) {depth}%, transparent)"
        mark = f' style="{style}" title="{weight:+.2f}"' if depth > 3 else ""
        words.append(f"<span{mark}>{html.escape(token)}</span>")
    more = " …" if len(explained.steps) > len(steps) else ""
    return f'<p class="weighed">{" ".join(words)}{more}</p>'


def _by_length(scored: Scored) -> str:
    right = scored.right.double()
    rows = [
        (
            [
                f"{low:,}–{high:,}" if high > low else f"{low:,}",
                f"{len(numbers):,}",
                ACCURACY.text(float(right[numbers].mean())),
            ],
            False,
        )
        for low, high, numbers in length_groups(scored.examples.lengths)
    ]
    unit = "steps"
    if isinstance(scored.network.reader, TextReader):
        unit = UNIT_NAMES[scored.network.reader.vocabulary.tokenizer.unit] + "s"
    return table([unit, "examples", "accuracy"], rows)


def _unknown(scored: Scored) -> str:
    counts = unknown_counts(scored.examples.sequences)
    total = sum(scored.examples.lengths)
    share = number_text(100 * int(counts.sum()) / max(total, 1), ".1f")
    about = Words(
        f"{share.en} % of what it read here it had not seen in training, and read as one unknown "
        "word.",
        f"{share.vi} % số từ ở đây mạng chưa gặp khi học, và được đọc như cùng một từ lạ.",
    )
    right = scored.right.double()
    rows = []
    for name, chosen in (
        ("none", counts == 0),
        ("one", counts == 1),
        ("several", counts > 1),
    ):
        if chosen.any():
            accuracy = ACCURACY.text(float(right[chosen].mean()))
            rows.append(([name, f"{int(chosen.sum()):,}", accuracy], False))
    return paragraph(about) + table(["unknown words", "examples", "accuracy"], rows)


def _calibration(scored: Scored) -> str:
    """Return a chart of how often answers of a probability are right."""
    said, right = scored.answers.max(-1).values.exp(), scored.right.double()
    order = said.argsort()
    groups = order.tensor_split(max(2, min(_POINTS, len(order) // _LEAST_GROUP)))
    groups = tuple(part for part in groups if len(part))
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="as it says",
        line={"color": OTHER, "dash": "dot"},
    )
    figure.add_scatter(
        x=[100 * float(said[part].mean()) for part in groups],
        y=[100 * float(right[part].mean()) for part in groups],
        mode="lines+markers",
        name="measured",
        line_color=OURS,
    )
    low = max(0.0, 10 * int(10 * float(said.min())) - 5.0)
    figure.update_xaxes(title="sure, in percent", range=[low, 101])
    figure.update_yaxes(title="right, in percent", range=[0, 103])
    count = counted_words(len(groups), "group", "nhóm")
    about = Words(
        f"Of the answers that it calls 80 % sure, 80 of 100 should be right. Each point is one of "
        f"{count.en} of answers, from the least sure to the surest; below the dotted line it is "
        "surer than it should be.",
        f"Trong những câu trả lời mà mạng cho là chắc 80 %, cứ 100 câu phải đúng 80. Mỗi điểm là "
        f"một trong {count.vi} câu trả lời, từ kém chắc nhất đến chắc nhất; dưới đường chấm là "
        "mạng tự tin quá mức.",
    )
    return paragraph(about) + chart(figure, "calibration", hover="closest", height=360)


def _telling(scored: Scored) -> str:
    about = Words(
        "The words and pairs that speak most for each class, to the regression that sees no order: "
        "what a class looks like at first sight.",
        "Những từ và cặp từ nói lên nhiều nhất về mỗi lớp, theo phương pháp hồi quy không biết thứ "
        "tự: thoạt nhìn mỗi lớp trông thế nào.",
    )
    rows = [
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f"<td>{html.escape(' · '.join(word.replace(' ', '␣') for word in words))}</td></tr>"
        for name, words in scored.telling[:_MOST_CLASSES]
    ]
    label = 'aria-label="Words" data-label-en="Words" data-label-vi="Từ"'
    return (
        f'{paragraph(about)}<div class="wide" tabindex="0" role="region" {label}>'
        f'<table class="telling"><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _leaks(scored: Scored) -> str:
    few, all_ = scored.noun.counted(scored.leaks), scored.noun.counted(len(scored.examples))
    return paragraph(
        Words(
            f"{few.en} of {all_.en} here also stood in what was learned from. They are easier than "
            "new ones, so that the scores are a little too good.",
            f"{few.vi} trong {all_.vi} ở đây cũng có trong phần dùng để học. Chúng dễ hơn cái mới, "
            "nên điểm số hơi cao hơn thực tế.",
        )
    )
