"""Tags of spans in the scheme IOB2, as in ``B-PER I-PER O``: what may follow what, and which spans
they are.

``B-x`` begins a span of type x, ``I-x`` continues it, ``O`` is outside of all spans (Tjong Kim Sang
& Veenstra 1999, Representing text chunks).
"""

from collections.abc import Sequence
from typing import NamedTuple

from conveyor.data.records import shown
from conveyor.errors import DataError

OUTSIDE = "O"


class Span(NamedTuple):
    """A span: its type, the step of its first word and the step behind its last."""

    kind: str
    begin: int
    end: int


class _Tag(NamedTuple):
    prefix: str
    kind: str


def _read(tag: str) -> _Tag:
    """Return a tag's prefix and type, which begins after the first hyphen.

    Raises:
        DataError: it is none of the scheme.
    """
    prefix, hyphen, kind = tag.partition("-")
    if tag == OUTSIDE:
        return _Tag(OUTSIDE, "")
    if prefix not in ("B", "I") or not hyphen or not kind:
        raise DataError(
            f"{shown(tag)} is no tag of the scheme IOB2; expected O, or B- or I- and a type, as "
            "in B-PER."
        )
    return _Tag(prefix, kind)


def may_begin(tag: str) -> bool:
    """Return whether a sequence may begin with a tag.

    Raises:
        DataError: it is none of the scheme.
    """
    return _read(tag).prefix != "I"


def may_follow(before: str, after: str) -> bool:
    """Return whether a tag may stand after another: ``I-x`` only after ``B-x`` and ``I-x``.

    Raises:
        DataError: one is none of the scheme.
    """
    first, second = _read(before), _read(after)
    return second.prefix != "I" or first.kind == second.kind


def spans(tags: Sequence[str], *, strict: bool = False) -> list[Span]:
    """Return the spans of a sequence of tags, in order.

    Args:
        tags: one for each word.
        strict: what to do with an ``I-x`` that continues no span of x: False, begin a span with it,
            as the program conlleval of CoNLL-2000 does; True, leave it out, with all that continue
            it.

    Raises:
        DataError: a tag is none of the scheme.
    """
    result: list[Span] = []
    kind, begin = "", 0  # of the span that is open; none is where the type is empty

    def close(end: int) -> None:
        nonlocal kind
        if kind:
            result.append(Span(kind, begin, end))
        kind = ""

    for step, tag in enumerate(map(_read, tags)):
        if tag.prefix == "I" and tag.kind == kind:
            continue
        close(step)
        if tag.prefix == "B" or (tag.prefix == "I" and not strict):
            kind, begin = tag.kind, step
    close(len(tags))
    return result
