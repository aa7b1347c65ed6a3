"""How surely a score is known: the same score of samples of what was asked."""

from collections.abc import Callable
from typing import Any

import numpy as np

# What a score is made of, a row for each thing that was asked.
Counts = np.ndarray[Any, Any]

# An interval is of so many samples.
DRAWS = 1000


def interval_of(
    counts: Counts, score: Callable[[Counts], Counts], seed: int = 0
) -> tuple[float, float]:
    """Return in which range a score lies in 95 of 100 bootstrap samples (Koehn 2004, Statistical
    significance tests for machine translation evaluation).

    Args:
        counts: what the score is made of, [N, K].
        score: gives scores [D] of sums [D, K].
        seed: of the samples.
    """
    draw = np.random.default_rng(seed)
    number = len(counts)
    times = draw.multinomial(number, np.full(number, 1 / number), size=DRAWS)
    low, high = np.quantile(score(times @ counts), (0.025, 0.975))
    return float(low), float(high)
