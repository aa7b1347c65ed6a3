"""Quantiles whose bands are moved."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def whole_bands(quantiles: Numbers) -> Numbers:
    """Return quantiles of counts as whole numbers, bands outwards, [..., quantiles]."""
    middle = quantiles.shape[-1] // 2
    # What is a whole number but for rounding is one.
    steady = np.round(quantiles, 6)
    below, above = np.floor(steady[..., :middle]), np.ceil(steady[..., middle + 1 :])
    return np.concatenate([below, np.rint(steady[..., middle : middle + 1]), above], -1)


def widened(quantiles: Numbers, moved: Numbers) -> Numbers:
    """Return quantiles whose bands are moved outwards, but never across the median.

    Args:
        quantiles: [..., horizon, 2 levels + 1].
        moved: for each step ahead and each level, the widest first, [..., horizon, levels].
    """
    levels = moved.shape[-1]
    median = quantiles[..., levels : levels + 1]
    low = np.minimum(quantiles[..., :levels] - moved, median)
    high = np.maximum(quantiles[..., levels + 1 :] + moved[..., ::-1], median)
    # A wider level holds a narrower one.
    low = np.minimum.accumulate(low[..., ::-1], -1)[..., ::-1]
    high = np.maximum.accumulate(high, -1)
    return np.concatenate([low, median, high], -1)
