"""Sees, without reading its values, whether a text file holds nothing but lines of values."""

import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    and blank lines, no quotes but around whole values on one line. A line with too many values is
    an error of polars, so that none has too few.

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
    lines = separators = 0
    quotes = False
    rest = b"\n"
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            cut = piece.rfind(b"\n") + 1
            whole, rest = rest + piece[:cut], piece[cut:] if cut else rest + piece
            if not cut:
                continue
            lines += whole.count(b"\n") - 1
            separators += _separators(whole, mark, in_quotes)
            quotes = quotes or b'"' in whole
            rest = b"\n" + rest
    if rest != b"\n":  # a last line without an end
        lines += 1
        separators += _separators(rest + b"\n", mark, in_quotes)
        quotes = quotes or b'"' in rest
    if separators != lines * (columns - 1):
        raise NotPlain
    return quotes


def _separators(lines: bytes, mark: bytes, in_quotes: re.Pattern[bytes]) -> int:
    """Return how many separators stand in whole lines, outside of quotes.

    Args:
        lines: with the end of the line before them.
        mark: the separator.
        in_quotes: matches a value in quotes.

    Raises:
        NotPlain: they hold something else than values.
    """
    if any(odd in lines for odd in (b"\n#", b"\n\n", b"\n\r", b"\0")):
        raise NotPlain
    if b'"' in lines:
        lines = in_quotes.sub(b"", lines)
        if b'"' in lines:
            raise NotPlain
    return lines.count(mark)
