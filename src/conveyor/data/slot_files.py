"""Reads sentences and their tags from two files with a line for each sentence, and perhaps what
each is about from a third: the form of ATIS and SNIPS."""

from pathlib import Path

from conveyor.data.conllu import looks_like_conllu
from conveyor.data.tagged_sentences import (
    LINES,
    TaggedSentence,
    TaggedSentences,
    lines_of,
    words_of,
)
from conveyor.errors import DataError, counted, named


def read_lines(path: Path) -> TaggedSentences:
    """Read a file with a sentence in each line, words between blanks. A line without a word is a
    sentence without one.

    Raises:
        DataError: the file cannot be read.
    """
    rows = [(words_of(line), number) for number, line in enumerate(lines_of(path), 1)]
    sentences = [TaggedSentence(words, [], [number] * len(words)) for words, number in rows]
    return TaggedSentences(str(path), sentences, LINES)


def read_slots(path: Path, labels: Path, intent: Path | None = None) -> TaggedSentences:
    """Read sentences with a tag for each word.

    Args:
        path: a file with a sentence in each line, words between blanks.
        labels: one with their tags.
        intent: one with what each is about, a name in each line; None for none.

    Raises:
        DataError: a file cannot be read, they differ in the number of lines, or a line in the
            number of words and tags.
    """
    files = [path, labels, *([intent] if intent else [])]
    columns = [lines_of(file) for file in files]
    for file, lines in zip(files, columns, strict=True):
        if looks_like_conllu(lines):
            raise DataError(
                f"{file} is CoNLL-U, which holds the words and their tags. Give it alone, without "
                f"{named('labels')}."
            )
    for file, lines in zip(files[1:], columns[1:], strict=True):
        if len(lines) != len(columns[0]):
            raise DataError(
                f"{path} has {counted(len(columns[0]), 'line')} and {file} {len(lines):,}; "
                "expected as many: each belongs to the same line of the other."
            )
    sentences, blank = [], []
    for number, (line, of_tags, *of_intent) in enumerate(zip(*columns, strict=True), 1):
        words, tags = words_of(line), words_of(of_tags)
        if len(words) != len(tags):
            raise DataError(
                f"{labels}, line {number:,}: there {'is' if len(tags) == 1 else 'are'} "
                f"{counted(len(tags), 'tag')} for {counted(len(words), 'word')} of {path.name}; "
                "expected one for each."
            )
        about = of_intent[0].strip() if of_intent else ""
        if intent and words and not about:
            raise DataError(f"{intent}, line {number:,}: it is empty; expected an intent.")
        if words:
            sentences.append(TaggedSentence(words, tags, [number] * len(words), about))
        else:
            blank.append(number)
    notes = []
    if blank:
        notes.append(
            f"{path}: {counted(len(blank), 'line')} without a word "
            f"{'is' if len(blank) == 1 else 'are'} left out, the first {blank[0]:,}"
        )
    return TaggedSentences(str(path), sentences, LINES, notes)


def companion_of(path: Path, main: Path, companion: Path) -> Path:
    """Return where the tags of a further file of sentences are: in its folder, under the name that
    they have beside the first; where both files of sentences share a folder, under its own name
    with the ending of the first's tags (dev.in and dev.out).

    Args:
        path: the further file.
        main: the first file of sentences.
        companion: the file that belongs to it.
    """
    if path.parent.resolve() != main.parent.resolve():
        return path.parent / companion.name
    return path.with_name(path.stem + companion.suffix)
