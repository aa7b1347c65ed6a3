"""Labelled texts made ready to learn from."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conveyor.data.labelled_texts import LabelledTexts, read_texts
from conveyor.data.subwords import Subwords
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.tokens import UNIT_NAMES, Tokenizer
from conveyor.data.word_vectors import WordVectors, read_word_vectors
from conveyor.errors import DataError, SettingError, counted, named
from conveyor.tasks.classify.bag_of_words import BagOfWords
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.classify_settings import ClassifyData, ClassifySettings
from conveyor.tasks.classify.noun import TEXT
from conveyor.tasks.classify.prepared_classes import (
    PreparedClasses,
    check_parts,
    check_several,
    classes_of,
)
from conveyor.tasks.classify.simple_classes import Baselines
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.drawn_parts import (
    TEST,
    TRAIN,
    VALIDATION,
    Leaks,
    drawn_parts,
    leaks_of,
)
from conveyor.tasks.task import Say

# What a regression counts: runs of so many words, or of so many characters.
_WORDS_IN_A_ROW, _CHARACTERS_IN_A_ROW = 2, 3


@dataclass(frozen=True)
class _Row:
    """A text with its words or characters, where it stands and what it is to be called: one label,
    or ``labels``, which ``label`` puts together."""

    text: str
    words: list[str]
    label: str
    place: str
    part: int | None
    labels: tuple[str, ...] | None = None


def read_source(source: Any, data: ClassifyData, *, needs_part: bool = True) -> LabelledTexts:
    """Read labelled texts.

    Args:
        source: see ``read_texts``.
        data: how they are read.
        needs_part: whether the column of parts must be there.

    Raises:
        DataError: the data cannot be used.
        SettingError: one column of 0 and 1 is named.
    """
    if len(data.label_columns) == 1:
        column = data.label_columns[0]
        raise SettingError(
            f"{named('label_columns')} names one column, {column}. Yes or no of one column is "
            f"{named('label', column)}; give two columns or more for several labels."
        )
    return read_texts(
        source,
        text=data.text,
        label=data.label,
        part=data.part,
        forms=data.forms,
        needs_part=needs_part,
    )


def prepare_texts(main: LabelledTexts, settings: ClassifySettings, say: Say) -> PreparedClasses:
    """Split labelled texts.

    Args:
        main: as ``read_source`` gives them.
        settings: of the run.
        say: called with each line for the user.

    Raises:
        DataError: the data cannot be used.
    """
    for note in main.notes:
        say(note)
    data = replace(settings.data, text=main.text, label=main.label)
    rows = _all_rows(main, data, say)
    several = main.sets is not None
    if several and settings.network.balance:
        raise SettingError(
            f"{named('balance', True)} is of texts with one label each. Leave it out: what is said "
            "of a label begins at a threshold of its own."
        )
    labels = [row.label for row in rows]
    check_several(main.name, labels_of(rows))
    keys = [key_of(row.words, data.unit) for row in rows]
    _tell_same_texts(keys, labels, say)
    kinds = kinds_of(rows) if several else labels
    order = {label: number for number, label in enumerate(sorted(set(kinds)))}
    parts = drawn_parts(
        keys, [order[kind] for kind in kinds], [row.part for row in rows], data.split,
        data.split_seed,
    )  # fmt: skip
    leaks = leaks_of(keys, parts)
    rows, keys, parts = _without_leaks(data, rows, keys, parts, leaks=leaks, say=say)
    check_parts(main.name, "texts", parts)
    training = [row for row, part in zip(rows, parts, strict=True) if part == TRAIN]
    classes = classes_of(main.name, labels_of(rows), labels_of(training), say)
    by_part = [
        [row for row, its in zip(rows, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    ]
    reader = _reader_of(by_part[TRAIN], data)
    _tell_long_ones(rows, data, say)
    numbers = {label: number for number, label in enumerate(classes)}
    first, second, third = (examples_of(each, reader, numbers) for each in by_part)
    say(
        f"{counted(len(first), 'text')} to train, {len(second):,} to validate, "
        f"{len(third):,} to test; {_classes(classes, rows, several=several)}; "
        f"{counted(len(reader.vocabulary.known), data.unit_name)} known"
    )
    vectors = _vectors_of(reader.vocabulary, by_part[TRAIN], data, say)
    network = settings.network
    if vectors is not None:
        network = replace(network, embedding=vectors.features)
    keys_of_parts = [
        [key for key, its in zip(keys, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    ]
    return PreparedClasses(
        name=main.name,
        settings=replace(
            settings,
            data=data,
            network=network,
            training=settings.training.with_epochs(len(first), most=False),
        ),
        classes=classes,
        parts=(first, second, third),
        reader=reader,
        baselines=_baselines_of(by_part, data),
        keys=(keys_of_parts[0], keys_of_parts[1], keys_of_parts[2]),
        leaks=leaks,
        source_hash=hash_of(main),
        noun=TEXT,
        vectors=vectors,
        joint=data.forms.joint if several else None,
    )


def _classes(classes: Sequence[str], rows: Sequence[_Row], *, several: bool) -> str:
    """Return how many classes there are, and of several labels how many a text has."""
    if not several:
        return counted(len(classes), "class", "classes")
    return f"{counted(len(classes), 'label')}, {len(labels_of(rows)) / len(rows):.1f} for a text"


def labels_of(rows: Sequence[_Row]) -> list[str]:
    """Return the label of each text; where texts may have several, all of them."""
    return [label for row in rows for label in ((row.label,) if row.labels is None else row.labels)]


def kinds_of(rows: Sequence[_Row]) -> list[str]:
    """Return of each text with several labels the rarest, so that each part gets some of it (a
    simple form of the stratification of Sechidis, Tsoumakas & Vlahavas 2011)."""
    counts = Counter(labels_of(rows))
    return [min(row.labels or ("",), key=lambda label: (counts[label], label)) for row in rows]


def _all_rows(main: LabelledTexts, data: ClassifyData, say: Say) -> list[_Row]:
    """Return the texts of a source, and of files of their own to validate and to test on.

    Raises:
        DataError: there are none.
    """
    words = words_of(data)
    rows = usable_rows(main, words, say)
    for part, path in ((VALIDATION, data.validation), (TEST, data.test)):
        if path is not None:
            forms = replace(data.forms, several=main.sets is not None)
            other = read_texts(path, text=main.text, label=main.label, forms=forms)
            rows += [replace(row, part=part) for row in usable_rows(other, words, say)]
    if not rows:
        raise DataError(f"{main.name}: there is no text with a label.")
    return rows


def words_of(data: ClassifyData) -> Tokenizer:
    """Return what cuts texts for a regression, and to know them by: the unit of the network, or
    words where it reads pieces of them."""
    return Tokenizer("word" if data.unit == "subword" else data.unit, data.lower)


def _reader_of(training: Sequence[_Row], data: ClassifyData) -> TextReader:
    """Return what reads texts, with what the training set knows."""
    tokenizer = words_of(data)
    if data.unit == "subword":
        tokenizer = Subwords.of((row.text for row in training), data.known, lower=data.lower)
        tokens = [tokenizer.tokens(row.text) for row in training]
    else:
        tokens = [row.words for row in training]
    vocabulary = TokenVocabulary.of(
        [each[: data.longest] for each in tokens], tokenizer, data.known
    )
    return TextReader(vocabulary, data.longest)


def _baselines_of(parts: Sequence[Sequence[_Row]], data: ClassifyData) -> Baselines:
    """Return what the regression reads: pairs of words, or triples of characters."""
    most = _CHARACTERS_IN_A_ROW if data.unit == "char" else _WORDS_IN_A_ROW
    first, second, third = ([row.words[: data.longest] for row in part] for part in parts)
    return Baselines(
        regression_of(data.unit), (first, second, third), lambda texts: BagOfWords.of(texts, most)
    )


def regression_of(unit: str) -> str:
    """Return what the regression on texts of a unit is called."""
    return "character triples regression" if unit == "char" else "word pairs regression"


def _vectors_of(
    vocabulary: TokenVocabulary, training: Sequence[_Row], data: ClassifyData, say: Say
) -> WordVectors | None:
    """Return the vectors of a file for the words of a vocabulary; None without a file. Tell how
    many of them it has."""
    if data.vectors is None:
        return None
    vectors = read_word_vectors(Path(data.vectors), vocabulary.known)
    tokens = [token for row in training for token in row.words]
    types, running = (
        f"{100 * sum(word in vectors.of for word in words) / max(len(words), 1):.1f} %"
        for words in (vocabulary.known, tokens)
    )
    say(
        f"{data.vectors}: vectors of {vectors.features:,} numbers for {types} of the "
        f"{data.unit_name}s that are known, {running} of those in the training texts"
    )
    if not vectors.of:
        raise DataError(
            f"{data.vectors}: it has a vector for none of the {data.unit_name}s of the texts. Are "
            f"they in another language, or cut in another way ({named('unit')}, {named('lower')})?"
        )
    return vectors


def hash_of(texts: LabelledTexts) -> str:
    """Return a hash of labelled texts as they were read."""
    digest = hashlib.sha256("\0".join(texts.texts).encode(errors="surrogatepass"))
    digest.update("\0".join(texts.labels or []).encode(errors="surrogatepass"))
    return digest.hexdigest()


def key_of(tokens: Sequence[str], unit: str) -> str:
    """Return what is the same for texts of the same tokens."""
    return ("" if unit == "char" else " ").join(tokens)


def usable_rows(texts: LabelledTexts, tokenizer: Tokenizer, say: Say) -> list[_Row]:
    """Return the texts that have words and a label; tell which are left out.

    Raises:
        DataError: there are no labels.
    """
    if texts.labels is None:
        raise DataError(f"{texts.name}: there are no labels. Name their column: {named('label')}.")
    parts: Sequence[int | None] = texts.parts or [None] * len(texts.texts)
    sets: Sequence[tuple[str, ...] | None] = texts.sets or [None] * len(texts.texts)
    rows, blank, nameless = [], [], []
    for text, label, place, part, labels in zip(
        texts.texts, texts.labels, texts.places, parts, sets, strict=True
    ):
        words = tokenizer.tokens(text)
        if not words:
            blank.append(place)
        elif not label and labels is None:
            nameless.append(place)
        else:
            rows.append(_Row(text, words, label, place, part, labels))
    none = sum(row.labels == () for row in rows)
    if none:
        say(f"{texts.name}: {counted(none, 'text has', 'texts have')} no label: none holds there")
    for left_out, what in ((blank, "row without text"), (nameless, "text without a label")):
        if left_out:
            plural = what.replace("row", "rows").replace("text without a", "texts without a")
            say(
                f"{texts.name}: {counted(len(left_out), what, plural)} "
                f"{'is' if len(left_out) == 1 else 'are'} left out, the first {left_out[0]}"
            )
    return rows


def numbers_of(row: _Row, reader: TextReader) -> Tensor:
    """Return a text as a network reads it, int64 [T]."""
    if reader.vocabulary.tokenizer.unit == "subword":
        return reader.encode(row.text)
    return reader.numbers(row.words)


def examples_of(rows: Sequence[_Row], reader: TextReader, classes: dict[str, int]) -> ClassExamples:
    """Return texts as a network reads them."""
    return ClassExamples(
        [numbers_of(row, reader) for row in rows],
        targets_of(rows, classes),
        [row.text for row in rows],
        [row.place for row in rows],
    )


def targets_of(rows: Sequence[_Row], classes: Mapping[str, int]) -> Tensor:
    """Return the class of each text, int64 [N]; where texts may have several, 1 for each that holds
    and 0 for the others, float32 [N, classes]."""
    if not rows or rows[0].labels is None:
        return torch.tensor([classes[row.label] for row in rows], dtype=torch.long)
    targets = torch.zeros(len(rows), len(classes))
    for number, row in enumerate(rows):
        targets[number, [classes[label] for label in row.labels or ()]] = 1
    return targets


def _tell_same_texts(keys: Sequence[str], labels: Sequence[str], say: Say) -> None:
    by_key: dict[str, set[str]] = {}
    for key, label in zip(keys, labels, strict=True):
        by_key.setdefault(key, set()).add(label)
    again = len(keys) - len(by_key)
    if again:
        say(f"{counted(again, 'text stands', 'texts stand')} there again: same words, same part")
    several = sum(len(each) > 1 for each in by_key.values())
    if several:
        say(
            f"warning: {counted(several, 'text has', 'texts have')} different labels in different "
            "rows, of which those of one row at most can be got right"
        )


def _without_leaks(
    data: ClassifyData,
    rows: list[_Row],
    keys: list[str],
    parts: list[int],
    *,
    leaks: Leaks,
    say: Say,
) -> tuple[list[_Row], list[str], list[int]]:
    """Return the rows without those of the training set that also stand in another, where that is
    asked for; tell otherwise."""
    if not (leaks.validation or leaks.test):
        return rows, keys, parts
    if not data.dedupe:
        say(
            f"warning: {counted(leaks.test, 'text')} of the test set and {leaks.validation:,} of "
            f"the validation set stand in the training set, too, and are easier than new ones. "
            f"{named('dedupe', True)} trains without them"
        )
        return rows, keys, parts
    asked = {key for key, part in zip(keys, parts, strict=True) if part != TRAIN}
    kept = [n for n, key in enumerate(keys) if parts[n] != TRAIN or key not in asked]
    say(f"{counted(len(rows) - len(kept), 'text')} of the training set left out, as asked")
    return [rows[n] for n in kept], [keys[n] for n in kept], [parts[n] for n in kept]


def _tell_long_ones(rows: Sequence[_Row], data: ClassifyData, say: Say) -> None:
    long = [row for row in rows if len(row.words) > data.longest]
    if long:
        most = max(len(row.words) for row in long)
        unit = UNIT_NAMES[words_of(data).unit]
        say(
            f"of {counted(len(long), 'text')} longer than {data.longest:,} {unit}s (up "
            f"to {most:,}) the rest is not read; {named('longest', most)} reads all"
        )
