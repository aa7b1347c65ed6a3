"""Logistic regression of several classes, the baseline that a classifier has to beat. Where an
example may have several labels, it is one regression for each label (one against the rest)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from conveyor.networks.output_heads import label_losses
from conveyor.tasks.classify.label_scores import micro_f1
from conveyor.tasks.classify.several import Several, best_thresholds

# Inverse strengths of the penalty that are tried; validation chooses.
STRENGTHS = (0.1, 1.0, 10.0, 100.0)

# L-BFGS needs some tens of steps; the optimum is unique, so that more change nothing that counts.
_MOST_STEPS = 200


@dataclass(frozen=True)
class LogisticRegression:
    """Weights [features, classes] and biases [classes], float64; ``several`` says whether an
    example may have several classes, each with a probability of its own."""

    weights: Tensor
    biases: Tensor
    several: bool = False

    @staticmethod
    def fit(
        features: Tensor,
        targets: Tensor,
        classes: int,
        strength: float,
        start: "LogisticRegression | None" = None,
    ) -> "LogisticRegression":
        """Return the regression that makes Σ -log p(target) + |weights|² / (2 · strength) least.

        Args:
            features: [N, F], float64, dense or sparse.
            targets: the class of each, [N]; where it may have several, 0 or 1, [N, classes].
            classes: how many there are.
            strength: above 0; larger ones fit closer.
            start: one to begin from.
        """
        count, width = features.shape
        turned = features.t().coalesce() if features.is_sparse else features.t()
        zeros = torch.zeros(width, classes, dtype=torch.float64)
        weights = start.weights.clone() if start else zeros
        biases = start.biases.clone() if start else zeros.new_zeros(classes)
        several = targets.ndim == 2
        wanted = targets if several else torch.nn.functional.one_hot(targets, classes)
        wanted = wanted.to(weights.dtype)
        step = torch.optim.LBFGS(
            [weights, biases],
            max_iter=_MOST_STEPS,
            tolerance_grad=1e-7,
            tolerance_change=1e-10,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            logits = features @ weights + biases
            if several:
                surprise = label_losses(logits, wanted).sum()
                apart = logits.sigmoid() - wanted
            else:
                surprise = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
                apart = logits.softmax(-1) - wanted
            # A mean, so that the tolerances mean the same for any number of examples.
            weights.grad = (turned @ apart + weights / strength) / count
            biases.grad = apart.sum(0) / count
            return (surprise + weights.square().sum() / (2 * strength)) / count

        with torch.no_grad():
            step.step(loss)  # type: ignore[no-untyped-call]
        weights.grad = biases.grad = None
        return LogisticRegression(weights, biases, several)

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Return the logarithm of the probability of each class, [N, classes]."""
        logits = features @ self.weights + self.biases
        return logsigmoid(logits) if self.several else logits.log_softmax(-1)


def best_regression(
    known: tuple[Tensor, Tensor],
    choosing: tuple[Tensor, Tensor],
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> LogisticRegression:
    """Return the regression whose strength gets most of the validation set right; of equals, the
    one that is least surprised. Of several labels, the one with the greatest F1 of all labels, with
    the thresholds that make it so.

    Args:
        known: features and targets of the training set.
        choosing: those of the validation set.
        classes: how many there are.
        strengths: that are tried.
    """
    tried: list[tuple[float, float, LogisticRegression]] = []
    fitted: LogisticRegression | None = None
    for strength in strengths:
        fitted = LogisticRegression.fit(*known, classes, strength, start=fitted)
        answers = fitted.log_probabilities(choosing[0])
        if fitted.several:
            thresholds = best_thresholds(answers.exp(), choosing[1])
            said = Several("", thresholds).holds(answers.exp())
            wrong = 1 - micro_f1(said, choosing[1])
            surprise = 0.0
        else:
            wrong = float((answers.argmax(-1) != choosing[1]).double().mean())
            surprise = float(torch.nn.functional.nll_loss(answers, choosing[1]))
        tried.append((wrong, surprise, fitted))
    return min(tried, key=lambda each: each[:2])[2]
