"""Heads: linear maps from what a network has read to an answer, each with its loss."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    softplus,
)
from torch.nn.functional import dropout as dropped

from conveyor.errors import SettingError
from conveyor.layers.checks import check_probability, check_whole


def squared_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of each answer.

    Args:
        outputs: numbers, [..., width].
        targets: numbers, [..., width].
    """
    return mse_loss(outputs, targets, reduction="none").mean(-1)


def class_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each answer, in nats.

    Args:
        outputs: logits, [..., classes].
        targets: numbers of classes, [...].
    """
    losses = cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none")
    return losses.view(targets.shape)


def label_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of each answer, in nats, the sum over all labels.

    Args:
        outputs: logits, [..., labels].
        targets: 1 where a label applies and 0 where it does not, [..., labels].
    """
    return binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1)


def pinball_losses(quantiles: Tensor, targets: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the pinball loss of each quantile, which its level's quantile makes least (Koenker &
    Bassett 1978, Regression quantiles).

    Args:
        quantiles: [..., len(levels)].
        targets: numbers, [...].
        levels: of the quantiles, between 0 and 1.
    """
    level = quantiles.new_tensor(levels)
    error = targets.unsqueeze(-1) - quantiles
    return torch.maximum(level * error, (level - 1) * error)


def mean_of(losses: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return the mean of losses.

    Args:
        losses: of each answer, [...].
        counted: which answers count, [...]: False for steps that are padding; None for all.
    """
    if counted is None:
        return losses.mean()
    # Not multiplied by 0: the loss of padding need not be a finite number.
    return losses.masked_fill(~counted, 0).sum() / counted.sum()


class Head(nn.Linear, ABC):
    """A linear map with dropout on what it reads. Subclasses say what the answer means.

    Args:
        features: what it reads of a step or a sequence.
        outputs: how many numbers an answer has.
        dropout: probability of dropping a feature, in training.
    """

    def __init__(self, features: int, outputs: int, *, dropout: float = 0.0) -> None:
        check_whole(features=features, outputs=outputs)
        check_probability("dropout", dropout, 1.0)
        super().__init__(features, outputs)
        self.dropout = float(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return answers [..., outputs] to features [..., features]."""
        return super().forward(dropped(features, self.dropout, self.training))

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each answer, [...]."""

    def loss(self, outputs: Tensor, targets: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the mean loss.

        Args:
            outputs: what the head gave.
            targets: what is right, as ``losses`` takes it.
            counted: which answers count, [...]: False for steps that are padding; None for all.
        """
        return mean_of(self.losses(outputs, targets), counted)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"{super().extra_repr()}, dropout={self.dropout:g}"


class NumberHead(Head):
    """Numbers, with the mean squared error as loss.

    Args:
        features: what it reads of a step or a sequence.
        outputs: how many numbers an answer has.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error of each answer, [...]; targets are [..., outputs]."""
        return squared_losses(outputs, targets)


class ClassHead(Head):
    """Logits of classes, one of which is right, with the cross-entropy in nats as loss.

    Args:
        features: what it reads of a step or a sequence.
        outputs: how many classes there are.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of each answer, [...]; targets are numbers of classes, [...]."""
        return class_losses(outputs, targets)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class, [..., classes]."""
        return outputs.softmax(-1)


class LabelHead(Head):
    """Logits of labels, any of which may apply, with the binary cross-entropy in nats as loss, the
    sum over all labels.

    Args:
        features: what it reads of a step or a sequence.
        outputs: how many labels there are.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the binary cross-entropy of each answer, [...]; targets are 0 or 1, [...,
        labels]."""
        return label_losses(outputs, targets)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each label, [..., labels]."""
        return outputs.sigmoid()


class QuantileHead(Head):
    """Quantiles of numbers, which never cross, with the pinball loss.

    The middle one is a linear map of the features; each further one is its neighbour plus or minus
    a softplus.

    Args:
        features: what it reads of a step or a sequence.
        numbers: how many numbers an answer is about.
        levels: of the quantiles, rising, each between 0 and 1.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        features: int,
        numbers: int,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        dropout: float = 0.0,
    ) -> None:
        ends = (0.0, *levels, 1.0)
        if not levels or any(low >= high for low, high in pairwise(ends)):
            raise SettingError(
                f"levels is {levels!r}; expected numbers between 0 and 1, each above the one "
                "before it."
            )
        check_whole(numbers=numbers)
        super().__init__(features, numbers * len(levels), dropout=dropout)
        self.numbers, self.levels = numbers, tuple(levels)

    def forward(self, features: Tensor, shift: Tensor | None = None) -> Tensor:
        """Return quantiles [..., numbers, levels] of features [..., features].

        Args:
            features: what was read.
            shift: what is added to all quantiles of a number, [..., numbers].
        """
        raw = super().forward(features).view(*features.shape[:-1], self.numbers, len(self.levels))
        middle = len(self.levels) // 2
        centre = raw[..., middle : middle + 1]
        if shift is not None:
            centre = centre + shift.unsqueeze(-1)
        below = softplus(raw[..., :middle]).flip(-1).cumsum(-1).flip(-1)
        above = softplus(raw[..., middle + 1 :]).cumsum(-1)
        return torch.cat([centre - below, centre, centre + above], -1)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the pinball loss of each number, [..., numbers], the mean over the levels."""
        return pinball_losses(outputs, targets, self.levels).mean(-1)

    def loss(self, outputs: Tensor, targets: Tensor, counted: Tensor | None = None) -> Tensor:
        """Return the mean loss.

        Args:
            outputs: what the head gave.
            targets: numbers, [..., numbers]; NaN where one is missing, which does not count.
            counted: which answers count, [..., numbers]; None for all.
        """
        known = ~targets.isnan()
        return mean_of(
            self.losses(outputs, targets.nan_to_num()),
            known if counted is None else known & counted,
        )

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"{super().extra_repr()}, levels={self.levels}"
