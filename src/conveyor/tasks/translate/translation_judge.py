"""How good translations are: BLEU, chrF, and how many are right to the letter."""

from collections.abc import Sequence
from typing import ClassVar

from conveyor.tasks.bootstrap import Counts
from conveyor.tasks.pairs.bleu import bleu_counts, bleu_of, chrf_counts, chrf_of
from conveyor.tasks.pairs.judge import Judge
from conveyor.tasks.results import Metric, Row

BLEU = Metric("bleu", "BLEU", "BLEU", digits=".1f", better="more", apart="difference")
CHRF = Metric("chrf", "chrF", digits=".1f", better="more")
EXACT = Metric("exact", "exact", digits=".1f", percent=True, better="more")


class TranslationJudge(Judge):
    """Scores translations with capitals, as people read them (sacreBLEU's 13a)."""

    metrics: ClassVar[tuple[Metric, ...]] = (BLEU, CHRF, EXACT)

    def counts(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return what BLEU is made of; see ``bleu_counts``."""
        return bleu_counts(answers, references)

    def of_counts(self, sums: Counts) -> Counts:
        """Return BLEU."""
        return bleu_of(sums)

    def row(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Row:
        """Return BLEU, chrF and the share of answers that are one of the references."""
        bleu = float(bleu_of(bleu_counts(answers, references).sum(0)))
        chrf = float(chrf_of(chrf_counts(answers, references).sum(0)))
        pairs = zip(answers, references, strict=True)
        right = sum(answer in right for answer, right in pairs)
        return bleu, chrf, right / max(len(answers), 1)

    def quality(self, answer: str, references: Sequence[str]) -> float:
        """Return the chrF of one answer: of a sentence alone BLEU says little."""
        return float(chrf_of(chrf_counts([answer], [references])[0]))
