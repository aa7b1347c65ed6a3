"""How good answers of several labels are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.tasks.answer_counts import AnswerCounts
from conveyor.tasks.classify.class_scores import MACRO_F1
from conveyor.tasks.results import Metric, Row

MICRO_F1 = Metric(
    "micro_f1", "micro F1", digits=".1f", percent=True, better="more", apart="difference"
)
EXACT = Metric(
    "exact_match", "exact match", digits=".1f", percent=True, better="more", apart="difference"
)
HAMMING = Metric("hamming_loss", "Hamming loss", digits=".2f", percent=True)
METRICS = (MICRO_F1, MACRO_F1, EXACT, HAMMING)


@dataclass(frozen=True)
class LabelTable:
    """Precision, recall and F1 of each label [classes], how many examples have it, and of how many
    it was said. Where none was said, precision is 0; where there is none, recall is."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor
    said: Tensor

    @staticmethod
    def of(said: Tensor, targets: Tensor) -> "LabelTable":
        """Return the table of answers.

        Args:
            said: which labels were said of each example, bool [N, classes].
            targets: which hold, [N, classes].
        """
        true = targets.bool()
        right = (said & true).sum(0).double()
        there, given = true.sum(0), said.sum(0)
        return LabelTable(
            right / given.clamp(min=1),
            right / there.clamp(min=1),
            2 * right / (given + there).clamp(min=1),
            there,
            given,
        )

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the labels that have examples; one that is never said counts 0."""
        seen = self.f1[self.support > 0]
        return float(seen.mean()) if len(seen) else 0.0


def counts_of(said: Tensor, targets: Tensor) -> AnswerCounts:
    """Return of each example how many labels it has, how many were said, and how many of these are
    right."""
    true = targets.bool()
    return AnswerCounts(true.sum(1).numpy(), said.sum(1).numpy(), (said & true).sum(1).numpy())


def micro_f1(said: Tensor, targets: Tensor) -> float:
    """Return the F1 of all labels of all examples together."""
    return counts_of(said, targets).score


def row_of(said: Tensor, targets: Tensor) -> Row:
    """Return the values of ``METRICS``.

    Args:
        said: which labels were said of each example, bool [N, classes].
        targets: which hold, [N, classes].
    """
    wrong = said != targets.bool()
    return (
        micro_f1(said, targets),
        LabelTable.of(said, targets).macro_f1,
        float((~wrong.any(1)).double().mean()),
        float(wrong.double().mean()),
    )


def frequent_labels(prior: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return the same labels for all examples: so many of the commonest as have the greatest F1 on
    the validation set.

    Args:
        prior: the share of each label in the training set, [classes].
        targets: of the validation set, [N, classes].
        count: of the examples that are answered.
    """
    order = prior.argsort(descending=True, stable=True)
    best, chosen = -1.0, torch.zeros(len(prior), dtype=torch.bool)
    for most in range(1, len(prior) + 1):
        said = torch.zeros(len(prior), dtype=torch.bool)
        said[order[:most]] = True
        score = micro_f1(said.expand(len(targets), -1), targets)
        if score > best:
            best, chosen = score, said
    return chosen.expand(count, -1)
