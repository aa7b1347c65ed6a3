"""Schemes by which tags mark spans, told apart and put into one of them, IOB2."""

from collections.abc import Sequence
from typing import NamedTuple

from conveyor.data.iob2 import OUTSIDE

# What begins tags of the schemes IOB1, IOB2 and IOBES. The last marks ends, and spans of one word.
_CONTINUES = {"I", "E"}
_PREFIXES = {"B", "S", *_CONTINUES}


class Scheme(NamedTuple):
    """What tags show of their scheme.

    Attributes:
        name: ``"plain"`` if they mark no spans, ``"IOB2"``, ``"IOB1"``, ``"IOBES"``, or ``"mixed"``
            of tags of spans, some of which begin with B and some with I.
        odd: the first sentence and word that do not fit IOB2; None where all do.
        breaks: how many do not.
    """

    name: str
    odd: tuple[int, int] | None = None
    breaks: int = 0


def _parts(tag: str) -> tuple[str, str]:
    """Return the prefix and the type of a tag."""
    prefix, _, kind = tag.partition("-")
    return prefix, kind


def is_of_spans(tag: str) -> bool:
    """Return whether a tag may be one of spans: O, or a prefix and a type."""
    prefix, kind = _parts(tag)
    return tag == OUTSIDE or (prefix in _PREFIXES and bool(kind))


def scheme_of(sentences: Sequence[Sequence[str]]) -> Scheme:
    """Return the scheme of the tags of sentences.

    In IOB2 every span begins with B. In IOB1 it begins with I, and with B only right after another
    span of its type (Ramshaw & Marcus 1995, Text chunking using transformation-based learning).
    """
    every = {tag for tags in sentences for tag in tags}
    if not every - {OUTSIDE} or not all(map(is_of_spans, every)):
        return Scheme("plain")
    if any(_parts(tag)[0] in ("E", "S") for tag in every - {OUTSIDE}):
        return Scheme("IOBES")
    odd: list[tuple[int, int]] = []
    begins = 0  # spans that begin with B though none of their type stands before
    for sentence, tags in enumerate(sentences):
        before = ""
        for word, tag in enumerate(tags):
            prefix, kind = _parts(tag) if tag != OUTSIDE else ("", "")
            if prefix == "I" and kind != before:
                odd.append((sentence, word))
            elif prefix == "B" and kind != before:
                begins += 1
            before = kind
    if not odd:
        return Scheme("IOB2")
    return Scheme("mixed" if begins else "IOB1", odd[0], len(odd))


def as_iob2(tags: Sequence[str]) -> list[str]:
    """Return tags of spans in the scheme IOB2: what continues no span of its type begins one."""
    result, before = [], ""
    for tag in tags:
        if tag == OUTSIDE:
            result.append(tag)
            before = ""
            continue
        prefix, kind = _parts(tag)
        result.append(f"{'I' if prefix in _CONTINUES and kind == before else 'B'}-{kind}")
        # After the end of a span an E or I of its type begins another.
        before = "" if prefix in ("E", "S") else kind
    return result
