"""Whether the distance of two forecasts may be chance."""

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.bootstrap import block_sums, interval_of

Numbers = NDArray[np.float64]

# With fewer series even a difference of one sign in all of them is chance in more than 5 of 100
# cases: 2 / 2**6 = 0.03, 2 / 2**5 = 0.06 (sign test).
LEAST_SERIES = 6


def may_be_chance(distances: Numbers, overlap: int) -> bool:
    """Return whether the sum of distances may be on one side of zero by chance: 95 of 100 paired
    bootstrap samples of it are not on one side (Efron & Tibshirani 1993). Two things are resampled:

    - the origins: blocks of neighbouring ones whose forecasts overlap, of all series together
      (Politis & Romano 1992), because other times might decide otherwise;
    - the series, if there are ``LEAST_SERIES`` or more, because others might.

    The sum has to keep its side in both, where there is enough to resample. If there is not (all
    forecasts overlap, and there are few series), it may be chance. Series are resampled as if they
    were independent of each other. Where only few blocks of origins exist, the interval is too
    narrow rather than too wide.

    Args:
        distances: how much larger the error of one forecast is than that of the other from the same
            origin, [series, origins], the last origin of each series first; 0 where a series has
            fewer origins.
        overlap: how many neighbouring origins have forecasts that overlap; 1 if none do.
    """
    series, origins = distances.shape
    samples = []
    if origins > overlap:
        samples.append(block_sums(distances.sum(0), overlap))
    if series >= LEAST_SERIES:
        samples.append(block_sums(distances.sum(1), 1))
    return not samples or any(_holds_zero(sums) for sums in samples)


def _holds_zero(sums: Numbers) -> bool:
    low, high = interval_of(sums)
    return low <= 0 <= high
