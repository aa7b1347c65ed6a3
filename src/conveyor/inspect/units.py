"""Units that stand still or are pushed to their ends."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.errors import SettingError
from conveyor.inspect.traced import program_of, steps_first, values_traced
from conveyor.layers.sequence import SequenceLayer

# A gate is saturated below and above these (Karpathy, Johnson & Fei-Fei 2016, section 4.2), and
# what goes from -1 to 1 at as much of its range.
LOW, HIGH = 0.1, 0.9
RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}

# A unit is dead if its deviation is below this share of the largest one of the state.
DEAD = 1e-3


class Saturation(NamedTuple):
    """Of each unit of a local name: the share of steps at which it is near an end of its range,
    [units]."""

    low: Tensor
    high: Tensor


def saturation(
    layer: SequenceLayer,
    x: Tensor | Mapping[str, Tensor],
    *,
    number: int = 0,
    state: Any = None,
) -> dict[str, Saturation]:
    """Return how often the units of gates and squashed values are near an end of their range: in
    its lowest tenth, and in its highest.

    Args:
        layer: any recurrent layer that has a trace.
        x: as the layer reads it, sequences of one length.
        number: of the layer, from 0; its forward direction.
        state: before the first step.

    Raises:
        SettingError: the layer has no trace, or no such layer.
        ShapeError: the input does not fit.
    """
    trace = values_traced(layer, x, state)
    values = {
        name: steps_first(layer, tensor).flatten(0, 1) for name, tensor in trace.at(number).items()
    }
    return saturation_of(values, squashed(program_of(layer, number)))


def squashed(program: Program) -> dict[str, tuple[float, float]]:
    """Return between what the local names of a cell lie that are a sigmoid or a tanh."""
    ops = {operation.name: operation.op for operation in program.operations}
    locals_ = program.values_of("local").items()
    return {name: RANGES[ops[value]] for name, value in locals_ if ops.get(value) in RANGES}


def saturation_of(
    values: Mapping[str, Tensor], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Saturation]:
    """Return how often units are near an end of their range, by local name.

    Args:
        values: by local name, [steps, units].
        ranges: between what they lie.
    """
    shares = {}
    for name, (low, high) in ranges.items():
        numbers = values[name]
        near = low + LOW * (high - low), low + HIGH * (high - low)
        shares[name] = Saturation(
            (numbers < near[0]).double().mean(0), (numbers > near[1]).double().mean(0)
        )
    return shares


def dead_units(
    layer: SequenceLayer,
    x: Tensor | Mapping[str, Tensor],
    *,
    number: int = 0,
    name: str = "h",
    share: float = DEAD,
    state: Any = None,
) -> Tensor:
    """Return which units of a local name never change: whose standard deviation over all steps and
    sequences is below a share of the largest, [units] of bool.

    Args:
        layer, x, number, state: as of ``saturation``.
        name: local name of the cell.
        share: from 0 to 1.

    Raises:
        SettingError: the layer has no trace or no such layer, or ``share`` is out of its range.
        ShapeError: the input does not fit.
        KeyError: the cell has no such local name.
    """
    if not 0 <= share <= 1:
        raise SettingError(f"share is {share!r}; expected a number from 0 to 1.")
    trace = values_traced(layer, x, state)
    numbers = steps_first(layer, trace.at(number)[name]).flatten(0, 1)
    return still_units(numbers, share)


def still_units(values: Tensor, share: float = DEAD) -> Tensor:
    """Return which units never change, [units] of bool, of values [steps, units]; see
    ``dead_units``."""
    deviation = values.double().std(0, correction=0)
    return deviation <= share * deviation.max()
