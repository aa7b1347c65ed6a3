"""How surely an F1 or an accuracy is known: what it counts, for each thing that was asked."""

from dataclasses import dataclass

import numpy as np

from conveyor.pages.words import Words, number_text

# An interval, and the chance of a difference, are of so many samples.
SAMPLES = 2_000


@dataclass(frozen=True)
class AnswerCounts:
    """Of each thing that was asked [N], how many answers there are to give, how many were given,
    and how many of these are right. An F1 is made of their sums; it is the accuracy where as many
    are given as there are to give."""

    gold: np.ndarray
    said: np.ndarray
    right: np.ndarray

    @property
    def score(self) -> float:
        """The F1 of all."""
        return float(_f1(self.gold.sum(), self.said.sum(), self.right.sum()))

    def drawn(self, draws: np.ndarray) -> np.ndarray:
        """Return the score of samples.

        Args:
            draws: how often each thing is in each sample, [samples, N].
        """
        return _f1(*(draws @ each for each in (self.gold, self.said, self.right)))


def _f1(gold: np.ndarray, said: np.ndarray, right: np.ndarray) -> np.ndarray:
    score: np.ndarray = 2 * right / np.maximum(gold + said, 1)
    return score


def chance_of(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return how likely two equally good models would differ as much by chance, from scores on
    the same samples (the paired bootstrap; Koehn 2004, Statistical significance tests for machine
    translation evaluation).

    Args:
        ours, theirs: the score of each sample.
    """
    apart = ours - theirs
    return float(min(1.0, 2 * min((apart <= 0).mean(), (apart >= 0).mean())))


def probability_words(chance: float, *, bootstrap: bool) -> Words:
    """Return the probability of a difference by chance, in a sentence.

    Args:
        chance: the probability.
        bootstrap: whether the paired bootstrap gave it; otherwise McNemar's test.
    """
    test, test_vi = "McNemar's test", "kiểm định McNemar"
    if bootstrap:
        test, test_vi = "the paired bootstrap", "bootstrap theo cặp"
    said = number_text(chance, ".2f")
    return Words(f"By {test} p = {said.en}.", f"Theo {test_vi}, p = {said.vi}.")
