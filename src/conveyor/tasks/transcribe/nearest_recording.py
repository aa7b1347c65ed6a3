"""The recording of the training set that sounds most like one: what there is without learning."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Each recording is made so many frames long; of larger training sets so many recordings are taken.
FRAMES, MOST = 20, 2_000


def outline(frames: Tensor) -> Tensor:
    """Return frames [T, bands] as ``FRAMES`` of them, with the mean over all numbers at 0, so that
    loudness does not count, [FRAMES · bands]."""
    if not len(frames):
        return torch.zeros(FRAMES * frames.shape[1])
    places = torch.linspace(0, len(frames) - 1, FRAMES)
    below = places.floor().long()
    above = (below + 1).clamp(max=len(frames) - 1)
    share = (places - below).unsqueeze(1)
    values = frames[below] * (1 - share) + frames[above] * share
    return (values - values.mean()).flatten()


class NearestRecording:
    """Finds the training recording whose outline is nearest; of equally near ones the first.

    Args:
        frames: of each training recording.
    """

    def __init__(self, frames: Sequence[Tensor]) -> None:
        step = max(1, -(-len(frames) // MOST))
        self.numbers = list(range(0, len(frames), step))
        self._outlines = torch.stack([outline(frames[number]) for number in self.numbers])

    def find(self, frames: Sequence[Tensor]) -> list[int]:
        """Return the number of the nearest training recording for each recording."""
        asked = torch.stack([outline(each) for each in frames])
        distances = torch.cdist(asked.double(), self._outlines.double())
        return [self.numbers[int(place)] for place in distances.argmin(1)]
