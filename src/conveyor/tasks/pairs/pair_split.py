"""Splits pairs into parts, so that no source stands in two of them."""

import random
from collections.abc import Sequence

TRAIN, VALIDATION, TEST = 0, 1, 2


def split_by_source(
    keys: Sequence[str], given: Sequence[int | None], split: Sequence[float], seed: int
) -> list[int]:
    """Return the part of each pair.

    Parts that no pair is given for are drawn from the training part and from the pairs of no part,
    by source: all that one source becomes goes together. A part that is drawn has one source at
    least, where there are three or more.

    Args:
        keys: the same for pairs of the same source.
        given: the part of each, None where it is to be drawn.
        split: the fractions of training, validation and test part.
        seed: the same seed draws the same parts.
    """
    missing = [part for part in (VALIDATION, TEST) if part not in given]
    parts = [TRAIN if part is None else part for part in given]
    whole = split[TRAIN] + sum(split[part] for part in missing)
    sources = sorted({key for key, part in zip(keys, parts, strict=True) if part == TRAIN})
    random.Random(seed).shuffle(sources)
    drawn: dict[str, int] = {}
    left = len(sources)
    for part in missing:
        count = min(max(round(len(sources) * split[part] / whole), 1), max(left - 1, 0))
        drawn |= dict.fromkeys(sources[left - count : left], part)
        left -= count
    return [
        drawn.get(key, part) if part == TRAIN else part
        for key, part in zip(keys, parts, strict=True)
    ]
