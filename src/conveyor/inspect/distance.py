"""How much of a gradient is left after so many steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.inspect.traced import Place, places, steps_first, traced
from conveyor.layers.sequence import SequenceLayer


@dataclass(frozen=True)
class GradientByDistance:
    """Norms of the gradient of what is computed at one step by states of earlier ones.

    Args:
        norms: by layer, whether it is the reverse direction, and state: [distances], the first at
            distance 0. They are means over sequences. The reverse direction reads later steps
            before: its distances are counted towards the end.
    """

    norms: Mapping[tuple[int, bool, str], Tensor]

    def horizon(
        self, layer: int = 0, state: str = "h", *, share: float = 0.01, reverse: bool = False
    ) -> int:
        """Return how many steps back a gradient reaches: the last distance at which at least a
        share of its largest norm is left.

        Args:
            layer: counted from 0.
            state: whose gradient.
            share: above 0, at most 1.
            reverse: whether the reverse direction is meant.

        Raises:
            SettingError: the share is out of its range, or there is no such layer, direction or
                state.
        """
        if not 0 < share <= 1:
            raise SettingError(f"share is {share!r}; expected a number above 0, at most 1.")
        key = layer, reverse, state
        if key not in self.norms:
            known = ", ".join(f"layer {n}{' reverse' * r}: {name}" for n, r, name in self.norms)
            raise SettingError(
                f"there is no state {state} in layer {layer}{' reverse' * reverse}. There are: "
                f"{known}."
            )
        norms = self.norms[key]
        left = (norms >= share * norms.max()).nonzero()
        return int(left.max()) if len(left) else 0


def gradient_by_distance(
    layer: SequenceLayer,
    x: Tensor | Mapping[str, Tensor],
    *,
    at: int = -1,
    loss: Callable[[Tensor], Tensor] | None = None,
    state: Any = None,
    draws: int = 8,
) -> GradientByDistance:
    """Return how large the gradient of an output step is by the states of each step before it.

    Args:
        layer: any recurrent layer that has a trace. Of a layer of two directions the states of
            each are followed to the side that it has read: the steps before the output's, and in
            the reverse direction those after it.
        x: [T, B, input_size], sequences of one length.
        at: the output's step, from 0 or, negative, from the end.
        loss: of the output [B, width] of that step, a number. Left out, the norm is that of the
            whole derivative: the root of the mean of squares over random directions (the mean of
            ‖vᵀJ‖² over v of unit variance is ‖J‖², Hutchinson 1990).
        state: before the first step.
        draws: how many random directions.

    Raises:
        SettingError: the layer has no trace, or there is no such step.
    """
    output, _, trace = traced(layer, x, state)
    steps = len(output)
    if not -steps <= at < steps:
        raise SettingError(f"at is {at}; the sequences have {steps} steps.")
    last = at % steps
    names = _states(layer, trace)
    tensors = [trace.at(number, reverse=reverse)[name] for number, reverse, name in names]
    squares = [
        torch.zeros(steps - last if reverse else last + 1, dtype=torch.float64)
        for _, reverse, _ in names
    ]
    count = 1 if loss is not None else draws
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        with torch.enable_grad():
            answer = output[last]
            direction = torch.randn(answer.shape, generator=generator, dtype=torch.float64)
            value = (answer * direction.to(answer)).sum() if loss is None else loss(answer)
        gradients = torch.autograd.grad(value, tensors, retain_graph=True, materialize_grads=True)
        for (_, reverse, _), gradient, total in zip(names, gradients, squares, strict=True):
            of_steps = steps_first(layer, gradient).double().cpu()
            read = of_steps[last:] if reverse else of_steps[: last + 1].flip(0)
            total.add_((read**2).sum(-1).mean(1))
    norms = [(total / count).sqrt() for total in squares]
    return GradientByDistance(dict(zip(names, norms, strict=True)))


def _states(layer: SequenceLayer, trace: Any) -> list[tuple[int, bool, str]]:
    """Return the states of every layer that a trace holds and something changes."""

    def of_place(place: Place) -> list[tuple[int, bool, str]]:
        number, reverse = place
        values = trace.at(number, reverse=reverse)
        return [
            (number, reverse, name)
            for name in layer._state_widths
            if name in values and values[name].requires_grad
        ]

    return [each for place in places(layer) for each in of_place(place)]
