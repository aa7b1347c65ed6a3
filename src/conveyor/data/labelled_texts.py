"""Reads texts and what they are to be called: a table, a folder of classes, lines of fastText."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import polars as pl

from conveyor.data.files import decoded, read_bytes, read_unpacked
from conveyor.data.raw_table import RawTable, is_nameless, is_row_number, read_raw
from conveyor.data.raw_table import label as column_name
from conveyor.data.several_labels import SEPARATOR, SeveralLabels
from conveyor.errors import DataError, counted, named

# The parts of data, and what people call them.
PARTS = ("train", "validation", "test")
_PART_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}

# fastText marks a label so.
_MARK = "__label__"

# A column is taken for the label if it has at most so many values, and for the text if its values
# have so many words on average.
_MOST_CLASSES, _LEAST_WORDS = 100, 3.0

# A column of so many different numbers holds measurements, not labels.
MOST_NUMBERS = 100


# What often parts several labels in a cell.
_SEPARATORS = (SEPARATOR, "|", ",")

# What says in a column of a label that it holds, and that it does not.
_HOLDS = {"1": True, "1.0": True, "true": True, "yes": True}
_HOLDS_NOT = {"": False, "0": False, "0.0": False, "false": False, "no": False}


@dataclass(frozen=True)
class LabelledTexts:
    """Texts in the order of their source.

    Attributes:
        name: of the source.
        texts: empty where there is none.
        labels: of each text, in normal form C without blanks around it, empty where there is none;
            None where nothing names them. Several are put together, in the order of Unicode.
        sets: the labels of each text, in that order, where a text may have several; None where each
            has one.
        places: how errors name each.
        parts: the part of each, 0 to 2 as in ``PARTS``; None where nothing names parts.
        text, label: the columns, None where there is no table.
        frame: the table, None where there is none.
        notes: for the user.
    """

    name: str
    texts: list[str]
    labels: list[str] | None
    places: list[str]
    parts: list[int] | None = None
    text: str | None = None
    label: str | None = None
    frame: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    sets: list[tuple[str, ...]] | None = None


def read_texts(
    source: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    part: str | None = None,
    labelled: bool = True,
    forms: SeveralLabels | None = None,
    needs_part: bool = True,
) -> LabelledTexts:
    """Read texts and their labels.

    Args:
        source: a table (any file or data frame that ``read_raw`` reads); a folder with a folder of
            files for each class, perhaps in folders train, validation and test; a file ``.txt``
            with a line for each text, which begins with ``__label__x``, or with several of them;
            in Python also a list of texts, or of pairs of a text and its label or a list of labels.
        text, label: the columns of a table; None infers them.
        part: the column that says train, validation or test; None for none.
        labelled: whether there must be labels.
        forms: how several labels are said; None to find out by the data.
        needs_part: whether the column of parts must be there.

    Raises:
        DataError: the source cannot be read, has no such column, or it is in doubt which is meant.
    """
    forms = forms or SeveralLabels()
    if isinstance(source, list | tuple):
        return _of_list(source, forms, labelled=labelled)
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return _of_folder(path, part)
        if path.name.lower().removesuffix(".gz").endswith(".txt"):
            return _of_lines(path, forms, labelled=labelled)
    columns = forms.columns if labelled else ()
    asked = [name for name in (text, label, part if needs_part else None, *columns) if name]
    raw = read_raw(source, prose=True).with_names(asked)
    if part not in raw.frame.columns:
        part = None
    notes = list(raw.notes)
    for name in asked:
        raw.column(name)
    if label is None and labelled and not columns:
        label = _the_one(raw, "label", _like_labels(raw, forms.separator, text, part))
        notes.append(f"labels: column {label} (another one: {named('label', 'NAME')})")
    if text is None:
        text = _the_one(raw, "text", _like_texts(raw, label, part, *columns))
        notes.append(f"texts: column {text} (another one: {named('text', 'NAME')})")
    if text == label:
        raise DataError(f"{raw.name}: column {text} cannot be the text and its label, too.")
    labels, sets = _labels_of(raw, label, columns, forms)
    if labels is not None and sets is None:
        notes += _hints(raw.name, label, labels)
    if sets is not None and forms.several is None:
        if label is not None:
            notes += _unparted(raw.name, as_labels(raw, label), forms.joint)
        held = {name for labels_of in sets for name in labels_of}
        for name in columns:
            if name not in held:
                notes.append(f"{raw.name}: {name} holds for no text; it is left out")
    return LabelledTexts(
        raw.name,
        as_texts(raw.column(text)),
        labels,
        [raw.position(row) for row in range(len(raw.frame))],
        None if part is None else parts_of(raw, part),
        text,
        label,
        raw.frame,
        notes,
        sets,
    )


def _labels_of(
    raw: RawTable, label: str | None, columns: Sequence[str], forms: SeveralLabels
) -> tuple[list[str] | None, list[tuple[str, ...]] | None]:
    """Return the label of each row and, where it may have several, all of them."""
    if columns:
        _check_apart(raw.name, columns, forms.joint, "Rename the column.")
        rows = zip(*(_marked(raw, name) for name in columns), strict=True)
        sets = [
            tuple(sorted(name for name, holds in zip(columns, row, strict=True) if holds))
            for row in rows
        ]
        return [forms.joint.join(each) for each in sets], sets
    if label is None:
        return None, None
    if forms.separator is None and not forms.several:
        return as_labels(raw, label), None
    sets = [_parted(cell, forms.separator or SEPARATOR) for cell in as_texts(raw.column(label))]
    return [forms.joint.join(each) for each in sets], sets


def _parted(cell: str, separator: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once, in the order of Unicode."""
    return tuple(sorted({plain_label(each) for each in cell.split(separator)} - {""}))


def _marked(raw: RawTable, name: str) -> list[bool]:
    """Return in which rows a label holds.

    Raises:
        DataError: a cell holds neither 0 nor 1.
    """
    holds = []
    for row, text in enumerate(as_texts(raw.column(name))):
        said = (_HOLDS | _HOLDS_NOT).get(text.strip().lower())
        if said is None:
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {column_name(name)}: {text!r}; expected "
                "1 where the label holds and 0 where it does not."
            )
        holds.append(said)
    return holds


def _check_apart(where: str, labels: Iterable[str], joint: str, remedy: str) -> None:
    """Check that labels can be told apart when they are put together.

    Raises:
        DataError: one holds the sign that puts them together.
    """
    for label in labels:
        if joint in label:
            raise DataError(
                f"{where}: the label {label!r} holds {joint!r}, which stands between the labels of "
                f"a text. {remedy}"
            )


def _other_sign() -> str:
    """Return what to do about a label with the sign that stands between labels."""
    return f"Write it without, or name another sign: {named('label_separator')}."


def _unparted(name: str, cells: list[str], separator: str) -> list[str]:
    """Return a line if a separator parts no label.

    Raises:
        DataError: another one clearly does.
    """
    if any(separator in cell for cell in cells):
        return []
    other = _separator_of(cells)
    if other is not None:
        raise DataError(
            f"{name}: no label holds {separator!r}, but {_held(cells, other):,} hold {other!r}. "
            f"Give {named('label_separator', other)}."
        )
    signs = [sign for sign in _SEPARATORS if _held(cells, sign) > 1]
    hold = f" ({', '.join(f'{_held(cells, sign):,} hold {sign!r}' for sign in signs)})"
    return [f"{name}: no label holds {separator!r}: each text has one label{hold if signs else ''}"]


def _held(cells: list[str], sign: str) -> int:
    return sum(sign in cell for cell in cells)


def _separator_of(cells: list[str]) -> str | None:
    """Return what most cells look parted by: the labels that it gives are much fewer than the
    cells; None without any."""
    different = set(cells) - {""}
    for separator in _SEPARATORS:
        parted = [_parted(each, separator) for each in different]
        single = {each for labels_of in parted for each in labels_of}
        if len(single) < len(different) / 2 and sum(len(each) > 1 for each in parted) > 1:
            return separator
    return None


def _hints(name: str, column: str | None, labels: list[str]) -> list[str]:
    """Return a line if most labels look like several in one cell."""
    separator = _separator_of(labels)
    if separator is None:
        return []
    return [
        f"{name}: many labels of column {column} look like several in one cell; "
        f"{named('label_separator', separator)} learns each on its own"
    ]


def as_texts(column: pl.Series) -> list[str]:
    """Return a column as texts; empty where there is no value, and 3.0 is the text 3."""
    if column.dtype.is_float():
        column = column.fill_nan(None).cast(pl.String).str.replace(r"\.0$", "")
    return column.cast(pl.String).fill_null("").to_list()


def plain_label(text: str) -> str:
    """Return a label without what cannot be seen: in normal form C, without blanks around it."""
    return normalize("NFC", text).strip()


def as_labels(raw: RawTable, name: str) -> list[str]:
    """Return a column of labels.

    Raises:
        DataError: it holds many different numbers, which are measurements.
    """
    labels = list(map(plain_label, as_texts(raw.column(name))))
    different = set(labels) - {""}
    numbers = pl.Series(list(different), dtype=pl.String).cast(pl.Float64, strict=False)
    if len(different) > MOST_NUMBERS and not numbers.null_count():
        raise DataError(
            f"{raw.name}, column {column_name(name)}: there are {len(different):,} different "
            "numbers; expected labels, of which each occurs several times. To predict numbers over "
            "time there is the task forecast."
        )
    return labels


def parts_of(raw: RawTable, name: str) -> list[int]:
    """Return the part of each row, 0 to 2.

    Raises:
        DataError: a row is of no part.
    """
    parts = []
    for row, text in enumerate(as_texts(raw.column(name))):
        number = _PART_NAMES.get(text.strip().lower())
        if number is None:
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {column_name(name)}: {text!r} is no "
                f"part; expected {', '.join(PARTS[:2])} or {PARTS[2]}."
            )
        parts.append(number)
    return parts


def _the_one(raw: RawTable, what: str, names: list[str]) -> str:
    """Return the only one of some columns.

    Raises:
        DataError: there is none, or there are several.
    """
    if len(names) == 1:
        return names[0]
    which = (
        f"several columns may be the {what}: {', '.join(names)}"
        if names
        else f"no column looks like the {what}; there are: {', '.join(raw.frame.columns)}"
    )
    raise DataError(f"{raw.name}: {which}. Name it with {named(what)}.")


def _columns(raw: RawTable, *used: str | None) -> Iterator[pl.Series]:
    for name in raw.frame.columns:
        column = raw.frame[name]
        if name not in used and not is_nameless(name) and not column.dtype.is_nested():
            yield column


def _like_labels(raw: RawTable, separator: str | None, *used: str | None) -> list[str]:
    """Return the columns with few values that occur often, and with few words."""
    names = []
    for column in _columns(raw, *used):
        texts = as_texts(column)
        if separator is not None:
            texts = [each for text in texts for each in _parted(text, separator)]
        different = set(texts) - {""}
        often = len(different) <= max(len(texts) / 2, 2)
        if 1 < len(different) <= _MOST_CLASSES and often and _words(list(different)) < 2:
            names.append(column.name)
    return names


def _like_texts(raw: RawTable, *used: str | None) -> list[str]:
    """Return the columns of words; the only one that is left, whatever it holds."""
    others = [column for column in _columns(raw, *used) if not is_row_number(column)]
    if len(others) == 1:
        return [others[0].name]
    return [
        column.name
        for column in others
        if column.dtype == pl.String and _words(as_texts(column)) >= _LEAST_WORDS
    ]


def _words(texts: list[str]) -> float:
    """Return how many words texts have on average."""
    return sum(len(text.split()) for text in texts) / max(len(texts), 1)


def _of_list(source: Sequence[Any], forms: SeveralLabels, *, labelled: bool) -> LabelledTexts:
    pairs = [each for each in source if isinstance(each, list | tuple) and len(each) == 2]
    if source and len(pairs) == len(source):
        texts, labels = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        texts, labels = list(source), None
    expected = "pairs of a text and its label" if labelled else "texts"
    if not texts:
        raise DataError(f"the list is empty; expected {expected}.")
    wrong = next(
        (each for each in texts if (labels is None and labelled) or not _is_text(each)), None
    )
    if wrong is not None:
        raise DataError(f"the list holds {wrong!r:.60}; expected {expected}.")
    sets, notes = None, list[str]()
    asked = forms.several or forms.separator is not None
    if labels is not None and (asked or any(map(_is_several, labels))):
        if forms.several is None and not any(map(_is_several, labels)):
            notes = _unparted("list", list(map(str, labels)), forms.joint)
        sets = [
            tuple(sorted({plain_label(str(one)) for one in each} - {""}))
            if _is_several(each)
            else _parted(str(each), forms.joint)
            for each in labels
        ]
        for number, each in enumerate(sets, 1):
            _check_apart(f"item {number}", each, forms.joint, _other_sign())
        labels = [forms.joint.join(each) for each in sets]
    return LabelledTexts(
        "list",
        texts,
        None if labels is None else [plain_label(str(each)) for each in labels],
        [f"item {number}" for number in range(1, len(texts) + 1)],
        notes=notes,
        sets=sets,
    )


def _is_several(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _of_lines(path: Path, forms: SeveralLabels, *, labelled: bool) -> LabelledTexts:
    """Read a file with a text in each line, behind its label or labels."""
    lines = decoded(path, read_unpacked(path)).splitlines()
    texts, sets, places, notes = [], [], [], []
    several = forms.several or forms.asked
    marked = any(line.lstrip().startswith(_MARK) for line in lines)
    if labelled and not marked:
        raise DataError(
            f"{path}: no line begins with {_MARK}; expected lines as '{_MARK}positive A good film'"
            ", or a table with a column of texts and one of labels."
        )
    for number, line in enumerate(lines, 1):
        if marked and not line.strip():
            continue
        words = line.split()
        marks = [word for word in words if word.startswith(_MARK)] if marked else []
        if len(marks) > 1 and forms.several is False:
            raise DataError(
                f"{path}, line {number}: there are {counted(len(marks), 'label')}, and the run "
                "gives a text one. Leave one."
            )
        if words[: len(marks)] != marks:
            late = next(mark for mark, word in zip(marks, words, strict=False) if mark != word)
            raise DataError(f"{path}, line {number}: the label {late} is not at its beginning.")
        if len(marks) > 1 and not several:
            several = True
            notes.append(
                f"{path}, line {number} has {counted(len(marks), 'label')}: each label is learned "
                "on its own, and a text may get several"
            )
        rest = line.strip()
        for mark in marks:
            rest = rest.removeprefix(mark).lstrip()
        texts.append(rest if marks else line)
        names = {plain_label(mark.removeprefix(_MARK)) for mark in marks}
        sets.append(tuple(sorted(names - {""})))
        places.append(f"line {number}")
    if not texts:
        raise DataError(f"{path}: the file is empty; expected lines of text.")
    if marked and several:
        for place, each in zip(places, sets, strict=True):
            _check_apart(f"{path}, {place}", each, forms.joint, _other_sign())
    labels = [forms.joint.join(each) for each in sets] if marked else None
    return LabelledTexts(
        str(path), texts, labels, places, notes=notes, sets=sets if marked and several else None
    )


def _of_folder(folder: Path, part: str | None) -> LabelledTexts:
    """Read a folder with a folder of files for each class."""
    if part is not None:
        raise DataError(f"{folder}: a folder has no column {part}. Leave out {named('part')}.")
    inside = _folders(folder)
    by_part = [(each, _PART_NAMES.get(each.name.lower())) for each in inside]
    has_parts = bool(by_part) and all(number is not None for _, number in by_part)
    texts, labels, places = [], [], []
    parts: list[int] = []
    for above, number in by_part if has_parts else [(folder, None)]:
        for kind in _folders(above):
            for file in sorted(path for path in kind.iterdir() if path.is_file()):
                if file.name.startswith("."):
                    continue
                texts.append(decoded(file, read_bytes(file)))
                labels.append(plain_label(kind.name))
                places.append(str(file.relative_to(folder)))
                parts.append(number or 0)
    if not texts:
        raise DataError(
            f"{folder}: there is no text; expected a folder for each class with a file for each "
            "text: positive/1.txt."
        )
    return LabelledTexts(str(folder), texts, labels, places, parts if has_parts else None)


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
