"""Reads and fills files in the form CoNLL-U of Universal Dependencies: a line for each word, with
ten columns between tabs, and an empty line after each sentence.

https://universaldependencies.org/format.html
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from conveyor.data.tagged_sentences import CONLLU, TaggedSentence, TaggedSentences, lines_of
from conveyor.errors import DataError, counted, did_you_mean, named

COLUMN_NAMES = (
    "id",
    "form",
    "lemma",
    "upos",
    "xpos",
    "feats",
    "head",
    "deprel",
    "deps",
    "misc",
)
FORM, MISC = COLUMN_NAMES.index("form"), COLUMN_NAMES.index("misc")

# What stands in a column that says nothing, and how values of the last column are parted.
NOTHING, BETWEEN = "_", "|"

# The numbers of lines that are no words: several words written as one, and a word left out.
_RANGE, _EMPTY = re.compile(r"\d+-\d+"), re.compile(r"\d+\.\d+")


def looks_like_conllu(lines: Iterable[str]) -> bool:
    """Return whether the first line that is neither empty nor a comment has the ten columns."""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            fields = line.split("\t")
            return len(fields) == len(COLUMN_NAMES) and fields[0][:1].isdigit()
    return False


def column_of(tags: str | None) -> int:
    """Return the index of a column.

    Args:
        tags: its name or its number, counted from 1; None for ``upos``.

    Raises:
        DataError: there is no such column.
    """
    name = tags or "upos"
    if name in COLUMN_NAMES[2:]:
        return COLUMN_NAMES.index(name)
    # The first two are the number of a word, and the word.
    if name.isdecimal() and 3 <= int(name) <= len(COLUMN_NAMES):
        return int(name) - 1
    raise DataError(
        f"{named('tags')} is {name}: CoNLL-U has no such column to learn. "
        f"{did_you_mean(name, COLUMN_NAMES[2:])} A number from 3 to 10 counts columns."
    )


def _words(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the number of each line, and its columns; None for the end of a sentence.

    Raises:
        DataError: a line is none of the form.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield number, None
        elif not line.startswith("#"):
            fields = line.split("\t")
            where = f"{path}, line {number:,}"
            if len(fields) != len(COLUMN_NAMES):
                spaces = len(line.split()) >= len(COLUMN_NAMES) > len(fields)
                hint = " There are spaces where tabs should be." if spaces else ""
                raise DataError(
                    f"{where}: there {'is' if len(fields) == 1 else 'are'} "
                    f"{counted(len(fields), 'column')}; expected the 10 of CoNLL-U, with tabs "
                    f"between them.{hint}"
                )
            if not fields[0].isdecimal() and not _skipped(fields[0]):
                raise DataError(
                    f"{where}: the word's number is {fields[0]!r}; expected 1, 2, 3 and so on."
                )
            if not fields[FORM]:
                raise DataError(f"{where}: there is no word in column 2.")
            yield number, fields
    yield len(lines) + 1, None


def _skipped(word_id: str) -> str:
    """Return what a line is that is no word of its own; empty for a word."""
    if _RANGE.fullmatch(word_id):
        return "line of several words written as one (1-2)"
    return "line of a word that is left out (1.1)" if _EMPTY.fullmatch(word_id) else ""


def read_conllu(path: Path, tags: str | None = None, *, tagged: bool = True) -> TaggedSentences:
    """Read a file in CoNLL-U. Lines of several words (1-2) and of empty ones (1.1) are left out.

    Args:
        path: the file.
        tags: the column of the tags, see ``column_of``.
        tagged: whether there must be tags.

    Raises:
        DataError: the file cannot be read, or a word has no tag; the line is named.
    """
    column = column_of(tags)
    left_out: Counter[str] = Counter()
    sentences: list[TaggedSentence] = []
    sentence = TaggedSentence([], [], [])
    for number, fields in _words(path, lines_of(path)):
        if fields is None:
            if sentence.words:
                sentences.append(sentence)
            sentence = TaggedSentence([], [], [])
        elif skipped := _skipped(fields[0]):
            left_out[skipped] += 1
        else:
            tag = fields[column]
            if tagged and tag in ("", NOTHING):
                raise DataError(
                    f"{path}, line {number:,}: the word {fields[FORM]} has no tag in column "
                    f"{COLUMN_NAMES[column]}. Name a column that has them: {named('tags')}."
                )
            sentence.words.append(fields[FORM])
            sentence.lines.append(number)
            if tagged:
                sentence.tags.append(tag)
    notes = [
        f"{path}: {counted(count, what, what.replace('line', 'lines', 1))} "
        f"{'is' if count == 1 else 'are'} left out"
        for what, count in sorted(left_out.items())
    ]
    return TaggedSentences(str(path), sentences, CONLLU, notes)


def filled_conllu(
    path: Path,
    tags: str | None,
    answers: Sequence[Sequence[str]],
    remark: Callable[[int, int], str] | None = None,
) -> str:
    """Return the text of a file in CoNLL-U with another column of tags; all else stays.

    Args:
        path: the file, as ``read_conllu`` has read it.
        tags: the column, see ``column_of``.
        answers: the tags of each sentence.
        remark: of the numbers of sentence and word, what is added to the last column; None adds
            nothing.
    """
    lines, column = lines_of(path), column_of(tags)
    filled = list(lines)
    sentence, word = 0, 0
    for number, fields in _words(path, lines):
        if fields is None:
            sentence, word = sentence + (word > 0), 0
        elif not _skipped(fields[0]):
            fields[column] = answers[sentence][word]
            if remark is not None:
                before = "" if fields[MISC] == NOTHING else fields[MISC] + BETWEEN
                fields[MISC] = before + remark(sentence, word)
            filled[number - 1] = "\t".join(fields)
            word += 1
    if filled[-1]:
        filled.append("")  # the empty line after the last sentence
    return "".join(f"{line}\n" for line in filled)
