"""Sequences of different length as one tensor."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return sequences side by side, with zeros after the end of the shorter ones.

    Args:
        sequences: of one type, each [T_i, ...]; one or more.

    Returns:
        The sequences [T, B, ...], and their lengths, int64 [B].
    """
    lengths = [len(sequence) for sequence in sequences]
    values = pad_sequence(list(sequences))
    return values, torch.tensor(lengths, device=values.device)


def before_each(steps: Tensor) -> Tensor:
    """Return the step before each, [T, ...], zeros before the first."""
    return torch.cat([torch.zeros_like(steps[:1]), steps[:-1]])


def padded_batches(
    lengths: Sequence[int], rows: int, steps: int, *, empty: bool = True
) -> Iterator[list[int]]:
    """Yield the numbers of sequences that are padded together: of similar length, and so few that
    they need little memory. Each sequence is in one batch.

    Args:
        lengths: of each sequence.
        rows: how many a batch has, at most.
        steps: how many it has with padding, at most, but for a single sequence.
        empty: whether sequences of no step are among them.
    """
    order = sorted(range(len(lengths)), key=lambda number: lengths[number])
    batch: list[int] = []
    for number in order:
        if not (lengths[number] or empty):
            continue
        if batch and (len(batch) >= rows or (len(batch) + 1) * lengths[number] > steps):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
