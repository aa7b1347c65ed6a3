"""How far apart two sounds are: mel-cepstral distortion, with time warped so that they fit
(Kubichek 1993, Mel-cepstral distance measure for objective speech quality assessment).

    c_d = 1/M Σ_m F_m cos(π d (m + 1/2) / M)    of a log-mel frame F, d = 1 to 13
    MCD = 10 / ln 10 · √(2 Σ_d (c_d - c'_d)²)   the mean over the pairs of frames of a path

That is the root of the mean squared difference in decibels of both frames, smoothed, whatever their
loudness, for c_0 does not count. Energies more than 50 decibels below the loudest of a recording
count as that: what microphones hear in pauses is no speech. It is made of log-mel frames; that of
other programs, of other frames, is another number.
"""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.float64]

# Coefficients that count; c_0 is loudness.
COEFFICIENTS = 13
_DECIBELS = 10 / math.log(10) * math.sqrt(2)
# Nats of energy below the loudest that count: 50 decibels.
_RANGE = 5 * math.log(10)


def cepstra(log_mel: Tensor) -> Numbers:
    """Return c_1 to c_13 of the frames of a recording, [T, 13], fewer of frames of fewer bands.

    Args:
        log_mel: [T, bands].
    """
    bands = log_mel.shape[1]
    order = np.arange(1, min(COEFFICIENTS, bands - 1) + 1)
    waves = np.cos(np.pi * (np.arange(bands)[:, None] + 0.5) * order / bands)
    energies = log_mel.double().numpy()
    values: Numbers = energies.clip(min=energies.max() - _RANGE) @ waves / bands
    return values


def distortion(one: Numbers, other: Numbers) -> float:
    """Return the mel-cepstral distortion of two sounds in decibels.

    Args:
        one, other: cepstra, [T, D] each, of one frame or more.
    """
    squares = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    costs = _DECIBELS * np.sqrt(squares.clip(min=0))
    total, pairs = warped(costs)
    return total / pairs


def warped(costs: Numbers) -> tuple[float, int]:
    """Return the least sum of costs along a path, and how many pairs it has.

    A path goes from the first pair to the last, by (1, 0), (0, 1) or (1, 1) (Sakoe & Chiba 1978);
    of equal ones the one with fewer pairs is taken.

    Args:
        costs: of each pair of frames, [T, U].
    """
    rows, columns = costs.shape
    # By anti-diagonals, all of whose pairs are known at once: row r of a diagonal d is (r, d - r).
    empty = np.full(rows + 1, np.inf)
    last, last_pairs = empty.copy(), np.zeros(rows + 1)
    before, before_pairs = empty.copy(), np.zeros(rows + 1)
    before[0] = 0.0  # what stands diagonally before the first pair
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        inside = np.arange(low, high)
        # At r + 1 of an array stands row r: (1, 1) comes from row r - 1 two diagonals before.
        sums = np.stack([before[inside], last[inside], last[inside + 1]])
        pairs = np.stack([before_pairs[inside], last_pairs[inside], last_pairs[inside + 1]])
        way = np.lexsort((pairs, sums), axis=0)[0]
        here, here_pairs = empty.copy(), np.zeros(rows + 1)
        taken = np.arange(len(inside))
        here[inside + 1] = sums[way, taken] + costs[inside, diagonal - inside]
        here_pairs[inside + 1] = pairs[way, taken] + 1
        before, before_pairs, last, last_pairs = last, last_pairs, here, here_pairs
    return float(last[rows]), int(last_pairs[rows])
