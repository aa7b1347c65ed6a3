"""Groups of sequences of similar length, by which reports show scores."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

# So many groups are shown, at most.
_GROUPS = 4


def length_groups(lengths: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
    """Yield the least and the largest length of groups of about as many sequences, and their
    numbers.

    Args:
        lengths: of each sequence.
    """
    order = sorted(lengths)
    edges = sorted({order[len(order) * part // _GROUPS] for part in range(_GROUPS)})
    for low, above in pairwise([*edges, order[-1] + 1]):
        numbers = [n for n, length in enumerate(lengths) if low <= length < above]
        if numbers:
            yield low, max(lengths[n] for n in numbers), numbers
