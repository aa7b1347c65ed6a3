"""What stands between what was said and what was written: words put in, left out, or others."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from conveyor.tasks.bootstrap import Counts, bootstrap_draws, interval_of


def edits(said: Sequence[str], written: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Return the fewest edits that make what was written of what was said (Levenshtein 1966), and
    what is the same: pairs of both, None where one has nothing.

    Of equally few, words that are the same or others come before those left out and put in.
    """
    rows, columns = len(said), len(written)
    costs = np.zeros((rows + 1, columns + 1), dtype=np.int64)
    costs[:, 0], costs[0] = np.arange(rows + 1), np.arange(columns + 1)
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            other = said[row - 1] != written[column - 1]
            costs[row, column] = min(
                costs[row - 1, column - 1] + other,
                costs[row - 1, column] + 1,
                costs[row, column - 1] + 1,
            )
    pairs: list[tuple[str | None, str | None]] = []
    row, column = rows, columns
    while row or column:
        if row and column:
            other = said[row - 1] != written[column - 1]
            if costs[row, column] == costs[row - 1, column - 1] + other:
                row, column = row - 1, column - 1
                pairs.append((said[row], written[column]))
                continue
        if row and costs[row, column] == costs[row - 1, column] + 1:
            row -= 1
            pairs.append((said[row], None))
        else:
            column -= 1
            pairs.append((None, written[column]))
    return pairs[::-1]


@dataclass(frozen=True)
class WordEdits:
    """The edits of several recordings.

    Attributes:
        pairs: of words, of each recording.
        letters: edits and number of characters of each, blanks counted, [N, 2].
    """

    pairs: list[list[tuple[str | None, str | None]]]
    letters: Counts

    @staticmethod
    def of(said: Sequence[str], written: Sequence[str]) -> "WordEdits":
        """Return the edits between texts, as they are scored."""
        pairs, letters = [], np.zeros((len(said), 2))
        known: dict[tuple[str, str], list[tuple[str | None, str | None]]] = {}
        by_letter: dict[tuple[str, str], int] = {}
        for row, (one, other) in enumerate(zip(said, written, strict=True)):
            key = one, other
            if key not in known:
                known[key] = edits(one.split(), other.split())
                by_letter[key] = sum(a != b for a, b in edits(one, other))
            pairs.append(known[key])
            letters[row] = by_letter[key], len(one)
        return WordEdits(pairs, letters)

    @property
    def counts(self) -> Counts:
        """Other words, words left out, words put in, and words said, of each recording, [N, 4]."""
        rows = [
            (
                sum(a is not None and b is not None and a != b for a, b in each),
                sum(b is None for _, b in each),
                sum(a is None for a, _ in each),
                sum(a is not None for a, _ in each),
            )
            for each in self.pairs
        ]
        return np.array(rows, dtype=float).reshape(len(self.pairs), 4)

    def rate(self, numbers: Sequence[int] | None = None) -> float | None:
        """Return WER: all edits of words by all words that were said, of some recordings or all;
        None where nothing was said."""
        counts = self.counts if numbers is None else self.counts[list(numbers)]
        sums = counts.sum(0)
        return float(sums[:3].sum() / sums[3]) if sums[3] else None

    @property
    def letter_rate(self) -> float | None:
        """CER: all edits of characters by all characters; None where nothing was said."""
        wrong, count = self.letters.sum(0)
        return float(wrong / count) if count else None

    @property
    def wrong_share(self) -> float:
        """The share of recordings with any edit."""
        return float((self.counts[:, :3].sum(1) > 0).mean()) if self.pairs else 0.0

    def interval(self) -> tuple[float, float] | None:
        """Return in which range WER lies in 95 of 100 samples of the recordings; None where
        nothing was said, or samples tell nothing."""
        counts = self.counts
        if not len(counts) or not counts[:, 3].sum():
            return None
        sums = bootstrap_draws(len(counts)) @ counts
        low, high = interval_of(sums[:, :3].sum(1) / np.maximum(sums[:, 3], 1))
        return (low, high) if low < high else None

    def confusions(self) -> Iterator[tuple[str | None, str | None, int]]:
        """Yield what was said, what was written instead, and how often, the most frequent first."""
        counts = Counter(pair for each in self.pairs for pair in each if pair[0] != pair[1])
        order = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
        for (one, other), count in order:
            yield one, other, count
