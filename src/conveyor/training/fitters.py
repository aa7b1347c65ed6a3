"""What Lightning fits: a model with its loss and its optimiser."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from conveyor.data.synthetic.batch import Batch
from conveyor.networks.readout import Readout
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.settings import Training
from conveyor.tasks.text.language_model import LanguageModel


class Fitter(pl.LightningModule):
    """What Lightning asks for: one step of training, one of validation, the optimiser."""

    def __init__(
        self, model: Forecaster | LanguageModel | Readout, settings: Training, digest: str
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.settings = settings
        self.digest = digest  # of data and cell: a run is only resumed on what it began with

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


class WindowFitter(Fitter):
    """Fits a forecaster on windows in random order."""

    model: Forecaster

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        history, future = batch
        loss = self.model.loss(history, future)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(history))
        return loss

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        history, future = batch
        loss = self.model.loss(history, future)
        self.log("val_loss", loss, batch_size=len(history), sync_dist=True)


class StreamFitter(Fitter):
    """Fits a language model by truncated BPTT: chunks in order, the state carried over."""

    model: LanguageModel

    def on_train_epoch_start(self) -> None:
        self._state: Any = None

    def on_validation_epoch_start(self) -> None:
        self._validation_state: Any = None

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        read, following = batch
        loss, self._state = self.model.loss(read, following, self._state)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=read.numel())
        return loss

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        read, following = batch
        loss, self._validation_state = self.model.loss(read, following, self._validation_state)
        self.log("val_loss", loss, batch_size=read.numel())


class SequenceFitter(Fitter):
    """Fits a network with a readout on whole sequences in random order."""

    model: Readout

    def training_step(self, batch: Batch, number: int) -> Tensor:
        loss = self.model.loss(batch)
        answers = self.model.answers(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=answers)
        return loss

    def validation_step(self, batch: Batch, number: int) -> None:
        self.log("val_loss", self.model.loss(batch), batch_size=self.model.answers(batch))
