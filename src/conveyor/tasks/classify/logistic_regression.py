"""Logistic regression of several classes, the baseline that a classifier has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Inverse strengths of the penalty that are tried; validation chooses.
STRENGTHS = (0.1, 1.0, 10.0, 100.0)

# L-BFGS needs some tens of steps; the optimum is unique, so that more change nothing that counts.
_MOST_STEPS = 200


@dataclass(frozen=True)
class LogisticRegression:
    """Weights [features, classes] and biases [classes], float64."""

    weights: Tensor
    biases: Tensor

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
            targets: the class of each, [N].
            classes: how many there are.
            strength: above 0; larger ones fit closer.
            start: one to begin from.
        """
        count, width = features.shape
        turned = features.t().coalesce() if features.is_sparse else features.t()
        zeros = torch.zeros(width, classes, dtype=torch.float64)
        weights = start.weights.clone() if start else zeros
        biases = start.biases.clone() if start else zeros.new_zeros(classes)
        wanted = torch.nn.functional.one_hot(targets, classes).to(weights.dtype)
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
            surprise = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
            apart = logits.softmax(-1) - wanted
            # A mean, so that the tolerances mean the same for any number of examples.
            weights.grad = (turned @ apart + weights / strength) / count
            biases.grad = apart.sum(0) / count
            return (surprise + weights.square().sum() / (2 * strength)) / count

        with torch.no_grad():
            step.step(loss)  # type: ignore[no-untyped-call]
        weights.grad = biases.grad = None
        return LogisticRegression(weights, biases)

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Return the logarithm of the probability of each class, [N, classes]."""
        return (features @ self.weights + self.biases).log_softmax(-1)


def best_regression(
    known: tuple[Tensor, Tensor],
    choosing: tuple[Tensor, Tensor],
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> LogisticRegression:
    """Return the regression whose strength gets most of the validation part right; of equals, the
    one that is least surprised.

    Args:
        known: features and targets of the training part.
        choosing: those of the validation part.
        classes: how many there are.
        strengths: that are tried.
    """
    tried: list[tuple[float, float, LogisticRegression]] = []
    fitted: LogisticRegression | None = None
    for strength in strengths:
        fitted = LogisticRegression.fit(*known, classes, strength, start=fitted)
        answers = fitted.log_probabilities(choosing[0])
        wrong = float((answers.argmax(-1) != choosing[1]).double().mean())
        surprise = float(torch.nn.functional.nll_loss(answers, choosing[1]))
        tried.append((wrong, surprise, fitted))
    return min(tried, key=lambda each: each[:2])[2]
