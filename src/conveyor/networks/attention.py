"""Attention: a weighted mean of a memory's places, whose weights depend on a query.

Dot, general and concat are the scores of Luong, Pham & Manning 2015 (Effective approaches to
attention-based neural machine translation):

    dot      q · m_s
    general  q · W m_s
    concat   v · tanh(U q + W m_s)

The last is that of Bahdanau, Cho & Bengio 2015 (Neural machine translation by jointly learning to
align and translate). W m_s is computed once for a memory.

Location is that of Chorowski et al. 2015 (Attention-based models for speech recognition, section
2.1), for long memories with places that look alike: it also compares where the step before has
looked, as K features of each place, of its weights α' around the place, 0 outside of the memory:

    location  v · tanh(U q + W m_s + L f_s + b),  f_s[k] = Σ_{|j| ≤ R} F[k, j] α'_{s+j}
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from conveyor.errors import SettingError, ShapeError, did_you_mean
from conveyor.layers.checks import check_whole
from conveyor.layers.lengths import read_lengths

Scoring = Literal["dot", "general", "concat", "location"]

# Scores with a width of their own.
_COMPARING = ("concat", "location")
# Of the score location, in the paper: filters, and places to either side that they see.
_FILTERS, _REACH = 10, 100


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


def _padding(memory: AttendedMemory) -> Tensor:
    """Return which places of memories are padding, [B, S]."""
    places = torch.arange(len(memory.values), device=memory.lengths.device)
    return places >= memory.lengths[:, None]


class Attention(nn.Module):
    """Weighted means of a memory.

        >>> attention = Attention(64, 128, "general")
        >>> memory = attention.prepare(encoded, lengths=lengths)  # [S, B, 128], once
        >>> contexts, weights = attention(outputs, memory)  # of outputs [T, B, 64]

    Args:
        query_size: numbers of a query.
        memory_size: numbers of a place of the memory.
        scoring: ``"dot"``, for which both sizes are the same, ``"general"``, ``"concat"`` or
            ``"location"``.
        width: numbers that are compared in ``"concat"`` and ``"location"``; None for as many as a
            query has.
        filters: K of ``"location"``; None for the paper's 10.
        reach: R of ``"location"``, places to either side that a filter sees; None for the paper's
            100, one every 10 ms.
        smooth: whether weights are σ(score) / Σ σ(score) in place of softmax, so that several
            places are looked at (the paper's smoothing).

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
        filters: int | None = None,
        reach: int | None = None,
        smooth: bool = False,
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
        if width is not None and scoring not in _COMPARING:
            raise SettingError(
                f"width is {width}; only 'concat' and 'location' have one. Leave it out."
            )
        for name, number in (("filters", filters), ("reach", reach)):
            if number is not None and scoring != "location":
                raise SettingError(f"{name} is {number}; only 'location' has it. Leave it out.")
        self.query_size, self.memory_size, self.scoring = query_size, memory_size, scoring
        self.width = query_size if width is None else width
        self.filters = _FILTERS if filters is None else filters
        self.reach = _REACH if reach is None else reach
        if not isinstance(smooth, bool):
            raise SettingError(f"smooth is {smooth!r}; expected True or False.")
        self.smooth = smooth
        check_whole(width=self.width, filters=self.filters)
        check_whole(0, reach=self.reach)
        if scoring != "dot":
            self.of_memory = nn.Linear(memory_size, self.width, bias=False)
        if scoring in _COMPARING:
            self.of_query = nn.Linear(query_size, self.width, bias=False)
            bound = 1 / math.sqrt(self.width)
            self.v = nn.Parameter(torch.empty(self.width).uniform_(-bound, bound))
        if scoring == "location":
            self.around = nn.Conv1d(
                1, self.filters, 2 * self.reach + 1, padding=self.reach, bias=False
            )
            self.of_around = nn.Linear(self.filters, self.width)

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

    def before_first(self, memory: AttendedMemory) -> Tensor:
        """Return the weights that stand before the first step, [1, B, S]: none, as nothing was
        looked at; of ``"location"`` the same for all true places, for the paper does not say.

        Args:
            memory: see ``prepare``.
        """
        places, batch, _ = memory.values.shape
        if self.scoring != "location":
            return memory.values.new_zeros(1, batch, places)
        true = (~_padding(memory)).to(memory.values.dtype)
        return (true / memory.lengths[:, None].to(true.dtype)).unsqueeze(0)

    def forward(
        self, queries: Tensor, memory: AttendedMemory, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted mean of the memory for each query, and the weights.

        Args:
            queries: [T, B, query_size].
            memory: of S places, see ``prepare``.
            before: the weights of the step before the first of these queries, [1, B, S], which
                ``"location"`` reads, anything at padding; None if the first query is the first of
                its sequence. Other scores do not read it.

        Returns:
            The means, [T, B, memory_size], and the weights, [T, B, S], which add up to 1 and are 0
            at padding.

        Raises:
            ShapeError: the queries or the weights before them do not fit.
        """
        batch = memory.values.shape[1]
        if queries.dim() != 3 or queries.shape[1:] != (batch, self.query_size):
            raise ShapeError(
                f"queries is {list(queries.shape)}; expected [T, {batch}, {self.query_size}]."
            )
        expected = (1, batch, len(memory.values))
        if before is not None and before.shape != expected:
            raise ShapeError(f"before is {list(before.shape)}; expected {list(expected)}.")
        if self.scoring == "location":
            weights = self._walk(queries, memory, before)
        elif self.scoring == "concat":
            compared = self.of_query(queries).unsqueeze(2) + memory.keys.transpose(0, 1)
            weights = self._weights((compared.tanh() @ self.v).transpose(0, 1), memory)
        else:
            weights = self._weights(queries.transpose(0, 1) @ memory.keys.permute(1, 2, 0), memory)
        means = weights @ memory.values.transpose(0, 1)
        return means.transpose(0, 1), weights.transpose(0, 1)

    def _walk(self, queries: Tensor, memory: AttendedMemory, before: Tensor | None) -> Tensor:
        """Return weights [B, T, S], those of each step made of those of the step before."""
        places, batch, _ = memory.values.shape
        if before is None:
            before = self.before_first(memory)
        last = before[0].masked_fill(_padding(memory), 0)
        keys, weights = memory.keys.transpose(0, 1), []
        for query in self.of_query(queries):
            around = self.of_around(self.around(last.unsqueeze(1)).transpose(1, 2))
            compared = query.unsqueeze(1) + keys + around
            last = self._weights((compared.tanh() @ self.v).unsqueeze(1), memory).squeeze(1)
            weights.append(last)
        return torch.stack(weights, 1) if weights else before.new_zeros(batch, 0, places)

    def _weights(self, scores: Tensor, memory: AttendedMemory) -> Tensor:
        """Return the weights of scores, [B, T, S]."""
        if self.smooth:  # softmax(log σ(e)) is σ(e) / Σ σ(e), and never 0 / 0
            scores = logsigmoid(scores)
        return scores.masked_fill(_padding(memory).unsqueeze(1), -torch.inf).softmax(-1)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        width = f", width={self.width}" * (self.scoring in _COMPARING)
        where = f", filters={self.filters}, reach={self.reach}" * (self.scoring == "location")
        smooth = ", smooth=True" * self.smooth
        sizes = f"{self.query_size}, {self.memory_size}"
        return f"{sizes}, scoring={self.scoring!r}{width}{where}{smooth}"
