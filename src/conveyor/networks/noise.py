"""Noise on what a network reads, so that few sequences are not learned by heart."""

import torch
from torch import Tensor, nn

from conveyor.errors import SettingError


class Noise(nn.Module):
    """Adds normal noise in training (Bishop 1995, Training with noise is equivalent to Tikhonov
    regularization).

    Args:
        deviation: the standard deviation of the noise, 0 or more.

    Raises:
        SettingError: the deviation is negative.
    """

    def __init__(self, deviation: float) -> None:
        super().__init__()
        if not deviation >= 0:
            raise SettingError(f"deviation is {deviation}; expected 0 or more.")
        self.deviation = float(deviation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs [...], with noise in training."""
        if not self.training or not self.deviation:
            return inputs
        return inputs + self.deviation * torch.randn_like(inputs)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"deviation={self.deviation:g}"
