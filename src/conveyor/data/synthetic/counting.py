"""Counting languages: aⁿbⁿ and aⁿbⁿcⁿ, whose next symbols are known once counting is."""

from collections.abc import Sequence

import torch

from conveyor.data.synthetic.batch import Batch
from conveyor.errors import SettingError

START, END = "S", "T"


def counting(counts: Sequence[int], *, letters: str = "ab") -> Batch:
    """One sequence for each n: S, then each letter n times; to say at each symbol which may come
    next, [T, B, letters + 1], the last feature being the end (Gers & Schmidhuber 2001).

    While the first letter goes on, it or the second may follow; from then on each symbol says what
    follows: n times each letter, then the end.

    Raises:
        SettingError: a count is below 1, or there are fewer than two letters.
    """
    if len(letters) < 2 or len(set(letters)) < len(letters):
        raise SettingError(f"letters are {letters!r}; expected two different ones at least.")
    if any(not isinstance(n, int) or n < 1 for n in counts):
        raise SettingError(f"counts are {list(counts)!r}; expected whole numbers from 1.")
    kinds = len(letters)
    lengths = torch.tensor([1 + kinds * n for n in counts], dtype=torch.long)
    longest = int(lengths.max()) if len(counts) else 1
    inputs = torch.zeros(longest, len(counts), kinds + 1)
    targets = torch.zeros(longest, len(counts), kinds + 1)
    for number, n in enumerate(counts):
        inputs[0, number, kinds] = 1.0  # S
        targets[0, number, 0] = 1.0
        for letter in range(kinds):
            first = 1 + letter * n
            inputs[first : first + n, number, letter] = 1.0
            if letter == 0:
                targets[first : first + n, number, :2] = 1.0
            else:
                targets[first : first + n - 1, number, letter] = 1.0
                targets[first + n - 1, number, letter + 1] = 1.0
    # The first letter is followed by the second only if there are two; n of the second follow.
    return Batch(inputs, targets, lengths)


def accepted(outputs: torch.Tensor, batch: Batch, *, threshold: float = 0.5) -> torch.Tensor:
    """Which sequences [B] are told right: at every step just the symbols that may come next are
    above the threshold."""
    right = ((outputs > threshold) == (batch.targets > 0)).all(-1)
    return (right | ~batch.counted).all(0)
