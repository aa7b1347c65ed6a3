"""What a layer's cell looks at at every step: memories, as a call gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.errors import ShapeError, counted
from conveyor.kernels.kernel import Memory
from conveyor.layers.lengths import read_lengths
from conveyor.layers.request import check_same_kind, check_tensor


@dataclass(frozen=True, eq=False)
class Places:
    """A memory whose sequences have different numbers of places.

        layer({"x": x, "memory": Places(encoded, lengths)})

    Attributes:
        values: [L, B, width], laid out as the input: [B, L, width] with ``batch_first``, [L, width]
            for one sequence. At padding it may be anything.
        lengths: how many places each sequence has, [B] whole numbers from 1 to L.
    """

    values: Tensor
    lengths: Tensor | list[int]


def without_memories(
    input: Any, names: tuple[str, ...], others: tuple[str, ...], layer: str
) -> tuple[Any, dict[str, Any]]:
    """Return the input without its memories, and these by name.

    Args:
        input: as the caller gives it.
        names: of the memories.
        others: names of what else is read.
        layer: its name, for the error.

    Raises:
        ShapeError: a memory is not there.
    """
    missing = [name for name in names if not isinstance(input, Mapping) or name not in input]
    if missing:
        expected = ", ".join(f'"{name}": {name}' for name in (*others, *names))
        raise ShapeError(
            f"{layer} looks at {', '.join(names)}, and the input has no {', '.join(missing)}. Give "
            f"all by name: {{{expected}}}."
        )
    rest = {name: each for name, each in input.items() if name not in names}
    return rest, {name: input[name] for name in names}


def read_memory(
    name: str,
    memory: Any,
    like: Tensor,
    *,
    features: int,
    batch: int,
    batched: bool,
    batch_first: bool,
) -> Memory:
    """Return a memory [B, L, width], zeros at padding.

    Args:
        name: what it is called.
        memory: as the caller gives it: a tensor, or ``Places``.
        like: a parameter, of whose type and on whose device it must be.
        features: its width.
        batch: how many sequences there are.
        batched: whether the main input had a batch dimension.
        batch_first: whether batches come first in what the caller gives.

    Raises:
        ShapeError: it does not fit, or a sequence has no place to look at.
    """
    with_lengths = isinstance(memory, Places)
    values, lengths = (memory.values, memory.lengths) if with_lengths else (memory, None)
    what = name if name == "memory" else f"memory {name}"
    check_tensor(what, values)
    dimensions = 3 if batched else 2
    if values.dim() != dimensions:
        raise ShapeError(
            f"{what} has {counted(values.dim(), 'dimension')}; expected {dimensions}, as "
            "the first input."
        )
    if batched and not batch_first:
        values = values.transpose(0, 1)
    values = values if batched else values.unsqueeze(0)
    places = values.shape[1]
    if values.shape != (batch, places, features):
        order = "B, L, features" if batch_first else "L, B, features"
        shape = list(memory.values.shape if isinstance(memory, Places) else memory.shape)
        raise ShapeError(
            f"{what} is {shape}; expected {batch} sequences of {features} features "
            f"({order if batched else 'L, features'})."
        )
    if not places:
        raise ShapeError(f"{what} has no place; a cell looks at one or more.")
    check_same_kind(what, values, like)
    values = values if values.dtype == like.dtype else values.to(like.dtype)
    if lengths is None:
        return Memory(values)
    if not batched and isinstance(lengths, Tensor) and lengths.dim() == 0:
        lengths = lengths.unsqueeze(0)
    whole = read_lengths(lengths, places, batch, what)
    if batch and whole.min() < 1:
        row = int(whole.argmin())
        raise ShapeError(
            f"{what}: sequence {row} has no place to look at. Leave it out, or give it one."
        )
    if (whole == places).all():
        return Memory(values)
    counts = torch.from_numpy(whole).to(values.device)
    padding = torch.arange(places, device=values.device) >= counts.unsqueeze(1)
    return Memory(values.masked_fill(padding.unsqueeze(2), 0.0), counts)


def check_places(memories: Mapping[str, Memory], cell: Program) -> None:
    """Check that memories whose places are one axis of the cell have the same places.

    Raises:
        ShapeError: they do not.
    """
    first: dict[str, str] = {}
    for leaf in cell.memories:
        axis, name = leaf.axes[0], leaf.name
        other = first.setdefault(axis, name)
        one, two = memories[other], memories[name]
        same = one.values.shape[1] == two.values.shape[1]
        if same and (one.counts is None) == (two.counts is None):
            same = one.counts is None or two.counts is None or torch.equal(one.counts, two.counts)
        else:
            same = False
        if not same:
            raise ShapeError(
                f"memories {other} and {name} have different places, and {cell.name} has one axis "
                f"{axis} for both. Give them the same lengths, or declare an axis of its own, as "
                f'in {name}: Annotated[Memory, "M", "E"].'
            )


def number_of_places(memories: Mapping[str, Memory], program: Program) -> dict[str, int]:
    """Return how many places the memories of a call have, by axis of the cell."""
    return {leaf.axes[0]: memories[leaf.name].values.shape[1] for leaf in program.memories}
