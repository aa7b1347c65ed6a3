"""The sections of a classifier's report."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.pages.frame import paragraph, table
from conveyor.pages.words import Words, number_text
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.class_scores import ACCURACY, MACRO_F1, ClassTable
from conveyor.tasks.classify.class_sections import (
    MOST_CLASSES,
    by_length,
    calibration,
    leaks,
    telling,
    unknown_words,
    weighed,
)
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.classify.noun import Noun
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.confusion import confusion_of, confusion_table
from conveyor.tasks.results import Metric, Section

# A matrix of more classes is too wide to read; the commonest mistakes are listed then.
_WIDEST_MATRIX, _MISTAKES = 12, 15
# So many of the worst answers are shown.
_WORST = 10

# What the chart of calibration shows.
ABOUT_CLASSES = Words(
    "Of the answers that the network gives with 80 % confidence, 80 of 100 should be right.",
    "Trong những câu trả lời mà mạng cho là chắc 80 %, cứ 100 câu phải đúng 80.",
)


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

    @property
    def metric(self) -> Metric:
        """What the share of right answers is called."""
        return ACCURACY


def sections(scored: Scored) -> Iterable[Section]:
    """Yield the sections: what is mixed up, class by class, the worst answers, by length, unknown
    words, how sure it may be, and what the regression goes by."""
    yield Section(Words("Confusion matrix", "Mạng nhầm lẫn gì"), _confusion(scored))
    yield Section(Words("Scores by class", "Từng lớp"), _by_class(scored))
    if not bool(scored.right.all()):
        yield Section(Words("Worst mistakes", "Những lần sai nhất"), _worst(scored))
    yield Section(Words("Scores by length", "Ngắn và dài"), by_length(scored))
    if isinstance(scored.network.reader, TextReader):
        yield Section(Words("Unknown words", "Từ chưa biết"), unknown_words(scored))
    yield Section(
        Words("Calibration", "Tin được đến đâu"),
        calibration(scored.answers.max(-1).values.exp(), scored.right.double(), ABOUT_CLASSES),
    )
    if scored.telling:
        yield Section(
            Words("What the baseline looks at", "Phương pháp hồi quy dựa vào đâu"),
            telling(scored),
        )
    if scored.leaks:
        yield Section(Words("Overlap with the training set", "Đã gặp khi học"), leaks(scored))


def _confusion(scored: Scored) -> str:
    classes = scored.classes
    matrix = confusion_of(scored.answers.argmax(-1), scored.examples.targets, len(classes))
    if len(classes) > _WIDEST_MATRIX:
        return _mistakes(matrix, classes)
    about = Words(
        "Rows are true classes, columns are predicted classes. Correct answers are on the "
        "diagonal. The darker a cell, the larger its share of the row.",
        "Mỗi hàng là các mục thuộc một lớp, mỗi cột là lớp mà mạng chọn. Đường chéo là những lần "
        "đúng; ô càng đậm, tỷ lệ trong hàng càng lớn.",
    )
    corner = Words("true ↓ predicted →", "thuộc lớp ↓ mạng chọn →")
    return paragraph(about) + confusion_table(matrix.tolist(), classes, corner)


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
        f"The most frequent mistakes among {len(classes)} classes.",
        f"Những nhầm lẫn hay gặp nhất trong {len(classes)} lớp.",
    )
    return paragraph(about) + table(["true", "predicted", "times", "of its class"], rows)


def _by_class(scored: Scored) -> str:
    classes = scored.classes
    confusion = confusion_of(scored.answers.argmax(-1), scored.examples.targets, len(classes))
    scores = ClassTable.of(confusion)
    order = scores.support.argsort(descending=True, stable=True).tolist()[:MOST_CLASSES]
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
        "The wrong answers in which the true class had the lowest probability. ",
        "Những câu trả lời sai mà lớp đúng được xác suất thấp nhất. ",
    )
    if is_text:
        about = Words(
            f"{about.en}Words in blue supported the answer, words in orange contradicted it. The "
            "stronger the colour, the larger the effect.",
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
            f"predicted {said} ({share.en} %), true {true}",
            f"mạng chọn {said} (chắc {share.vi} %); đúng ra là {true}",
        )
        shown = scored.examples.shown[number]
        body = f"<p>{html.escape(shown)}</p>"
        if isinstance(scored.network.reader, TextReader):
            body = weighed(scored.network.explain(shown))
        items.append(f'<li><p class="answer">{line.html()} · {place}</p>{body}</li>')
    return f'{paragraph(about)}<ol class="worst">{"".join(items)}</ol>'
