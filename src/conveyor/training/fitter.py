"""The module that Lightning trains: a network with its loss and its optimiser."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from conveyor.networks.network import Loss, Network
from conveyor.tasks.settings import Training
from conveyor.training.batches import Share
from conveyor.training.processes import sum_of_all
from conveyor.training.random_state import put_random_state, take_random_state


def clip_sparse(parameters: Sequence[nn.Parameter], most: float) -> None:
    """Bound the L2 norm of all gradients together, which are sparse.

    Args:
        parameters: those with gradients.
        most: the largest norm.
    """
    gradients = []
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad = parameter.grad.coalesce()  # each row once
        gradients.append(parameter.grad.values())
    norm = torch.stack([torch.linalg.vector_norm(values) for values in gradients]).norm()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    for values in gradients:
        values.mul_(factor)


class Fitter(pl.LightningModule):
    """A network with the steps of training and validation, and with its optimiser.

    Args:
        network: the network to fit.
        settings: how it is fitted.
        digest: the digest of data and cell; a run is resumed only if it is unchanged.
        in_order: whether batches come in order and the state is carried from one to the next
            (truncated backpropagation through time).
        usual_steps: of a chunk whose learning rate is the one of the settings; None for any.
    """

    def __init__(
        self,
        network: Network,
        settings: Training,
        digest: str,
        *,
        in_order: bool = False,
        usual_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.usual_steps, self._rate_share = usual_steps, 1.0
        self.model = network  # the names of weights in checkpoints begin with "model."
        self.settings, self.digest, self.in_order = settings, digest, in_order
        self._states: dict[str, Any] = {}
        # For each part: the sum of losses times their counts, and the sum of counts.
        self._sums: dict[str, Tensor] = {}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        settings = self.settings
        if settings.averages_after is not None:
            return torch.optim.SGD(self.model.parameters(), lr=settings.learning_rate)
        optimizer = self.model.optimizer(settings.learning_rate)
        if settings.average:
            return optimizer
        total = settings.epochs
        if settings.by_step:
            total = int(self.trainer.estimated_stepping_batches)

        def factor(done: int) -> float:
            return settings.rate_factor(done, total)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        interval = "step" if settings.by_step else "epoch"
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": interval},
        }

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        sparse = [
            parameter
            for parameter in self.model.parameters()
            if parameter.grad is not None and parameter.grad.is_sparse
        ]
        if sparse:  # torch's clipping takes dense gradients only
            clip_sparse(sparse, float(gradient_clip_val or math.inf))
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # After a resume, dropout draws the same numbers as without the stop.
        put_random_state(checkpoint, self.trainer.strategy.root_device)
        checkpoint["data_digest"] = self.digest

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # The network is moved to its device later.
        take_random_state(checkpoint, self.trainer.strategy.root_device)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Change the weights. Where chunks have lengths that are drawn, a longer one, whose mean
        loss says more, may change them more (Merity, Keskar & Socher 2018, section 5)."""
        groups = optimizer.param_groups
        rates = [group["lr"] for group in groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * self._rate_share
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def on_train_batch_start(self, batch: Share, batch_idx: int) -> None:
        self._rate_share = 1.0
        if self.usual_steps is not None:
            self._rate_share = len(batch.batch[0]) / self.usual_steps

    def on_train_epoch_start(self) -> None:
        self._begin("train")
        process = self.trainer.global_rank
        if process:
            # Each process draws its own dropout. Checkpoints hold the generator of the first
            # process only. The others are seeded at every epoch by seed, epoch and process.
            seed = (self.settings.seed * 2654435761 + self.current_epoch) * 1021 + process
            torch.manual_seed(seed % 2**63)

    def on_validation_epoch_start(self) -> None:
        self._begin("val")

    def on_train_epoch_end(self) -> None:
        self._log_mean("train")

    def on_validation_epoch_end(self) -> None:
        self._log_mean("val")

    def training_step(self, share: Share, number: int) -> Tensor:
        loss = self._loss(share, "train")
        processes = self.trainer.world_size
        if processes == 1 or self.in_order:  # in order, all processes have equally large shares
            return loss.minimised
        # Lightning takes the mean of the processes' gradients, but one process may have more of a
        # batch, or longer sequences. With these weights the mean is the gradient of the mean loss
        # over the whole batch.
        count = torch.tensor(float(loss.count), device=loss.value.device)
        weight = count * processes / sum_of_all(count, processes)
        return loss.minimised * weight.to(loss.value.dtype)

    def validation_step(self, share: Share, number: int) -> None:
        self._loss(share, "val")

    def _loss(self, share: Share, part: str) -> Loss:
        """Return the loss of a share, and add it to the sums of its epoch."""
        loss = self.model.loss(share.batch, self._states.get(part))
        if self.in_order:
            self._states[part] = loss.state
        value = loss.value.detach()
        found = [] if loss.found is None else [*loss.found]
        # Processes with the same share together count as one.
        count = loss.count / share.copies
        # MPS has no float64.
        dtype = torch.float32 if value.device.type == "mps" else torch.float64
        sums = torch.stack(
            [
                value.to(dtype) * count,
                torch.full_like(value, count, dtype=dtype),
                *(each.to(value.device, dtype) / share.copies for each in found),
            ]
        )
        self._sums[part] = sums + self._sums[part] if part in self._sums else sums
        return loss

    def _begin(self, part: str) -> None:
        self._states.pop(part, None)
        self._sums.pop(part, None)

    def _log_mean(self, part: str) -> None:
        """Log the mean loss of an epoch over all processes, and of the validation set the score
        that decides, where it is not the loss."""
        total, count, *found = sum_of_all(self._sums[part], self.trainer.world_size)
        # The sums are our own because Lightning's means over processes round the counts.
        self.log(f"{part}_loss", (total / count).float(), batch_size=1)
        if part == "val" and found:
            there, said, right = found
            self.log("val_score", (2 * right / (there + said).clamp(min=1)).float(), batch_size=1)
