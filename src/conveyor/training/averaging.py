"""Averages of the weights over training."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

# How fast averages of weights forget: after n steps, those of the last n / 9 have two thirds of the
# weight (Shamir & Zhang 2013, Stochastic gradient descent for non-smooth optimization, section 3,
# eta = 8). So an average is good at any time, and nothing need be known of how long a fit will be.
_FORGETTING = 8


class Averaging(WeightAveraging):
    """Averages the weights: validation, checkpoints and the fitted network have the averages.

    Attributes:
        validated: the averages at the latest validation.
    """

    def __init__(self) -> None:
        super().__init__(avg_fn=average_of)
        self.validated: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the averages, which are in the module during a validation only."""
        state: dict[str, Any] = pl_module.state_dict()
        self.validated = {name: tensor.clone() for name, tensor in state.items()}
        super().on_validation_epoch_end(trainer, pl_module)


def average_of(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """Return the average of weights after one more step.

    Args:
        average: of the weights of the steps before.
        current: the weights after this step.
        count: how many steps the average is of.
    """
    share = (_FORGETTING + 1) / (count + 1 + _FORGETTING)
    return average + share * (current - average)
