"""Sentences with a tag for each word, whatever file they come from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from conveyor.data.files import decoded, read_unpacked
from conveyor.errors import DataError, counted

# The forms of files: CoNLL-U; words in columns; a sentence in each line.
CONLLU, COLUMNS, LINES = "conllu", "columns", "lines"


class TaggedSentence(NamedTuple):
    """A sentence.

    Attributes:
        words: one or more; a word may hold spaces, as Vietnamese ones do.
        tags: one for each word; empty where there are none.
        lines: of the file, in which each word stands.
        intent: what the whole sentence is about; empty where there is none.
    """

    words: list[str]
    tags: list[str]
    lines: list[int]
    intent: str = ""

    @property
    def place(self) -> str:
        """How messages name the sentence."""
        return f"line {self.lines[0]:,}"


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences in the order of their source.

    Attributes:
        name: of the source.
        sentences: all with a word or more.
        form: of the file.
        notes: for the user.
    """

    name: str
    sentences: list[TaggedSentence]
    form: str
    notes: list[str] = field(default_factory=list)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a user's file. Lines end only where a line feed is: words may hold what
    Unicode calls the end of a line.

    Raises:
        DataError: the file cannot be read, is no text, or is empty.
    """
    lines = [line.removesuffix("\r") for line in decoded(path, read_unpacked(path)).split("\n")]
    if not lines[-1]:
        lines.pop()
    if not any(line.strip() for line in lines):
        raise DataError(f"{path}: the file is empty; expected sentences.")
    return lines


def words_of(line: str) -> list[str]:
    """Return the words of a line, between which there are spaces or tabs. Other blanks, as one
    that does not break, belong to a word."""
    return [word for word in re.split("[ \t]+", line) if word]


def of_list(source: Sequence[Any], *, tagged: bool) -> TaggedSentences:
    """Return the sentences of a list: pairs of words and tags; without tags, lists of words, or
    texts whose words are between blanks.

    Args:
        source: the list.
        tagged: whether there must be tags.

    Raises:
        DataError: it holds something else.
    """
    expected = "pairs of words and tags" if tagged else "lists of words"
    if not source:
        raise DataError(f"the list is empty; expected {expected}.")
    sentences = []
    for number, item in enumerate(source, 1):
        words, tags = item if tagged and _is_pair(item) else (item, [])
        if isinstance(words, str) and not tagged:
            words = words_of(words)
        if not _are_words(words) or not _are_words(tags) or (tagged and not _is_pair(item)):
            raise DataError(f"item {number} of the list is {item!r:.60}; expected {expected}.")
        if tagged and len(words) != len(tags):
            raise DataError(
                f"item {number} of the list has {counted(len(words), 'word')} and "
                f"{counted(len(tags), 'tag')}; expected a tag for each word."
            )
        sentences.append(TaggedSentence(list(words), list(tags), [number] * len(words)))
    kept = [sentence for sentence in sentences if sentence.words] if tagged else sentences
    return TaggedSentences("list", kept, LINES)


def _is_pair(item: object) -> bool:
    return (
        isinstance(item, list | tuple)
        and len(item) == 2
        and all(isinstance(each, list | tuple) for each in item)
    )


def _are_words(item: object) -> bool:
    return isinstance(item, list | tuple) and all(isinstance(word, str) for word in item)
