"""Attention: a weighted mean of a memory's places, whose weights depend on a query.

Dot, general and concat are the scores of Luong, Pham & Manning 2015 (Effective approaches to
attention-based neural machine translation):

    dot      q · m_s
    general  q · W m_s
    concat   v · tanh(U q + W m_s)

The last is that of Bahdanau, Cho & Bengio 2015 (Neural machine translation by jointly learning to
align and translate). W m_s is computed once for a memory.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from conveyor.errors import SettingError, ShapeError, did_you_mean
from conveyor.layers.checks import check_whole
from conveyor.layers.lengths import read_lengths

Scoring = Literal["dot", "general", "concat"]


class AttendedMemory(NamedTuple):
    """A memory that was made ready, see ``Attention.prepare``. The batch is the second axis.

    Attributes:
        values: what is averaged, [S, B, memory_size], 0 at padding.
        keys: what queries are compared with, [S, B, width].
        lengths: true places of each memory, [B].
    """

    values: Tensor
    keys: Tensor
    lengths: Tensor


class Attention(nn.Module):
    """Weighted means of a memory.

        >>> attention = Attention(64, 128, "general")
        >>> memory = attention.prepare(encoded, lengths=lengths)  # [S, B, 128], once
        >>> contexts, weights = attention(outputs, memory)  # of outputs [T, B, 64]

    Args:
        query_size: numbers of a query.
        memory_size: numbers of a place of the memory.
        scoring: ``"dot"``, for which both sizes are the same, ``"general"`` or ``"concat"``.
        width: numbers that are compared in ``"concat"``; None for as many as a query has.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        scoring: Scoring = "general",
        *,
        width: int | None = None,
    ) -> None:
        super().__init__()
        check_whole(query_size=query_size, memory_size=memory_size)
        if scoring not in get_args(Scoring):
            hint = did_you_mean(str(scoring), get_args(Scoring))
            raise SettingError(f"scoring is {scoring!r}. {hint}")
        if scoring == "dot" and query_size != memory_size:
            raise SettingError(
                f"query_size is {query_size} and memory_size {memory_size}; 'dot' multiplies them, "
                "so expected the same. Use 'general'."
            )
        if width is not None and scoring != "concat":
            raise SettingError(f"width is {width}; only 'concat' has one. Leave it out.")
        self.query_size, self.memory_size, self.scoring = query_size, memory_size, scoring
        self.width = query_size if width is None else width
        check_whole(width=self.width)
        if scoring != "dot":
            self.of_memory = nn.Linear(memory_size, self.width, bias=False)
        if scoring == "concat":
            self.of_query = nn.Linear(query_size, self.width, bias=False)
            bound = 1 / math.sqrt(self.width)
            self.v = nn.Parameter(torch.empty(self.width).uniform_(-bound, bound))

    def prepare(
        self, memory: Tensor, *, lengths: Tensor | list[int] | None = None
    ) -> AttendedMemory:
        """Return a memory that is ready for queries.

        Args:
            memory: such as the outputs of an encoder, [S, B, memory_size]; anything at padding.
            lengths: true places of each memory, [B], 1 to S; None for all. Places behind the
                longest are cut off.

        Raises:
            ShapeError: a tensor does not fit, or a memory has no true place.
        """
        if memory.dim() != 3 or memory.shape[2] != self.memory_size:
            raise ShapeError(
                f"memory is {list(memory.shape)}; expected [S, B, {self.memory_size}], places "
                "first."
            )
        places, batch, _ = memory.shape
        counts = torch.full((batch,), places)
        if lengths is not None:
            counts = torch.from_numpy(read_lengths(lengths, places, batch))
        if batch and int(counts.min()) == 0:
            row = int(counts.argmin())
            raise ShapeError(
                f"memory {row} of the batch has no true place, and attention nothing to look at. "
                "Leave it out, or give it one."
            )
        longest = int(counts.max()) if batch else places
        counts = counts.to(memory.device)
        padding = torch.arange(longest, device=memory.device)[:, None] >= counts
        values = memory[:longest].masked_fill(padding.unsqueeze(2), 0)
        keys = values if self.scoring == "dot" else self.of_memory(values)
        return AttendedMemory(values, keys, counts)

    def forward(self, queries: Tensor, memory: AttendedMemory) -> tuple[Tensor, Tensor]:
        """Return the weighted mean of the memory for each query, and the weights.

        Args:
            queries: [T, B, query_size].
            memory: of S places, see ``prepare``.

        Returns:
            The means, [T, B, memory_size], and the weights, [T, B, S], which add up to 1 and are 0
            at padding.

        Raises:
            ShapeError: the queries do not fit.
        """
        batch = memory.values.shape[1]
        if queries.dim() != 3 or queries.shape[1:] != (batch, self.query_size):
            raise ShapeError(
                f"queries is {list(queries.shape)}; expected [T, {batch}, {self.query_size}]."
            )
        if self.scoring == "concat":
            compared = self.of_query(queries).unsqueeze(2) + memory.keys.transpose(0, 1)
            scores = (compared.tanh() @ self.v).transpose(0, 1)  # [B, T, S]
        else:
            scores = queries.transpose(0, 1) @ memory.keys.permute(1, 2, 0)
        places = torch.arange(len(memory.values), device=scores.device)
        outside = places >= memory.lengths[:, None, None]
        weights = scores.masked_fill(outside, -torch.inf).softmax(-1)
        means = weights @ memory.values.transpose(0, 1)
        return means.transpose(0, 1), weights.transpose(0, 1)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        width = f", width={self.width}" * (self.scoring == "concat")
        return f"{self.query_size}, {self.memory_size}, scoring={self.scoring!r}{width}"
