"""How good tags are: of words, of spans and of whole sentences."""

from collections.abc import Sequence

import numpy as np

from conveyor.data.iob2 import spans
from conveyor.tasks.answer_counts import AnswerCounts
from conveyor.tasks.results import Metric, Row

ACCURACY = Metric(
    "accuracy", "accuracy", digits=".1f", percent=True, better="more", apart="difference"
)
SEEN = Metric(
    "seen_accuracy", "seen words", digits=".1f", percent=True, better="more", apart="difference"
)
UNSEEN = Metric(
    "unseen_accuracy", "unseen words", digits=".1f", percent=True, better="more",
    apart="difference",
)  # fmt: skip
SENTENCES = Metric(
    "sentence_accuracy", "whole sentences", digits=".1f", percent=True, better="more",
    apart="difference",
)  # fmt: skip
SPAN_F1 = Metric(
    "span_f1", "span F1", digits=".1f", percent=True, better="more", apart="difference"
)
INTENT = Metric(
    "intent_accuracy", "intent", digits=".1f", percent=True, better="more", apart="difference"
)

Tags = Sequence[Sequence[str]]


def metrics_of(*, iob2: bool, intents: bool) -> tuple[Metric, ...]:
    """Return what is measured; the first decides.

    Args:
        iob2: whether tags mark spans.
        intents: whether sentences have intents.
    """
    first = (SPAN_F1,) if iob2 else ()
    return (*first, ACCURACY, SEEN, UNSEEN, SENTENCES, *((INTENT,) if intents else ()))


class SentenceCounts(AnswerCounts):
    """Of each sentence [N], of what there is, of what was said, and of what of it was right: spans,
    or words. An F1 or an accuracy is made of their sums."""

    @staticmethod
    def of(gold: Tags, predicted: Tags, *, iob2: bool) -> "SentenceCounts":
        """Return the counts of tags.

        Args:
            gold: of each sentence.
            predicted: of each.
            iob2: whether spans are counted, as conlleval does; else words.
        """
        rows = []
        for true, said in zip(gold, predicted, strict=True):
            if iob2:
                first, second = set(spans(true)), set(spans(said))
                rows.append((len(first), len(second), len(first & second)))
            else:
                right = sum(a == b for a, b in zip(true, said, strict=True))
                rows.append((len(true), len(said), right))
        counts = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return SentenceCounts(*counts.T)


def _share(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


def row_of(gold: Tags, predicted: Tags, known: Sequence[Sequence[bool]], *, iob2: bool) -> Row:
    """Return the values of ``metrics_of`` without that of intents.

    Args:
        gold: the tags of each sentence.
        predicted: what was said.
        known: of each word, whether the training set held it.
        iob2: whether tags mark spans.
    """
    pairs = [
        (is_known, true == said)
        for of_words, true_tags, tags in zip(known, gold, predicted, strict=True)
        for is_known, true, said in zip(of_words, true_tags, tags, strict=True)
    ]
    first = (SentenceCounts.of(gold, predicted, iob2=True).score,) if iob2 else ()
    return (
        *first,
        _share([right for _, right in pairs]),
        _share([right for is_known, right in pairs if is_known]),
        _share([right for is_known, right in pairs if not is_known]),
        _share([list(a) == list(b) for a, b in zip(gold, predicted, strict=True)]),
    )
