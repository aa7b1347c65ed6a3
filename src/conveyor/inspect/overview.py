"""All that a layer computed inside over one sequence, for a page or a file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.inspect.carried import carried_by_place, memory_of, time_constants_of
from conveyor.inspect.one_sequence import CHUNK, as_read, part, step_count, with_batch
from conveyor.inspect.one_sequence import Sequence as OneSequence
from conveyor.inspect.traced import Place, evaluated, places, program_of, steps_first
from conveyor.inspect.units import Saturation, saturation_of, squashed, still_units
from conveyor.layers.sequence import SequenceLayer


@dataclass(frozen=True)
class Overview:
    """What one layer computed in one direction, at some steps of one sequence.

    Args:
        layer: its number, from 0.
        reverse: whether it is the reverse direction.
        steps: which steps, counted from 0.
        values: by local name of the cell, [steps, width].
        ranges: by local name, between what it lies where it is a sigmoid or tanh.
        memory: the name of the state that is the memory.
        before: of each unit of the memory, what it was before the step, [steps, units].
        carried: how much of it is carried over: the derivative of the new by the old, unit by unit.
    """

    layer: int
    reverse: bool
    steps: tuple[int, ...]
    values: Mapping[str, Tensor]
    ranges: Mapping[str, tuple[float, float]]
    memory: str
    before: Tensor
    carried: Tensor

    @property
    def put_on(self) -> Tensor:
        """What each step put on each unit of the memory, [steps, units]: i · g of an LSTM."""
        return self.values[self.memory] - self.carried * self.before

    @property
    def taken_off(self) -> Tensor:
        """What each step took off each unit of the memory, [steps, units]: (1 - f) · c' of an
        LSTM."""
        return self.before - self.carried * self.before

    @property
    def time_constants(self) -> Tensor:
        """After how many steps 1/e of each unit is left, [units]; see ``time_constants``."""
        return time_constants_of(self.carried)

    @property
    def saturation(self) -> dict[str, Saturation]:
        """How often each unit is near an end of its range, by local name; see ``saturation``."""
        return saturation_of(self.values, self.ranges)

    @property
    def dead(self) -> Tensor:
        """Which units of the memory never change, [units] of bool; see ``dead_units``."""
        still = still_units(self.values[self.memory])
        # One step shows no change.
        return still if len(self.steps) > 1 else torch.zeros_like(still)

    @property
    def order(self) -> list[int]:
        """The units of the memory, ordered so that those that move alike stand together: by the
        angle of each in the plane of the two principal components."""
        numbers = self.values[self.memory].double()
        numbers = numbers - numbers.mean(0)
        spread = numbers.std(0, correction=0)
        numbers = numbers / torch.where(spread > 0, spread, torch.ones_like(spread))
        numbers = torch.nan_to_num(numbers)
        if min(numbers.shape) < 2:
            return list(range(numbers.shape[1]))
        loadings = torch.linalg.svd(numbers, full_matrices=False)[2][:2]
        # The sign of a component means nothing: the first unit that counts is made positive.
        largest = loadings.abs().argmax(1, keepdim=True)
        loadings = loadings * loadings.gather(1, largest).sign()
        angle = torch.atan2(loadings[1], loadings[0])
        return angle.argsort(stable=True).tolist()


@torch.no_grad()
def overview(
    layer: SequenceLayer,
    x: OneSequence,
    *,
    steps: Sequence[int] | None = None,
    state: Any = None,
) -> list[Overview]:
    """Return what every layer computed inside in every direction, over one sequence. A sequence of
    any length may be read: only the chosen steps are kept.

    Args:
        layer: any recurrent layer that has a trace and no dilations.
        x: one sequence, [T, 1, input_size] as the layer reads it, or [T, input_size].
        steps: the steps to keep, rising, from 0; all if it is left out.
        state: before the first step.

    Raises:
        SettingError: the layer has no trace, is dilated, or there is no such step.
        ShapeError: the input does not fit.
    """
    inputs = with_batch(layer, x)
    if layer._dilations:
        raise SettingError("a dilated layer reads its state of some steps before: it is no belt.")
    count = step_count(layer, inputs)
    chosen = list(range(count)) if steps is None else list(steps)
    if not chosen or chosen != sorted(set(chosen)) or chosen[0] < 0 or chosen[-1] >= count:
        raise SettingError(f"steps must be rising, from 0 to {count - 1}; they are {chosen[:5]}...")
    memory = memory_of(layer, None)
    # Backwards, the last step comes first: such a layer reads all at once.
    size = count if layer.bidirectional else CHUNK
    kept: dict[Place, dict[str, list[Tensor]]] = {place: {} for place in places(layer)}
    for begin in range(0, count, size):
        end = min(begin + size, count)
        piece = as_read(part(layer, inputs, begin, end))
        shares = carried_by_place(layer, piece, memory, state)
        start = _start(layer, state, memory)
        with evaluated(layer):
            _, state, trace = layer._run(piece, state, None, None, True)
        rows = [step - begin for step in chosen if begin <= step < end]
        for place, lists in kept.items():
            number, reverse = place
            values = {
                name: steps_first(layer, tensor)[:, 0]
                for name, tensor in trace.at(number, reverse=reverse).items()
            }
            first = start[layer._directions * number + reverse]
            memories = values[memory]
            before = (
                torch.cat([memories[1:], first]) if reverse else torch.cat([first, memories[:-1]])
            )
            for name, tensor in {**values, _BEFORE: before, _SHARE: shares[place][:, 0]}.items():
                lists.setdefault(name, []).append(tensor[rows].detach().cpu())
    return [_overview(layer, place, chosen, memory, lists) for place, lists in kept.items()]


# Names that no cell can have.
_BEFORE, _SHARE = "before'", "carried'"


def _start(layer: SequenceLayer, state: Any, memory: str) -> Tensor:
    """Return the memory before the first step, [rows, 1, units]."""
    values = layer._start_values(1) if state is None else layer._values_of(state)
    start = values[memory]
    return start.unsqueeze(1) if start.dim() == 2 else start


def _overview(
    layer: SequenceLayer,
    place: Place,
    steps: Sequence[int],
    memory: str,
    lists: Mapping[str, Sequence[Tensor]],
) -> Overview:
    values = {name: torch.cat(tuple(tensors)) for name, tensors in lists.items()}
    before, share = values.pop(_BEFORE), values.pop(_SHARE)
    ranges = squashed(program_of(layer, place[0]))
    kept = {name: tensor for name, tensor in values.items() if tensor.shape[-1] > 1}
    if not kept or memory not in kept:
        kept = values
    return Overview(
        *place,
        steps=tuple(steps),
        values=kept,
        ranges={name: ends for name, ends in ranges.items() if name in kept},
        memory=memory,
        before=before,
        carried=share,
    )


def thinned(steps: int, most: int) -> list[int]:
    """Return at most ``most`` of so many steps, evenly apart, with the first and the last.

    >>> thinned(10, 4)
    [0, 3, 6, 9]
    """
    if steps <= most:
        return list(range(steps))
    if most == 1:
        return [steps - 1]
    return [math.floor(place * (steps - 1) / (most - 1)) for place in range(most)]
