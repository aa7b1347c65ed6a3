"""Films of canvases: how pictures are drawn, glimpse by glimpse."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from conveyor.data.picture_file import picture_library
from conveyor.errors import DataError, named
from conveyor.tasks.latent.picture_kind import PictureKind

# A frame of the film is shown so long, and the last one longer.
_SHOWN, _LAST = 150, 1500
# How many times as large a picture is in a file as it is, and the most pixels of a side of a GIF,
# whose sizes have 16 bits.
_ENLARGED, _MOST = 4, 65_535


def frames_of(kind: PictureKind, canvases: Tensor, enlarged: int = 1) -> list[NDArray[np.uint8]]:
    """Return the frames of a film, the pictures beside each other.

    Args:
        kind: the pictures.
        canvases: probabilities that pixels are bright, before the first glimpse and after each,
            [T + 1, pictures, rows, columns].
        enlarged: how many times as large pictures are.
    """
    return [kind.sheet(list(canvas), enlarged) for canvas in canvases]


def durations(frames: Sequence[object]) -> list[int]:
    """Return how long each frame is shown, in thousandths of a second."""
    return [_SHOWN] * (len(frames) - 1) + [_LAST]


def check_gif(kind: PictureKind, count: int) -> None:
    """Check that so many pictures can be written to a GIF, before they are drawn.

    Args:
        kind: the pictures.
        count: how many.

    Raises:
        DataError: it would be larger than a GIF can be.
        SettingError: Pillow is not installed.
    """
    picture_library()
    rows, columns = kind.sheet_size(count, kind.rows, _ENLARGED)
    if max(rows, columns) > _MOST:
        raise DataError(
            f"so many pictures would be {columns:,} × {rows:,} pixels; a GIF has {_MOST:,} on a "
            f"side at most. Give a smaller {named('count')}, or a name that ends with .png."
        )


def gif(kind: PictureKind, canvases: Tensor) -> bytes:
    """Return a GIF file of pictures that ``check_gif`` has passed; see ``frames_of``."""
    frames = frames_of(kind, canvases, _ENLARGED)
    image_module, _ = picture_library()
    # They are grey: one channel is all of them.
    first, *others = [image_module.fromarray(frame[..., 0]) for frame in frames]
    written = io.BytesIO()
    first.save(
        written,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=durations(frames),
        loop=0,
    )
    return written.getvalue()
