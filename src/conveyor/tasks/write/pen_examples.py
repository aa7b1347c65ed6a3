"""Handwriting to learn from, as batches of movements of the pen and characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.padded import padded


class PenBatch(NamedTuple):
    """Movements [T, B, 3], of which ``lengths`` count, and numbers of characters [U, B], of which
    ``character_counts`` count."""

    movements: Tensor
    lengths: Tensor
    characters: Tensor
    character_counts: Tensor


@dataclass(frozen=True, eq=False)
class PenExamples(Dataset[PenBatch]):
    """Texts that were written with a pen.

    Attributes:
        movements: of each, [T, 3]: how far the pen goes in both directions, as a share of their
            deviation, and 1 where it is lifted then.
        characters: numbers of its characters, and 0 for the end, [U + 1].
        texts: of each.
        places: how messages name each.
    """

    movements: list[Tensor]
    characters: list[Tensor]
    texts: list[str]
    places: list[str]

    def __len__(self) -> int:
        return len(self.movements)

    def __getitem__(self, number: int) -> PenBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> PenBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        characters = [self.characters[number] for number in numbers]
        return PenBatch(*padded([self.movements[n] for n in numbers]), *padded(characters))

    @property
    def lengths(self) -> list[int]:
        """The movements of each."""
        return [len(movements) for movements in self.movements]

    def by_length(self) -> "PenExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        order = sorted(range(len(self)), key=self.lengths.__getitem__)
        return PenExamples(
            [self.movements[n] for n in order],
            [self.characters[n] for n in order],
            [self.texts[n] for n in order],
            [self.places[n] for n in order],
        )


def thinned(points: NDArray[np.float64], every: int) -> NDArray[np.float64]:
    """Return every so many-th point of each stroke, from its first, and its last; the first point
    of all and two or more."""
    last = points[:, 2] > 0
    begins = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1]) if last.any() else np.array([0])
    number = np.arange(len(points)) - np.repeat(begins, np.diff(np.append(begins, len(points))))
    kept: NDArray[np.float64] = points[(number % every == 0) | last]
    return kept


def movements_of(
    points: NDArray[np.float64], deviation: tuple[float, float], stretch: float
) -> Tensor:
    """Return points [T + 1, 3] as movements [T, 3].

    Args:
        points: x, y, and 1 at the last point of a stroke, else 0. Where the first is a stroke of
            its own, a dot, there is a movement more, to that point.
        deviation: of the movements in both directions, by which they are divided.
        stretch: what x is multiplied by.
    """
    scale = np.array([stretch / deviation[0], 1 / deviation[1]])
    if points[0, 2]:
        points = np.concatenate([points[:1] * [1, 1, 0], points])
    moved = np.diff(points[:, :2], axis=0) * scale
    return torch.from_numpy(np.concatenate([moved, points[1:, 2:]], 1)).float()


def before_each(movements: Tensor) -> Tensor:
    """Return the movement before each, [T, ...], zeros before the first."""
    return torch.cat([torch.zeros_like(movements[:1]), movements[:-1]])


def points_of(movements: Tensor, deviation: tuple[float, float]) -> NDArray[np.float64]:
    """Return movements [T, 3] as points [T + 1, 3], the first of which is at 0, with x and y in the
    same units; see ``movements_of``."""
    moved = movements.double().numpy()
    scale = np.array(deviation)
    points = np.zeros((len(moved) + 1, 3))
    points[1:, :2] = (moved[:, :2] * scale).cumsum(0)
    points[1:, 2] = moved[:, 2]
    points[-1, 2] = 1
    return points


def deviation_of(points: Sequence[NDArray[np.float64]], stretch: float) -> tuple[float, float]:
    """Return the standard deviation of the movements in both directions, 1 where all are the
    same."""
    moved = np.concatenate([np.diff(each[:, :2], axis=0) for each in points])
    across, down = moved.std(0) * np.array([stretch, 1])
    return float(across) or 1.0, float(down) or 1.0
