"""Filling missing values from the past."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def fill_forward(columns: Numbers) -> Numbers:
    """Replace every NaN of [T, K] columns by the last number before it; a NaN without one stays.

    Only the past is used, because a gap that is filled from both sides would leak the future.
    """
    row = np.where(np.isnan(columns), 0, np.arange(len(columns))[:, None])
    return np.asarray(columns[np.maximum.accumulate(row), np.arange(columns.shape[1])])
