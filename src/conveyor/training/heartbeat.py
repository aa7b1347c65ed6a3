"""A sign of life while an epoch is long."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

# Seconds without a line after which a log looks dead.
SILENCE = 10.0


class Heartbeat(Callback):
    """Says where a training is, where nobody sees a bar: a line whenever nothing was said for
    ``SILENCE`` seconds.

    Args:
        say: where the line goes.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self._last = say, time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._last = time.monotonic()  # the epoch has a line of its own

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if time.monotonic() - self._last < SILENCE:
            return
        self._last = time.monotonic()
        loss = float(outputs["loss"])
        self.say(
            f"epoch {trainer.current_epoch + 1:>3}  batch {batch_idx + 1:,} of "
            f"{trainer.num_training_batches:,}  training {loss:.4f}"
        )
