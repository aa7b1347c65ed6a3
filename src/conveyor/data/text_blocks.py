"""A text in blocks, so that one that is larger than memory can be read."""

import codecs
import gzip
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from conveyor.data.files import encoding_of
from conveyor.data.text import read_text
from conveyor.errors import DataError

# A file of more bytes is read in blocks. Others are read whole, and errors can show them whole.
LARGE = 64 << 20
_PACKED = 4  # a packed file is at least so many times as large unpacked

# So many bytes are read at a time.
BLOCK = 4 << 20

# Where a block may end: between a word and the blank behind it, so that no word, and no character
# with its marks, is in two blocks.
_WORD_END = re.compile(r"(?<=\S)(?=\s)")


class TextBlocks:
    """A text, in normal form C, in blocks that begin and end where no word is cut.

    Args:
        blocks: begins a walk over the text.
        large: whether the text is too large to be held.
    """

    def __init__(self, blocks: Callable[[], Iterator[str]], *, large: bool = False) -> None:
        self._blocks, self.large = blocks, large

    @staticmethod
    def of_text(text: str) -> "TextBlocks":
        """Return a text that is held.

        Args:
            text: in normal form C.
        """
        return TextBlocks(lambda: iter([text]))

    @staticmethod
    def of_file(path: Path) -> "TextBlocks":
        """Return the text of a file, which is read again by each walk if it is large.

        Raises:
            DataError: see ``read_text``; a large file that is no text shows that when it is walked
                over.
        """
        if is_large(path):
            return TextBlocks(lambda: _file_blocks(path), large=True)
        return TextBlocks.of_text(read_text(path))

    def __iter__(self) -> Iterator[str]:
        return self._blocks()

    def beginning(self, most: int) -> str:
        """Return so many characters of the text, at most; of one that can be held all."""
        if not self.large:
            return "".join(self)
        text = ""
        for block in self:
            text += block
            if len(text) >= most:
                break
        return text[:most]

    def part(self, first: int, last: int, *, words: bool) -> "TextBlocks":
        """Return a part of the text.

        Args:
            first, last: where it begins and ends, in characters.
            words: whether both move on to where a word ends.
        """
        return TextBlocks(lambda: _part(self, first, last, words=words), large=self.large)


def is_large(path: Path) -> bool:
    """Return whether a file is read in blocks."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    return size > (LARGE // _PACKED if path.suffix.lower() == ".gz" else LARGE)


def _part(blocks: Iterable[str], first: int, last: int, *, words: bool) -> Iterator[str]:
    def place(text: str, index: int) -> int:
        """Return where in a block the character of that number is, or the word's end behind it."""
        if index <= 0 or index >= len(text) or not words:
            return min(max(index, 0), len(text))
        end = _WORD_END.search(text, index)
        return end.start() if end else len(text)

    before = 0
    for text in blocks:
        begin, end = place(text, first - before), place(text, last - before)
        if begin < end:
            yield text[begin:end]
        before += len(text)
        if before >= last:
            return


def _file_blocks(path: Path) -> Iterator[str]:
    rest, empty = "", True
    for text in _decoded(path):
        rest += text
        # Line ends, of which half may not have come yet.
        held = "\r" if rest.endswith("\r") else ""
        whole = rest[: len(rest) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        end = _last_word_end(whole)
        if end:
            empty = empty and not whole[:end].strip()
            yield unicodedata.normalize("NFC", whole[:end])
        rest = whole[end:] + held
    rest = rest.replace("\r", "\n")
    if empty and not rest.strip():
        raise DataError(f"{path}: the file is empty; expected text.")
    if rest:
        yield unicodedata.normalize("NFC", rest)


def _last_word_end(text: str) -> int:
    """Return where the last word ends that has a blank behind it; 0 without one."""
    for back in (1_000, len(text)):
        ends = [match.start() for match in _WORD_END.finditer(text, max(len(text) - back, 0))]
        if ends:
            return ends[-1]
    return 0


def _decoded(path: Path) -> Iterator[str]:
    """Yield the text of a file, some at a time."""
    lines = 1
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
        decode = None
        try:
            while data := _read(file):
                if decode is None:
                    encoding = encoding_of(data)
                    decode = codecs.getincrementaldecoder(encoding)()
                text = decode.decode(data)
                yield text
                lines += text.count("\n")
            if decode is not None:
                yield decode.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start)
            raise DataError(
                f"{path}, line {line:,}: byte 0x{error.object[error.start]:02x} is not "
                f"{encoding.removesuffix('-sig').upper()}. Save the file as UTF-8."
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: it cannot be read: {error}.") from error


def _read(file: BinaryIO | gzip.GzipFile) -> bytes:
    return file.read(BLOCK)
