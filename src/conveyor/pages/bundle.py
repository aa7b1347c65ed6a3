"""plotly.js, packed so that a page that holds it is small.

A report is one file, so that it can be mailed, and opens without a network, so plotly.js stands in
it. The Python package brings the whole of it and no smaller bundle, and nothing is downloaded. Of
plotly.js 4.1 these are the sizes in a page: as it is 4.82 MB, as gzip in base 64 (what browsers
unpack by themselves) 1.96 MB, as LZMA in base 85 1.39 MB. The last costs a decoder of 6 kB in the
page (``unpack.js``), which takes about half a second.
"""

import base64
import lzma
import re
from dataclasses import dataclass
from functools import cache

from plotly.offline import get_plotlyjs

# Digits of base 85 in a script of a page: as Python's, without the signs that HTML reads.
_PYTHONS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
ALPHABET = _PYTHONS.replace("<", ",").replace("&", ".")

# What ``unpack.js`` reads: literals by the three high bits of the byte before, never by position.
_FILTER = {"id": lzma.FILTER_LZMA1, "preset": 6, "lc": 3, "lp": 0, "pb": 0}


@dataclass(frozen=True)
class Packed:
    """A script as text. ``size`` are its bytes when it is unpacked, ``notice`` is the comment that
    it begins with: who wrote it, and under which licence."""

    text: str
    size: int
    notice: str


def pack(script: str) -> Packed:
    """Return a script as LZMA in base 85, of characters that HTML does not read."""
    data = script.encode()
    packed = lzma.compress(data, format=lzma.FORMAT_RAW, filters=[_FILTER])
    packed += bytes(-len(packed) % 4)  # whole groups of four bytes
    text = base64.b85encode(packed).decode().translate(str.maketrans(_PYTHONS, ALPHABET))
    notice = re.match(r"\s*/\*.*?\*/", script, re.DOTALL)
    return Packed(text, len(data), notice.group().strip() if notice else "")


@cache
def plotlyjs() -> Packed:
    """Return the plotly.js that is installed. Packing takes about two seconds, once a process."""
    return pack(get_plotlyjs())
