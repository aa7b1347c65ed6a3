"""Sentences with tags made ready to learn from."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conveyor.data.group_names import listed
from conveyor.data.slot_files import companion_of
from conveyor.data.tag_schemes import as_iob2, is_of_spans, scheme_of
from conveyor.data.tagged_files import read_tagged
from conveyor.data.tagged_sentences import TaggedSentence, TaggedSentences
from conveyor.errors import DataError, counted, named
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, Leaks, drawn_parts, leaks_of
from conveyor.tasks.tag.sentence_reader import SentenceReader, normal, syllables_of
from conveyor.tasks.tag.tag_examples import TagExamples
from conveyor.tasks.tag.tag_settings import IOB2, PLAIN, SEVERAL, SYLLABLES, TagData, TagSettings
from conveyor.tasks.task import Say

# So many names stand in a line for the user.
_LISTED = 6

PART_NAMES = ("training", "validation", "test")

# What stands between the words of a sentence where it is one text: no file's words hold it.
_BETWEEN = "\x1f"

# Of so many tags, at most, a CRF weighs every pair, a quarter of a million for each word.
MOST_TOGETHER = 500


@dataclass(frozen=True)
class PreparedTags:
    """Sentences with tags made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        form: of the source.
        tags: what there is to say of a word, in order; those of the training set first.
        intents: what there is to say of a sentence, in order; empty for nothing.
        iob2: whether tags mark spans.
        parts: to learn from, to validate on, to test on.
        reader: makes numbers of words.
        keys: of each part, what tells whether two sentences are the same.
        leaks: how many of a part are learned from, too.
        source_hash: tells whether a source is the one that these are made of.
    """

    name: str
    settings: TagSettings
    form: str
    tags: tuple[str, ...]
    intents: tuple[str, ...]
    iob2: bool
    parts: tuple[TagExamples, TagExamples, TagExamples]
    reader: SentenceReader
    keys: tuple[list[str], list[str], list[str]]
    leaks: Leaks
    source_hash: str


def key_of(sentence: TaggedSentence) -> str:
    """Return what is the same for sentences of the same words."""
    return _BETWEEN.join(sentence.words)


def hash_of(read: TaggedSentences) -> str:
    """Return a hash of sentences and tags as they were read."""
    digest = hashlib.sha256()
    for words, tags, _, intent in read.sentences:
        row = _BETWEEN.join([*words, "", *tags, "", intent])
        digest.update(row.encode(errors="surrogatepass") + b"\0")
    return digest.hexdigest()


def read_source(source: Any, data: TagData) -> TaggedSentences:
    """Read sentences with tags as settings say."""
    return read_tagged(source, tags=data.tags, labels=data.labels, intent=data.intent)


def in_scheme(read: TaggedSentences, scheme: str, say: Say) -> tuple[list[TaggedSentence], bool]:
    """Return sentences with words in normal form and tags in IOB2, where they mark spans.

    Args:
        read: the sentences.
        scheme: of the settings: plain, iob2, or empty to go by the tags.
        say: called with each line for the user.

    Returns:
        The sentences, and whether their tags mark spans.

    Raises:
        DataError: tags are of spans by the settings, and one is none.
    """
    tags = [sentence.tags for sentence in read.sentences]
    what = scheme_of(tags)
    sentences = [
        sentence._replace(words=[normal(word) for word in sentence.words])
        for sentence in read.sentences
    ]
    if scheme == PLAIN or (not scheme and what.name == "plain"):
        return sentences, False
    for sentence in read.sentences:
        for tag, line in zip(sentence.tags, sentence.lines, strict=True):
            if not is_of_spans(tag):
                raise DataError(
                    f"{read.name}, line {line:,}: {tag!r} is no tag of the scheme IOB2; expected "
                    f"O, or B- or I- and a type, as B-PER. If tags mark no spans, give "
                    f"{named('scheme', PLAIN)}."
                )
    if what.name in ("IOB1", "IOBES"):
        say(f"{read.name}: the tags are of the scheme {what.name}; they are read as IOB2")
    elif what.odd is not None:
        number, word = what.odd
        line = read.sentences[number].lines[word]
        say(
            f"warning: {read.name}: {counted(what.breaks, 'tag')} I- that "
            f"{'continues' if what.breaks == 1 else 'continue'} no span of the type, the first in "
            f"line {line:,}, {'is' if what.breaks == 1 else 'are'} read as B-, as the program "
            "conlleval does"
        )
    return [each._replace(tags=as_iob2(each.tags)) for each in sentences], True


@dataclass(frozen=True)
class _Row:
    sentence: TaggedSentence
    part: int | None


def _rows(main: TaggedSentences, data: TagData, say: Say) -> tuple[list[_Row], bool]:
    """Return the sentences of all files, and whether tags mark spans."""
    for note in main.notes:
        say(note)
    if not main.sentences:
        raise DataError(f"{main.name}: there is no sentence.")
    sentences, iob2 = in_scheme(main, data.scheme, say)
    rows = [_Row(sentence, None) for sentence in sentences]
    for part, path in ((VALIDATION, data.validation), (TEST, data.test)):
        if path is None:
            continue
        labels, intent = (
            None if file is None else str(companion_of(Path(path), Path(main.name), Path(file)))
            for file in (data.labels, data.intent)
        )
        other = read_source(path, replace(data, labels=labels, intent=intent))
        for note in other.notes:
            say(note)
        if not other.sentences:
            raise DataError(f"{other.name}: there is no sentence.")
        of_part, _ = in_scheme(other, IOB2 if iob2 else PLAIN, say)
        rows += [_Row(sentence, part) for sentence in of_part]
    return rows, iob2


def _check_tags(name: str, tags: Sequence[str], settings: TagSettings) -> None:
    """Check that the tags of a sentence can be chosen together.

    Raises:
        DataError: they are too many.
    """
    if settings.network.crf and len(tags) > MOST_TOGETHER:
        raise DataError(
            f"{name}: there are {len(tags):,} different tags, as {tags[0]!r} and {tags[-1]!r}; a "
            "CRF weighs every pair of them, which would take hours. Name another column "
            f"({named('tags')}), or give {named('crf', False)}."
        )


def prepare_tags(main: TaggedSentences, settings: TagSettings, say: Say) -> PreparedTags:
    """Split sentences with tags.

    Args:
        main: as ``read_source`` gives them.
        settings: of the run.
        say: called with each line for the user.

    Raises:
        DataError: the data cannot be used.
    """
    data = settings.data
    rows, iob2 = _rows(main, data, say)
    keys = [key_of(row.sentence) for row in rows]
    parts = drawn_parts(
        keys, [0] * len(rows), [row.part for row in rows], data.split, data.split_seed
    )
    leaks = leaks_of(keys, parts)
    if leaks.validation or leaks.test:
        kept = _told_leaks(data, keys, parts, leaks=leaks, say=say)
        rows, keys, parts = (
            [rows[n] for n in kept],
            [keys[n] for n in kept],
            [parts[n] for n in kept],
        )
    for part, name in enumerate(PART_NAMES):
        if part not in parts:
            raise DataError(
                f"{main.name}: the {name} set of {counted(len(rows), 'sentence')} is empty. Give "
                f"more of them, or larger parts: {named('split', '0.6/0.2/0.2')}."
            )
    by_part = [
        [row.sentence for row, its in zip(rows, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    ]
    tags = _known([[tag for s in part for tag in s.tags] for part in by_part], "tag", say)
    if len(tags) < 2:
        raise DataError(
            f"{main.name}: all tags are {tags[0]!r}; there is nothing to tell apart. Name another "
            f"column: {named('tags')}."
        )
    _check_tags(main.name, tags, settings)
    intents: tuple[str, ...] = ()
    if data.intent is not None:
        intents = _known([[s.intent for s in part] for part in by_part], "intent", say)
        if len(intents) < 2:
            raise DataError(
                f"{data.intent}: all intents are {intents[0]!r}; there is nothing to tell apart. "
                f"Leave out {named('intent')}."
            )
    words = [sentence.words for sentence in by_part[TRAIN]]
    reader = SentenceReader.of(words, lower=data.lower)
    examples = [TagExamples.of(part, reader, tags, intents) for part in by_part]
    unknown = [not reader.knows(word) for s in by_part[TEST] for word in s.words]
    say(
        f"{counted(len(by_part[TRAIN]), 'sentence')} to train, {len(by_part[VALIDATION]):,} to "
        f"validate, {len(by_part[TEST]):,} to test; {counted(len(tags), 'tag')}"
        + (f", {counted(len(intents), 'intent')}" if intents else "")
        + f"; {100 * sum(unknown) / len(unknown):.1f} % of the words to test are unknown"
    )
    network = settings.network
    if network.syllables is None:
        network = replace(network, syllables=SYLLABLES if _have_several(words) else 0)
    return PreparedTags(
        name=main.name,
        settings=replace(
            settings,
            network=network,
            data=replace(data, scheme=IOB2 if iob2 else PLAIN),
            training=settings.training.with_epochs(len(by_part[TRAIN])),
        ),
        form=main.form,
        tags=tags,
        intents=intents,
        iob2=iob2,
        parts=(examples[0], examples[1], examples[2]),
        reader=reader,
        keys=_of_parts(keys, parts),
        leaks=leaks,
        source_hash=hash_of(main),
    )


def _of_parts(keys: Sequence[str], parts: Sequence[int]) -> tuple[list[str], list[str], list[str]]:
    first, second, third = (
        [key for key, its in zip(keys, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    )
    return first, second, third


def _have_several(sentences: Sequence[Sequence[str]]) -> bool:
    """Return whether more than a few words have several syllables that are written apart."""
    several = [len(syllables_of(word)) > 1 for words in sentences for word in words]
    return sum(several) > SEVERAL * len(several)


def _known(names: Sequence[Sequence[str]], what: str, say: Say) -> tuple[str, ...]:
    """Return the tags or intents of all parts, those of the training set first, and tell what is
    odd. Those of other parts only have a place, too, so that they count as wrong."""
    counts = Counter(names[TRAIN])
    tags = sorted(counts)
    for part in (VALIDATION, TEST):
        unseen = Counter(name for name in names[part] if name not in counts)
        if unseen:
            of_what = "word" if what == "tag" else "sentence"
            total, all_ = unseen.total(), len(names[part])
            say(
                f"warning: {counted(len(unseen), what)} ({listed(sorted(unseen), _LISTED)}) of the "
                f"{PART_NAMES[part]} set {'is' if len(unseen) == 1 else 'are'} not in the "
                f"training set: {counted(total, of_what)} of {all_:,} cannot be got right"
                + (". Do the parts have different sets of tags?" if total > 0.1 * all_ else "")
            )
        tags += [name for name in sorted(unseen) if name not in tags]
    return tuple(tags)


def _told_leaks(
    data: TagData, keys: Sequence[str], parts: Sequence[int], *, leaks: Leaks, say: Say
) -> list[int]:
    """Tell which sentences stand in several parts; return those that are kept."""
    every = list(range(len(keys)))
    if not data.dedupe:
        say(
            f"warning: {counted(leaks.test, 'sentence')} of the test set and "
            f"{leaks.validation:,} of the validation set stand in the training set, too, and "
            f"are easier than new ones. {named('dedupe', True)} trains without them"
        )
        return every
    asked = {key for key, part in zip(keys, parts, strict=True) if part != TRAIN}
    kept = [n for n in every if parts[n] != TRAIN or keys[n] not in asked]
    left_out = counted(len(keys) - len(kept), "sentence")
    say(f"{left_out} of the training set left out, as asked")
    return kept
