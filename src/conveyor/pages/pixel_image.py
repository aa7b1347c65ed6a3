"""A map of numbers as an image inside a page, a pixel for each number."""

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# From the least to the greatest number: dark blue, blue, green, yellow. Lightness rises throughout,
# so that the map is read without colours, too.
_COLOURS = ((14, 18, 52), (34, 78, 134), (38, 140, 140), (128, 196, 92), (250, 231, 120))

# What every PNG file begins with.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
            _SIGNATURE,
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


def colour_film(frames: Sequence[NDArray[np.uint8]], milliseconds: Sequence[int]) -> bytes:
    """Return an animated PNG that begins anew after its last frame. Whoever knows no animations
    shows the first.

    Args:
        frames: red, green and blue from 0 to 255, [rows, columns, 3], one or more of one size.
        milliseconds: how long each is shown.
    """
    rows, columns, _ = frames[0].shape
    chunks, number = [_chunk(b"acTL", struct.pack(">II", len(frames), 0))], 0
    for frame, shown in zip(frames, milliseconds, strict=True):
        # Where it stands, for how many thousandths, and that it replaces what was there.
        place = struct.pack(">IIIIIHHBB", number, columns, rows, 0, 0, shown, 1000, 0, 0)
        chunks.append(_chunk(b"fcTL", place))
        number += 1
        lines = np.concatenate([np.zeros((rows, 1), np.uint8), frame.reshape(rows, -1)], 1)
        data = zlib.compress(lines.tobytes(), 9)
        if number == 1:
            chunks.append(_chunk(b"IDAT", data))
        else:
            chunks.append(_chunk(b"fdAT", struct.pack(">I", number) + data))
            number += 1
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"".join([_SIGNATURE, _chunk(b"IHDR", head), *chunks, _chunk(b"IEND", b"")])


def image_of(png_file: bytes, alternative: str, kind: str) -> str:
    """Return a PNG file as a part of a page.

    Args:
        png_file: its content.
        alternative: what a reader hears who does not see it.
        kind: the class of style.
    """
    return f'<img class="{kind}" alt="{html.escape(alternative)}" src="{data_of(png_file)}">'


def data_of(png_file: bytes) -> str:
    """Return a PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png_file).decode()}"


def colour_image(pixels: NDArray[np.uint8], alternative: str, kind: str = "seen") -> str:
    """Return a picture as a part of a page.

    Args:
        pixels: red, green and blue from 0 to 255, [rows, columns, 3].
        alternative: what a reader hears who does not see it.
        kind: the class of style.
    """
    return image_of(colour_png(pixels), alternative, kind)


def pixel_image(values: Any, alternative: str) -> str:
    """Return numbers [rows, columns] as an image, as a part of a page; as wide as its place.

    Args:
        values: finite numbers, the first row at the top.
        alternative: what a reader hears who does not see it.
    """
    numbers = np.asarray(values, dtype=np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    levels = ((numbers - low) / ((high - low) or 1.0) * 255).round().astype(np.uint8)
    return image_of(png(levels), alternative, "pixels")
