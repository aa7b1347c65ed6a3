"""Reads pictures: files of Pillow (PNG, JPEG, WebP, GIF, BMP, TIFF) as colours of one size."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.files import read_bytes
from conveyor.errors import DataError, SettingError

Pixels = NDArray[np.uint8]

# The endings of files that are taken for pictures in a folder.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")

# A picture has so many pixels at most: a small file may say that it has billions.
MOST_PIXELS = 100_000_000


class NoPictureError(DataError):
    """A file that is no picture at all, and not a broken one."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture.

    Attributes:
        pixels: red, green and blue, 0 to 255, [rows, columns, 3].
        size: columns and rows of the file, turned as it is shown.
        frames: how many pictures the file holds, of which this is the first.
    """

    pixels: Pixels
    size: tuple[int, int]
    frames: int


def picture_library() -> tuple[Any, Any]:
    """Return Pillow's modules.

    Raises:
        SettingError: it is not installed.
    """
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415  # of an extra
    except (ImportError, OSError) as error:
        raise SettingError(
            f"pictures are read by Pillow, which cannot be loaded ({error}). Install conveyor with "
            "the extra images: pip install 'conveyor[images]'."
        ) from error
    return Image, ImageOps


def read_picture(source: Path | bytes, size: int, name: str = "") -> Picture:
    """Read a picture as rows and columns of one size. What is transparent is put over white, a
    picture is turned as its EXIF says, 16 bits become 8, and one that is not square is squeezed
    into a square.

    Args:
        source: the file, or its bytes.
        size: rows and columns.
        name: how errors name it; empty for the file's path.

    Raises:
        DataError: there is no such file, or it is no whole picture.
    """
    with opened_picture(source, name) as opened:
        frames = int(getattr(opened, "n_frames", 1))
        pixels, whole = frame_of(opened, size)
    return Picture(pixels, whole, frames)


@contextmanager
def opened_picture(source: Path | bytes, name: str = "") -> Iterator[Any]:
    """Open a picture, or a file of several, as an image of Pillow. What goes wrong while it is read
    is raised in our words.

    Args:
        source: the file, or its bytes.
        name: how errors name it; empty for the file's path.

    Raises:
        DataError: there is no such file, or it is no whole picture.
    """
    image_module, _ = picture_library()
    data = source if isinstance(source, bytes) else read_bytes(source)
    name = name or str(source)
    if not data:
        raise DataError(f"{name}: the file is empty.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in a file and read all the same
            with image_module.open(io.BytesIO(data)) as opened:
                columns, rows = opened.size
                if columns * rows > MOST_PIXELS:
                    raise DataError(
                        f"{name}: the picture has {columns:,} × {rows:,} pixels, more than the "
                        f"{MOST_PIXELS:,} that are read. Make it smaller."
                    )
                yield opened
    except DataError:
        raise
    except image_module.DecompressionBombError as error:
        raise DataError(f"{name}: the picture has too many pixels: {error}") from error
    except image_module.UnidentifiedImageError as error:
        kinds = "PNG, JPEG, WebP, GIF, BMP, TIFF"
        raise NoPictureError(f"{name}: this is no picture that can be read ({kinds}).") from error
    # Pillow's readers raise whatever a broken file makes them stumble on.
    except Exception as error:
        raise DataError(
            f"{name}: the picture is broken and cannot be read: {_reason(error)}. Fetch it again."
        ) from error


def frame_of(opened: Any, size: int) -> tuple[Pixels, tuple[int, int]]:
    """Return the picture that an open file is at, [size, size, 3], and its columns and rows as it
    is shown.

    Args:
        opened: an image of Pillow.
        size: rows and columns.
    """
    shown, whole = _colours(opened)
    return resized(shown, size), whole


def resized(shown: Any, size: int) -> Pixels:
    """Return a picture in red, green and blue, squeezed into a square, [size, size, 3].

    Args:
        shown: an image of Pillow, or pixels [rows, columns, 3] from 0 to 255.
        size: rows and columns.
    """
    image_module, _ = picture_library()
    if isinstance(shown, np.ndarray):
        shown = image_module.fromarray(np.ascontiguousarray(shown))
    shrinks = min(shown.size) >= size
    how = image_module.Resampling.BOX if shrinks else image_module.Resampling.BILINEAR
    return np.asarray(shown.resize((size, size), how), dtype=np.uint8)


def _reason(error: Exception) -> str:
    words = str(error).strip().removesuffix(".")
    return words or type(error).__name__


def _colours(opened: Any) -> tuple[Any, tuple[int, int]]:
    """Return a picture in red, green and blue over white, and its columns and rows."""
    image_module, turning = picture_library()
    opened.load()
    picture = turning.exif_transpose(opened)
    if picture.mode.startswith("I") or picture.mode == "F":
        # 16 bits a pixel, which Pillow would cut at 255; of floats those from 0 to 1.
        values = np.asarray(picture, dtype=np.float64)
        most = 1.0 if picture.mode == "F" and values.max(initial=0) <= 1 else 65535.0
        # Of 16 bits a dark picture is dark; of 32 nobody knows, and few use more than 8.
        if picture.mode in ("I", "F") and most > 1 and values.max(initial=0) <= 255:
            most = 255.0
        levels = np.nan_to_num(values / most * 255).clip(0, 255).round().astype(np.uint8)
        picture = image_module.fromarray(levels)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        white = image_module.new("RGBA", over.size, (255, 255, 255, 255))
        picture = image_module.alpha_composite(white, over)
    return picture.convert("RGB"), picture.size
