"""Vectors of words that others trained: text files of word2vec, GloVe and fastText."""

import gzip
import itertools
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from conveyor.data.files import check_regular
from conveyor.errors import DataError

# Lines from whose numbers the width of the vectors is taken: a word may be a number itself, but not
# of so many lines.
_FIRST_LINES = 20

# Names of files that hold vectors, for errors.
_EXPECTED = "a text file of word2vec, GloVe or fastText: a word and its numbers on each line"


@dataclass(frozen=True)
class WordVectors:
    """The vectors of some words.

    Attributes:
        features: how many numbers each has.
        of: the vectors by word, each float32 [features].
    """

    features: int
    of: dict[str, NDArray[np.float32]]


def read_word_vectors(path: Path, words: Iterable[str]) -> WordVectors:
    """Return the vectors of words that a file has, in its spelling or in small letters.

    The first line may say how many words there are and how many numbers each has (word2vec,
    fastText), or be a word (GloVe). A word is what stands before the last numbers of a line, so it
    may hold spaces, as some of GloVe do. Of a word that stands there twice the first counts. The
    file is read as a stream; only the vectors of ``words`` are kept.

    Args:
        path: the file; unpacked if its name ends in ``.gz``.
        words: whose vectors are asked for, in Unicode's form C.

    Raises:
        DataError: the file cannot be read, or a line is no word with as many numbers as the others.
    """
    asked = set(words)
    small: dict[str, list[str]] = {}
    for word in asked:
        small.setdefault(word.lower(), []).append(word)
    exact: dict[str, NDArray[np.float32]] = {}
    lowered: dict[str, NDArray[np.float32]] = {}
    with _lines(path) as lines:
        first = list(itertools.islice(lines, _FIRST_LINES))
        begin, features = _form(path, [line for _, line in first])
        for number, line in itertools.chain(first[begin:], lines):
            if not line.strip():
                continue
            word, numbers = _parted(line, features)
            if word not in asked and word not in small:
                # Its numbers are not read, but counted, so that a broken file is told.
                if len(numbers) != features:
                    raise _bad_line(path, number, word, len(numbers), features)
                continue
            vector = _vector(path, number, word, numbers, features)
            if word in asked:
                exact.setdefault(word, vector)
            if word in small:
                lowered.setdefault(word, vector)
    for word, vector in lowered.items():
        for spelling in small[word]:
            exact.setdefault(spelling, vector)
    return WordVectors(features, exact)


def _form(path: Path, lines: list[bytes]) -> tuple[int, int]:
    """Return how many lines stand before the vectors, 0 or 1, and how many numbers each has."""
    full = [line for line in lines if line.strip()]
    if not full:
        raise DataError(f"{path}: the file is empty. Give {_EXPECTED}.")
    begin = 0
    head = full[0].split()
    if len(head) == 2 and all(part.isdigit() for part in head):
        begin = lines.index(full[0]) + 1
        full = full[1:]
    counts = [_trailing_numbers(line) for line in full]
    if not counts or min(counts) < 1:
        place = lines.index(full[counts.index(min(counts))]) + 1 if counts else 1
        raise DataError(f"{path}, line {place}: there is no word with numbers. Give {_EXPECTED}.")
    if begin and int(head[1]) in counts:
        return begin, int(head[1])
    # The width of most: words may end with numbers.
    return begin, max(sorted(set(counts)), key=counts.count)


def _trailing_numbers(line: bytes) -> int:
    """Return how many numbers a line ends with, its first part not counted."""
    parts = line.split()[1:]
    numbers = itertools.takewhile(lambda part: _number(part) is not None, reversed(parts))
    return sum(1 for _ in numbers)


def _number(part: bytes) -> float | None:
    try:
        return float(part)
    except ValueError:
        return None


def _parted(line: bytes, features: int) -> tuple[str, list[bytes]]:
    """Return a line's word in form C, and what stands behind it."""
    stripped = line.rstrip(b" \t\r\n")
    # Single spaces part; others, as the one that does not break, are of the word.
    parts = stripped.rsplit(b" ", features) if b"\t" not in stripped else stripped.split()
    word = parts[0].decode(errors="replace")
    return unicodedata.normalize("NFC", word), parts[1:]


def _vector(
    path: Path, number: int, word: str, parts: list[bytes], features: int
) -> NDArray[np.float32]:
    values = [_number(part) for part in parts]
    if len(values) != features or any(value is None for value in values):
        raise _bad_line(path, number, word, len(values), features)
    numbers = np.array(values, np.float64)
    if not (np.abs(numbers) <= np.finfo(np.float32).max).all():
        raise DataError(f"{path}, line {number}: a number of {word[:40]!r} is not finite.")
    return numbers.astype(np.float32)


def _bad_line(path: Path, number: int, word: str, count: int, features: int) -> DataError:
    return DataError(
        f"{path}, line {number}: behind {word[:40]!r} stand {count} numbers or other signs; "
        f"expected {features} numbers, as on the first lines. Give {_EXPECTED}."
    )


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[tuple[int, bytes]]]:
    """Give the lines of a file with their numbers, from 1 on.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        check_regular(path)
        with _opened(path) as file:
            yield _checked(path, enumerate(file, 1))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: it cannot be read: {error}.") from error


def _checked(path: Path, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for number, line in lines:
        if b"\0" in line:
            raise DataError(
                f"{path}, line {number}: this is no text; word2vec's binary form is not read. "
                f"Give {_EXPECTED}."
            )
        yield number, line


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.suffix.lower() == ".gz":
        return gzip.open(path)
    return path.open("rb")
