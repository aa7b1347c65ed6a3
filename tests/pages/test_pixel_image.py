"""Maps of numbers as images."""

import base64
import re
import struct
import zlib

import numpy as np

from conveyor.pages.pixel_image import pixel_image, png


def _read(data: bytes) -> tuple[int, int, bytes, list[bytes]]:
    """Width, height, palette and rows of a PNG file, read by the standard's own words."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts, place = {}, 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        (check,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert check == zlib.crc32(kind + body)
        parts[kind] = body
        place += 12 + size
    width, height, depth, colours = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert (depth, colours) == (8, 3)
    lines = zlib.decompress(parts[b"IDAT"])
    rows = [lines[n : n + width + 1] for n in range(0, len(lines), width + 1)]
    assert all(row[0] == 0 for row in rows)
    return width, height, parts[b"PLTE"], [row[1:] for row in rows]


def test_a_png_holds_its_numbers() -> None:
    levels = np.array([[0, 128, 255], [7, 8, 9]], dtype=np.uint8)
    width, height, palette, rows = _read(png(levels))
    assert (width, height, len(palette)) == (3, 2, 768)
    assert rows == [bytes([0, 128, 255]), bytes([7, 8, 9])]
    lightness = np.frombuffer(palette, np.uint8).reshape(256, 3) @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > -0.6).all()  # but for rounding
    assert lightness[-1] - lightness[0] > 150


def test_numbers_are_spread_from_the_least_to_the_greatest() -> None:
    page = pixel_image([[-2.0, 0.0], [2.0, 1.0]], 'a "map"')
    found = re.fullmatch(
        r'<img class="pixels" alt="a &quot;map&quot;" src="data:image/png;base64,(.*)">', page
    )
    assert found is not None
    rows = _read(base64.b64decode(found[1]))[3]
    assert rows == [bytes([0, 128]), bytes([255, 191])]
    assert "png" in pixel_image([[1.0, 1.0]], "all alike")
