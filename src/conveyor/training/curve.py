"""The losses of a fit by epoch, the best epoch, and the rule that ends a fit."""

import math
from dataclasses import dataclass, field

from conveyor.tasks.settings import Training

Row = tuple[int, float, float]

# The reason why a fit ended that has done all of its epochs.
ALL_DONE = "all epochs done"


@dataclass
class Curve:
    """The course of a fit. Checkpoints hold it as a dictionary.

    Attributes:
        rows: a row (epoch, training loss, validation loss) for each epoch, counted from 1.
        kept: the epoch whose weights are kept, 0 for none.
        seconds: how long the fit has taken.
    """

    rows: list[Row] = field(default_factory=list)
    kept: int = 0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return len(self.rows)

    def add(self, training: float, validation: float) -> bool:
        """Add an epoch's losses.

        Returns:
            Whether the validation loss is the lowest so far, so that the weights should be kept.
        """
        self.rows.append((self.epochs + 1, training, validation))
        least = self.rows[self.kept - 1][2] if self.kept else math.inf
        if validation < least:
            self.kept = self.epochs
        return self.kept == self.epochs

    def over(self, settings: Training) -> str:
        """Return why the fit is over, or an empty text if it is not."""
        if self.rows and not math.isfinite(self.rows[-1][2]):
            return f"the validation loss was {self.rows[-1][2]} in epoch {self.epochs}"
        if self.epochs >= settings.epochs:
            return ALL_DONE
        if self.epochs - self.kept >= settings.patience:
            return f"no better validation loss for {settings.patience} epochs"
        return ""
