"""How a classifier says which of several labels hold."""

from dataclasses import dataclass

import torch
from torch import Tensor

# A label that fewer validation examples have than this has the threshold of all labels: one of its
# own would be chance (Yang 2001, A study on thresholding strategies for text categorization).
LEAST_OF_A_LABEL = 8

# Where nothing is known.
_HALF = 0.5


@dataclass(frozen=True)
class Several:
    """How several labels are said.

    Attributes:
        joint: what puts them together in a cell.
        thresholds: a label holds from this probability on, one for each class.
    """

    joint: str
    thresholds: tuple[float, ...]

    @staticmethod
    def untrained(joint: str, classes: int) -> "Several":
        """Return what is said before thresholds are chosen."""
        return Several(joint, (_HALF,) * classes)

    def holds(self, probabilities: Tensor) -> Tensor:
        """Return which labels hold, bool [..., classes].

        Args:
            probabilities: of each label, [..., classes].
        """
        return probabilities >= torch.tensor(self.thresholds, dtype=probabilities.dtype)


def best_thresholds(probabilities: Tensor, targets: Tensor) -> tuple[float, ...]:
    """Return the thresholds that make the F1 of each label greatest; of labels that few examples
    have, the one that makes the F1 of all labels together greatest.

    Args:
        probabilities: of each label, float64 [N, classes].
        targets: 1 where a label holds and 0 where it does not, [N, classes].
    """
    common = _best_threshold(probabilities.flatten(), targets.flatten())
    return tuple(
        _best_threshold(said, true) if true.sum() >= LEAST_OF_A_LABEL else common
        for said, true in zip(probabilities.T, targets.T, strict=True)
    )


def _best_threshold(said: Tensor, true: Tensor) -> float:
    """Return the threshold with the greatest F1; of equals the highest, between two
    probabilities."""
    if not true.any():
        return _HALF
    ordered, order = said.sort(descending=True, stable=True)
    right = true[order].double().cumsum(0)
    count = torch.arange(1, len(said) + 1)
    f1 = 2 * right / (count + float(true.sum()))
    # No threshold parts those that are equally sure.
    below = torch.cat([ordered[1:], ordered.new_full((1,), -torch.inf)])
    place = int(torch.where(ordered > below, f1, -1.0).argmax())
    return float((ordered[place] + below[place].clamp(min=0)) / 2)
