"""Samples of sound as numbers of 8 bits, whose steps are finer where the sound is soft.

    f(x) = sgn(x) ln(1 + 255 |x|) / ln 256        q = floor((f + 1) / 2 · 255 + 1/2)

This is µ-law with µ = 255 as van den Oord et al. (2016, WaveNet, section 2.2) use it. Silence lies
between two levels, of which 128 is taken.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.audio_file import Samples

# How many levels there are.
LEVELS = 256

_MU = LEVELS - 1


def mu_law_levels(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the level of each sample, 0 to 255.

    Args:
        samples: of any shape; what is beyond -1 to 1 gets the outermost level.
    """
    wave = np.clip(np.asarray(samples, np.float64), -1, 1)
    folded = np.sign(wave) * np.log1p(_MU * np.abs(wave)) / np.log1p(_MU)
    levels: NDArray[np.uint8] = np.floor((folded + 1) / 2 * _MU + 0.5).astype(np.uint8)
    return levels


def mu_law_samples(levels: NDArray[Any]) -> Samples:
    """Return the sample in the middle of each level.

    Args:
        levels: 0 to 255, of any shape.
    """
    folded = 2 * np.asarray(levels, np.float64) / _MU - 1
    wave: Samples = (np.sign(folded) * np.expm1(np.abs(folded) * np.log1p(_MU)) / _MU).astype(
        np.float32
    )
    return wave
