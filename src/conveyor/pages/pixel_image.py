"""A map of numbers as an image inside a page, a pixel for each number."""

import base64
import html
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

# From the least to the greatest number: dark blue, blue, green, yellow. Lightness rises throughout,
# so that the map is read without colours, too.
_COLOURS = ((14, 18, 52), (34, 78, 134), (38, 140, 140), (128, 196, 92), (250, 231, 120))


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(levels: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of numbers from 0 to 255, [rows, columns], the first row at the top."""
    rows, columns = levels.shape
    places = np.linspace(0, len(_COLOURS) - 1, 256)
    palette = np.stack(
        [
            np.interp(places, range(len(_COLOURS)), [colour[channel] for colour in _COLOURS])
            for channel in range(3)
        ],
        1,
    )
    # Each row begins with the number of its filter, of which 0 is none.
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), levels], 1)
    chunks = _chunk(b"PLTE", palette.round().astype(np.uint8).tobytes())
    return _file(columns, rows, 3, chunks, lines)


def _file(columns: int, rows: int, kind: int, chunks: bytes, lines: NDArray[np.uint8]) -> bytes:
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)),
            chunks,
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def colour_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of red, green and blue from 0 to 255, [rows, columns, 3]."""
    rows, columns, _ = pixels.shape
    flat = pixels.reshape(rows, 3 * columns)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), flat], 1)
    return _file(columns, rows, 2, b"", lines)


def colour_image(pixels: NDArray[np.uint8], alternative: str, kind: str = "seen") -> str:
    """Return a picture as a part of a page.

    Args:
        pixels: red, green and blue from 0 to 255, [rows, columns, 3].
        alternative: what a reader hears who does not see it.
        kind: the class of style.
    """
    data = base64.b64encode(colour_png(pixels)).decode()
    return (
        f'<img class="{kind}" alt="{html.escape(alternative)}" src="data:image/png;base64,{data}">'
    )


def pixel_image(values: Any, alternative: str) -> str:
    """Return numbers [rows, columns] as an image, as a part of a page; as wide as its place.

    Args:
        values: finite numbers, the first row at the top.
        alternative: what a reader hears who does not see it.
    """
    numbers = np.asarray(values, dtype=np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    levels = ((numbers - low) / ((high - low) or 1.0) * 255).round().astype(np.uint8)
    data = base64.b64encode(png(levels)).decode()
    return (
        f'<img class="pixels" alt="{html.escape(alternative)}" src="data:image/png;base64,{data}">'
    )
