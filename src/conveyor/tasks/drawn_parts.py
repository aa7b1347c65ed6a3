"""Splits examples into parts, so that nothing is in two of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Leaks:
    """How many texts of a part also stand in the training set."""

    validation: int
    test: int


def drawn_parts(
    keys: Sequence[str],
    targets: Sequence[int],
    given: Sequence[int | None],
    split: Sequence[float],
    seed: int,
) -> list[int]:
    """Return the part of each example.

    Parts that no example is given for are drawn from the training set and from the examples of no
    part: of each class the same share, and examples with the same key together. A class keeps an
    example to train on.

    Args:
        keys: the same for examples that are the same.
        targets: the class of each.
        given: the part of each, None where it is to be drawn.
        split: the fractions of training, validation and test set.
        seed: the same seed draws the same parts.
    """
    missing = [part for part in (VALIDATION, TEST) if part not in given]
    parts = [TRAIN if part is None else part for part in given]
    whole = split[TRAIN] + sum(split[part] for part in missing)
    by_class: dict[int, dict[str, list[int]]] = {}
    first: dict[str, int] = {}
    for number, (key, target) in enumerate(zip(keys, targets, strict=True)):
        if parts[number] == TRAIN:
            # The same text with two labels goes with the first of them.
            of_class = first.setdefault(key, target)
            by_class.setdefault(of_class, {}).setdefault(key, []).append(number)
    draw = random.Random(seed)
    over = dict.fromkeys(missing, 0.0)  # what rounding has left of the classes before
    for target in sorted(by_class):
        groups = list(by_class[target].values())
        draw.shuffle(groups)
        left = len(groups)
        for part in missing:
            exact = len(groups) * split[part] / whole + over[part]
            count = max(min(round(exact), left - 1), 0)
            over[part] = exact - count
            for group in groups[left - count : left]:
                for number in group:
                    parts[number] = part
            left -= count
    return parts


def split_by_source(
    keys: Sequence[str], given: Sequence[int | None], split: Sequence[float], seed: int
) -> list[int]:
    """Return the part of each pair.

    Parts that no pair is given for are drawn from the training set and from the pairs of no part,
    by source: all that one source becomes goes together. A part that is drawn has one source at
    least, where there are three or more.

    Args:
        keys: the same for pairs of the same source.
        given: the part of each, None where it is to be drawn.
        split: the fractions of training, validation and test set.
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


def leaks_of(keys: Sequence[str], parts: Sequence[int]) -> Leaks:
    """Return how many examples of the validation and the test set have a key of the training
    set."""
    known = {key for key, part in zip(keys, parts, strict=True) if part == TRAIN}
    counts = [
        sum(key in known for key, part in zip(keys, parts, strict=True) if part == asked)
        for asked in (VALIDATION, TEST)
    ]
    return Leaks(*counts)
