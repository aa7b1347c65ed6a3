"""The sections that the reports of one class and of several labels have in common."""

import html
from typing import Protocol

import plotly.graph_objects as go
from torch import Tensor

from conveyor.data.token_vocabulary import unknown_counts
from conveyor.data.tokens import UNIT_NAMES
from conveyor.pages.frame import OTHER, OURS, chart, paragraph, table
from conveyor.pages.words import Words, counted_words, joined, number_text
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.classifier import Classifier, Explained
from conveyor.tasks.classify.noun import Noun
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.length_groups import length_groups
from conveyor.tasks.results import Metric

# Of a text so many tokens are shown at most.
_SHOWN_TOKENS = 120
# Calibration is drawn in so many points, each of so many answers or more.
_POINTS, _LEAST_GROUP = 10, 20
# Classes of a table of scores, at most: the commonest.
MOST_CLASSES = 40


class Answered(Protocol):
    """What was answered on examples whose classes are known."""

    @property
    def network(self) -> Classifier:
        """The classifier."""

    @property
    def noun(self) -> Noun:
        """What an example is called."""

    @property
    def examples(self) -> ClassExamples:
        """The examples."""

    @property
    def leaks(self) -> int:
        """How many of the examples were learned from."""

    @property
    def telling(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The words that speak most for each class, to a regression."""

    @property
    def right(self) -> Tensor:
        """Whether each answer is right, [N]."""

    @property
    def metric(self) -> Metric:
        """What the share of right answers is called."""


def weighed(explained: Explained) -> str:
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


def by_length(scored: Answered) -> str:
    """Return a table of how many are right, by their length."""
    right = scored.right.double()
    rows = [
        (
            [
                f"{low:,}–{high:,}" if high > low else f"{low:,}",
                f"{len(numbers):,}",
                scored.metric.text(float(right[numbers].mean())),
            ],
            False,
        )
        for low, high, numbers in length_groups(scored.examples.lengths)
    ]
    unit = "steps"
    if isinstance(scored.network.reader, TextReader):
        unit = UNIT_NAMES[scored.network.reader.vocabulary.tokenizer.unit] + "s"
    return table([unit, "examples", scored.metric.name], rows)


def unknown_words(scored: Answered) -> str:
    """Return what words cost that were not seen in training."""
    counts = unknown_counts(scored.examples.sequences)
    total = sum(scored.examples.lengths)
    share = number_text(100 * int(counts.sum()) / max(total, 1), ".1f")
    about = Words(
        f"{share.en} % of the words here do not occur in the training set. The network reads all "
        "of them as the same unknown word.",
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
            accuracy = scored.metric.text(float(right[chosen].mean()))
            rows.append(([name, f"{int(chosen.sum()):,}", accuracy], False))
    return paragraph(about) + table(["unknown words", "examples", scored.metric.name], rows)


def calibration(said: Tensor, right: Tensor, about: Words) -> str:
    """Return a chart of how often answers of a probability are right.

    Args:
        said: the probability of each answer, [N].
        right: 1 for each that was right, [N].
        about: what the reader should know first.
    """
    order = said.argsort()
    groups = order.tensor_split(max(2, min(_POINTS, len(order) // _LEAST_GROUP)))
    groups = tuple(part for part in groups if len(part))
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="perfect calibration",
        line={"color": OTHER, "dash": "dot"},
    )
    figure.add_scatter(
        x=[100 * float(said[part].mean()) for part in groups],
        y=[100 * float(right[part].mean()) for part in groups],
        mode="lines+markers",
        name="this network",
        line_color=OURS,
    )
    low = max(0.0, 10 * int(10 * float(said.min())) - 5.0)
    figure.update_xaxes(title="confidence, percent", range=[low, 101])
    figure.update_yaxes(title="accuracy, percent", range=[0, 103])
    count = counted_words(len(groups), "group", "nhóm")
    points = Words(
        f"Each point is one of {count.en} of answers, from the lowest to the highest confidence. "
        "Below the dotted line the network is too confident.",
        f"Mỗi điểm là một trong {count.vi} câu trả lời, từ kém chắc nhất đến chắc nhất; dưới đường "
        "chấm là mạng tự tin quá mức.",
    )
    return paragraph(joined([about, points])) + chart(
        figure, "calibration", hover="closest", height=360
    )


def telling(scored: Answered) -> str:
    """Return the words by which a regression tells classes apart."""
    about = Words(
        "The words and word pairs with the largest weights for each class in the regression, "
        "which does not see word order.",
        "Những từ và cặp từ nói lên nhiều nhất về mỗi lớp, theo phương pháp hồi quy không biết thứ "
        "tự: thoạt nhìn mỗi lớp trông thế nào.",
    )
    rows = [
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f"<td>{html.escape(' · '.join(word.replace(' ', '␣') for word in words))}</td></tr>"
        for name, words in scored.telling[:MOST_CLASSES]
    ]
    label = 'aria-label="Words" data-label-en="Words" data-label-vi="Từ"'
    return (
        f'{paragraph(about)}<div class="wide" tabindex="0" role="region" {label}>'
        f'<table class="telling"><tbody>{"".join(rows)}</tbody></table></div>'
    )


def leaks(scored: Answered) -> str:
    """Return how many examples were learned from."""
    few, all_ = scored.noun.counted(scored.leaks), scored.noun.counted(len(scored.examples))
    return paragraph(
        Words(
            f"{few.en} of {all_.en} here also occur in the training set. They are easier than new "
            "ones, so the scores are slightly too good.",
            f"{few.vi} trong {all_.vi} ở đây cũng có trong phần dùng để học. Chúng dễ hơn cái mới, "
            "nên điểm số hơi cao hơn thực tế.",
        )
    )
