"""Traces whose values lie on the way from the input to the loss, so that gradients arrive at them.

What a kernel computes inside is not seen by autograd. So the tensors of a trace are there before
the run, without numbers, and the run reads a zero of each, as if it were added to the value: the
gradient by it is the gradient by the value on its way through the sequence, and it arrives at the
tensor. After the run the tensor gets the numbers that were observed.

A loss may also read the trace itself. That share of a tensor's gradient did not come through the
run, and is passed on to parameters and inputs by a second run, of the backward pass alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conveyor.kernels.gradients import gradients_of, independent

# A local name of one layer in one direction.
Key = tuple[int, bool, str]


class Arrived:
    """What has arrived at traced tensors through the sequence, in the backward pass that runs."""

    def __init__(self) -> None:
        self._task = -1
        self._gradients: Sequence[Tensor | None] = ()

    def put(self, gradients: Sequence[Tensor | None]) -> None:
        """Keep the gradients that arrive at the tensors."""
        self._task, self._gradients = torch._C._current_graph_task_id(), gradients

    def take(self, count: int) -> Sequence[Tensor | None]:
        """Return what has arrived at each tensor in this backward pass, and forget it.

        Args:
            count: how many tensors there are.
        """
        same = self._task == torch._C._current_graph_task_id()
        gradients = self._gradients if same else ()
        self._task, self._gradients = -1, ()
        return gradients or [None] * count


class _Seen(torch.autograd.Function):
    """The values of local names, which depend on all that the call reads."""

    @staticmethod
    def forward(
        ctx: Any,
        arrived: Arrived,
        tensors: Sequence[Tensor],
        observe: Callable[[Sequence[Tensor]], list[Tensor]],
        *sources: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.arrived, ctx.observe = arrived, observe
        ctx.save_for_backward(*sources)
        ctx.set_materialize_grads(False)
        return tuple(tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        arrived = ctx.arrived.take(len(gradients))
        besides = [_less(*pair) for pair in zip(gradients, arrived, strict=True)]
        needed = ctx.needs_input_grad[3:]
        if all(each is None for each in besides):
            return None, None, None, *[None] * len(needed)
        create_graph, saved = torch.is_grad_enabled(), ctx.saved_tensors
        with torch.enable_grad():
            if create_graph:
                sources = independent(saved)
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
    """Zeros that autograd takes for the tensors of the trace less their numbers. They take no
    memory."""

    @staticmethod
    def forward(ctx: Any, arrived: Arrived, *traced: Tensor) -> tuple[Tensor, ...]:
        ctx.arrived = arrived
        ctx.set_materialize_grads(False)
        zero = traced[0].new_zeros(())
        return tuple([zero.expand(each.shape) for each in traced])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.arrived.put(gradients)
        return None, *gradients


def traced_tensors(
    like: Tensor,
    shapes: Sequence[Sequence[int]],
    observe: Callable[[Sequence[Tensor]], list[Tensor]],
    sources: Sequence[Tensor],
) -> tuple[list[Tensor], list[Tensor]]:
    """Return tensors of the trace, whose numbers are not there yet, and for each of them zeros that
    depend on it.

    Args:
        like: of the type and on the device of the tensors.
        shapes: of the tensors.
        observe: computes their numbers of sources, differentiably.
        sources: all that the call reads.
    """
    arrived = Arrived()
    # A single number each, which stands for all.
    empty = [
        torch.empty_strided(shape, [0] * len(shape), dtype=like.dtype, device=like.device)
        for shape in shapes
    ]
    tensors: Sequence[Tensor] = _Seen.apply(arrived, empty, observe, *sources)  # type: ignore[no-untyped-call]
    zeros: Sequence[Tensor] = _Zeros.apply(arrived, *tensors)  # type: ignore[no-untyped-call]
    return list(tensors), list(zeros)


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
