"""How far two sequences are apart."""

from collections.abc import Sequence


def edit_distance(one: Sequence[object], other: Sequence[object]) -> int:
    """Return how many elements must at least be put in, left out or replaced to make one sequence
    of the other (Levenshtein 1966).

    >>> edit_distance("AY K AE T".split(), "K AE T S".split())
    2
    """
    before = list(range(len(other) + 1))
    for row, element in enumerate(one, 1):
        now = [row]
        for column, wanted in enumerate(other, 1):
            replaced = before[column - 1] + (element != wanted)
            now.append(min(before[column] + 1, now[-1] + 1, replaced))
        before = now
    return before[-1]
