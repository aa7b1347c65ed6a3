"""The picture of the training set that looks most like a drawn one."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Pictures that are compared at once.
_AT_ONCE = 4096


def nearest_known(drawn: Tensor, known: Sequence[Tensor]) -> tuple[list[int], list[float]]:
    """Return the number of the nearest known picture for each drawn one, by the sum of squared
    differences of their pixels, and the square root of that sum by pixel.

    Args:
        drawn: [count, rows, columns].
        known: one or more, [rows, columns] each.
    """
    flat = drawn.flatten(1)
    least = torch.full((len(flat),), torch.inf)
    nearest = torch.zeros(len(flat), dtype=torch.long)
    for first in range(0, len(known), _AT_ONCE):
        others = torch.stack([*known[first : first + _AT_ONCE]]).float().flatten(1)
        distances, places = torch.cdist(flat, others).min(1)
        closer = distances < least
        least = torch.where(closer, distances, least)
        nearest = torch.where(closer, places + first, nearest)
    apart = least / flat.shape[1] ** 0.5
    return nearest.tolist(), apart.tolist()
