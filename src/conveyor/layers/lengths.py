"""Sequences of different length in one batch, as rows without padding."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.errors import ShapeError
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Values

Integers = NDArray[np.int64]


def read_lengths(lengths: Tensor | list[int], steps: int, batch: int) -> Integers:
    """How many steps of each sequence count.

    Raises:
        ShapeError: there is not one whole number from 0 to T for each sequence.
    """
    try:
        given = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"lengths is {lengths!r}; expected [{batch}] whole numbers.") from error
    whole = not given.is_floating_point() and not given.is_complex() and given.dtype != torch.bool
    if whole or not given.numel():
        given, whole = given.long(), True
    if given.shape != (batch,) or not whole:
        raise ShapeError(
            f"lengths is {list(given.shape)} of {given.dtype}; expected [{batch}] whole numbers, "
            "one for each sequence of the batch."
        )
    found: Integers = given.cpu().numpy()
    if batch and (found.min() < 0 or found.max() > steps):
        raise ShapeError(
            f"lengths go from {found.min()} to {found.max()}; the input has {steps} "
            f"steps, so expected 0 to {steps}."
        )
    return found


@dataclass(frozen=True)
class Ragged:
    """How a padded batch [T, B, ...] becomes rows without padding, and back.

    A sequence that is reset within is several shorter ones here; they and the others are sorted
    by length. ``rows`` says where each row stands among the T * B of the padded batch; ``begins``
    which state each sequence starts with: one of the B given, or from B on a fresh one; ``ends``
    which sequence's last state is that of each of the B. A pair each: forward and reverse.
    """

    steps: Steps
    rows: Tensor
    begins: tuple[Tensor, Tensor]
    ends: tuple[Tensor, Tensor]

    @staticmethod
    def of(lengths: Integers, restart: NDArray[np.bool_] | None, device: torch.device) -> "Ragged":
        """Of sequences of these lengths, with a new start before each step where ``restart``
        [T, B] is True."""
        batch = len(lengths)
        pieces: list[tuple[int, int, int, bool]] = []  # sequence, first step, steps, fresh start
        for b, length in enumerate(lengths.tolist()):
            marks = [] if restart is None else np.flatnonzero(restart[:length, b]).tolist()
            borders = sorted({0, *marks})
            for first, stop in zip(borders, [*borders[1:], length], strict=True):
                pieces.append((b, first, stop - first, first in marks))
        # The longest first; of equals the earlier sequence, so that equal lengths keep the order.
        pieces.sort(key=lambda piece: (-piece[2], piece[0], piece[1]))
        sizes = np.array([piece[2] for piece in pieces], dtype=np.int64)
        longest = max(1, int(sizes.max(initial=0)))
        step, which = np.nonzero(sizes > np.arange(longest)[:, None])
        origin = np.array([first * batch + b for b, first, *_ in pieces], dtype=np.int64)
        rows = step * batch + origin[which]
        counts = np.bincount(step, minlength=longest)

        # In reverse a sequence enters its last piece with the state it was given.
        last = dict.fromkeys(range(batch), 0)
        for b, first, *_ in pieces:
            last[b] = max(last[b], first)
        forward = [b + batch * fresh for b, _, _, fresh in pieces]
        reverse = [b + batch * (first != last[b]) for b, first, *_ in pieces]
        place = {(b, first): number for number, (b, first, *_) in enumerate(pieces)}

        def index(values: object) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.int64), device=device)

        return Ragged(
            Steps(longest, len(pieces), tuple(counts.tolist())),
            index(rows),
            (index(forward), index(reverse)),
            (
                index([place[b, last[b]] for b in range(batch)]),
                index([place[b, 0] for b in range(batch)]),
            ),
        )

    def pack(self, padded: Tensor) -> Tensor:
        """[T, B, width] to rows."""
        return padded.flatten(0, 1).index_select(0, self.rows)

    def unpack(self, rows: Tensor, steps: int, batch: int) -> Tensor:
        """Rows to [T, B, width], exact zeros at padding."""
        whole = rows.new_zeros(steps * batch, rows.shape[1]).index_copy(0, self.rows, rows)
        return whole.view(steps, batch, rows.shape[1])

    def begin(self, given: Mapping[str, Tensor], fresh: Values | None, reverse: bool) -> Values:
        """The states that sequences start with, of those given, [B, width] by name."""
        index = self.begins[reverse]
        return {
            name: (each if fresh is None else torch.cat([each, fresh[name]])).index_select(0, index)
            for name, each in given.items()
        }

    def end(self, final: Mapping[str, Tensor], reverse: bool) -> Values:
        """The last state of each sequence of the batch."""
        return {name: each.index_select(0, self.ends[reverse]) for name, each in final.items()}


@dataclass(frozen=True)
class Packing:
    """How a PackedSequence was packed, to pack another one alike."""

    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None

    @staticmethod
    def of(packed: PackedSequence) -> "Packing":
        """How this one was packed."""
        return Packing(packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)

    @property
    def steps(self) -> Steps:
        """Its rows are ours."""
        counts = tuple(self.batch_sizes.tolist())
        return Steps(len(counts), counts[0], counts)

    def sort(self, values: Tensor, dim: int) -> Tensor:
        """From the order of the user's batch to the packed order."""
        order = self.sorted_indices
        return values if order is None else values.index_select(dim, order)

    def unsort(self, values: Tensor, dim: int) -> Tensor:
        """From the packed order to the order of the user's batch."""
        order = self.unsorted_indices
        return values if order is None else values.index_select(dim, order)

    def pack(self, rows: Tensor) -> PackedSequence:
        """Rows in the packed order."""
        return PackedSequence(rows, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def pad(self, rows: Tensor) -> Tensor:
        """Rows as [T, B, width] in the order of the user's batch, exact zeros at padding."""
        valid = torch.arange(self.steps.batch) < self.batch_sizes.unsqueeze(1)
        where = valid.flatten().nonzero().squeeze(1).to(rows.device)
        whole = rows.new_zeros(valid.numel(), rows.shape[1]).index_copy(0, where, rows)
        return self.unsort(whole.view(*valid.shape, rows.shape[1]), 1)
