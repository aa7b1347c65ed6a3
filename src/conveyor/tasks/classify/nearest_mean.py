"""The nearest mean of a class, a baseline of series."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conveyor.networks.kept_arrays import array_of
from conveyor.tasks.classify.class_scores import NEVER
from conveyor.tasks.known_keys import FITTED_ON


@dataclass(frozen=True)
class NearestMean:
    """Says of an example the class whose mean is nearest: as of normal distributions of the same
    width in all directions, that of the training set.

    Attributes:
        means: of the features of each class, float64 [classes, F].
        counts: how many training examples each class has, int64 [classes].
        width: the mean squared distance of a feature to the mean of its class, float64 [].
    """

    means: Tensor
    counts: Tensor
    width: Tensor

    @staticmethod
    def of(features: Tensor, targets: Tensor, classes: int) -> "NearestMean":
        """Return the means of a training set.

        Args:
            features: of its examples, float64 [N, F].
            targets: the class of each, [N].
            classes: how many there are.
        """
        sums = torch.zeros(classes, features.shape[1], dtype=features.dtype)
        sums.index_add_(0, targets, features)
        counts = torch.bincount(targets, minlength=classes)
        means = sums / counts.clamp(min=1)[:, None]
        width = (features - means[targets]).square().mean().clamp(min=1e-12).reshape(1)
        return NearestMean(means, counts, width)

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Return the logarithm of the probability of each class, [N, classes]."""
        logits = -torch.cdist(features, self.means).square() / (2 * self.width)
        return logits.masked_fill(self.counts == 0, NEVER - 1e3).log_softmax(-1).clamp(min=-1e3)

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads."""
        return {
            "means": self.means.numpy(),
            "counts": self.counts.numpy(),
            "width": self.width.numpy(),
        }

    @staticmethod
    def described(described: Any, shape: tuple[int, int]) -> "NearestMean":
        """Return the means of a description.

        Args:
            described: see ``description``.
            shape: how many classes and features there are.

        Raises:
            RunError: the description is none.
        """
        means = array_of(described, "means", shape, np.float64, FITTED_ON)
        counts = array_of(described, "counts", shape[:1], np.int64, FITTED_ON)
        width = array_of(described, "width", (1,), np.float64, FITTED_ON)
        return NearestMean(*map(torch.from_numpy, (means, counts, width)))
