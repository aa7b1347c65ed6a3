"""Averages of the weights over training."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from conveyor.training.curve import Curve

# How fast averages of weights forget: after n steps, those of the last n / 9 have two thirds of the
# weight (Shamir & Zhang 2013, Stochastic gradient descent for non-smooth optimization, section 3,
# eta = 8). So an average is good at any time, and nothing need be known of how long a fit will be.
_FORGETTING = 8


class Averaging(WeightAveraging):
    """Averages the weights: validation, checkpoints and the fitted network have the averages.

    Args:
        average: ``average_of`` or ``mean_of``.

    Attributes:
        validated: the averages at the latest validation.
    """

    def __init__(self, average: Callable[[Tensor, Tensor, Tensor | int], Tensor]) -> None:
        super().__init__(avg_fn=average)
        self.validated: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the averages, which are in the module during a validation only."""
        state: dict[str, Any] = pl_module.state_dict()
        self.validated = {name: tensor.clone() for name, tensor in state.items()}
        super().on_validation_epoch_end(trainer, pl_module)


class LateAveraging(Averaging):
    """Averages the weights from when the validation set is answered no better: until then all is
    as without averages (Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language
    models, algorithm 1). When that is the curve says, so that a resumed fit goes on as it was.

    Args:
        curve: of the fit.
        trigger: see ``Curve.averaged_from``.
    """

    def __init__(self, curve: Curve, trigger: int) -> None:
        super().__init__(mean_of)
        self._curve, self._trigger = curve, trigger

    @property
    def _holds_averages(self) -> bool:
        model = self._average_model
        return model is not None and int(model.n_averaged) > 0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return whether weights are averaged now: after a step, once that has begun."""
        return step_idx is not None and self._curve.averaged_from(self._trigger) > 0

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the averages into the module, once there are some."""
        if self._holds_averages:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the averages, once there are some, and take them out of the module."""
        if self._holds_averages:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the averages in the module, if there are some."""
        if self._holds_averages:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write the averages as the weights, and the weights beside them, once there are some."""
        if self._holds_averages:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with averages, if the checkpoint has some."""
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def mean_of(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """Return the mean of weights after one more step.

    Args:
        average: the mean of the weights of the steps before.
        current: the weights after this step.
        count: how many steps the mean is of.
    """
    return average + (current - average) / (count + 1)


def average_of(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """Return the average of weights after one more step.

    Args:
        average: of the weights of the steps before.
        current: the weights after this step.
        count: how many steps the average is of.
    """
    share = (_FORGETTING + 1) / (count + 1 + _FORGETTING)
    return average + share * (current - average)
