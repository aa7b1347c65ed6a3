"""One sequence as a layer reads it: how long it is, a part of it, copies of it, the state after."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from conveyor.errors import ShapeError
from conveyor.inspect.traced import check_layer, evaluated
from conveyor.layers.sequence import SequenceLayer

Sequence = Tensor | Mapping[str, Tensor]

# So many steps are run at a time. More take memory for what is thrown away, and fewer take time.
CHUNK = 1000


def with_batch(layer: SequenceLayer, x: Sequence) -> dict[str, Tensor]:
    """Return a sequence by the names of its inputs ("" of a plain tensor), each with a batch
    dimension.

    Raises:
        SettingError: it is no layer that has a trace.
        ShapeError: there are several sequences, or none.
    """
    check_layer(layer)
    inputs = dict(x) if isinstance(x, Mapping) else {"": x}
    axis = 0 if layer.batch_first else 1
    for name, tensor in inputs.items():
        values = inputs[name] = tensor.unsqueeze(axis) if tensor.dim() == 2 else tensor
        if values.dim() != 3 or values.shape[axis] != 1 or not values.shape[1 - axis]:
            what = f"input {name!r}" if name else "x"
            form = "[1, T, width]" if layer.batch_first else "[T, 1, width]"
            raise ShapeError(
                f"{what} is {list(values.shape)}; expected one sequence, {form} or [T, width]."
            )
    return inputs


def main_input(layer: SequenceLayer, x: Sequence) -> Tensor:
    """Return the input of a sequence that goes up the layers, with a batch dimension; see
    ``with_batch``."""
    return next(iter(with_batch(layer, x).values()))


def as_read(inputs: dict[str, Tensor]) -> Sequence:
    """Return inputs by name as a layer reads them."""
    return inputs.get("", inputs)


def step_count(layer: SequenceLayer, inputs: Mapping[str, Tensor]) -> int:
    """Return how many steps a sequence has."""
    return next(iter(inputs.values())).shape[1 if layer.batch_first else 0]


def part(
    layer: SequenceLayer, inputs: Mapping[str, Tensor], begin: int, end: int
) -> dict[str, Tensor]:
    """Return the steps from ``begin`` to ``end``."""
    axis = 1 if layer.batch_first else 0
    return {name: values.narrow(axis, begin, end - begin) for name, values in inputs.items()}


def copies(layer: SequenceLayer, inputs: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return a batch of copies of a sequence."""
    axis = 0 if layer.batch_first else 1
    return {name: values.repeat_interleave(count, axis) for name, values in inputs.items()}


def state_copies(state: Any, count: int) -> Any:
    """Return a state [rows, 1, width] for a batch of copies; None stays."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.repeat_interleave(count, 1)
    repeated = [tensor.repeat_interleave(count, 1) for tensor in state]
    return type(state)(*repeated) if hasattr(state, "_fields") else tuple(repeated)


@torch.no_grad()
def state_after(layer: SequenceLayer, inputs: dict[str, Tensor], state: Any) -> Any:
    """Return the state after a sequence, which may have no steps."""
    steps = step_count(layer, inputs)
    with evaluated(layer):
        for begin in range(0, steps, CHUNK):
            piece = part(layer, inputs, begin, min(begin + CHUNK, steps))
            state = layer._run(as_read(piece), state, None, None, False)[1]
    return state
