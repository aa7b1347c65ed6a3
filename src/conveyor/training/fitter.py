"""What Lightning fits: a network with its loss and its optimiser."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from conveyor.networks.network import Network
from conveyor.tasks.settings import Training


class Fitter(pl.LightningModule):
    """What Lightning asks for: one step of training, one of validation, the optimiser.

    Args:
        network: what is fitted.
        settings: how.
        digest: of data and cell: a run is only resumed on what it began with.
        in_order: batches come in order, and the state is carried from one to the next (truncated
            backpropagation through time).
    """

    def __init__(
        self, network: Network, settings: Training, digest: str, *, in_order: bool = False
    ) -> None:
        super().__init__()
        self.model = network  # checkpoints know it by this name
        self.settings, self.digest, self.in_order = settings, digest, in_order
        self._states: dict[str, Any] = {}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        adam = torch.optim.Adam(self.model.parameters(), lr=self.settings.learning_rate)
        epochs = self.settings.epochs

        def share(epoch: int) -> float:
            # Half a cosine from 1 to a twentieth: late epochs settle instead of jumping about.
            return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1)))

        schedule = torch.optim.lr_scheduler.LambdaLR(adam, share)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # So that dropout after a resume draws what it would have drawn without the stop.
        checkpoint["random_state"] = torch.get_rng_state()
        checkpoint["data_digest"] = self.digest

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(checkpoint["random_state"])

    def on_train_epoch_start(self) -> None:
        self._states.pop("train", None)

    def on_validation_epoch_start(self) -> None:
        self._states.pop("val", None)

    def training_step(self, batch: Any, number: int) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: Any, number: int) -> None:
        self._loss(batch, "val")

    def _loss(self, batch: Any, part: str) -> Tensor:
        loss = self.model.loss(batch, self._states.get(part))
        if self.in_order:
            self._states[part] = loss.state
        self.log(
            f"{part}_loss",
            loss.value,
            on_step=False,
            on_epoch=True,
            batch_size=loss.count,
            sync_dist=part == "val",
        )
        return loss.value
