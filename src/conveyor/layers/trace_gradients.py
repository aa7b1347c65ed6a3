"""Traces whose values lie on the way from the input to the loss, so that gradients arrive at them.

What a kernel computed inside is not seen by autograd. So a traced call runs twice: once for the
values of the local names, which become tensors of the trace; once with a zero added to each of
them, which autograd takes for a function of that tensor. The second run is what the call returns.
Its gradient by such a zero is the gradient by the value on its way through the sequence, and it
arrives at the tensor of the trace.

A loss may also read the trace itself. That share of a tensor's gradient did not come through the
second run, and is passed on to parameters and inputs by a third run, of the backward pass alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conveyor.kernels.gradients import gradients_of

# A local name of one layer in one direction.
Key = tuple[int, bool, str]


class Arrived:
    """What has arrived at traced tensors through the sequence, in the backward pass that runs."""

    def __init__(self) -> None:
        self._task = -1
        self._gradients: dict[int, Tensor] = {}

    def put(self, number: int, gradient: Tensor) -> None:
        """Keep the gradient that arrives at a tensor."""
        task = torch._C._current_graph_task_id()
        if task != self._task:
            self._task, self._gradients = task, {}
        self._gradients[number] = gradient

    def take(self) -> dict[int, Tensor]:
        """Return what has arrived in this backward pass, and forget it."""
        same = self._task == torch._C._current_graph_task_id()
        gradients = self._gradients if same else {}
        self._task, self._gradients = -1, {}
        return gradients


class _Seen(torch.autograd.Function):
    """The values of local names, which depend on all that the call reads."""

    @staticmethod
    def forward(
        ctx: Any,
        arrived: Arrived,
        values: Sequence[Tensor],
        observe: Callable[[Sequence[Tensor]], list[Tensor]],
        *sources: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.arrived, ctx.observe = arrived, observe
        ctx.save_for_backward(*sources)
        ctx.set_materialize_grads(False)
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        arrived = ctx.arrived.take()
        besides = [_less(each, arrived.get(number)) for number, each in enumerate(gradients)]
        needed = ctx.needs_input_grad[3:]
        if all(each is None for each in besides):
            return None, None, None, *[None] * len(needed)
        create_graph, saved = torch.is_grad_enabled(), ctx.saved_tensors
        with torch.enable_grad():
            if create_graph:
                sources = list(saved)
            else:
                pairs = zip(saved, needed, strict=True)
                sources = [each.detach().requires_grad_(need) for each, need in pairs]
            results = ctx.observe(sources)
            of_sources = gradients_of(results, besides, sources, needed, create_graph=create_graph)
        return None, None, None, *of_sources


def _less(gradient: Tensor | None, arrived: Tensor | None) -> Tensor | None:
    """Return what of a gradient came another way than through the sequence."""
    if gradient is None or arrived is None:
        return gradient
    if gradient is arrived or torch.equal(gradient, arrived):
        return None
    return gradient - arrived


class _Zeros(torch.autograd.Function):
    """Zeros that autograd takes for a tensor of the trace less its numbers."""

    @staticmethod
    def forward(ctx: Any, arrived: Arrived, number: int, traced: Tensor) -> Tensor:
        ctx.arrived, ctx.number = arrived, number
        return torch.zeros_like(traced)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        (gradient,) = gradients
        ctx.arrived.put(ctx.number, gradient)
        return None, None, gradient


def traced_tensors(
    values: Sequence[Tensor],
    observe: Callable[[Sequence[Tensor]], list[Tensor]],
    sources: Sequence[Tensor],
) -> tuple[list[Tensor], list[Tensor]]:
    """Return tensors of the trace, and for each of them zeros that depend on it.

    Args:
        values: of local names.
        observe: computes the values of sources, differentiably.
        sources: all that the call reads.
    """
    arrived = Arrived()
    tensors: Sequence[Tensor] = _Seen.apply(arrived, values, observe, *sources)  # type: ignore[no-untyped-call]
    zeros = [_Zeros.apply(arrived, n, each) for n, each in enumerate(tensors)]  # type: ignore[no-untyped-call]
    return list(tensors), zeros


class DrawnNumbers(NamedTuple):
    """The state of torch's generators, by which a call draws what it drops."""

    on_cpu: Tensor
    on_device: Tensor | None
    device: torch.device

    @staticmethod
    def now(device: torch.device) -> "DrawnNumbers":
        """Return the state of the generators for a device, as it is."""
        on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return DrawnNumbers(torch.get_rng_state(), on_device, device)

    def set(self) -> None:
        """Let the generators draw the same numbers as then."""
        torch.set_rng_state(self.on_cpu)
        if self.on_device is not None:
            torch.cuda.set_rng_state(self.on_device, self.device)

    @contextmanager
    def drawn_again(self) -> Iterator[None]:
        """Inside the block the same numbers are drawn as then; behind it the generators go on as if
        there had been none."""
        after = DrawnNumbers.now(self.device)
        self.set()
        try:
            yield
        finally:
            after.set()
