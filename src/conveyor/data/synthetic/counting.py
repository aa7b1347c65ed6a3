"""Counting languages, aⁿbⁿ and aⁿbⁿcⁿ: who counts can predict the next symbols."""

from collections.abc import Sequence

import torch

from conveyor.data.synthetic.batch import Batch
from conveyor.errors import SettingError

START, END = "S", "T"


def counting(counts: Sequence[int], *, letters: str = "ab") -> Batch:
    """Return one sequence for each n: S, then every letter n times. The targets mark the symbols
    that may come next, [T, B, letters + 1]; the last feature is the end (Gers & Schmidhuber 2001).

    After the first letter, that letter or the second may follow. From the second letter on the next
    symbol is certain: n of each letter, then the end.

    Args:
        counts: the n of each sequence, 1 or more.
        letters: two letters or more, all different.

    Raises:
        SettingError: a count is below 1, or there are fewer than two different letters.
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
    return Batch(inputs, targets, lengths)


def accepted(outputs: torch.Tensor, batch: Batch, *, threshold: float = 0.5) -> torch.Tensor:
    """Return which sequences [B] are predicted right: at every step exactly the symbols that may
    come next have outputs above the threshold."""
    right = ((outputs > threshold) == (batch.targets > 0)).all(-1)
    return (right | ~batch.counted).all(0)
