"""Reads dictionaries of pronunciations: a word in each line, and its phonemes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conveyor.data.paired_texts import PairedTexts, is_table, lines_of, plain, read_pairs
from conveyor.errors import DataError, counted

# Lines that are comments, and comments behind a line, as CMUdict has them.
_COMMENT_LINE, _COMMENT = ";;;", re.compile(r"\s#.*$")
# A word that has several pronunciations has a number at the others: read(2).
_VARIANT = re.compile(r"(.+)\((\d+)\)")
# The stress of a vowel: AH0 has none, AH1 the first, AH2 the second.
_STRESS = re.compile(r"(?<=\D)[0-2]$")


def read_pronunciations(
    source: Any,
    *,
    stress: bool = True,
    columns: tuple[str | None, str | None] = (None, None),
    paired: bool = True,
) -> PairedTexts:
    """Read words and their pronunciations.

    Args:
        source: a file with a word in each line and its phonemes behind it, between blanks or TABs
            (CMUdict's form: ``read(2)  R EH1 D # comment``); a table or a list, see ``read_pairs``.
        stress: whether the digits of stress stay; without them, pronunciations that differ in
            nothing else are one.
        columns: of word and phonemes in a table; None takes the first column, and the next.
        paired: whether there must be pronunciations; without, a line is a word.

    Raises:
        DataError: the source cannot be read, or a line has no phonemes.
    """
    if is_table(source) or isinstance(source, list | tuple):
        read = read_pairs(source, columns=columns, paired=paired)
    elif paired:
        read = _of_lines(Path(source))
    else:
        read = read_pairs(source, paired=False)
    if read.targets is None:
        return read
    words = [_VARIANT.sub(r"\1", word) for word in read.sources]
    phonemes = [target if stress else without_stress(target) for target in read.targets]
    return _once(replace(read, sources=words, targets=phonemes))


def without_stress(phonemes: str) -> str:
    """Return phonemes without the digits of stress.

    >>> without_stress("R EH1 K ER0 D")
    'R EH K ER D'
    """
    return " ".join(_STRESS.sub("", phoneme) for phoneme in phonemes.split())


def _once(read: PairedTexts) -> PairedTexts:
    """Return what was read with each pair once."""
    assert read.targets is not None
    pairs: dict[tuple[str, str], int] = {}
    for number, pair in enumerate(zip(read.sources, read.targets, strict=True)):
        pairs.setdefault(pair, number)
    kept = list(pairs.values())

    def chosen(values: Sequence[Any]) -> list[Any]:
        return [values[number] for number in kept]

    again = len(read.sources) - len(kept)
    notes = list(read.notes)
    if again:
        notes.append(f"{counted(again, 'line says', 'lines say')} what an earlier one says")
    return replace(
        read,
        sources=chosen(read.sources),
        targets=chosen(read.targets),
        places=chosen(read.places),
        parts=None if read.parts is None else chosen(read.parts),
        frame=None,
        notes=notes,
    )


def _of_lines(path: Path) -> PairedTexts:
    words, phonemes, places = [], [], []
    comments = 0
    for number, line in enumerate(lines_of(path), 1):
        if line.startswith(_COMMENT_LINE) or not line.strip():
            continue
        bare = _COMMENT.sub("", line)
        comments += bare != line
        word, *rest = bare.split()
        if not rest:
            raise DataError(
                f"{path}, line {number:,}: {word!r} has no phonemes; expected a word and its "
                "phonemes with blanks between them: read R EH1 D."
            )
        words.append(plain(word))
        phonemes.append(plain(" ".join(rest)))
        places.append(f"line {number:,}")
    if not words:
        raise DataError(f"{path}: there is no word; expected lines as: read R EH1 D.")
    notes = []
    if comments:
        notes.append(f"{path}: {counted(comments, 'comment')} behind a # not read")
    return PairedTexts(str(path), words, phonemes, places, notes=notes)
