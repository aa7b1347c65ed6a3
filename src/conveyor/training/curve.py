"""The losses of a fit by epoch, the best epoch, and the rule that ends a fit.

The best epoch is the one with the least loss on the validation set; or, for a network that is
judged by another score, the one with the highest score there, and of equals the least loss.
"""

import math
from dataclasses import dataclass, field

from conveyor.networks.network import LOSS
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
        by: the name of what decides, "loss" or a score of which more is better.
        scores: of the validation set, one for each epoch; none if the loss decides.
    """

    rows: list[Row] = field(default_factory=list)
    kept: int = 0
    seconds: float = 0.0
    by: str = LOSS
    scores: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return len(self.rows)

    def add(self, training: float, validation: float, score: float | None = None) -> bool:
        """Add an epoch's losses.

        Args:
            training, validation: the losses.
            score: of the validation set; None if the loss decides.

        Returns:
            Whether it is the best epoch so far, so that the weights should be kept.
        """
        self.rows.append((self.epochs + 1, training, validation))
        if self.by != LOSS:
            assert score is not None
            self.scores.append(score)
        if math.isfinite(validation) and (not self.kept or self._order(-1) < self._order()):
            self.kept = self.epochs
        return self.kept == self.epochs

    def _order(self, place: int | None = None) -> tuple[float, float]:
        """Return a key that sorts epochs, the best first: of the one that is kept, or of another
        place."""
        at = self.kept - 1 if place is None else place
        return (-self.scores[at] if self.by != LOSS else 0.0, self.rows[at][2])

    def averaged_from(self, trigger: int) -> int:
        """Return after which epoch weights are averaged, 0 if that is not yet: after the first
        whose loss on the validation set is above the least of all but the last ``trigger`` epochs
        before it (Merity, Keskar & Socher 2018, algorithm 1).

        Args:
            trigger: n in the paper.
        """
        losses = [validation for _, _, validation in self.rows]
        for place in range(trigger + 1, len(losses)):
            if losses[place] > min(losses[: place - trigger]):
                return place + 1
        return 0

    def over(self, settings: Training) -> str:
        """Return why the fit is over, or an empty text if it is not."""
        if self.rows and not math.isfinite(self.rows[-1][2]):
            return f"the validation loss was {self.rows[-1][2]} in epoch {self.epochs}"
        if self.epochs >= settings.epochs:
            return ALL_DONE
        since = self.kept
        if settings.averages_after is not None:
            # Averages are to mend what gets no better: patience begins with them.
            begun = self.averaged_from(settings.averages_after)
            since = max(since, begun) if begun else self.epochs
        if self.epochs - since >= settings.patience:
            return f"no better validation {self.by} for {settings.patience} epochs"
        return ""
