"""Log-mel frames of a wave: what a network hears, of a whole wave or of one that is still growing.

    y_t = x_t - p x_{t-1}                                      pre-emphasis; the first sample stays
    S[t, k] = |rfft(hann · y[t hop : t hop + window], n)[k]|²
    F[t, m] = log(max(Σ_k B[m, k] S[t, k], floor))

B are triangles of height 1 whose corners are equally far apart in mel(f) = 2595 log10(1 + f / 700)
(Davis & Mermelstein 1980; this form of the scale is O'Shaughnessy's). Other libraries differ in the
scale, the triangles, the padding, power or magnitude, and the floor: frames of one are no frames of
another, so that a run keeps all of this.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.data.records import to_record
from conveyor.errors import SettingError, ShapeError

Numbers = NDArray[np.float64]

# Frames that are worked out at once: their spectra take some ten megabytes.
_AT_ONCE = 4096


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def _hertz(mel: Numbers) -> Numbers:
    hertz: Numbers = 700 * (10 ** (mel / 2595) - 1)
    return hertz


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """Makes log-mel frames of waves.

        >>> frames = LogMel(rate=8000)(wave)  # [samples] -> [T, 40]

    Args:
        rate: samples a second.
        window: samples of a frame; 0 for 25 ms.
        hop: samples from one frame to the next; 0 for 10 ms.
        bands: numbers of a frame.
        low, high: the lowest and the highest frequency, in hertz; 0 for 60 Hz at 8 kHz, for 20 Hz
            at 16 kHz and above, and for 0.475 of the rate.
        emphasis: p above; 0 for none.
        floor: the least energy of a band, of samples from -1 to 1.

    Raises:
        SettingError: they do not fit each other, or a band would be empty.
    """

    rate: int
    window: int = 0
    hop: int = 0
    bands: int = 40
    low: float = 0.0
    high: float = 0.0
    emphasis: float = 0.97
    floor: float = 1e-10

    def __post_init__(self) -> None:
        defaults = {
            "window": round(0.025 * self.rate),
            "hop": round(0.010 * self.rate),
            "low": 20.0 if self.rate >= 16_000 else 60.0,
            "high": 0.475 * self.rate,
        }
        for name, value in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
        is_right = (
            1 <= self.hop <= self.window <= 10 * self.rate
            and 0 <= self.low < self.high <= self.rate / 2
            and 0 <= self.emphasis < 1
            and self.floor > 0
            and 1 <= self.bands <= self.window
        )
        if not is_right:
            raise SettingError(
                f"these frames cannot be made: {self}. Expected 1 ≤ hop ≤ window (at most 10 "
                "seconds), 0 ≤ low < high ≤ rate / 2, 0 ≤ emphasis < 1, a positive floor and at "
                "most as many bands as a window has samples."
            )
        if (self.bank.sum(0) == 0).any():
            raise SettingError(
                f"{self.bands} bands between {self.low:g} and {self.high:g} Hz are narrower than a "
                f"window of {self.window} samples can tell apart. Give fewer bands."
            )

    @property
    def points(self) -> int:
        """Points of the Fourier transform: the next power of two."""
        return 1 << (self.window - 1).bit_length()

    @cached_property
    def hann(self) -> Numbers:
        """What a frame is multiplied by, [window]."""
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)

    @cached_property
    def bank(self) -> Numbers:
        """The triangles B, [points / 2 + 1, bands]. In NumPy, for networks are built without memory
        while they are loaded."""
        corners = _hertz(np.linspace(_mel(self.low), _mel(self.high), self.bands + 2))
        bins = np.arange(self.points // 2 + 1)[:, None] * self.rate / self.points
        rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
        falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
        return np.minimum(rising, falling).clip(min=0)

    def count(self, samples: int) -> int:
        """Return how many frames a wave has: only whole windows count, and a wave shorter than one
        is filled up with zeros."""
        if samples < self.window:
            return int(samples > 0)
        return 1 + (samples - self.window) // self.hop

    def __call__(self, wave: Tensor) -> Tensor:
        """Return the frames of a wave, float32 [T, bands].

        Args:
            wave: samples from -1 to 1, [N].

        Raises:
            ShapeError: the wave has another number of axes.
        """
        stream = self.stream()
        return torch.cat([stream.push(wave), stream.finish()])

    def stream(self) -> "LogMelStream":
        """Return what makes the same frames of a wave that comes in pieces."""
        return LogMelStream(self)

    def frames_of(self, emphasised: Tensor) -> Tensor:
        """Return the frames of a wave after pre-emphasis, float64 [N] -> float32 [T, bands]; none
        of one that is shorter than a window."""
        if len(emphasised) < self.window:
            return emphasised.new_zeros(0, self.bands, dtype=torch.float32)
        cut = emphasised.unfold(0, self.window, self.hop)
        hann, bank = (
            torch.from_numpy(each).to(emphasised.device) for each in (self.hann, self.bank)
        )
        parts = []
        for first in range(0, len(cut), _AT_ONCE):
            spectra = torch.fft.rfft(cut[first : first + _AT_ONCE] * hann, self.points)
            power = spectra.real.square() + spectra.imag.square()
            parts.append((power @ bank).clamp(min=self.floor).log().float())
        return torch.cat(parts)

    def description(self) -> dict[str, Any]:
        """Return the frames as JSON holds them."""
        return asdict(self)

    @staticmethod
    def described(description: Mapping[str, Any], where: str) -> "LogMel":
        """Return the frames of a description.

        Args:
            description: what ``description`` gave, from a file that may hold anything.
            where: the file, for errors.

        Raises:
            SettingError: the description is none.
        """
        return to_record(LogMel, dict(description), where)


class LogMelStream:
    """Makes the frames of a wave that comes in pieces: together those of the whole wave, however it
    is cut.

    Args:
        frames: how they are made.
    """

    def __init__(self, frames: LogMel) -> None:
        self.frames = frames
        self._rest = torch.zeros(0, dtype=torch.float64)
        self._last: Tensor | None = None
        self._has_frame = False

    def push(self, samples: Tensor) -> Tensor:
        """Return the frames that these further samples complete, float32 [T, bands].

        Args:
            samples: from -1 to 1, [N].

        Raises:
            ShapeError: they have another number of axes.
        """
        if samples.dim() != 1:
            raise ShapeError(f"samples have {samples.dim()} axes; expected one, of one channel.")
        here = samples.double()
        self._rest = self._rest.to(here.device)
        if not len(here):
            return here.new_zeros(0, self.frames.bands, dtype=torch.float32)
        before = here.new_zeros(1) if self._last is None else self._last
        self._last = here[-1:]
        emphasised = here - self.frames.emphasis * torch.cat([before, here[:-1]])
        self._rest = torch.cat([self._rest, emphasised])
        frames = self.frames.frames_of(self._rest)
        self._rest = self._rest[len(frames) * self.frames.hop :].clone()
        self._has_frame = self._has_frame or len(frames) > 0
        return frames

    def finish(self) -> Tensor:
        """Return the frame of a wave that was shorter than a window; none of any other."""
        if self._has_frame or not len(self._rest):
            return self._rest.new_zeros(0, self.frames.bands, dtype=torch.float32)
        filled = self._rest.new_zeros(self.frames.window)
        filled[: len(self._rest)] = self._rest
        self._has_frame = True
        return self.frames.frames_of(filled)
