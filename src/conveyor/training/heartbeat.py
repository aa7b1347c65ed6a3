"""Shows progress during long epochs, where there is no progress bar."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

# After this many seconds without a line a user may think that the fit hangs.
SILENCE = 10.0


class Heartbeat(Callback):
    """Shows a line with epoch, batch and loss after every ``SILENCE`` seconds without a line.

    Args:
        say: called with the line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self._last = say, time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._last = time.monotonic()  # ``Progress`` has just shown a line for the epoch

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
