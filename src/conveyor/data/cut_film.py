"""Whether a file of a film ends before its head says so.

Counts of frames and durations are estimates in most of these forms, and an edit may leave frames
out. Lengths of parts in bytes are exact, so that there is no tolerance: a form consists of parts,
each of which says how long it is, and a file is cut off where one reaches beyond its end.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# Parts that are looked at, at most: of Ogg and MPEG each has some kilobytes.
_MOST_PARTS = 10_000_000

# Boxes that stand beside each other in a file of MP4 or QuickTime.
_BOXES = (
    *(b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide"),
    *(b"sidx", b"ssix", b"uuid", b"meta", b"udta", b"pnot", b"PICT", b"emsg", b"prft"),
)
_SEGMENT = bytes.fromhex("18538067")  # of Matroska, which holds all but the head
_PACK, _END = 0xBA, 0xB9  # of an MPEG program stream


def stated_bytes(path: Path, form: str) -> int | None:
    """Return how many bytes a file should have, at least, by the lengths of its parts; None where
    they say nothing.

    Args:
        path: of the film.
        form: as FFmpeg calls it.
    """
    measure = _MEASURES.get(form)
    if measure is None:
        return None
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(_MOST_PARTS):
            file.seek(place)
            length = measure(file)
            # Nothing that is known follows, or a part that is as long as the file.
            if not length:
                return None
            place += length
            if place >= size:
                return place
    return None


def _length_of_box(file: BinaryIO) -> int | None:
    """Return the bytes of a box of MP4 (ISO/IEC 14496-12, 4.2)."""
    head = file.read(16)
    if len(head) < 8 or head[4:8] not in _BOXES:
        return None
    length = int.from_bytes(head[:4], "big")
    if length == 1:
        length = int.from_bytes(head[8:], "big")
    return length if length >= 8 else None


def _length_of_chunk(file: BinaryIO) -> int | None:
    """Return the bytes of a chunk of RIFF, padded to an even number; a file that is still being
    written says 0 or the largest number."""
    head = file.read(8)
    length = int.from_bytes(head[4:], "little")
    if head[:4] != b"RIFF" or length in (0, 2**32 - 1):
        return None
    return 8 + length


def _length_of_element(file: BinaryIO) -> int | None:
    """Return the bytes of an element of Matroska (RFC 8794); what is recorded as it happens says
    no length, by ones alone."""
    name = file.read(4)
    first = file.read(1)
    if name not in (_SEGMENT, bytes.fromhex("1A45DFA3")) or not first or not first[0]:
        return None
    rest = 8 - first[0].bit_length()
    unknown = (1 << 7 * (rest + 1)) - 1
    length = int.from_bytes(first + file.read(rest), "big") & unknown
    return None if length == unknown else 5 + rest + length


def _length_of_page(file: BinaryIO) -> int | None:
    """Return the bytes of a page of Ogg (RFC 3533)."""
    head = file.read(27)
    if len(head) < 27 or head[:4] != b"OggS":
        return None
    return 27 + head[26] + sum(file.read(head[26]))


def _length_of_packet(file: BinaryIO) -> int | None:
    """Return the bytes of a packet of an MPEG program stream (ISO/IEC 13818-1, 2.5)."""
    head = file.read(14)
    if len(head) < 6 or head[:3] != b"\0\0\1" or head[3] < _END:
        return None
    if head[3] == _END:
        return 4
    if head[3] == _PACK:
        second = head[4] >> 6 == 1
        return (14 + (head[13] & 7) if len(head) == 14 else 14) if second else 12
    return 6 + int.from_bytes(head[4:6], "big")


_MEASURES: dict[str, Callable[[BinaryIO], int | None]] = {
    "mp4": _length_of_box,
    "mov": _length_of_box,
    "avi": _length_of_chunk,
    "matroska": _length_of_element,
    "ogg": _length_of_page,
    "mpeg": _length_of_packet,
}
