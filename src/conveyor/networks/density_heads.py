"""Heads that say what a whole step may be, so that one can be drawn."""

from math import log, pi

import torch
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.networks.output_heads import Head, label_losses
from conveyor.networks.random_numbers import normal, uniform


class BernoulliHead(Head):
    """Numbers that are 0 or 1, each on its own.

    Args:
        features: what it reads of a step.
        outputs: how many numbers a step has.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the nats of each step, [...], the sum over its numbers; targets are 0 or 1, [...,
        outputs]."""
        return label_losses(outputs, targets)

    def draw(self, outputs: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a step of zeros and ones drawn from each output, [..., outputs]."""
        chance = uniform(outputs.shape, outputs, generator)
        return (chance < outputs.sigmoid()).to(outputs.dtype)


class GaussianHead(Head):
    """Numbers with a normal distribution each, on its own.

    Args:
        features: what it reads of a step.
        numbers: how many numbers a step has.
        narrowest: least standard deviation, above 0. Without it a number that repeats would have an
            infinite density.
        dropout: probability of dropping a feature, in training.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self, features: int, numbers: int, *, narrowest: float = 1e-3, dropout: float = 0.0
    ) -> None:
        if not 0 < narrowest <= 1:
            raise SettingError(f"narrowest is {narrowest}; expected a number above 0, 1 at most.")
        super().__init__(features, 2 * numbers, dropout=dropout)
        self.numbers, self.narrowest = numbers, float(narrowest)

    def parts(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the logarithms of the deviations, [..., numbers] each."""
        means, raw = outputs.chunk(2, -1)
        # log(exp(s) + narrowest), which has a gradient everywhere.
        return means, torch.logaddexp(raw, raw.new_tensor(log(self.narrowest)))

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the nats of each step, [...], the sum over its numbers: minus the logarithm of
        their density, in the units of the targets, [..., numbers]."""
        means, deviations = self.parts(outputs)
        away = (targets - means) / deviations.exp()
        return (away.square() / 2 + deviations + log(2 * pi) / 2).sum(-1)

    def draw(self, outputs: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a step drawn from each output, [..., numbers]."""
        means, deviations = self.parts(outputs)
        noise = normal(means.shape, means, generator)
        return means + deviations.exp() * noise

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"{super().extra_repr()}, numbers={self.numbers}, narrowest={self.narrowest:g}"
