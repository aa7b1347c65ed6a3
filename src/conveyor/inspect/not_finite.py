"""Where numbers stop being numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conveyor.inspect.traced import places, steps_first, values_traced
from conveyor.layers.sequence import SequenceLayer


class NotFinite(NamedTuple):
    """The first value that is NaN or infinite.

    Args:
        layer: its layer, from 0.
        reverse: whether it is of the reverse direction, whose steps come from the end.
        name: the local name of the cell.
        step: from 0.
        sequence: in the batch.
        unit: of the value.
        value: NaN or an infinity.
    """

    layer: int
    reverse: bool
    name: str
    step: int
    sequence: int
    unit: int
    value: float


def first_not_finite(
    layer: SequenceLayer, x: Tensor | Mapping[str, Tensor], state: Any = None
) -> NotFinite | None:
    """Return the first value of a local name that is NaN or infinite; None if all are finite.

    First is the lowest layer, in it the first step that is computed, in that the first equation.

    Args:
        layer: any recurrent layer that has a trace.
        x: as the layer reads it, sequences of one length.
        state: before the first step.

    Raises:
        SettingError: the layer has no trace.
    """
    trace = values_traced(layer, x, state)
    for number, reverse in places(layer):
        earliest: NotFinite | None = None
        for name, values in trace.at(number, reverse=reverse).items():
            in_order = steps_first(layer, values)
            wrong = (~torch.isfinite(in_order)).nonzero()
            if not len(wrong):
                continue
            # Sorted by step: of the reverse direction the last is computed first.
            step, sequence, unit = wrong[-1 if reverse else 0].tolist()
            if reverse:
                of_step = wrong[wrong[:, 0] == step]
                _, sequence, unit = of_step[0].tolist()
            sooner = earliest is None or (step > earliest.step if reverse else step < earliest.step)
            if sooner:
                value = float(in_order[step, sequence, unit])
                earliest = NotFinite(number, reverse, name, step, sequence, unit, value)
        if earliest is not None:
            return earliest
    return None
