"""How good captions are: BLEU of 1 to 4 words without smoothing, and how many are right word for
word."""

from collections.abc import Sequence

import numpy as np

from conveyor.tasks.bootstrap import Counts, bootstrap_draws, interval_of
from conveyor.tasks.pairs.bleu import WORDS, bleu_counts
from conveyor.tasks.results import Metric, Row

BLEU_4 = Metric("bleu_4", "BLEU-4", "BLEU-4", digits=".1f", better="more", apart="difference")
EXACT = Metric("exact", "exact", digits=".1f", percent=True, better="more", apart="difference")
BLEU_1, BLEU_2, BLEU_3 = (
    Metric(f"bleu_{n}", f"BLEU-{n}", digits=".1f", better="more", apart="difference")
    for n in (1, 2, 3)
)
METRICS = (BLEU_4, EXACT, BLEU_1, BLEU_2, BLEU_3)


def brevity_of(sums: Counts) -> Counts:
    """Return the brevity penalty of sums of ``bleu_counts``, [...]: 1 where answers are long
    enough."""
    answered, right = sums[..., -2], sums[..., -1]
    penalty: Counts = np.exp(np.minimum(0, 1 - right / np.maximum(answered, 1e-9)))
    return penalty


def bleu_to(sums: Counts, longest: int) -> Counts:
    """Return BLEU of 1 to ``longest`` words, 0 to 100, of sums of ``bleu_counts``, [..., 10]
    (Papineni et al. 2002): 0 where no run of any of these lengths matches."""
    matches, all_ = sums[..., :longest], sums[..., WORDS : WORDS + longest]
    shares = matches / np.maximum(all_, 1)
    with np.errstate(divide="ignore"):
        score: Counts = 100 * brevity_of(sums) * np.exp(np.log(shares).mean(-1))
    return score


class CaptionScores:
    """The scores of captions.

    Args:
        answers: one for each picture.
        references: the captions of each, one or more.
    """

    def __init__(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> None:
        self.counts = bleu_counts(answers, references)
        self.right = np.array(
            [answer in right for answer, right in zip(answers, references, strict=True)]
        )

    def row(self, numbers: Sequence[int] | None = None) -> Row:
        """Return the values of ``METRICS``, of some pictures or of all."""
        chosen = slice(None) if numbers is None else list(numbers)
        sums = self.counts[chosen].sum(0)
        bleu = [float(bleu_to(sums, length)) for length in (1, 2, 3, 4)]
        exact = float(self.right[chosen].mean()) if len(self.right[chosen]) else 0.0
        return bleu[3], exact, *bleu[:3]

    @property
    def brevity(self) -> float:
        """The brevity penalty of all."""
        return float(brevity_of(self.counts.sum(0)))

    def interval(self) -> tuple[float, float] | None:
        """Return in which range BLEU-4 lies in 95 of 100 samples of the pictures; None where these
        tell nothing."""
        sums = bootstrap_draws(len(self.counts)) @ self.counts
        low, high = interval_of(bleu_to(sums, 4))
        return (low, high) if low < high else None

    def may_equal(self, other: "CaptionScores") -> bool:
        """Return whether the BLEU-4 of other answers to the same pictures may differ by chance: 95
        of 100 samples of the pictures do not agree on which is better."""
        draws = bootstrap_draws(len(self.counts))
        apart = bleu_to(draws @ self.counts, 4) - bleu_to(draws @ other.counts, 4)
        low, high = interval_of(apart)
        return low <= 0 <= high

    def quality(self, number: int) -> float:
        """Return how good the caption of a picture is, by which they are ordered: the F of words
        and pairs of words that match."""
        counts = self.counts[number]
        matched, answered = counts[:2].sum(), counts[WORDS : WORDS + 2].sum()
        wanted = max(2 * counts[-1] - 1, 1)
        return float(2 * matched / max(answered + wanted, 1)) + bool(self.right[number])
