"""Precision, recall and F1 of spans that are found by tags.

The number that papers give is that of the program conlleval of CoNLL-2000: a span is right if its
type and both of its ends are, and tags that break the scheme are repaired first, see
``conveyor.data.iob2.spans``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from conveyor.data.iob2 import spans
from conveyor.errors import DataError, counted


@dataclass(frozen=True)
class SpanScore:
    """How many spans there are, how many were predicted, and how many of these are right."""

    gold: int
    predicted: int
    right: int

    @property
    def precision(self) -> float:
        """The share of predicted spans that are right; 0 if none was predicted."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of spans that were predicted; 0 if there are none."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 if no span is right."""
        return 2 * self.right / (self.gold + self.predicted) if self.right else 0.0


@dataclass(frozen=True)
class SpanScores:
    """The score of all spans together (the micro average), and that of each type by its name."""

    whole: SpanScore
    by_type: dict[str, SpanScore]


def span_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, strict: bool = False
) -> SpanScores:
    """Score predicted tags by the spans that they make.

    Args:
        gold: the tags of each sentence.
        predicted: what was predicted for them.
        strict: whether spans that do not begin with ``B-`` are left out; otherwise they are
            repaired, as conlleval does.

    Raises:
        DataError: a tag is none of the scheme IOB2, or the numbers of sentences or tags differ.
    """
    if len(gold) != len(predicted):
        raise DataError(
            f"there are tags of {counted(len(gold), 'sentence')} and predicted tags of "
            f"{len(predicted):,}; expected as many."
        )
    there: Counter[str] = Counter()
    said: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for number, (true_tags, tags) in enumerate(zip(gold, predicted, strict=True)):
        if len(true_tags) != len(tags):
            raise DataError(
                f"sentence {number} has {counted(len(true_tags), 'tag')} and {len(tags):,} "
                "predicted ones; expected as many."
            )
        true_spans, predicted_spans = spans(true_tags, strict=strict), spans(tags, strict=strict)
        there.update(span.kind for span in true_spans)
        said.update(span.kind for span in predicted_spans)
        right.update(span.kind for span in {*true_spans} & {*predicted_spans})
    by_type = {
        kind: SpanScore(there[kind], said[kind], right[kind]) for kind in sorted(there | said)
    }
    return SpanScores(SpanScore(there.total(), said.total(), right.total()), by_type)
