"""Strokes of a pen as its movements, and back."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
