"""How large the gradient of every output step is by the memory of every step before it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.inspect.carried import check_place, memory_of
from conveyor.inspect.one_sequence import (
    Sequence as OneSequence,
)
from conveyor.inspect.one_sequence import (
    as_read,
    copies,
    part,
    state_after,
    state_copies,
    step_count,
    with_batch,
)
from conveyor.inspect.traced import steps_first, traced
from conveyor.layers.layer_trace import Trace
from conveyor.layers.sequence import SequenceLayer

# So many numbers of one local name are kept at a time: with a dozen names of float32, 100 MB.
AT_ONCE = 2_000_000


def gradients_between(
    layer: SequenceLayer,
    x: OneSequence,
    *,
    outputs: Sequence[int] | None = None,
    number: int = -1,
    name: str | None = None,
    back: int | None = None,
    draws: int | None = 4,
    state: Any = None,
) -> Tensor:
    """Return the norms of the derivatives of output steps by a state at every step,
    [outputs, T]: 0 at steps after the output's, NaN where they were not computed.

    A norm is the root of the mean of squares over random directions, as of
    ``gradient_by_distance``: with 2 directions it was off by a fifth to a half where few directions
    of the derivative are left, which falls with the root of their number. All output steps are
    worked out together, as a batch of copies.

    Args:
        layer: any recurrent layer that has a trace, of one direction.
        x: one sequence, [T, 1, input_size] as the layer reads it, or [T, input_size].
        outputs: the output steps, counted from 0; all if it is left out.
        number: of the layer whose state it is, from 0; -1 for the last.
        name: of the state; c, or the first, if it is left out.
        back: how many steps back at most; as far as the sequence goes if it is left out.
        draws: how many random directions; None for every unit of the output, which is exact, and
            takes as many copies for each output step.
        state: before the first step.

    Raises:
        SettingError: the layer is bidirectional, has no trace, no such layer or no such state, or
            an argument is out of its range.
        ShapeError: the input does not fit.
    """
    inputs = with_batch(layer, x)
    number = layer.num_layers - 1 if number == -1 else number
    check_place(layer, number)
    memory = memory_of(layer, name)
    if layer.bidirectional:
        raise SettingError("a bidirectional layer reads both ways; distances have no direction.")
    steps = step_count(layer, inputs)
    rows = list(range(steps)) if outputs is None else list(outputs)
    if not all(0 <= step < steps for step in rows):
        raise SettingError(f"outputs are {rows}; the sequence has {steps} steps, from 0.")
    if (draws is not None and draws < 1) or (back is not None and back < 1):
        raise SettingError(f"draws is {draws}, back {back}; expected 1 or more.")
    squares = torch.full((len(rows), steps), torch.nan, dtype=torch.float64)
    directions = draws or layer.output_size
    scale = 1 / directions if draws else 1.0
    generator = torch.Generator().manual_seed(0)
    reached = 0
    for begin, places in _windows(rows, steps, back):
        state = state_after(layer, part(layer, inputs, reached, begin), state)
        reached = begin
        for place in places:
            squares[place, begin:] = 0
        for group in _groups(layer, places, rows, begin, directions):
            ends = [rows[place] - begin for place, _ in group]
            gradients = _squares(
                layer,
                copies(layer, part(layer, inputs, begin, begin + max(ends) + 1), len(group)),
                state_copies(state, len(group)),
                ends=ends,
                of_trace=lambda trace: trace.at(number)[memory],
                direct=_directions(layer, group, None if draws is None else generator),
            )
            for column, (place, _) in enumerate(group):
                row = squares[place, begin : begin + len(gradients)]
                row += scale * gradients[:, column]
    return squares.sqrt()


def _directions(
    layer: SequenceLayer, group: Sequence[tuple[int, int]], generator: torch.Generator | None
) -> Tensor:
    """Return a direction for each copy, [copies, output_size]: a random one, or the unit that its
    number says."""
    if generator is None:
        return torch.eye(layer.output_size, dtype=torch.float64)[[unit for _, unit in group]]
    return torch.randn(len(group), layer.output_size, generator=generator, dtype=torch.float64)


def _windows(rows: Sequence[int], steps: int, back: int | None) -> Iterator[tuple[int, list[int]]]:
    """Yield the first step of each window and the places of the outputs in it, in order."""
    if back is None or steps <= back:
        yield 0, sorted(range(len(rows)), key=lambda place: rows[place])
        return
    by_begin: dict[int, list[int]] = {}
    for place, step in enumerate(rows):
        by_begin.setdefault(max(0, step - back + 1), []).append(place)
    yield from sorted(by_begin.items())


def _groups(
    layer: SequenceLayer,
    places: Sequence[int],
    rows: Sequence[int],
    begin: int,
    directions: int,
) -> Iterator[list[tuple[int, int]]]:
    """Yield the places of outputs, each with the number of a direction, that fit into memory
    together."""
    width = max(layer.output_size, layer.hidden_size)
    group: list[tuple[int, int]] = []
    for place in sorted(places, key=lambda place: rows[place]):
        longest = rows[place] + 1 - begin
        for number in range(directions):
            if group and (len(group) + 1) * longest * width > AT_ONCE:
                yield group
                group = []
            group.append((place, number))
    if group:
        yield group


def _squares(
    layer: SequenceLayer,
    inputs: dict[str, Tensor],
    state: Any,
    *,
    ends: Sequence[int],
    of_trace: Callable[[Trace], Tensor],
    direct: Tensor,
) -> Tensor:
    """Return the squared norms of the gradients of directions at the output steps ``ends``, one of
    each copy, [steps, copies]."""
    output, _, trace = traced(layer, as_read(inputs), state)
    values = of_trace(trace)
    if not values.requires_grad:
        return torch.zeros(len(output), len(ends), dtype=torch.float64)
    with torch.enable_grad():
        answers = output[list(ends), range(len(ends))]
        total = (answers * direct.to(answers)).sum()
    (gradient,) = torch.autograd.grad(total, [values], materialize_grads=True)
    return (steps_first(layer, gradient).double().cpu() ** 2).sum(-1)
