"""How good pronunciations are: the shares of wrong words and of wrong phonemes."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from conveyor.tasks.bootstrap import Counts
from conveyor.tasks.pairs.edit_distance import edit_distance
from conveyor.tasks.pairs.judge import Judge
from conveyor.tasks.results import Metric, Row

WORDS = Metric("wer", "wrong words", digits=".1f", percent=True, apart="difference")
PHONEMES = Metric("per", "wrong phonemes", digits=".1f", percent=True, apart="difference")


class PronunciationJudge(Judge):
    """A word is right if any of its pronunciations is written. Its wrong phonemes are the edits to
    the nearest of them, by the length of that."""

    metrics: ClassVar[tuple[Metric, ...]] = (WORDS, PHONEMES)

    def counts(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return for each word whether it is wrong, 1, the edits, and the phonemes, [N, 4]."""
        counts = np.ones((len(answers), 4))
        for row, (answer, right) in enumerate(zip(answers, references, strict=True)):
            edits, length = _nearest(answer, right)
            counts[row] = (edits > 0, 1, edits, length)
        return counts

    def of_counts(self, sums: Counts) -> Counts:
        """Return the share of wrong words."""
        share: Counts = sums[..., 0] / sums[..., 1]
        return share

    def row(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Row:
        """Return the shares of wrong words and of wrong phonemes."""
        wrong, words, edits, phonemes = self.counts(answers, references).sum(0)
        return float(wrong / words), float(edits / max(phonemes, 1))

    def quality(self, answer: str, references: Sequence[str]) -> float:
        """Return how few phonemes of a word are wrong, by its length."""
        edits, length = _nearest(answer, references)
        return -edits / max(length, 1)


def _nearest(answer: str, references: Sequence[str]) -> tuple[int, int]:
    """Return the edits to the nearest reference, and its length; of equally near ones the
    longest."""
    phonemes = answer.split()
    pairs = [(edit_distance(phonemes, right.split()), len(right.split())) for right in references]
    return min(pairs, key=lambda pair: (pair[0], -pair[1]))
