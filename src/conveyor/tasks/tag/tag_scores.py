"""How good tags are: of words, of spans and of whole sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conveyor.data.iob2 import spans
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

# An interval, and the chance of a difference, are of so many samples.
SAMPLES = 2_000

Tags = Sequence[Sequence[str]]


def metrics_of(*, iob2: bool, intents: bool) -> tuple[Metric, ...]:
    """Return what is measured; the first decides.

    Args:
        iob2: whether tags mark spans.
        intents: whether sentences have intents.
    """
    first = (SPAN_F1,) if iob2 else ()
    return (*first, ACCURACY, SEEN, UNSEEN, SENTENCES, *((INTENT,) if intents else ()))


@dataclass(frozen=True)
class SentenceCounts:
    """Of each sentence [N], of what there is, of what was said, and of what of it was right: spans,
    or words. An F1 or an accuracy is made of their sums."""

    gold: np.ndarray
    said: np.ndarray
    right: np.ndarray

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

    @property
    def score(self) -> float:
        """The F1 of all, which is the accuracy where words are counted."""
        return float(_f1(self.gold.sum(), self.said.sum(), self.right.sum()))

    def drawn(self, draws: np.ndarray) -> np.ndarray:
        """Return the score of samples of the sentences.

        Args:
            draws: how often each sentence is in each sample, [samples, N].
        """
        return _f1(*(draws @ each for each in (self.gold, self.said, self.right)))


def _f1(gold: np.ndarray, said: np.ndarray, right: np.ndarray) -> np.ndarray:
    score: np.ndarray = 2 * right / np.maximum(gold + said, 1)
    return score


def chance_of(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return how likely two equally good taggers would differ as much by chance, from scores on
    the same samples (the paired bootstrap; Koehn 2004, Statistical significance tests for machine
    translation evaluation).

    Args:
        ours, theirs: the score of each sample.
    """
    apart = ours - theirs
    return float(min(1.0, 2 * min((apart <= 0).mean(), (apart >= 0).mean())))


def _share(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


def row_of(gold: Tags, predicted: Tags, known: Sequence[Sequence[bool]], *, iob2: bool) -> Row:
    """Return the values of ``metrics_of`` without that of intents.

    Args:
        gold: the tags of each sentence.
        predicted: what was said.
        known: of each word, whether the training part held it.
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
