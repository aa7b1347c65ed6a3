"""What Lightning fits: a network with its loss and its optimiser."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from conveyor.networks.network import Loss, Network
from conveyor.tasks.settings import Training
from conveyor.training.batches import Share
from conveyor.training.processes import sum_of_all


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
        self._sums: dict[str, Tensor] = {}  # of losses times counts, and of counts

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
        self._begin("train")
        process = self.trainer.global_rank
        if process:
            # Each process draws its own dropout. Checkpoints hold the state of the first only, so
            # the others begin every epoch from what seed, epoch and process say.
            seed = (self.settings.seed * 2654435761 + self.current_epoch) * 1021 + process
            torch.manual_seed(seed % 2**63)

    def on_validation_epoch_start(self) -> None:
        self._begin("val")

    def on_train_epoch_end(self) -> None:
        self._tell("train")

    def on_validation_epoch_end(self) -> None:
        self._tell("val")

    def training_step(self, share: Share, number: int) -> Tensor:
        loss = self._loss(share, "train")
        processes = self.trainer.world_size
        if processes == 1 or self.in_order:  # streams: as many numbers in each process
            return loss.value
        # Lightning takes the mean of the processes' gradients, and one may have more of a batch, or
        # longer sequences: weighted, it is the gradient of the mean over the whole batch.
        count = torch.tensor(float(loss.count), device=loss.value.device)
        weight = count * processes / sum_of_all(count, processes)
        return loss.value * weight.to(loss.value.dtype)

    def validation_step(self, share: Share, number: int) -> None:
        self._loss(share, "val")

    def _loss(self, share: Share, part: str) -> Loss:
        """The loss of a share, added to those of its epoch."""
        loss = self.model.loss(share.batch, self._states.get(part))
        if self.in_order:
            self._states[part] = loss.state
        value = loss.value.detach()
        # Processes with the same share count as one together. MPS has no float64.
        count = loss.count / share.copies
        kind = torch.float32 if value.device.type == "mps" else torch.float64
        both = torch.stack([value.to(kind) * count, torch.full_like(value, count, dtype=kind)])
        self._sums[part] = both + self._sums[part] if part in self._sums else both
        return loss

    def _begin(self, part: str) -> None:
        self._states.pop(part, None)
        self._sums.pop(part, None)

    def _tell(self, part: str) -> None:
        """Log the mean loss of an epoch, over all that all processes have seen."""
        total, count = sum_of_all(self._sums[part], self.trainer.world_size)
        # Added up here: Lightning's own means over processes round the counts.
        self.log(f"{part}_loss", (total / count).float(), batch_size=1)
