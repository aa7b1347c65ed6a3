"""Packing plotly.js, so that a page that holds it is small.

A report is one file, so that it can be mailed, and opens without a network, so plotly.js stands in
it. The Python package brings the whole of it and no smaller bundle, and nothing is downloaded. Of
plotly.js 4.1 these are the sizes in a page: as it is 4.82 MB, as gzip in base 64 (what browsers
unpack by themselves) 1.96 MB, as LZMA in base 85 1.39 MB. The last costs a decoder of 6 kB in the
page (``unpack.js``), which takes about half a second.

Packing takes two seconds. Quicker levels of LZMA make a report larger than 1.5 MB (level 3 takes
1.2 s and needs 1.54 MB for plotly.js alone), so the packed text is kept on disk (``cache_folder``).
"""

import base64
import hashlib
import lzma
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from plotly import __version__ as plotly_version
from plotly.offline import get_plotlyjs

from conveyor import cache_folder

# The ending of a packed script on disk, and how many bytes all of them may have: ten versions.
ENDING = ".conveyor-script"
MOST_BYTES = 16_000_000

# Digits of base 85 in a script of a page: as Python's, without the signs that HTML reads.
_PYTHONS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
ALPHABET = _PYTHONS.replace("<", ",").replace("&", ".")

# What ``unpack.js`` reads: literals by the three high bits of the byte before, never by position.
_FILTER = {"id": lzma.FILTER_LZMA1, "preset": 6, "lc": 3, "lp": 0, "pb": 0}


@dataclass(frozen=True)
class Packed:
    """A packed script.

    Args:
        text: the script as ``pack`` returns it.
        size: its bytes when it is unpacked.
        notice: the comment that it begins with: who wrote it, and under which licence.
    """

    text: str
    size: int
    notice: str


def pack(script: str) -> str:
    """Return a script as LZMA in base 85, of characters that HTML does not read."""
    packed = lzma.compress(script.encode(), format=lzma.FORMAT_RAW, filters=[_FILTER])
    packed += bytes(-len(packed) % 4)  # whole groups of four bytes
    return base64.b85encode(packed).decode().translate(str.maketrans(_PYTHONS, ALPHABET))


def _name(script: bytes) -> str:
    """Return the name of a packed plotly.js on disk: what the text depends on is the script and
    this file, which packs it."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + script).hexdigest()
    return f"plotly-{plotly_version}-{digest}{ENDING}"


@cache
def plotlyjs() -> Packed:
    """Return the plotly.js that is installed, packed. The text is read from disk where an earlier
    process kept it; else packing takes two seconds."""
    script = get_plotlyjs()
    data = script.encode()
    path = cache_folder.path_of(_name(data))
    kept = None if path is None else cache_folder.read(path, MOST_BYTES)
    text = pack(script) if kept is None else kept.decode()
    if kept is None and path is not None:
        cache_folder.write(path, text.encode(), MOST_BYTES)
    notice = re.match(r"\s*/\*.*?\*/", script, re.DOTALL)
    return Packed(text, len(data), notice.group().strip() if notice else "")
