"""Sequences of different length in one batch: which steps count, and their reversal."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.errors import ShapeError


def valid_steps(
    lengths: Tensor | list[int], steps: int, batch: int, device: torch.device
) -> Tensor:
    """True where a step is before its sequence's end: bool [T, B].

    Raises:
        ShapeError: there is not one whole number from 0 to T for each sequence.
    """
    try:
        given = torch.as_tensor(lengths, device=device)
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
    if batch and (int(given.min()) < 0 or int(given.max()) > steps):
        raise ShapeError(
            f"lengths go from {int(given.min())} to {int(given.max())}; the input has {steps} "
            f"steps, so expected 0 to {steps}."
        )
    return torch.arange(steps, device=device).unsqueeze(1) < given


def reverse_each(values: Tensor, valid: Tensor | None) -> Tensor:
    """Turn every sequence of [T, B, ...] around within its own length; padding stays behind.

    Doing it twice gives the valid part back.
    """
    if valid is None:
        return values.flip(0)
    steps = torch.arange(len(valid), device=valid.device).unsqueeze(1)
    place = torch.where(valid, valid.sum(0) - 1 - steps, steps)
    return values[place, torch.arange(valid.shape[1], device=valid.device)]


def reverse_restarts(restart: Tensor, valid: Tensor | None) -> Tensor:
    """Where the reverse direction starts again.

    A restart before step t parts step t - 1 from step t. Read backwards, the new part begins
    at step t - 1. So each mark moves one step down and turns around with its sequence.
    """
    before = torch.cat([restart[1:], torch.zeros_like(restart[:1])])
    return reverse_each(before, valid)


@dataclass(frozen=True)
class Packing:
    """How a PackedSequence was packed, to pack another one alike."""

    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None
    valid: Tensor

    @staticmethod
    def unpack(packed: PackedSequence) -> tuple[Tensor, "Packing"]:
        """The padded values [T, B, ...] in the packed (sorted) order, and how to pack."""
        sizes = packed.batch_sizes.to(packed.data.device)
        valid = torch.arange(int(packed.batch_sizes[0]), device=sizes.device) < sizes.unsqueeze(1)
        padded = packed.data.new_zeros(*valid.shape, *packed.data.shape[1:])
        padded = padded.masked_scatter(
            valid.view(*valid.shape, *[1] * (packed.data.dim() - 1)), packed.data
        )
        return padded, Packing(
            packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices, valid
        )

    def sort(self, values: Tensor, dim: int) -> Tensor:
        """From the order of the user's batch to the packed order."""
        order = self.sorted_indices
        return values if order is None else values.index_select(dim, order)

    def unsort(self, values: Tensor, dim: int) -> Tensor:
        """From the packed order to the order of the user's batch."""
        order = self.unsorted_indices
        return values if order is None else values.index_select(dim, order)

    def pack(self, padded: Tensor) -> PackedSequence:
        """Values [T, B, ...] in the sorted order, packed."""
        return PackedSequence(
            padded[self.valid], self.batch_sizes, self.sorted_indices, self.unsorted_indices
        )
