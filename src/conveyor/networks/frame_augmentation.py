"""Changes what a network hears in training, so that it does not learn voices by heart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from conveyor.errors import SettingError

# At strength 1: how much faster or slower, how much longer or shorter a voice's tract (as bands
# that are shifted), decibels of loudness, and decibels by which noise is below the loudest band of
# the loudest frame, where speech has some 10 to 15 more than on average.
_SPEED, _WARP, _GAIN, _NOISE = 0.1, 0.08, 10.0, (25.0, 55.0)
# Decibels by which a microphone makes bands louder or softer: a curve through so many points. Every
# second sequence has noise, so that silence without any is heard, too.
_CHANNEL, _POINTS, _NOISY = 5.0, 5, 0.5
# SpecAugment: so many stretches of bands and of time that are left out, and their greatest share.
_STRETCHES, _BANDS, _TIME = 2, 0.15, 0.1
# A decibel in nats of energy.
_NATS = 0.23025850929940458


class FrameAugmentation(nn.Module):
    """Changes log-mel frames at random, in training only.

    Each sequence is made faster or slower, its bands are stretched (Jaitly & Hinton 2013, Vocal
    tract length perturbation), it is made louder or softer as a whole and by bands, as by another
    microphone, noise is put under every second one, and stretches of bands and of time are left out
    (Park et al. 2019, SpecAugment).

    Args:
        strength: 0 changes nothing, 1 as much as small collections of recordings need, at most 2.

    Raises:
        SettingError: the strength is out of its range.
    """

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        if not 0 <= strength <= 2:
            raise SettingError(f"strength is {strength}; expected 0 to 2.")
        self.strength = float(strength)

    def forward(
        self, frames: Tensor, lengths: Tensor, least: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return changed frames, and how many of each sequence count.

        Args:
            frames: logarithms of energies, [T, B, bands].
            lengths: how many frames of each sequence count, [B]; on any device.
            least: how many must stay, [B]; None for one.
        """
        if not self.training or not self.strength or not frames.numel():
            return frames, lengths
        least = None if least is None else least.to(frames.device)
        frames, lengths = self._stretched(frames, lengths.to(frames.device), least)
        batch, bands = frames.shape[1:]
        counted = torch.arange(len(frames), device=frames.device)[:, None] < lengths
        gain = self._drawn(batch, frames) * (_GAIN * self.strength * _NATS)
        # Noise as far below the loudest frames, whose energy is the mean of a window's.
        loudest = frames.amax(2).masked_fill(~counted, -torch.inf).amax(0)
        ratio = torch.empty_like(gain).uniform_(*_NOISE) * _NATS / self.strength
        level = (loudest - ratio)[:, None] + 0.5 * torch.randn(batch, bands, device=frames.device)
        energy = torch.empty_like(frames).exponential_().clamp(min=0.05)
        noisy = torch.rand(batch, device=frames.device) < _NOISY
        level = level.masked_fill(~noisy[:, None], -torch.inf)
        frames = torch.logaddexp(frames, level + energy.log()) + gain[:, None]
        frames = frames + self._channel(batch, frames)
        return self._left_out(frames, lengths, counted), lengths

    def _channel(self, batch: int, like: Tensor) -> Tensor:
        """Return by how much a microphone changes each band, [B, bands]."""
        points = torch.randn(batch, 1, _POINTS, device=like.device, dtype=like.dtype)
        curve = interpolate(points, like.shape[2], mode="linear", align_corners=True)[:, 0]
        return curve * (_CHANNEL * self.strength * _NATS)

    def _drawn(self, count: int, like: Tensor) -> Tensor:
        """Return numbers from -1 to 1."""
        return torch.empty(count, device=like.device, dtype=like.dtype).uniform_(-1, 1)

    def _stretched(
        self, frames: Tensor, lengths: Tensor, least: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return frames at another speed, of a voice with other resonances."""
        steps, batch, bands = frames.shape
        speed = 1 + _SPEED * self.strength * self._drawn(batch, frames)
        fewest = torch.ones_like(lengths) if least is None else least
        after = torch.maximum((lengths / speed).round().long(), torch.minimum(fewest, lengths))
        after = after.clamp(min=1) * (lengths > 0)
        ratio = (lengths - 1).clamp(min=0) / (after - 1).clamp(min=1)
        longest = max(int(after.max()), 1)
        places = torch.arange(longest, device=frames.device)[:, None] * ratio
        places = torch.minimum(places, (lengths - 1).clamp(min=0).to(places.dtype))
        below = places.floor().long().clamp(max=steps - 1)
        above = (below + 1).clamp(max=steps - 1)
        share = (places - below).unsqueeze(2).to(frames.dtype)
        rows = torch.arange(batch, device=frames.device)
        frames = frames[below, rows] * (1 - share) + frames[above, rows] * share
        warp = 1 + _WARP * self.strength * self._drawn(batch, frames)
        bins = (torch.arange(bands, device=frames.device) * warp[:, None]).clamp(max=bands - 1)
        left = bins.floor().long()
        right = (left + 1).clamp(max=bands - 1)
        part = (bins - left).to(frames.dtype)
        left, right = left.expand_as(frames), right.expand_as(frames)
        return frames.gather(2, left) * (1 - part) + frames.gather(2, right) * part, after

    def _left_out(self, frames: Tensor, lengths: Tensor, counted: Tensor) -> Tensor:
        """Return frames of which stretches are the mean of their sequence."""
        steps, batch, bands = frames.shape
        out = torch.zeros_like(frames, dtype=torch.bool)
        for share, size, axis in (
            (_BANDS, torch.full((batch,), float(bands), device=frames.device), 2),
            (_TIME, lengths.to(frames.dtype), 0),
        ):
            places = torch.arange(bands if axis == 2 else steps, device=frames.device)
            for _ in range(_STRETCHES):
                width = size * share * self.strength * torch.rand(batch, device=frames.device)
                begin = (size - width) * torch.rand(batch, device=frames.device)
                inside = (places[:, None] >= begin) & (places[:, None] < begin + width)
                out |= inside.T if axis == 2 else inside.unsqueeze(2)
        total = (frames * counted.unsqueeze(2)).sum((0, 2))
        mean = total / (lengths.clamp(min=1) * bands)
        return torch.where(out, mean[:, None].expand_as(frames), frames)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"strength={self.strength:g}"
