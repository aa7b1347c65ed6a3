"""Pairs made ready to learn from."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from conveyor.data.paired_texts import PairedTexts
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.tokens import Tokenizer
from conveyor.errors import DataError, counted, named
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, split_by_source
from conveyor.tasks.pairs.pair_examples import PairExamples
from conveyor.tasks.pairs.pair_reader import PairReader
from conveyor.tasks.pairs.translator import LENGTH_FACTOR, LENGTH_ROOM
from conveyor.tasks.settings import TaskSettings
from conveyor.tasks.task import Say

# One side of a pair that has more than so many times the tokens of the other is told.
_UNLIKE = 9


@dataclass(frozen=True)
class Sides:
    """What is said of the two sides of pairs, and how they are cut into tokens.

    Attributes:
        source, target: cut each side.
        joint: whether both sides have the same tokens.
        pair: what a pair is called, in English (singular and plural) and Vietnamese.
        source_name: what a source is called, in English (singular and plural) and Vietnamese.
        tell_copies: whether a target that is its source is worth telling.
        tell_unlike: whether sides of very different length are.
    """

    source: Tokenizer
    target: Tokenizer
    joint: bool
    pair: tuple[str, str, str] = ("pair", "pairs", "cặp")
    source_name: tuple[str, str, str] = ("sentence", "sentences", "câu")
    tell_copies: bool = True
    tell_unlike: bool = True

    def counted(self, number: int) -> Words:
        """Return a number of sources in words."""
        one, many, vi = self.source_name
        return counted_words(number, one, vi, many)


@dataclass(frozen=True)
class PairRow:
    """A pair with its tokens, and where it stands."""

    source: str
    target: str
    source_tokens: list[str]
    target_tokens: list[str]
    place: str
    part: int | None
    key: str
    group: str


@dataclass(frozen=True)
class Asked:
    """Different sources that are to become something, each with all that it may become.

    Attributes:
        sources: as the network reads them.
        shown: each source as people read it.
        references: what each may become, one or more.
        places: how messages name each.
        keys: of each source.
    """

    sources: list[Tensor]
    shown: list[str]
    references: list[list[str]]
    places: list[str]
    keys: list[str]

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True)
class PreparedPairs:
    """Pairs made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        sides: what the two sides are.
        reader: makes numbers of them.
        parts: to learn from, to validate on, to test on.
        rows: of the training set, as they were read.
        asked: the different sources of the test set, with all their targets.
        keys: of the sources of each part.
        leaks: how many sources of the test set are learned from, too.
        room: how many tokens a target may have beyond twice those of its source.
        source_hash: tells whether a source is the one that these are made of.
    """

    name: str
    settings: Any
    sides: Sides
    reader: PairReader
    parts: tuple[PairExamples, PairExamples, PairExamples]
    rows: list[PairRow]
    asked: Asked
    keys: tuple[list[str], list[str], list[str]]
    leaks: int
    room: int
    source_hash: str


# Gives the reader of a training set, from the settings of data and the sides.
ReaderOf = Callable[[list[PairRow], Any, Sides], PairReader]


def hash_of(pairs: PairedTexts) -> str:
    """Return a hash of pairs as they were read."""
    digest = hashlib.sha256("\0".join(pairs.sources).encode(errors="surrogatepass"))
    digest.update(b"|" + "\0".join(pairs.targets or []).encode(errors="surrogatepass"))
    return digest.hexdigest()


def key_of(text: str, tokenizer: Tokenizer) -> str:
    """Return what is the same for sources that differ in nothing but blanks, or in capitals where
    they are read as small letters."""
    return " ".join(tokenizer.normal(text).split())


def usable_rows(pairs: PairedTexts, sides: Sides, say: Say) -> list[PairRow]:
    """Return the pairs that have two sides; tell what is left out and what is odd.

    Raises:
        DataError: there are no targets.
    """
    if pairs.targets is None:
        raise DataError(f"{pairs.name}: there are sources and no targets.")
    parts: Sequence[int | None] = pairs.parts or [None] * len(pairs.sources)
    groups: Sequence[str | None] = pairs.groups or [None] * len(pairs.sources)
    rows: list[PairRow] = []
    empty: list[str] = []
    for source, target, place, part, group in zip(
        pairs.sources, pairs.targets, pairs.places, parts, groups, strict=True
    ):
        tokens = sides.source.tokens(source), sides.target.tokens(target)
        if all(tokens):
            key = key_of(source, sides.source)
            of = key if group is None else key_of(group, sides.source)
            rows.append(PairRow(source, target, *tokens, place, part, key, of))
        elif any(tokens):
            empty.append(place)
    kinds = [(empty, "with an empty side", True)]
    if sides.tell_copies:
        same = [row.place for row in rows if row.source_tokens == row.target_tokens]
        kinds.append((same, "with equal sides", False))
    if sides.tell_unlike:
        unlike = [row.place for row in rows if _is_unlike(row)]
        kinds.append((unlike, f"with a side more than {_UNLIKE} times as long", False))
    one, many, _ = sides.pair
    for places, how, is_out in kinds:
        if places:
            left = f" {'is' if len(places) == 1 else 'are'} left out" * is_out
            what = counted(len(places), f"{one} {how}", f"{many} {how}")
            say(f"{pairs.name}: {what}{left}, the first {places[0]}")
    return rows


def _is_unlike(row: PairRow) -> bool:
    few, many = sorted((len(row.source_tokens), len(row.target_tokens)))
    return many > _UNLIKE * few


def asked_of(rows: Sequence[PairRow], reader: PairReader) -> Asked:
    """Return the different sources of pairs, each with all its targets."""
    by_key: dict[str, list[PairRow]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    first = [group[0] for group in by_key.values()]
    return Asked(
        [reader.source.numbers(reader.kept(row.source_tokens)) for row in first],
        [row.source for row in first],
        [list(dict.fromkeys(row.target for row in group)) for group in by_key.values()],
        [row.place for row in first],
        list(by_key),
    )


def examples_of(rows: Sequence[PairRow], reader: PairReader) -> PairExamples:
    """Return pairs as a network reads them."""
    return PairExamples(
        [reader.source.numbers(reader.kept(row.source_tokens)) for row in rows],
        [reader.encode_target(row.target_tokens) for row in rows],
        [(row.source, row.target) for row in rows],
        [row.place for row in rows],
    )


def prepare_pairs(
    main: PairedTexts,
    others: dict[int, PairedTexts],
    settings: TaskSettings,
    sides: Sides,
    say: Say,
    *,
    learned: Callable[[list[PairRow]], Sides] | None = None,
    reader_of: ReaderOf | None = None,
) -> PreparedPairs:
    """Split pairs, and make numbers of them.

    Args:
        main: what is learned from, and split.
        others: further data, by their part.
        settings: of the run; ``data`` is a ``PairData``, ``training`` a ``PairTraining``.
        sides: what the two sides are.
        say: called with each line for the user.
        learned: gives sides that are learned from the training set, as sub-words are; ``sides``
            cuts until then. None keeps these.
        reader_of: gives the reader of the training set; None counts sources and targets.

    Raises:
        DataError: the data cannot be used.
    """
    data: Any = settings.data
    for note in main.notes:
        say(note)
    rows = usable_rows(main, sides, say)
    for part, pairs in others.items():
        for note in pairs.notes:
            say(note)
        rows += [replace(row, part=part) for row in usable_rows(pairs, sides, say)]
    if not rows:
        raise DataError(f"{main.name}: there is no pair with two sides.")
    groups = [row.group for row in rows]
    parts = split_by_source(groups, [row.part for row in rows], data.split, data.split_seed)
    by_part = [
        [row for row, its in zip(rows, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    ]
    for part, name in ((TRAIN, "training"), (VALIDATION, "validation"), (TEST, "test")):
        if not by_part[part]:
            raise DataError(
                f"{main.name}: the {name} set of {counted(len(rows), *sides.pair[:2])} is empty. "
                f"Give more of them, or larger parts: {named('split', '0.6/0.2/0.2')}."
            )
    known = {row.key for row in by_part[TRAIN]}
    leaks = [len({row.key for row in by_part[part]} & known) for part in (VALIDATION, TEST)]
    if any(leaks):
        one, many, _ = sides.source_name
        say(
            f"warning: {counted(leaks[1], one, many)} of the test set and {leaks[0]:,} of the "
            "validation set stand in the training set, too, and are easier than new ones"
        )
    if learned is not None:
        sides = learned(by_part[TRAIN])
        by_part = [[_cut_again(row, sides) for row in each] for each in by_part]
        rows = [row for each in by_part for row in each]
    reader = (reader_of or _reader_of)(by_part[TRAIN], data, sides)
    _tell_long_ones(rows, data.longest, say)
    examples = tuple(examples_of(each, reader) for each in by_part)
    first, second, third = examples
    excess = max(
        len(target) - 1 - LENGTH_FACTOR * len(source)
        for source, target in zip(first.sources, first.targets, strict=True)
    )
    asked = asked_of(by_part[TEST], reader)
    shared = "" if not reader.shared else " of both sides"
    tokens = f"{len(reader.source):,} tokens{shared}"
    if not reader.shared:
        tokens = f"{len(reader.source):,} tokens of sources and {len(reader.target):,} of targets"
    say(
        f"{counted(len(first), *sides.pair[:2])} to train, {len(second):,} to validate, "
        f"{len(third):,} to test; {tokens} known"
    )
    training: Any = settings.training
    keys_of = tuple([row.key for row in each] for each in by_part)
    return PreparedPairs(
        name=main.name,
        settings=replace(settings, training=training.with_epochs(len(first))),
        sides=sides,
        reader=reader,
        parts=(first, second, third),
        rows=by_part[TRAIN],
        asked=asked,
        keys=(keys_of[0], keys_of[1], keys_of[2]),
        leaks=leaks[1],
        room=max(excess, LENGTH_ROOM),
        source_hash=hash_of(main),
    )


def _cut_again(row: PairRow, sides: Sides) -> PairRow:
    return replace(
        row,
        source_tokens=sides.source.tokens(row.source),
        target_tokens=sides.target.tokens(row.target),
    )


def _reader_of(rows: list[PairRow], data: Any, sides: Sides) -> PairReader:
    """Return the reader of a training set."""
    most = data.vocabularies
    sources = [row.source_tokens[: data.longest] for row in rows]
    targets = [row.target_tokens for row in rows]
    if sides.joint:
        both = TokenVocabulary.of([*sources, *targets], sides.source, most[0])
        return PairReader(both, both, data.longest)
    return PairReader(
        TokenVocabulary.of(sources, sides.source, most[0]),
        TokenVocabulary.of(targets, sides.target, most[1]),
        data.longest,
    )


def _tell_long_ones(rows: Sequence[PairRow], longest: int, say: Say) -> None:
    long = [row for row in rows if len(row.source_tokens) > longest]
    if long:
        most = max(len(row.source_tokens) for row in long)
        say(
            f"of {counted(len(long), 'source')} longer than {longest:,} tokens (up to {most:,}) "
            f"the rest is not read; {named('longest', most)} reads all"
        )
