"""Reads sentences and tags from whatever holds them."""

from pathlib import Path
from typing import Any

from conveyor.data.column_file import read_columns
from conveyor.data.conllu import looks_like_conllu, read_conllu
from conveyor.data.slot_files import read_lines, read_slots
from conveyor.data.tagged_sentences import (
    COLUMNS,
    TaggedSentences,
    lines_of,
    of_list,
)
from conveyor.errors import DataError, named


def is_conllu(path: Path) -> bool:
    """Return whether a file is in CoNLL-U, by its name or by what it holds."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(".conllu") or looks_like_conllu(lines_of(path))


def read_tagged(
    source: Any,
    *,
    tags: str | None = None,
    labels: str | Path | None = None,
    intent: str | Path | None = None,
) -> TaggedSentences:
    """Read sentences with a tag for each word.

    Args:
        source: a file in CoNLL-U, or with a word in each line; with ``labels`` one with a sentence
            in each line; in Python also a list of pairs of words and tags.
        tags: the column of the tags: a name of CoNLL-U's or a number, counted from 1; None for
            ``upos``, or the last.
        labels: the file with the tags of each line; None where they stand beside the words.
        intent: the file with what each sentence is about; None for none.

    Raises:
        DataError: the source cannot be read.
    """
    if isinstance(source, list | tuple):
        return of_list(source, tagged=True)
    path = _file_of(source)
    if labels is not None:
        return read_slots(path, Path(labels), None if intent is None else Path(intent))
    if intent is not None:
        raise DataError(
            f"{named('intent')} is of sentences in lines, whose tags another file holds. Give "
            f"{named('labels')}, too."
        )
    if is_conllu(path):
        return read_conllu(path, tags)
    return read_columns(path, tags)


def read_untagged(source: Any, form: str) -> TaggedSentences:
    """Read sentences without tags.

    Args:
        source: a file in CoNLL-U, or of that form; in Python also a list of lists of words.
        form: of the files that a run was fitted on.

    Raises:
        DataError: the source cannot be read.
    """
    if isinstance(source, list | tuple):
        return of_list(source, tagged=False)
    path = _file_of(source)
    if is_conllu(path):
        return read_conllu(path, tagged=False)
    return read_columns(path, tagged=False) if form == COLUMNS else read_lines(path)


def _file_of(source: Any) -> Path:
    """Return the path of a source that is a file.

    Raises:
        DataError: it is no path, or that of a folder.
    """
    if not isinstance(source, str | Path):
        raise DataError(f"the source is a {type(source).__name__}; expected a file or a list.")
    path = Path(source)
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a file of sentences.")
    return path
