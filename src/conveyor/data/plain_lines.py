"""Sees, without reading its values, whether a text file holds nothing but lines of values."""

import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

# A file is looked through in pieces of so many bytes.
_PIECE = 1 << 24


class NotPlain(Exception):  # noqa: N818  (no error: the table is read in another way)
    """Raised where a table cannot be read at once."""


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give a file without its packing: of one whose name ends in ``.gz`` a temporary one, which is
    gone afterwards.

    Raises:
        OSError, EOFError: it is no whole gzip file, or the disk is full.
    """
    if path.suffix.lower() != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.stem
        with gzip.open(path) as packed, whole.open("wb") as file:
            shutil.copyfileobj(packed, file, _PIECE)
        yield whole


def check_lines(path: Path, separator: str, columns: int) -> bool:
    """Check that a file holds nothing but lines of as many values as there are columns: no comments
    and blank lines, no quotes but around whole values on one line.

    Args:
        path: the file.
        separator: of the values.
        columns: how many there are.

    Returns:
        Whether values stand in quotes.

    Raises:
        NotPlain: the file holds something else.
    """
    mark = separator.encode()
    # The values in quotes; what stands before and after each is looked at and left there.
    in_quotes = re.compile(
        b'(?<=[\n%b])"[^"\r\n]*"(?=[\r\n%b])' % (re.escape(mark), re.escape(mark))
    )
    quotes = False
    rest = b"\n"
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            cut = piece.rfind(b"\n") + 1
            whole, rest = rest + piece[:cut], piece[cut:] if cut else rest + piece
            if not cut:
                continue
            _check(whole, mark, columns - 1, in_quotes)
            quotes = quotes or b'"' in whole
            rest = b"\n" + rest
    if rest != b"\n":  # a last line without an end
        _check(rest + b"\n", mark, columns - 1, in_quotes)
        quotes = quotes or b'"' in rest
    return quotes


def _check(lines: bytes, mark: bytes, separators: int, in_quotes: re.Pattern[bytes]) -> None:
    """Check that whole lines hold values, each as many.

    Args:
        lines: with the end of the line before them.
        mark: the separator.
        separators: how many stand in a line, outside of quotes.
        in_quotes: matches a value in quotes.

    Raises:
        NotPlain: they hold something else.
    """
    if any(odd in lines for odd in (b"\n#", b"\n\n", b"\n\r", b"\0")):
        raise NotPlain
    if b"\r" in lines and lines.count(b"\r") != lines.count(b"\r\n"):
        raise NotPlain
    if b'"' in lines:
        lines = in_quotes.sub(b"", lines)
        if b'"' in lines:
            raise NotPlain
    letters = np.frombuffer(lines, dtype=np.uint8)
    places = np.flatnonzero(letters == ord(mark))
    ends = np.flatnonzero(letters == ord("\n"))
    if (np.diff(np.searchsorted(places, ends)) != separators).any():
        raise NotPlain
