"""How good probabilities of classes are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from conveyor.tasks.bootstrap import interval_of
from conveyor.tasks.confusion import confusion_of
from conveyor.tasks.results import Metric, Row

ACCURACY = Metric(
    "accuracy", "accuracy", digits=".1f", percent=True, better="more", apart="difference"
)
MACRO_F1 = Metric("macro_f1", "macro F1", digits=".3f", better="more")
LOG_LOSS = Metric("log_loss", "log loss", digits=".3f")
CALIBRATION = Metric("ece", "calibration error", digits=".1f", percent=True)
METRICS = (ACCURACY, MACRO_F1, LOG_LOSS, CALIBRATION)

# What is never said has this logarithm of a probability, so that a log loss stays a number.
NEVER = -20.0

# Equal ranges of the probability that was said, over which calibration is measured.
BINS = 15
# An interval is of so many draws.
_DRAWS = 10_000


def log_shares(prior: Sequence[float]) -> Tensor:
    """Return the logarithms of shares, [classes], float64; ``NEVER`` of what has none."""
    return torch.tensor(prior, dtype=torch.float64).log().clamp(min=NEVER)


@dataclass(frozen=True)
class ClassTable:
    """Precision, recall and F1 of each class [classes], and how many examples it has. Where nothing
    was predicted, precision is 0; where there are none, recall is."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor

    @staticmethod
    def of(confusion: Tensor) -> "ClassTable":
        """Return the table of a confusion matrix."""
        right, said, true = confusion.diagonal().double(), confusion.sum(0), confusion.sum(1)
        return ClassTable(
            right / said.clamp(min=1),
            right / true.clamp(min=1),
            2 * right / (said + true).clamp(min=1),
            true,
        )

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have examples; one that is never predicted counts 0."""
        return float(self.f1[self.support > 0].mean())


def calibration_error(probabilities: Tensor, targets: Tensor) -> float:
    """Return by how much the probability that is said differs from how often that is right, on
    average (expected calibration error; Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017).

    Args:
        probabilities: of each class, [N, classes].
        targets: [N].
    """
    said, predicted = probabilities.double().max(-1)
    right = (predicted == targets).double()
    bins = (said * BINS).ceil().long().clamp(1, BINS) - 1
    sums = torch.zeros(BINS, dtype=torch.float64).index_add_(0, bins, said - right)
    return float(sums.abs().sum() / len(targets))


def row_of(log_probabilities: Tensor, targets: Tensor) -> Row:
    """Return the values of ``METRICS``.

    Args:
        log_probabilities: of each class, [N, classes].
        targets: [N].
    """
    answers = log_probabilities.double()
    predicted = answers.argmax(-1)
    table = ClassTable.of(confusion_of(predicted, targets, answers.shape[1]))
    return (
        float((predicted == targets).double().mean()),
        table.macro_f1,
        float(-answers.gather(1, targets[:, None]).mean()),
        calibration_error(answers.exp(), targets),
    )


def accuracy_interval(right: Tensor, seed: int = 0) -> tuple[float, float]:
    """Return in which range the accuracy lies in 95 of 100 bootstrap samples of the examples. How
    many of a sample are right is binomial, so that no example needs to be drawn.

    Args:
        right: whether each answer was, [N].
        seed: of the draws.
    """
    share, count = float(right.double().mean()), len(right)
    return interval_of(np.random.default_rng(seed).binomial(count, share, _DRAWS) / count)


def mcnemar(ours: Tensor, theirs: Tensor) -> float:
    """Return how likely two equally good classifiers would differ as much or more by chance, on the
    examples that one of them got right and the other wrong (McNemar 1947; the exact test, two
    sides).

    Args:
        ours, theirs: whether each answer was right, [N].
    """
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    count, fewer = only_ours + only_theirs, min(only_ours, only_theirs)
    terms = [
        math.lgamma(count + 1)
        - math.lgamma(each + 1)
        - math.lgamma(count - each + 1)
        - count * math.log(2)
        for each in range(fewer + 1)
    ]
    return min(1.0, 2 * sum(map(math.exp, terms)))
