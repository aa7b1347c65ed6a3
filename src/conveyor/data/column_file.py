"""Reads and fills files with a word in each line and its tags in further columns, as CoNLL-2003's,
and an empty line after each sentence."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from conveyor.data.tagged_sentences import COLUMNS, TaggedSentence, TaggedSentences, lines_of
from conveyor.errors import DataError, counted, named

# The line that begins a document in files of CoNLL-2003.
_DOCUMENT = "-DOCSTART-"


class _Table:
    """The lines of such a file.

    Args:
        path: the file.

    Raises:
        DataError: the file cannot be read, or holds no word.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lines = path, lines_of(path)
        words = [line for line in self.lines if line.strip() and not line.startswith("#")]
        self._tabs = bool(words) and "\t" in words[0]
        self.first = self.lines.index(words[0]) + 1 if words else 0
        self.width = len(self._split(words[0])) if words else 0
        self.documents = 0

    @property
    def between(self) -> str:
        """What stands between two columns."""
        return "\t" if self._tabs else " "

    def _split(self, line: str) -> list[str]:
        return line.split("\t") if self._tabs else line.split()

    def rows(self) -> Iterator[tuple[int, list[str] | None]]:
        """Yield the number of each line, and its columns; None for the end of a sentence.

        Raises:
            DataError: a line has another number of columns than the first.
        """
        for number, line in enumerate(self.lines, 1):
            fields = self._split(line)
            if not line.strip():
                yield number, None
            elif fields[0] == _DOCUMENT:
                self.documents += 1
                yield number, None
            elif len(fields) == self.width and fields[0]:
                yield number, fields
            elif not line.startswith("#"):  # a comment
                what = "spaces" if self._tabs else "tabs"
                count = len(fields)
                problem = f"there {'is' if count == 1 else 'are'} {counted(count, 'column')}"
                if count == self.width:
                    problem = "there is no word in column 1"
                hint = f" Are there {what} between them?" if count == 1 else ""
                raise DataError(
                    f"{self.path}, line {number:,}: {problem}; expected a word and its tag in "
                    f"{counted(self.width, 'column')}, as in line {self.first:,}.{hint}"
                )
        yield len(self.lines) + 1, None


def read_columns(path: Path, tags: str | None = None, *, tagged: bool = True) -> TaggedSentences:
    """Read a file with words in its first column. Columns are between tabs where its first line has
    one, else between blanks; lines ``-DOCSTART-`` are left out.

    Args:
        path: the file.
        tags: the number of the column of tags, counted from 1; None for the last.
        tagged: whether there must be tags.

    Raises:
        DataError: the file cannot be read, a line has another number of columns, or there is no
            column of tags.
    """
    table = _Table(path)
    column = _column(table, tags) if tagged else 0
    sentences: list[TaggedSentence] = []
    sentence = TaggedSentence([], [], [])
    for number, fields in table.rows():
        if fields is None:
            if sentence.words:
                sentences.append(sentence)
            sentence = TaggedSentence([], [], [])
            continue
        sentence.words.append(fields[0])
        sentence.lines.append(number)
        if tagged:
            if not fields[column]:
                raise DataError(f"{path}, line {number:,}: the word {fields[0]} has no tag.")
            sentence.tags.append(fields[column])
    notes = []
    if table.documents:
        notes.append(f"{path}: {counted(table.documents, 'document')} (-DOCSTART-)")
    if tagged and tags is None and table.width > 2:
        notes.append(
            f"{path}: tags are in column {column + 1}, the last (another one: {named('tags', 2)})"
        )
    return TaggedSentences(str(path), sentences, COLUMNS, notes)


def _column(table: _Table, tags: str | None) -> int:
    """Return the index of the column of tags.

    Raises:
        DataError: there is none.
    """
    if table.width < 2:
        raise DataError(
            f"{table.path}: there is one column only; expected a word and its tag in each line. If "
            f"tags are in another file, name it: {named('labels')}."
        )
    if tags is None:
        return table.width - 1
    if not tags.isdecimal() or not 2 <= int(tags) <= table.width:
        raise DataError(
            f"{named('tags')} is {tags}, and {table.path} has "
            f"{counted(table.width, 'column')} without names, the first of words. Give a number "
            f"from 2 to {table.width}."
        )
    return int(tags) - 1


def filled_columns(
    path: Path,
    answers: Sequence[Sequence[str]],
    more: Sequence[Sequence[str]] | None = None,
) -> str:
    """Return the text of such a file with a further column of tags; all else stays.

    Args:
        path: the file, as ``read_columns`` has read it.
        answers: the tags of each sentence.
        more: of each word, what one column more holds; None for none.
    """
    table = _Table(path)
    filled = list(table.lines)
    sentence, word = 0, 0
    for number, fields in table.rows():
        if fields is None:
            sentence, word = sentence + (word > 0), 0
            continue
        new = [each[sentence][word] for each in (answers, more) if each is not None]
        filled[number - 1] = table.between.join([table.lines[number - 1].rstrip(), *new])
        word += 1
    return "".join(f"{line}\n" for line in filled)
