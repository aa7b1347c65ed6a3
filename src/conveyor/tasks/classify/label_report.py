"""The sections of the report of a classifier of several labels."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.pages.frame import paragraph, table
from conveyor.pages.words import Words, number_text
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.class_scores import MACRO_F1
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
from conveyor.tasks.classify.label_scores import EXACT, LabelTable
from conveyor.tasks.classify.noun import TEXT, Noun
from conveyor.tasks.results import Metric, Section

# So many of the worst answers are shown.
_WORST = 10
# Texts of so many labels or more are one group.
_MANY = 3
# No probability is surer, so that what a wrong answer costs is a number.
_SUREST = 1e-12


@dataclass(frozen=True)
class ScoredLabels:
    """What a classifier answered on texts whose labels are known.

    Attributes:
        network: the classifier.
        examples: the texts; their targets are 0 or 1, [N, classes].
        answers: the probability of each label, [N, classes].
        said: which labels were said, bool [N, classes].
        classes: their names, in order.
        leaks: how many of the texts were learned from.
        telling: the words that speak most for each label, to a regression.
        beside: what the strongest baseline said, bool [N, classes]; None without one.
    """

    network: Classifier
    examples: ClassExamples
    answers: Tensor
    said: Tensor
    classes: tuple[str, ...]
    leaks: int = 0
    telling: tuple[tuple[str, tuple[str, ...]], ...] = ()
    beside: Tensor | None = None

    @property
    def noun(self) -> Noun:
        """What an example is called."""
        return TEXT

    @property
    def right(self) -> Tensor:
        """Whether all labels of a text are right, [N]."""
        return (self.said == self.examples.targets.bool()).all(1)

    @property
    def metric(self) -> Metric:
        """What the share of right answers is called."""
        return EXACT

    def names(self, row: Tensor) -> str:
        """Return the names of labels that hold, bool [classes]; a dash for none."""
        return (
            ", ".join(name for name, holds in zip(self.classes, row.tolist(), strict=True) if holds)
            or "–"
        )


def sections(scored: ScoredLabels) -> Iterable[Section]:
    """Yield the sections: label by label, by the number of labels, the worst answers, by length,
    unknown words, how sure it may be, and what the regression goes by."""
    yield Section(Words("Scores by label", "Từng nhãn"), _by_label(scored))
    yield Section(
        Words("Texts with one label and with several", "Một nhãn và nhiều nhãn"), _by_number(scored)
    )
    if not bool(scored.right.all()):
        yield Section(Words("Worst mistakes", "Những lần sai nhất"), _worst(scored))
    yield Section(Words("Scores by length", "Ngắn và dài"), by_length(scored))
    yield Section(Words("Unknown words", "Từ chưa biết"), unknown_words(scored))
    about = Words(
        "Of the labels that the network gives with 80 % confidence, 80 of 100 should be right; "
        "of those with 10 %, 10.",
        "Trong những nhãn mà mạng cho là chắc 80 %, cứ 100 nhãn phải đúng 80; trong những nhãn "
        "chắc 10 %, phải đúng 10.",
    )
    right = scored.examples.targets.double().flatten()
    yield Section(
        Words("Calibration", "Tin được đến đâu"),
        calibration(scored.answers.flatten(), right, about),
    )
    if scored.telling:
        yield Section(
            Words("What the baseline looks at", "Phương pháp hồi quy dựa vào đâu"),
            telling(scored),
        )
    if scored.leaks:
        yield Section(Words("Overlap with the training set", "Đã gặp khi học"), leaks(scored))


def _by_label(scored: ScoredLabels) -> str:
    targets = scored.examples.targets
    scores = LabelTable.of(scored.said, targets)
    beside = None if scored.beside is None else LabelTable.of(scored.beside, targets)
    order = scores.support.argsort(descending=True, stable=True).tolist()[:MOST_CLASSES]
    several = scored.network.several
    assert several is not None
    rows = []
    for number in order:
        cells = [
            scored.classes[number],
            f"{int(scores.support[number]):,}",
            MACRO_F1.text(float(scores.precision[number])),
            MACRO_F1.text(float(scores.recall[number])),
            MACRO_F1.text(float(scores.f1[number])),
        ]
        if beside is not None:
            cells.append(MACRO_F1.text(float(beside.f1[number])))
        # A label of other data, which the run does not know, has none.
        known = number < len(several.thresholds)
        cells.append(f"{100 * several.thresholds[number]:.0f} %" if known else "")
        rows.append((cells, False))
    about = Words(
        "The network assigns a label if its probability reaches a threshold that was chosen on "
        "the validation set.",
        "Mạng gán một nhãn khi xác suất đạt ngưỡng được chọn trên phần kiểm định.",
    )
    more = ["regression F1"] if beside is not None else []
    heads = ["label", "examples", "precision", "recall", "F1", *more, "threshold"]
    return paragraph(about) + table(heads, rows)


def _by_number(scored: ScoredLabels) -> str:
    there, said = scored.examples.targets.sum(1).long(), scored.said.sum(1)
    rows = []
    for number in range(_MANY + 1):
        chosen = there >= number if number == _MANY else there == number
        if not chosen.any():
            continue
        name = f"{number}" if number < _MANY else f"{number}+"
        share = float(scored.right[chosen].double().mean())
        mean = f"{float(said[chosen].double().mean()):.2f}"
        rows.append(([name, f"{int(chosen.sum()):,}", mean, EXACT.text(share)], False))
    return table(["labels", "examples", "assigned on average", EXACT.name], rows)


def _worst(scored: ScoredLabels) -> str:
    true = scored.examples.targets.bool()
    chances = torch.where(true, scored.answers, 1 - scored.answers).clamp(min=_SUREST)
    losses = (-chances.log().sum(1)).masked_fill(scored.right, -torch.inf)
    wrong = int((~scored.right).sum())
    order = losses.argsort(descending=True, stable=True)[: min(_WORST, wrong)].tolist()
    about = Words(
        "The texts whose labels were the most unexpected. Words in blue supported the label with "
        "the largest error, words in orange contradicted it. The stronger the colour, the larger "
        "the effect.",
        "Những văn bản có nhãn làm mạng bất ngờ nhất. Từ màu xanh ủng hộ nhãn mà mạng sai nặng "
        "nhất, từ màu cam thì phản đối; màu càng đậm, từ ấy càng có trọng lượng.",
    )
    items = [_item(scored, number, chances[number], true[number]) for number in order]
    return f'{paragraph(about)}<ol class="worst">{"".join(items)}</ol>'


def _item(scored: ScoredLabels, number: int, chances: Tensor, true: Tensor) -> str:
    said = scored.said[number]
    worst = int(chances.masked_fill(said == true, torch.inf).argmin())
    name, sure = (
        scored.classes[worst],
        number_text(100 * float(scored.answers[number, worst]), ".0f"),
    )
    line = Words(
        f"predicted {scored.names(said)}, true {scored.names(true)} ({name}: {sure.en} %)",
        f"mạng gán {scored.names(said)}; đúng ra là {scored.names(true)} ({name}: chắc {sure.vi} "
        "%)",
    )
    shown, known = scored.examples.shown[number], worst < len(scored.network.classes)
    body = f"<p>{html.escape(shown)}</p>"
    if known:
        body = weighed(scored.network.explain(shown, name))
    place = html.escape(scored.examples.places[number])
    return f'<li><p class="answer">{line.html()} · {place}</p>{body}</li>'


def of_labels(scored: ScoredLabels, names: Sequence[Tensor]) -> list[str]:
    """Return rows of labels as they stand in a cell."""
    return [
        scored.network.joined(
            [name for name, holds in zip(scored.classes, row.tolist(), strict=True) if holds]
        )
        for row in names
    ]
