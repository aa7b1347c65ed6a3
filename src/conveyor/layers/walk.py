"""Depth and directions: the one walk over the layers of a stack, from the input to the top.

A call, its replay, a compiled graph, a stream of steps and the lines for people differ in what goes
from layer to layer (tensors, widths, bound kernels) and in what a layer does to it. How layers and
directions follow each other, and what becomes of both directions' outputs, is here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from conveyor.errors import SettingError, did_you_mean

T = TypeVar("T")

# What becomes of both directions: every layer reads both side by side; their sum; or each direction
# runs through all layers by itself, and they stand side by side after the last.
MERGES = ("concatenate", "sum", "separate")


def check_merge(merge: str, *, bidirectional: bool) -> None:
    """Check what becomes of both directions.

    Raises:
        SettingError: it is not one of ``MERGES``, or there is one direction.
    """
    if merge not in MERGES:
        raise SettingError(f"merge is {merge!r}. {did_you_mean(str(merge), MERGES)}")
    if merge != "concatenate" and not bidirectional:
        raise SettingError(f"merge is {merge!r}, but there is one direction: bidirectional=True.")


class Join(NamedTuple):
    """How outputs of directions become one: side by side, and as a sum."""

    side_by_side: Callable[[list[Any]], Any]
    total: Callable[[list[Any]], Any]


TENSORS = Join(lambda outputs: torch.cat(outputs, -1), lambda outputs: outputs[0] + outputs[1])
WIDTHS = Join(sum, lambda widths: widths[0])


def merged(outputs: list[T], merge: str, join: Join, *, top: bool) -> list[T]:
    """Return what each direction of the layer above reads; on top, the stack's output.

    Args:
        outputs: of each direction of a layer.
        merge: one of ``MERGES``.
        join: how outputs become one.
        top: whether the layer is the last.
    """
    if len(outputs) == 1:
        return outputs
    if merge == "sum":
        return [join.total(outputs)] * 2
    if merge == "separate" and not top:
        return outputs
    return [join.side_by_side(outputs)] * 2


def outputs_on_top(
    main: T, by_direction: Sequence[Mapping[str, T]], names: Sequence[str], merge: str, join: Join
) -> dict[str, T]:
    """Return the outputs of the last layer by name, of both directions.

    Args:
        main: the first of them, as ``walk`` returns it.
        by_direction: the last layer's outputs in each direction.
        names: of the outputs that are asked for, the first in front.
        merge, join: as of ``merged``.
    """
    first, *others = names
    outputs = {first: main}
    for name in others:
        parts = [values[name] for values in by_direction]
        outputs[name] = merged(parts, merge, join, top=True)[0]
    return outputs


def walk(
    x: T,
    run: Callable[[int, int, T], T],
    *,
    layers: int,
    directions: int = 1,
    merge: str = "concatenate",
    join: Join = TENSORS,
    between: Callable[[list[T]], list[T]] | None = None,
) -> T:
    """Return the output of a stack of layers.

    Args:
        x: what the first layer reads.
        run: gives a layer's output in one direction (0 forward, 1 reverse), of what it reads.
        layers: how many.
        directions: one or two.
        merge: what becomes of both directions, one of ``MERGES``.
        join: how outputs of directions become one.
        between: what happens to what directions read, on the way from one layer to the next.
    """
    reads = [x] * directions
    for layer in range(layers):
        outputs = [run(layer, direction, reads[direction]) for direction in range(directions)]
        top = layer == layers - 1
        reads = merged(outputs, merge, join, top=top)
        if between is not None and not top:
            reads = between(reads)
    return reads[0]


def widths_read(
    input_size: int, output: int, *, layers: int, directions: int, merge: str
) -> list[int]:
    """Return how many features each layer reads.

    Args:
        input_size: of the first.
        output: features that a layer gives in one direction.
        layers, directions, merge: as of ``walk``.
    """
    widths: list[int] = []

    def run(layer: int, direction: int, width: int) -> int:
        if direction == 0:
            widths.append(width)
        return output

    walk(input_size, run, layers=layers, directions=directions, merge=merge, join=WIDTHS)
    return widths


def rows_of_layer(dilations: tuple[int, ...], layer: int, direction: int, directions: int) -> slice:
    """Return which rows of the states are those of a layer in one direction: one for each step that
    it reads them late; ``dilations`` are empty if all layers read those of the last step."""
    if not dilations:
        row = directions * layer + direction
        return slice(row, row + 1)
    late = dilations[layer]
    first = directions * sum(dilations[:layer]) + direction * late
    return slice(first, first + late)


def at_rows(states: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    """Return the states of one layer in one direction, of those of all."""
    count = rows.stop - rows.start
    return {name: each if len(each) == count else each[rows] for name, each in states.items()}


def joined_states(states: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    """Return the states of all layers and directions, [layers * directions, B, width] by name."""
    return {name: each[0] if len(each) == 1 else torch.cat(each) for name, each in states.items()}
