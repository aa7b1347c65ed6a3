"""The caption of the training picture that looks most alike: an answer that is found, and not
written."""

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.caption.caption_examples import ShownPictures

# Pictures are compared as so many rows and columns.
SIDE = 16
# And of videos so many frames.
FRAMES = 8
# Pictures that are compared together.
_ROWS_AT_ONCE = 256


def outlines(shown: ShownPictures) -> NDArray[np.float32]:
    """Return what pictures are compared by, [N, D]: their colours, made 16 × 16; of videos those of
    8 frames, evenly apart; or the mean of the numbers of their places."""
    parts = []
    for first in range(0, len(shown), _ROWS_AT_ONCE):
        seen = shown.seen(range(first, min(first + _ROWS_AT_ONCE, len(shown))))
        if seen.values.dim() == 3:
            parts.append(seen.values.float().mean(1).numpy())
            continue
        values = seen.values.numpy()
        if shown.values.frames is None:
            small = [[_shrunk(each.astype(np.float32))] for each in values]
        else:
            small = [
                [_shrunk(each[number].astype(np.float32)) for number in _compared(count)]
                for each, count in zip(values, seen.frames.tolist(), strict=True)
            ]
        parts.append(np.array(small, dtype=np.float32).reshape(len(small), -1))
    return np.concatenate(parts)


def _compared(count: int) -> list[int]:
    """Return which frames of a video are compared; of a short one some twice."""
    numbers: list[int] = np.linspace(0, count - 1, FRAMES).round().astype(int).tolist()
    return numbers


def _shrunk(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture made 16 × 16 at most, by the means of its pixels."""
    size = len(pixels)
    if size <= SIDE:
        return pixels
    edges = np.linspace(0, size, SIDE + 1).round().astype(int)[:-1]
    counts = np.diff([*edges, size]).astype(np.float32)
    rows = np.add.reduceat(pixels, edges, axis=0) / counts[:, None, None]
    shrunk = np.add.reduceat(rows, edges, axis=1) / counts[None, :, None]
    return shrunk.astype(np.float32)


def nearest_pictures(train: ShownPictures, test: ShownPictures) -> list[int]:
    """Return which training picture is nearest to each other one, by the squares of differences; of
    equal ones the first."""
    known = outlines(train)
    centre = known.mean(0)
    known = known - centre
    norms = np.square(known).sum(1)
    answers: list[int] = []
    others = outlines(test) - centre
    for first in range(0, len(others), _ROWS_AT_ONCE):
        block = others[first : first + _ROWS_AT_ONCE]
        answers += (norms - 2 * block @ known.T).argmin(1).tolist()
    return answers
