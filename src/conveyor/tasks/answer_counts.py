"""How surely an F1 or an accuracy is known: what it counts, for each thing that was asked."""

from dataclasses import dataclass

import numpy as np

from conveyor.pages.words import Words, number_text

# An interval, and the chance of a difference, are of so many samples.
SAMPLES = 2_000

# A difference may be due to chance from a greater probability than this on.
_MAY_BE_CHANCE = 0.05


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


def alike_by_chance(
    baseline: str, chance: float, *, bootstrap: bool
) -> tuple[tuple[str, ...], list[Words]]:
    """Return the baseline if its distance may be due to chance, as ``Scores.alike`` has it, with
    the probability in a sentence; nothing otherwise.

    Args:
        baseline: its name.
        chance: the probability of such a distance between equally good models.
        bootstrap: whether the paired bootstrap gave it; otherwise McNemar's test.
    """
    if chance <= _MAY_BE_CHANCE:
        return (), []
    test, test_vi = "McNemar's test", "kiểm định McNemar"
    if bootstrap:
        test, test_vi = "the paired bootstrap", "bootstrap theo cặp"
    said = number_text(chance, ".2f")
    return (baseline,), [Words(f"By {test} p = {said.en}.", f"Theo {test_vi}, p = {said.vi}.")]
