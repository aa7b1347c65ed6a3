"""A text made ready for vectors of words: its words counted, and its parts as numbers."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from conveyor.data.number_file import NumberFile
from conveyor.data.text import Numbers
from conveyor.data.text_blocks import TextBlocks
from conveyor.errors import DataError, counted, named
from conveyor.tasks.task import Say
from conveyor.tasks.words.word_list import WordList
from conveyor.tasks.words.words_settings import WordsData

# Words of a training example; windows end at its ends.
STRETCH = 512

# Of a text that is too large to be held, the validation and the test set have so many characters
# at most.
MOST_HELD = 10_000_000

# With fewer words in the training set vectors say little.
FEW_WORDS = 100_000


class Stretches:
    """The stretches of a text as numbers, as training reads them.

    Args:
        numbers: of the words.
        length: of a stretch.
    """

    def __init__(self, numbers: Numbers, length: int = STRETCH) -> None:
        self.numbers, self.length = numbers, length

    def __len__(self) -> int:
        return math.ceil(len(self.numbers) / self.length)

    def __getitem__(self, number: int) -> Tensor:
        """Return a stretch, int64 [N].

        Args:
            number: from 0 on.
        """
        end = min((number + 1) * self.length, len(self.numbers))
        return self.numbers[number * self.length : end].long()


@dataclass(frozen=True)
class Part:
    """A part of a text.

    Args:
        numbers: of its words that have a vector, with boundaries between paragraphs.
        words: how many of its words have a vector.
        unknown: how many have none.
    """

    numbers: Numbers
    words: int
    unknown: int

    @property
    def covered(self) -> float:
        """The share of its words that have a vector."""
        return self.words / max(self.words + self.unknown, 1)


@dataclass(frozen=True)
class PreparedWords:
    """A text made ready.

    Args:
        words: those that get a vector.
        known, checked, asked: the parts for training, validation and test.
        data_hash: the SHA-256 of the text.
    """

    words: WordList
    known: Part
    checked: Part
    asked: Part
    data_hash: "hashlib._Hash"


def read_words(words: WordList, blocks: TextBlocks) -> Part:
    """Return a part of a text as numbers, in a file if the text is too large to be held."""
    known = unknown = 0

    def each() -> Iterator[Tensor]:
        nonlocal known, unknown
        for text in blocks:
            numbers, without = words.encode(text)
            known += int((numbers < words.boundary).sum())
            unknown += without
            yield numbers

    numbers: Numbers
    if blocks.large:
        numbers = NumberFile(each(), len(words) + 1)
    else:
        numbers = torch.cat([torch.empty(0, dtype=torch.long), *each()])
    return Part(numbers, known, unknown)


def hash_of_text(blocks: TextBlocks) -> tuple["hashlib._Hash", int]:
    """Return the SHA-256 of a text, and how many characters it has."""
    data_hash, total = hashlib.sha256(), 0
    for text in blocks:
        data_hash.update(text.encode())
        total += len(text)
    return data_hash, total


def prepared_words(path: Path, settings: WordsData, say: Say) -> PreparedWords:
    """Return a text made ready.

    Args:
        path: a text file.
        settings: how it is cut and split.
        say: called with each line for the user.

    Raises:
        DataError: the file is no text, or has too few words.
        SettingError: see ``WordList.of``.
    """
    blocks = TextBlocks.of_file(path)
    if blocks.large:
        say(
            f"{path.name} is large: it is read in blocks and kept as numbers on disk; of the "
            f"validation and the test set {MOST_HELD:,} characters are read, at most"
        )
    data_hash, total = hash_of_text(blocks)
    if any("\0" in text for text in blocks):
        raise DataError(f"{path}: the file holds NUL characters; expected text, and no other data.")
    first = round(total * settings.split[0])
    second = round(total * (settings.split[0] + settings.split[1]))
    ends = [(0, first), (first, second), (second, total)]
    if blocks.large:
        ends[1:] = [(begin, min(end, begin + MOST_HELD)) for begin, end in ends[1:]]
    known, checked, asked = (blocks.part(begin, end, words=True) for begin, end in ends)
    words = WordList.of(
        known,
        settings.unit,
        lower=settings.lower,
        least=settings.min_count,
        most=settings.vocabulary,
    )
    name = words.unit_name
    if len(words) < 2:
        few = "Give a text of more different words"
        raise DataError(
            f"{path}: {counted(len(words), name)} of the training set "
            f"{'stands' if len(words) == 1 else 'stand'} there {_often(settings)}; expected 2 or "
            f"more. {_remedy(few, settings)}"
        )
    parts = [read_words(words, part) for part in (known, checked, asked)]
    for of, part in zip(("training", "validation", "test"), parts, strict=True):
        if part.words < 2:
            raise DataError(
                f"{path}: the {of} set has {counted(part.words, name)} with a vector; expected 2 "
                "or more. "
                + _remedy(
                    f"Give a longer text, larger parts as {named('split', '0.6/0.2/0.2')}", settings
                )
            )
    prepared = PreparedWords(words, parts[0], parts[1], parts[2], data_hash)
    for line in _told(prepared, settings):
        say(line)
    return prepared


def _often(settings: WordsData) -> str:
    """Return how often a word with a vector stands in the training set, in words."""
    return "once or more" if settings.min_count == 1 else f"{settings.min_count:,} times or more"


def _remedy(first: str, settings: WordsData) -> str:
    """Return what to do where too few words have a vector: fewer occurrences, if that is left."""
    return f"{first}." if settings.min_count == 1 else f"{first}, or {named('min_count', 1)}."


def _told(text: PreparedWords, settings: WordsData) -> list[str]:
    """Return what the user is told of a text."""
    words, known = text.words, text.known
    name = words.unit_name
    lines = [
        f"{counted(known.words + known.unknown, name)} in the training set; "
        f"{counted(len(words), 'different one')} occur {_often(settings)} and get a vector",
        f"{100 * known.covered:.1f} % of the training set and {100 * text.asked.covered:.1f} % of "
        "the test set have one; windows reach over the others",
    ]
    if known.words < FEW_WORDS:
        lines.append(
            f"{counted(known.words, name)} are few to learn vectors from: texts of a million and "
            "more give good ones"
        )
    return lines
