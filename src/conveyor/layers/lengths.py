"""Sequences of different length in one batch, as rows without padding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.errors import ShapeError, counted
from conveyor.kernels.kernel import Values
from conveyor.kernels.steps import Steps

Integers = NDArray[np.int64]


def read_lengths(
    lengths: Tensor | list[int], steps: int, batch: int, memory: str | None = None
) -> Integers:
    """How many steps of each sequence count, or how many places of its memory.

    Args:
        lengths: as the caller gives them.
        steps: that all sequences have together with their padding.
        batch: how many sequences there are.
        memory: the one whose places they count, by name; None if they count steps of the input.

    Raises:
        ShapeError: there is not one whole number from 0 to T for each sequence. That a sequence has
            no place is for the caller to refuse.
    """
    name, be = ("lengths", "is") if memory is None else (f"lengths of {memory}", "are")
    if isinstance(lengths, Tensor) and (lengths.is_nested or lengths.is_quantized):
        raise ShapeError(f"{name} {be} a nested or quantized tensor; expected [{batch}] numbers.")
    try:
        given = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{name} {be} {lengths!r}; expected [{batch}] whole numbers.") from error
    whole = not given.is_floating_point() and not given.is_complex() and given.dtype != torch.bool
    if whole or not given.numel():
        given, whole = given.long(), True
    if given.shape != (batch,) or not whole:
        raise ShapeError(
            f"{name} {be} {list(given.shape)} of {given.dtype}; expected [{batch}] whole numbers, "
            "one for each sequence of the batch."
        )
    if given.is_meta or given.layout is not torch.strided:
        raise ShapeError(
            f"{name} {be} a tensor on {given.device} of layout {given.layout}; expected {batch} "
            "whole numbers in memory."
        )
    found: Integers = _array(given).reshape(batch)
    if batch and (found.min() < 0 or found.max() > steps):
        there, least = f"the input has {steps} steps", 0
        if memory is not None:
            there, least = f"it has {counted(steps, 'place')}", 1
        raise ShapeError(
            f"{name} go from {found.min()} to {found.max()}; {there}, so expected {least} to "
            f"{steps}."
        )
    return found


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return the numbers of a tensor. Under ``torch.func`` its memory cannot be reached."""
    if torch._C._are_functorch_transforms_active():
        kind = np.bool_ if tensor.dtype == torch.bool else np.int64
        return np.array(tensor.tolist(), dtype=kind)
    array: NDArray[Any] = tensor.cpu().numpy()
    return array


def _shown(numbers: Integers) -> str:
    """Return a list of numbers, a long one cut short."""
    most = 8
    listed = ", ".join(str(number) for number in numbers.ravel()[:most])
    return f"[{listed}{', …' if numbers.size > most else ''}]"


def _are_whole(numbers: object) -> bool:
    """Return whether these are whole numbers [N] in memory."""
    return (
        isinstance(numbers, Tensor)
        and numbers.layout is torch.strided
        and not numbers.is_meta
        and numbers.dtype == torch.int64
        and numbers.dim() == 1
    )


def _is_order(indices: Integers) -> bool:
    """Return whether these are the numbers below their count, each once."""
    return bool((np.sort(indices) == np.arange(len(indices))).all())


class _Moved(torch.autograd.Function):
    """Rows taken from others. No row is taken twice, so that the gradient takes rows by another
    table; torch's own backward would add them one by one."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: "_Rows", back: "_Rows") -> Tensor:
        ctx.rows, ctx.back = rows, back
        return rows.taken(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _moved(gradients[0], ctx.back, ctx.rows), None, None


def _moved(values: Tensor, rows: "_Rows", back: "_Rows") -> Tensor:
    """The rows of ``values``; ``back`` are those that the gradient takes."""
    if values.requires_grad and not torch._C._are_functorch_transforms_active():
        found: Tensor = _Moved.apply(values, rows, back)  # type: ignore[no-untyped-call]
        return found
    return rows.taken(values)


def permuted(values: Tensor, rows: Tensor, back: Tensor) -> Tensor:
    """Return rows [N, width] in another order.

    Args:
        values: the rows.
        rows: which of them stands at each place, each once.
        back: where each of them goes.
    """
    return _moved(values, _Rows(rows, False), _Rows(back, False))


class _Rows(NamedTuple):
    """Numbers of rows; with ``zeros`` the number behind the last is a row of zeros."""

    numbers: Tensor
    zeros: bool

    def taken(self, values: Tensor) -> Tensor:
        """These rows of ``values``."""
        if self.zeros:
            values = torch.cat([values, values.new_zeros(1, values.shape[1])])
        return values.index_select(0, self.numbers)


@dataclass(frozen=True)
class Ragged:
    """How a padded batch [T, B, ...] becomes rows without padding, and back.

    A sequence that is reset within is several shorter ones here; they and the others are sorted
    by length. ``rows`` says where each row stands among the T * B of the padded batch, ``places``
    which row stands at each of them; ``begins`` which state each sequence starts with: one of the
    B given, or from B on a fresh one; ``ends`` which sequence's last state is that of each of the
    B. A pair each: forward and reverse.
    """

    steps: Steps
    rows: _Rows
    places: _Rows
    begins: tuple[Tensor, Tensor]
    ends: tuple[Tensor, Tensor]

    @staticmethod
    def of(
        lengths: Integers, restart: NDArray[np.bool_] | None, steps: int, device: torch.device
    ) -> "Ragged":
        """Of sequences of these lengths in a batch of so many steps, with a new start before each
        step where ``restart`` [T, B] is True."""
        batch = len(lengths)

        def index(values: Integers) -> Tensor:
            return torch.from_numpy(values).to(device)

        def rows(there: Steps, longest_first: Integers, place: Integers) -> tuple[_Rows, _Rows]:
            """Rows and places of pieces that begin at these places of the padded batch."""
            step = np.arange(there.steps)[:, None]
            from_padded = (step * batch + place)[longest_first > step]
            to_padded = np.full(steps * batch, len(from_padded))
            to_padded[from_padded] = np.arange(len(from_padded))
            return _Rows(index(from_padded), False), _Rows(index(to_padded), True)

        # The longest first; of equals the earlier sequence, so that equal lengths keep the order.
        if restart is None:
            order = np.argsort(-lengths, kind="stable")
            longest_first = lengths[order]
            there = Steps.of_lengths(longest_first)
            number = np.empty_like(order)
            number[order] = np.arange(batch)
            begins, ends = index(order), index(number)
            both = rows(there, longest_first, order)
            return Ragged(there, *both, (begins, begins), (ends, ends))

        # The pieces of all sequences, in order: where they begin and how long they are.
        fresh_starts = restart & (np.arange(steps)[:, None] < lengths)
        starts = fresh_starts.copy()
        starts[0] = True
        sequence, first = np.nonzero(starts.T)
        last = np.append(sequence[1:] != sequence[:-1], True)
        size = np.where(last, lengths[sequence], np.append(first[1:], 0)) - first
        fresh = fresh_starts[first, sequence]
        order = np.argsort(-size, kind="stable")
        number = np.empty_like(order)
        number[order] = np.arange(len(order))
        there = Steps.of_lengths(size[order])
        return Ragged(
            there,
            *rows(there, size[order], (first * batch + sequence)[order]),
            (
                index((sequence + batch * fresh)[order]),
                # In reverse a sequence enters its last piece with the state it was given.
                index((sequence + batch * ~last)[order]),
            ),
            (index(number[last]), index(number[first == 0])),
        )

    @staticmethod
    def of_batch(
        x: Tensor, lengths: Tensor | list[int] | None, restart: Tensor | None
    ) -> "Ragged | None":
        """Of a padded batch [T, B, ...], as its user gives it; None if it has no padding and no
        new starts.

        Raises:
            ShapeError: as ``read_lengths``.
        """
        if lengths is None and restart is None:
            return None
        steps, batch = x.shape[:2]
        found = (
            np.full(batch, steps, dtype=np.int64)
            if lengths is None
            else read_lengths(lengths, steps, batch)
        )
        again = None if restart is None else _array(restart).reshape(steps, batch)
        if (found == steps).all() and (again is None or not again.any()):
            return None
        return Ragged.of(found, again, steps, x.device)

    def pack(self, padded: Tensor) -> Tensor:
        """[T, B, width] to rows."""
        return _moved(padded.flatten(0, 1), self.rows, self.places)

    def unpack(self, rows: Tensor, steps: int, batch: int) -> Tensor:
        """Rows to [T, B, width], exact zeros at padding."""
        return _moved(rows, self.places, self.rows).view(steps, batch, rows.shape[1])

    def sequences(self, batch: int, reverse: bool) -> Tensor:
        """Return of which of the ``batch`` sequences that were given each one here is."""
        return self.begins[reverse] % max(batch, 1)

    def begin(self, given: Mapping[str, Tensor], fresh: Values | None, reverse: bool) -> Values:
        """The states that sequences start with, of those given, [1, B, width] by name."""
        index = self.begins[reverse]
        return {
            name: (each if fresh is None else torch.cat([each, fresh[name]], 1)).index_select(
                1, index
            )
            for name, each in given.items()
        }

    def end(self, final: Mapping[str, Tensor], reverse: bool) -> Values:
        """The last state of each sequence of the batch."""
        return {name: each.index_select(1, self.ends[reverse]) for name, each in final.items()}


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

    def check(self, rows: int) -> None:
        """Raise unless so many rows are those of sequences sorted by length.

        Raises:
            ShapeError: the batch sizes are no falling whole numbers from 1 that add up to
                ``rows``, or the indices do not put the batch in another order.
        """
        sizes = self.batch_sizes
        if not _are_whole(sizes):
            raise ShapeError(
                "batch_sizes of the packed input must be a tensor [T] of int64. Make it with "
                "torch.nn.utils.rnn.pack_padded_sequence."
            )
        counts = sizes.cpu().numpy()
        if not len(counts) or counts[-1] < 1 or (np.diff(counts) > 0).any():
            raise ShapeError(
                f"batch_sizes of the packed input are {_shown(counts)}; expected whole numbers "
                "from 1 that never rise, one for each time step."
            )
        if counts.sum() != rows:
            raise ShapeError(
                f"the packed input has {rows} rows; its batch_sizes add up to {counts.sum()}."
            )
        batch = int(counts[0])
        orders = {"sorted": self.sorted_indices, "unsorted": self.unsorted_indices}
        for name, indices in orders.items():
            if indices is None:
                continue
            whole = _are_whole(indices)
            if not whole or indices.shape != (batch,) or not _is_order(indices.cpu().numpy()):
                raise ShapeError(
                    f"{name}_indices of the packed input are "
                    f"{_shown(indices.cpu().numpy()) if whole else indices}; expected each of the "
                    f"numbers 0 to {batch - 1} once."
                )

    def packs_as(self, other: PackedSequence) -> bool:
        """Return whether another one has the same rows, in the same order."""
        pairs = (
            (self.batch_sizes, other.batch_sizes),
            (self.sorted_indices, other.sorted_indices),
            (self.unsorted_indices, other.unsorted_indices),
        )
        return all(
            one is two or (one is not None and two is not None and torch.equal(one, two))
            for one, two in pairs
        )

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
        valid = self._valid
        where = valid.flatten().nonzero().squeeze(1).to(rows.device)
        whole = rows.new_zeros(valid.numel(), rows.shape[1]).index_copy(0, where, rows)
        return self.unsort(whole.view(*valid.shape, rows.shape[1]), 1)

    def rows(self, padded: Tensor) -> Tensor:
        """Return the rows of what ``pad`` returned."""
        where = self._valid.flatten().nonzero().squeeze(1).to(padded.device)
        return self.sort(padded, 1).flatten(0, 1).index_select(0, where)

    @property
    def _valid(self) -> Tensor:
        """Which steps of which sequence count, [T, B] in the packed order."""
        return torch.arange(self.steps.batch) < self.batch_sizes.unsqueeze(1)
