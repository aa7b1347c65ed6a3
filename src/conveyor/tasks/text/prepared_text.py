"""A text made ready: its symbols, numbered, in the parts for training, validation and test."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from conveyor.data.drawn_text import CHARACTERS, TEXTS, draw_text
from conveyor.data.number_file import NumberFile
from conveyor.data.text import Numbers, Vocabulary
from conveyor.data.text_blocks import TextBlocks
from conveyor.data.text_pieces import Pieces
from conveyor.errors import DataError, SettingError, counted, named
from conveyor.tasks.task import Say
from conveyor.tasks.text.text_settings import TextData

# Of a text that is too large to be held, validation and test read so many characters, at most.
MOST_HELD = 2_000_000

# So many characters of the test set are kept in a run, to look at: some lines.
SAMPLE_KEPT = 200

# More different words than this share of the text are mostly words that were seen a few times.
MANY_WORDS = 0.1


@dataclass(frozen=True)
class Part:
    """A part of a text.

    Args:
        numbers: of its symbols, [N].
        characters: how many they spell.
        unknown: how many of the symbols are not known.
    """

    numbers: Numbers
    characters: int
    unknown: int

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def per_character(self) -> float:
        """How many symbols a character takes, by which a score of a symbol is one of a
        character."""
        return len(self.numbers) / self.characters

    @property
    def unknown_share(self) -> float:
        """The share of its symbols that are not known."""
        return self.unknown / len(self.numbers)


def read_part(vocabulary: Vocabulary | Pieces, blocks: TextBlocks) -> Part:
    """Return a part of a text as numbers, in a file if the text is too large to be held.

    Args:
        vocabulary: numbers its symbols.
        blocks: the part.
    """
    characters = unknown = 0

    def each() -> Iterator[Tensor]:
        nonlocal characters, unknown
        for number, text in enumerate(blocks):
            if isinstance(vocabulary, Pieces):
                numbers = torch.tensor(vocabulary.cut(text, begins=number == 0), dtype=torch.long)
            else:
                numbers = vocabulary.encode(text)
            characters += len(text)
            unknown += int((numbers == 0).sum())
            yield numbers

    numbers: Numbers
    if blocks.large:
        numbers = NumberFile(each(), len(vocabulary))
    else:
        numbers = torch.cat([torch.empty(0, dtype=torch.long), *each()])
    return Part(numbers, characters, unknown)


@dataclass(frozen=True)
class PreparedText:
    """A text made ready.

    Args:
        vocabulary: the symbols of the training set.
        characters: of the whole text.
        known, checked, asked: the parts for training, validation and test.
        sample: the beginning of the test set.
        data_hash: the SHA-256 of the text.
    """

    vocabulary: Vocabulary | Pieces
    characters: int
    known: Part
    checked: Part
    asked: Part
    sample: str
    data_hash: "hashlib._Hash"


def prepared_text(path: Path, settings: TextData, streams: int, say: Say) -> PreparedText:
    """Return a text made ready.

    Args:
        path: a text file, or the name of a text that is drawn.
        settings: how it is cut and split.
        streams: that the training set is read in.
        say: called with each line for the user.

    Raises:
        DataError: the file is no text, or too short.
        SettingError: see ``Pieces.of``; or characters are to be few.
    """
    if settings.unit == "char" and settings.vocabulary is not None:
        raise SettingError(
            f"{named('vocabulary')} is of words, syllables and sub-words; {named('unit')} is char, "
            f"and all characters are known. Leave it out, or give {named('unit', 'subword')}."
        )
    if str(path) in TEXTS and not path.exists():
        draw = torch.Generator().manual_seed(settings.data_seed)
        blocks = TextBlocks.of_text(draw_text(str(path), CHARACTERS, draw))
    else:
        blocks = TextBlocks.of_file(path)
    if blocks.large:
        say(
            f"{path.name} is large: it is read in blocks and kept as numbers on disk; of the "
            f"validation and the test set {MOST_HELD:,} characters are read, at most"
        )
    data_hash, total = hashlib.sha256(), 0
    for text in blocks:
        data_hash.update(text.encode())
        total += len(text)
    first = round(total * settings.split[0])
    second = round(total * (settings.split[0] + settings.split[1]))
    _check_parts(path, settings, (first, second - first, total - second), streams)
    ends = [(0, first), (first, second), (second, total)]
    if blocks.large:
        ends[1:] = [(begin, min(end, begin + MOST_HELD)) for begin, end in ends[1:]]
    words = settings.unit != "char"
    known, checked, asked = (blocks.part(begin, end, words=words) for begin, end in ends)
    vocabulary: Vocabulary | Pieces
    if words:
        vocabulary = Pieces.of(known, settings.unit, settings.vocabulary)
    else:
        vocabulary = Vocabulary.of_blocks(known)
    parts = [read_part(vocabulary, part) for part in (known, checked, asked)]
    if words:
        _check_symbols(path, parts, streams, vocabulary.unit_name)
    prepared = PreparedText(
        vocabulary,
        total,
        known=parts[0],
        checked=parts[1],
        asked=parts[2],
        sample=next(iter(asked), "")[:SAMPLE_KEPT],
        data_hash=data_hash,
    )
    for line in _told(prepared):
        say(line)
    return prepared


def _told(text: PreparedText) -> list[str]:
    """Return what the user is told of a text."""
    vocabulary, name = text.vocabulary, text.vocabulary.unit_name
    known, later = text.known, (text.checked, text.asked)
    unknown = sum(part.unknown for part in later)
    characters = counted(text.characters, "character")
    if isinstance(vocabulary, Vocabulary):
        different = counted(len(vocabulary) - 1, "different one")
        lines = [f"{characters}, {different} in the training set"]
    else:
        lines = [
            f"{characters}; the training set is {counted(len(known), name)}, of "
            f"{counted(len(vocabulary) - 1, 'different one')}"
        ]
    if vocabulary.unit == "word":
        share, tested = 100 * known.unknown_share, 100 * text.asked.unknown_share
        lines.append(
            f"{share:.1f} % of the words of the training set and {tested:.1f} % of the test set "
            "are unknown and stand as one word, so that scores per character are too good; other "
            "units spell every word"
        )
    elif unknown:
        many = "is unknown there and stands" if unknown == 1 else "are unknown there and stand"
        lines.append(f"{counted(unknown, 'character')} after it {many} as one character")
    if vocabulary.unit in ("word", "syllable") and len(vocabulary) > MANY_WORDS * len(known):
        lines.append(
            f"{counted(len(vocabulary) - 1, 'different one')} are many for so short a text: "
            f"{named('unit', 'subword')} or {named('vocabulary', len(vocabulary) // 4)} may do "
            "better"
        )
    return lines


def _check_symbols(path: Path, parts: list[Part], streams: int, name: str) -> None:
    """Check that every part holds two symbols or more, and the training set enough for all
    streams.

    Raises:
        DataError: a part is too short.
    """
    for of, part in zip(("training", "validation", "test"), parts, strict=True):
        least = streams + 1 if of == "training" else 2
        if len(part) < least:
            raise DataError(
                f"{path}: the {of} set has {counted(len(part), name)}; expected {least:,} or "
                f"more. Give a longer text, or {named('unit', 'char')}."
            )


def _check_parts(
    path: Path, settings: TextData, lengths: tuple[int, int, int], streams: int
) -> None:
    """Check that every part holds two characters or more, and the training set enough for all
    streams.

    Raises:
        DataError: a part is too short.
    """
    whole = counted(sum(lengths), "character")
    split = "/".join(f"{part:g}" for part in settings.split)
    for name, length in zip(("training", "validation", "test"), lengths, strict=True):
        if length < 2:
            larger = round(0.6 * sum(lengths))
            advice = (
                f", or larger parts, as {named('split', '0.6/0.2/0.2')}"
                if sum(lengths) >= 10
                else ""
            )
            advice += f" {named('batch', larger - 1)}" * bool(advice and larger <= streams)
            raise DataError(
                f"{path}: the text has {whole}, and with {named('split', split)} the {name} set "
                f"has {length}; expected 2 or more in each part. Give a longer text{advice}."
            )
    if lengths[0] <= streams:
        raise DataError(
            f"{path}: the training set has {counted(lengths[0], 'character')}; "
            f"{counted(streams, 'stream')} of text need {streams + 1:,} or more. Give a longer "
            f"text, or {named('batch', lengths[0] - 1)} or less."
        )
