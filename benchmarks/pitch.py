"""The pitch of a voice over time, by autocorrelation, and the tone whose contour is nearest."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# Seconds of a frame, and from one to the next; pitches of a voice, in hertz.
_FRAME, _HOP = 0.04, 0.01
_LOWEST, _HIGHEST = 60.0, 400.0

# A frame has a pitch where it is this much like itself a period later (1: the same), and no softer
# than this share of the loudest frame.
_ALIKE, _LOUD = 0.6, 0.05

# A contour has this many numbers.
POINTS = 20


def pitch(samples: NDArray[np.floating], rate: int) -> Numbers:
    """Return the pitch of each frame in hertz, [frames]; NaN where there is none.

    The normalised autocorrelation of each frame is greatest at the period (Boersma 1993, Accurate
    short-term analysis of the fundamental frequency, without its interpolation).

    Args:
        samples: of one channel, [N].
        rate: samples a second.
    """
    size, hop = round(_FRAME * rate), round(_HOP * rate)
    shortest, longest = int(rate / _HIGHEST), int(rate / _LOWEST)
    if len(samples) < size + longest:
        return np.full(0, np.nan)
    frames = []
    for begin in range(0, len(samples) - size - longest, hop):
        part = np.asarray(samples[begin : begin + size + longest], dtype=np.float64)
        first = part[:size]
        energy = np.cumsum(np.concatenate([[0.0], part**2]))
        own = energy[size]
        lags = np.arange(shortest, longest)
        products = np.correlate(part[shortest : longest + size - 1], first, mode="valid")
        other = energy[lags + size] - energy[lags]
        alike = products / np.sqrt(np.maximum(own * other, 1e-20))
        # Of periods that fit alike the shortest is that of the voice.
        fitting = np.flatnonzero(alike > alike.max() - 0.05)
        # The peak that the first of them lies on.
        place = int(fitting[0])
        while place + 1 < len(alike) and alike[place + 1] > alike[place]:
            place += 1
        frames.append((own, alike[place], rate / lags[place]))
    loudness, alike, pitches = (np.array(column) for column in zip(*frames, strict=True))
    voiced = (alike > _ALIKE) & (np.sqrt(loudness) > _LOUD * np.sqrt(loudness.max()))
    return np.where(voiced, pitches, np.nan)


def contour(samples: NDArray[np.floating], rate: int) -> Numbers | None:
    """Return the pitch from the first to the last frame that has one, in octaves above 100 hertz,
    as ``POINTS`` numbers; None where fewer than five frames have one."""
    pitches = pitch(samples, rate)
    places = np.flatnonzero(~np.isnan(pitches))
    if len(places) < 5:
        return None
    at = np.linspace(places[0], places[-1], POINTS)
    return np.interp(at, places, np.log2(pitches[places] / 100))


def nearest(asked: Numbers, known: Mapping[int, Sequence[Numbers]]) -> int:
    """Return the tone whose mean contour is nearest, by the mean distance in octaves.

    Args:
        asked: a contour.
        known: contours of each tone, one or more.
    """
    distances = {
        tone: float(np.abs(asked - np.mean(contours, 0)).mean()) for tone, contours in known.items()
    }
    return min(distances, key=distances.__getitem__)
