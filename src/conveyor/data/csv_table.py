"""Reads tables of separated values as spreadsheets, loggers and libraries write them."""

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from conveyor.data.file_kind import check_kind
from conveyor.data.files import decoded, read_unpacked
from conveyor.errors import DataError, counted

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

SEPARATORS_IN_WORDS = "commas, semicolons, tabs or bars, the same in all lines"

# The separator is inferred from this many rows of this many characters at most.
_SAMPLE_ROWS, _SAMPLE_LENGTH = 100, 200_000

# A title above a table has so many lines at most, and stands above so many columns at least.
_MOST_TITLES, _FEWEST_NAMES = 10, 3

# Spreadsheets write these where a formula has no value. A line that begins with one is no comment.
_SPREADSHEET_ERRORS = ("#N/A", "#NA", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!")

# A header holds no such text: a number, or a text that begins as a date does.
_VALUE = re.compile(r"[+-]?[\d.,]*\d(e[+-]?\d+)?|\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T].*)?", re.I)


@dataclass(frozen=True)
class CsvTable:
    """The texts of a file: the name and the values of each column, the line number of each row, the
    separator, and notes for the user."""

    names: list[str]
    columns: list[list[str]]
    lines: list[int]
    separator: str
    notes: list[str] = field(default_factory=list)


class _Lines:
    """Iterates over the lines of a text for ``csv.reader``.

    Blank lines and comments between records are left out; inside a quoted value they are part of
    the value. ``begins`` is the line number on which the current record begins.
    """

    def __init__(self, text: str, *, prose: bool = False) -> None:
        self._lines, self._prose = io.StringIO(text, newline=""), prose
        self.number = self.begins = 0
        self.between_records = True
        self.comments: list[tuple[int, str]] = []
        self.blank: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            if self.between_records:
                bare = line.strip()
                if not bare:
                    self.blank.append(self.number)
                    continue
                if not self._prose and _is_comment(bare):
                    self.comments.append((self.number, bare))
                    continue
                self.between_records = False
                self.begins = self.number
            yield line


def _is_comment(line: str) -> bool:
    if re.match(r"#[,;\t]\w", line):
        return False  # the first column is called "#"
    return line.startswith("#") and not line.upper().startswith(_SPREADSHEET_ERRORS)


def _records(
    path: Path, lines: _Lines, separator: str, *, quotes: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield the records with the line numbers on which they begin.

    Args:
        path: of the file, for errors.
        lines: of the file.
        separator: of the values.
        quotes: whether quotes around a value are not part of it.

    Raises:
        DataError: a record's quotes are wrong.
    """
    reader = csv.reader(
        iter(lines),
        delimiter=separator,
        strict=True,
        skipinitialspace=True,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
    )
    while True:
        lines.between_records = True
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}, line {lines.begins}: {_in_words(error)}. Put a value that "
                'holds a quote or a separator into quotes, and write a quote in it twice: "".'
            ) from error
        yield lines.begins, record


def _in_words(error: csv.Error) -> str:
    if "field larger" in str(error):
        most = csv.field_size_limit()
        return f"a value has more than {most:,} characters; perhaps a quote does not end"
    return f"its quotes are wrong: {error}"


def _sample(path: Path, text: str, separator: str, *, prose: bool) -> list[list[str]]:
    """Return the first records, up to one whose quotes are wrong; of prose with tabs quotes need
    not be right."""
    quotes = not (prose and separator == "\t")
    records = _records(path, _Lines(text, prose=prose), separator, quotes=quotes)
    sample = []
    with contextlib.suppress(DataError):
        for _, record in islice(records, _SAMPLE_ROWS):
            sample.append(record)
    return sample


def _separator(path: Path, text: str, *, prose: bool) -> str:
    """Return the separator that splits the header and most rows. Of several such separators it is
    the one that gives the most rows as many values as the header."""
    best, best_score = ",", (False, False, 0.0, 0)
    for separator in SEPARATORS:
        sample = _sample(path, text[:_SAMPLE_LENGTH], separator, prose=prose)
        sample = sample[_titles(sample, prose=prose) :]
        if len(sample) < 2:
            continue
        header, *rows = map(len, sample)
        usual, often = Counter(rows).most_common(1)[0]
        header -= header == usual + 1 and not sample[0][-1]  # the header ends with a separator
        splits = 1 < header <= usual and often > len(rows) / 2
        # A separator that cuts a quoted value leaves an odd quote on each side.
        whole = all(value.count('"') % 2 == 0 for record in sample for value in record)
        score = (splits, splits and whole, rows.count(header) / len(rows), header)
        if score > best_score:
            best, best_score = separator, score
    return best


def _titles(sample: list[list[str]], *, prose: bool) -> int:
    """Return how many of the first records are a title or a remark above the header: those with one
    value, or none, where a record of names follows that has three and more. A header of two columns
    may have one name."""
    filled = [[value for value in record if value.strip()] for record in sample]
    count = next((number for number, values in enumerate(filled) if len(values) > 1), 0)
    above = not prose and 0 < count <= _MOST_TITLES and len(filled[count]) >= _FEWEST_NAMES
    return count if above and not any(map(_is_value, filled[count])) else 0


def _is_value(text: str) -> bool:
    return bool(_VALUE.fullmatch(text.strip()))


def _only_values(record: list[str]) -> bool:
    values = [value.strip() for value in record if value.strip()]
    # Libraries number columns without names: 0, 1, 2. Such a line is a header.
    numbered = values == [str(number) for number in range(len(values))]
    return not numbered and all(map(_is_value, values))


def _header(
    path: Path, first: tuple[int, list[str]], lines: _Lines, separator: str
) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether the first record is already a row of values.

    Raises:
        DataError: the file has no header.
    """
    line, record = first
    above = [text for number, text in lines.comments if number < line]
    names = [name.strip(' "') for name in above[-1].strip("# \t").split(separator)] if above else []
    # The last comment is the header if it names as many columns as the first record has values.
    are_names = len(names) == len(record) > 1 and all(names) and not any(map(_is_value, names))
    if are_names and any(map(_is_value, record)):
        return names, True
    if not _only_values(record):
        return [name.strip() for name in record], False
    raise _no_header(path, line, separator.join(record))


def _no_header(path: Path, line: int, record: str) -> DataError:
    return DataError(
        f"{path}, line {line}: {record!r} are values, not names of columns. Put a line of names "
        "above it."
    )


def _check_length(
    path: Path, header: tuple[int, list[str]], row: tuple[int, list[str]], separator: str
) -> None:
    """Check that a row has one value for each name of the header.

    Raises:
        DataError: the row is longer or shorter; the text names its line.
    """
    (above, names), (line, record) = header, row
    beyond = record[len(names) :]
    between = SEPARATORS.get(separator, repr(separator))
    if not names[-1] and len(record) == len(names) - 1:
        raise DataError(
            f"{path}, line {above}: the header ends with a {between}, and line {line} does not. "
            "Take it off the header, or end all lines with one."
        )
    if len(record) < len(names) or any(value.strip() for value in beyond):
        raise DataError(
            f"{path}, line {line}: {counted(len(record), 'value')}; the header has "
            f"{counted(len(names), 'column')} ({between}-separated). Correct the line: put a value "
            "that holds the separator into quotes, and leave an empty place where a value is "
            "missing."
        )


def _quotes_are_right(path: Path, text: str, separator: str) -> bool:
    try:
        for _ in _records(path, _Lines(text, prose=True), separator):
            pass
    except DataError:
        return False
    return True


def read_csv(path: Path, *, prose: bool = False) -> CsvTable:
    """Return the texts of a file of separated values (also ``.gz``). The separator is inferred.

    Args:
        path: the file.
        prose: whether its values are what people write: a line that begins with # is no comment,
            and where tabs separate values, quotes that do not fit are part of them.

    Raises:
        DataError: the file is empty, its rows are not as long as its header, or its quotes are
            wrong; the text names the line.
    """
    data = read_unpacked(path)
    check_kind(path, data)
    return table_of_text(path, decoded(path, data), prose=prose)


def table_of_text(path: Path, text: str, *, prose: bool = False) -> CsvTable:
    """Return the values of a text; see ``read_csv``.

    Args:
        path: of the file that it is of, for errors.
        text: the text.
        prose: whether its values are what people write.

    Raises:
        DataError: see ``read_csv``.
    """
    # Spreadsheets read a first line such as "sep=;" as the separator.
    declared = re.match(r"\s*\"?sep=(.)\"?[\r\n]+", text, re.IGNORECASE)
    body = text[declared.end() :] if declared else text
    lines = _Lines(body, prose=prose)
    lines.number = text[: declared.end()].count("\n") if declared else 0
    separator = declared[1] if declared else _separator(path, text, prose=prose)
    plain = prose and separator == "\t" and not _quotes_are_right(path, body, separator)
    records = _records(path, lines, separator, quotes=not plain)
    titles = _titles(_sample(path, body[:_SAMPLE_LENGTH], separator, prose=prose), prose=prose)
    above = [line for line, _ in islice(records, titles)]
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; expected a header line and rows of values.")
    names, is_row = _header(path, first, lines, separator)
    blanks_above = len(lines.blank)
    rows: list[list[str]] = []
    row_lines: list[int] = []
    empty_rows: list[int] = []
    for line, record in [first] * is_row:
        rows.append(record)
        row_lines.append(line)
    one_column = len(names) == 1
    for line, record in records:
        _check_length(path, (first[0], names), (line, record), separator)
        if not one_column and not any(value.strip() for value in record):
            empty_rows.append(line)
            continue
        rows.append(record[: len(names)])
        row_lines.append(line)
    if not rows:
        raise DataError(f"{path}: there is a header and no row below it.")
    notes = ["quotes do not fit, and are read as part of the values"] if plain else []
    if one_column and names == ["0"]:
        if rows[:2] == [["1"], ["2"]]:
            raise _no_header(path, first[0], "0")
        notes.append(f"line {first[0]}, 0, is taken for the name of the column")
    if above:
        what = "above the names of the columns"
        notes.append(_skipped(above[0], titles, what, "taken for a title"))
    if lines.comments and not (is_row and len(lines.comments) == 1):
        notes.append(_skipped(lines.comments[0][0], len(lines.comments), "that begins with #"))
    if is_row:
        notes.append("the names of the columns are taken from the last line that begins with #")
    blank = [line for line in lines.blank[blanks_above:] if line < row_lines[-1]]
    # A blank line after every row comes from doubled line ends, and is no missing value.
    if one_column and len(blank) < len(rows) - 1:
        missing = [line for line in blank if line > row_lines[0]]
        values = dict(zip(row_lines, rows, strict=True)) | {line: [""] for line in missing}
        row_lines, rows = sorted(values), [values[line] for line in sorted(values)]
        if missing:
            notes.append(
                _skipped(missing[0], len(missing), "that is blank", "taken for missing values")
            )
        blank = [line for line in blank if line < row_lines[0]]
    for numbers, what in ((blank, "that is blank"), (empty_rows, "without a value")):
        if numbers:
            notes.append(_skipped(numbers[0], len(numbers), what))
    return CsvTable(
        names, [list(column) for column in zip(*rows, strict=True)], row_lines, separator, notes
    )


def _skipped(first: int, count: int, what: str, how: str = "skipped") -> str:
    if count == 1:
        return (
            f"line {first}, {what}, is {how.replace('for missing values', 'for a missing value')}"
        )
    many = what.replace("begins", "begin").replace("that is", "that are")
    return f"{counted(count, 'line')} {many} are {how}, the first of them line {first}"
