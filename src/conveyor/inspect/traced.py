"""A layer's run with a trace that gradients arrive at."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.errors import SettingError
from conveyor.kernels.kernel import Values
from conveyor.layers.layer_trace import Trace
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.state import main_output

# A layer's number, and whether it is the reverse direction.
Place = tuple[int, bool]


def check_layer(layer: object) -> None:
    """Check that something is a recurrent layer that has a trace.

    Raises:
        SettingError: it is not.
    """
    if not isinstance(layer, SequenceLayer):
        raise SettingError(
            f"{type(layer).__name__} has no trace. Expected Recurrent, LSTM, GRU or RNN of "
            "conveyor; of a network, the layer inside it."
        )


@contextmanager
def evaluated(layer: SequenceLayer) -> Iterator[None]:
    """Inside the block the layer drops nothing."""
    training = layer.training
    layer.eval()
    try:
        yield
    finally:
        layer.train(training)


def traced(
    layer: SequenceLayer, x: Tensor | Mapping[str, Tensor], state: Any = None
) -> tuple[Tensor, Values, Trace]:
    """Return the output of sequences as [T, B, width], the final states [rows, B, width] by name,
    and the trace; all depend on the input, whether or not the parameters are learned.

    Args:
        layer: any recurrent layer that has a trace.
        x: as the layer reads it; sequences of one length.
        state: before the first step.

    Raises:
        SettingError: it is no such layer.
        ShapeError: the input does not fit.
    """
    check_layer(layer)
    inputs = x if isinstance(x, Mapping) else {"": x}
    leaves = {
        name: each.detach().requires_grad_(each.is_floating_point())
        for name, each in inputs.items()
    }
    read = leaves if isinstance(x, Mapping) else leaves[""]
    with torch.enable_grad(), evaluated(layer):
        output, final, trace = layer._run(read, state, None, None, "gradient")
    first = main_output(output)
    ordered = first.transpose(0, 1) if layer.batch_first and first.dim() == 3 else first
    return ordered, layer._values_of(final), trace


def values_traced(
    layer: SequenceLayer, x: Tensor | Mapping[str, Tensor], state: Any = None
) -> Trace:
    """Return the trace of sequences without gradients.

    Args:
        layer, x, state: as of ``traced``.

    Raises:
        SettingError, ShapeError: as ``traced``.
    """
    check_layer(layer)
    with torch.no_grad(), evaluated(layer):
        trace: Trace = layer._run(x, state, None, None, True)[2]
    return trace


def places(layer: SequenceLayer) -> list[Place]:
    """Return every layer in every direction."""
    return [
        (number, reverse)
        for number in range(layer.num_layers)
        for reverse in ((False, True) if layer.bidirectional else (False,))
    ]


def program_of(layer: SequenceLayer, number: int) -> Program:
    """Return the program of a layer, as it runs in evaluation."""
    return layer._plans[number].inference.program


def steps_first(layer: SequenceLayer, values: Tensor) -> Tensor:
    """Return traced values as [T, B, width]."""
    if values.dim() == 2:
        return values.unsqueeze(1)
    return values.transpose(0, 1) if layer.batch_first else values
