"""The losses of a fit by epoch: which epoch is best, and when it is time to end."""

import math
from dataclasses import dataclass, field

from conveyor.tasks.settings import Training

Row = tuple[int, float, float]

# Why a fit ended that went through all of its epochs.
ALL_DONE = "all epochs done"


@dataclass
class Curve:
    """The progress of a fit, which checkpoints hold as a dictionary.

    Args:
        rows: (epoch, training loss, validation loss) for each epoch, from epoch 1 on.
        kept: the epoch whose weights are kept, 0 for none.
        seconds: how long the fit has taken.
    """

    rows: list[Row] = field(default_factory=list)
    kept: int = 0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Return how many epochs are done."""
        return len(self.rows)

    def add(self, training: float, validation: float) -> bool:
        """Add an epoch's losses.

        Returns:
            Whether its validation loss is the least so far, so that its weights must be kept.
        """
        self.rows.append((self.epochs + 1, training, validation))
        least = self.rows[self.kept - 1][2] if self.kept else math.inf
        if validation < least:
            self.kept = self.epochs
        return self.kept == self.epochs

    def over(self, settings: Training) -> str:
        """Return why the fit is over; empty as long as it is not."""
        if self.rows and not math.isfinite(self.rows[-1][2]):
            return f"the validation loss was {self.rows[-1][2]} in epoch {self.epochs}"
        if self.epochs >= settings.epochs:
            return ALL_DONE
        if self.epochs - self.kept >= settings.patience:
            return f"no better validation loss for {settings.patience} epochs"
        return ""
