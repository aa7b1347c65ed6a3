"""Reads pairs of texts, a source and what it becomes: a table, two files of lines, or lines with a
TAB between the two."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import polars as pl

from conveyor.data.files import decoded, read_unpacked
from conveyor.data.labelled_texts import as_texts, parts_of
from conveyor.data.raw_table import read_raw
from conveyor.data.table_source import is_workbook
from conveyor.errors import DataError, counted, named

# Endings of tables; a file of any other holds lines.
_TABLES = (".csv", ".tsv", ".parquet", ".pq")

# How the lines of SCAN and its relatives (Lake & Baroni 2018) give a pair.
_IN_OUT = re.compile(r"IN: (.*?)\s+OUT: (.*)")


@dataclass(frozen=True)
class PairedTexts:
    """Pairs of texts in the order of their source, in normal form C without blanks around them.

    Attributes:
        name: of the source.
        sources: what is read; empty where there is nothing.
        targets: what each becomes; None where only sources are read.
        places: how errors name each.
        parts: the part of each, 0 to 2 as in ``labelled_texts.PARTS``; None where nothing names
            parts.
        columns: of source and target, None where there is no table.
        frame: the table, None where there is none.
        notes: for the user.
        groups: what is never in two parts: the same for pairs that belong together; None where
            these are the pairs of the same source.
    """

    name: str
    sources: list[str]
    targets: list[str] | None
    places: list[str]
    parts: list[int] | None = None
    columns: tuple[str | None, str | None] = (None, None)
    frame: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    groups: list[str] | None = None


def plain(text: str) -> str:
    """Return a text in normal form C, without blanks around it."""
    return normalize("NFC", text).strip()


def is_table(source: Any) -> bool:
    """Return whether a source is a table, and no file of lines and no list."""
    if isinstance(source, list | tuple):
        return False
    if not isinstance(source, str | Path):
        return True
    name = Path(source).name.lower().removesuffix(".gz")
    return name.endswith(_TABLES) or is_workbook(str(source))


def read_pairs(
    source: Any,
    *,
    target: str | Path | None = None,
    columns: tuple[str | None, str | None] = (None, None),
    part: str | None = None,
    paired: bool = True,
) -> PairedTexts:
    """Read pairs of texts.

    Args:
        source: a table (any file or data frame that ``read_raw`` reads); a file of lines, whose
            targets stand in ``target``, line by line; without ``target`` lines with a TAB between
            source and target, or as ``IN: jump OUT: I_JUMP``; in Python also a list of pairs, or of
            sources.
        target: the file of the target's lines; None where source and target are in one.
        columns: of source and target; None takes the first column, and the next.
        part: the column that says train, validation or test; None for none.
        paired: whether there must be targets; without, only sources are read.

    Raises:
        DataError: the source cannot be read, has no such column, or the two files do not have as
            many lines.
    """
    if isinstance(source, list | tuple):
        return _of_list(source, paired=paired)
    if is_table(source):
        if target is not None:
            raise DataError(
                f"{source}: there are {named('targets', target)} and a table, which holds its "
                f"targets. Name their column with {named('to')}, or give two files of lines."
            )
        return _of_table(source, columns, part, paired=paired)
    for name, value in (("from_", columns[0]), ("to", columns[1]), ("part", part)):
        # A run on a table may be asked about lines: then there is nothing to name.
        if value is not None and paired:
            raise DataError(f"{source}: lines have no column {value}. Leave out {named(name)}.")
    path = Path(source)
    if target is not None:
        return _of_two_files(path, Path(target))
    return _of_lines(path, paired=paired)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file. Only line feeds end one: two files stay side by side whatever
    else they hold.

    Raises:
        DataError: the file cannot be read, holds no line, or is no text; the text names the byte
            and the line.
    """
    lines = decoded(path, read_unpacked(path)).split("\n")
    if not lines[-1].strip():
        lines.pop()
    if not any(map(str.strip, lines)):
        raise DataError(f"{path}: the file is empty; expected lines of text.")
    return lines


def target_beside(source: str, target: str, other: str) -> str:
    """Return the file of targets that belongs to another file of sources: named as ``target`` is
    beside ``source``.

    >>> target_beside("train.en.gz", "train.de.gz", "data/val.en.gz")
    'data/val.de.gz'

    Raises:
        DataError: the names do not say.
    """
    first, second, third = Path(source), Path(target), Path(other)
    # Words of a name, for e and d of train.en and train.de stand in other words, too.
    old, new, words = (re.split(r"([._-])", path.name) for path in (first, second, third))
    different = [pair for pair in zip(old, new, strict=False) if pair[0] != pair[1]]
    if len(old) == len(new) and len(different) == 1 and words.count(different[0][0]) == 1:
        was, becomes = different[0]
        return str(third.with_name("".join(becomes if word == was else word for word in words)))
    raise DataError(
        f"{other}: its name does not say which file holds its targets; {first.name} has "
        f"{second.name}. Name the files alike, or give a table with both columns."
    )


def _of_table(
    source: Any, columns: tuple[str | None, str | None], part: str | None, *, paired: bool
) -> PairedTexts:
    asked = [name for name in (*columns, part) if name]
    raw = read_raw(source, prose=True).with_names(asked)
    notes = list(raw.notes)
    for name in asked if paired else asked[:1]:
        raw.column(name)
    first, second = columns
    left = [name for name in raw.frame.columns if name not in asked]
    if first is None:
        first = _next(raw.name, left, "from_")
    if second is None and paired:
        second = _next(raw.name, left, "to")
    if first == second:
        raise DataError(f"{raw.name}: column {first} cannot be the source and its target, too.")
    if paired and None in columns:
        notes.append(
            f"from column {first} to column {second} (others: {named('from_', 'NAME')} "
            f"{named('to', 'NAME')})"
        )
    targets = None if second is None else list(map(plain, as_texts(raw.column(second))))
    return PairedTexts(
        raw.name,
        list(map(plain, as_texts(raw.column(first)))),
        targets if paired else None,
        [raw.position(row) for row in range(len(raw.frame))],
        None if part is None or not paired else parts_of(raw, part),
        (first, second),
        raw.frame,
        notes,
    )


def _next(name: str, left: list[str], setting: str) -> str:
    if not left:
        raise DataError(
            f"{name}: there is one column; expected one of sources and one of targets. Values are "
            f"separated by TABs or commas; {named(setting)} names a column."
        )
    return left.pop(0)


def _of_list(source: Sequence[Any], *, paired: bool) -> PairedTexts:
    pairs = [each for each in source if isinstance(each, list | tuple) and len(each) == 2]
    are_pairs = bool(source) and len(pairs) == len(source)
    sources = [pair[0] for pair in pairs] if are_pairs else list(source)
    targets = [pair[1] for pair in pairs] if are_pairs else None
    expected = "pairs of texts" if paired else "texts"
    if not sources:
        raise DataError(f"the list is empty; expected {expected}.")
    texts = sources + (targets or [])
    wrong = next((each for each in texts if not isinstance(each, str)), None)
    if wrong is not None or (paired and targets is None):
        shown = sources[0] if wrong is None else wrong
        raise DataError(f"the list holds {shown!r:.60}; expected {expected}.")
    return PairedTexts(
        "list",
        list(map(plain, sources)),
        list(map(plain, targets)) if targets is not None and paired else None,
        [f"item {number}" for number in range(1, len(sources) + 1)],
    )


def _of_two_files(source: Path, target: Path) -> PairedTexts:
    """Read two files whose lines belong together."""
    sources, targets = lines_of(source), lines_of(target)
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {counted(len(sources), 'line')} and {target} {len(targets):,}; line by "
            "line the second must hold what the first becomes. Give files that belong together."
        )
    notes = []
    for path, lines in ((source, sources), (target, targets)):
        tabs = [number for number, line in enumerate(lines, 1) if "\t" in line]
        if tabs:
            notes.append(
                f"{path}: {counted(len(tabs), 'line holds', 'lines hold')} a TAB, which is read as "
                f"a space, the first line {tabs[0]:,}"
            )
    return PairedTexts(
        f"{source}",
        list(map(plain, sources)),
        list(map(plain, targets)),
        [f"line {number:,}" for number in range(1, len(sources) + 1)],
        notes=notes,
    )


def _of_lines(path: Path, *, paired: bool) -> PairedTexts:
    """Read a file whose lines hold both, or, if not ``paired``, sources alone."""
    lines = lines_of(path)
    places = [f"line {number:,}" for number in range(1, len(lines) + 1)]
    if not paired:
        return PairedTexts(str(path), list(map(plain, lines)), None, places)
    in_out = _IN_OUT.fullmatch(lines[0].strip()) is not None
    if not in_out and "\t" not in lines[0]:
        raise DataError(
            f"{path}, line 1: there is no TAB between a source and its target. Give the file of "
            f"the target's lines, too: {named('targets', 'FILE')}; or a table."
        )
    sources, targets, kept = [], [], []
    for line, place in zip(lines, places, strict=True):
        if not line.strip():
            continue
        if in_out:
            match = _IN_OUT.fullmatch(line.strip())
            if match is None:
                raise DataError(f"{path}, {place}: expected IN: … OUT: …, as in line 1.")
            source, target = match[1], match[2]
        else:
            # What comes after a second TAB says where a pair is from.
            source, tab, rest = line.partition("\t")
            if not tab:
                raise DataError(
                    f"{path}, {place}: there is no TAB between a source and its target, as there "
                    "is in line 1."
                )
            target = rest.partition("\t")[0]
        sources.append(plain(source))
        targets.append(plain(target))
        kept.append(place)
    return PairedTexts(str(path), sources, targets, kept)
