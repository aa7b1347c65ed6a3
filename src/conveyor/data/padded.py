"""Sequences of different length as one tensor."""

from collections.abc import Sequence

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
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return pad_sequence(list(sequences)), lengths
