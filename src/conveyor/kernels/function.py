"""The one autograd function: whatever computes its own gradient goes through here."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Computed(NamedTuple):
    """What a forward pass gives: results, what the backward pass reads, and a note for it.

    ``constant`` are those of the results that have no gradient.
    """

    results: Sequence[Tensor]
    kept: Sequence[Tensor]
    note: Any = None
    constant: Sequence[Tensor] = ()


class Differentiable(Protocol):
    """A computation that knows its gradient."""

    def forward(self, tensors: Sequence[Tensor | None]) -> Computed:
        """Return the results of tensors."""

    def backward(
        self,
        tensors: Sequence[Tensor | None],
        kept: Sequence[Tensor],
        note: Any,
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> Sequence[Tensor | None]:
        """Return the gradient of every tensor; None where it is not needed.

        Args:
            tensors: as the forward pass had them.
            kept: what it kept.
            note: its note.
            gradients: of the results; None where nothing depends on one.
            needed: of which tensors a gradient is wanted.
        """


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, computation: Differentiable, *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        computed = computation.forward(tensors)
        ctx.computation, ctx.count, ctx.note = computation, len(tensors), computed.note
        ctx.save_for_backward(*tensors, *computed.kept)
        ctx.set_materialize_grads(False)
        if computed.constant:
            ctx.mark_non_differentiable(*computed.constant)
        return tuple(computed.results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        saved, count = ctx.saved_tensors, ctx.count
        needed = ctx.needs_input_grad[1:]
        of_tensors = ctx.computation.backward(
            saved[:count], saved[count:], ctx.note, gradients, needed
        )
        return (None, *of_tensors)


def differentiated(
    computation: Differentiable, tensors: Sequence[Tensor | None]
) -> tuple[Tensor, ...]:
    """Return the results of a computation, which autograd differentiates by its own gradient.

    Args:
        computation: knows both passes.
        tensors: what it reads.
    """
    results: tuple[Tensor, ...] = _Function.apply(computation, *tensors)  # type: ignore[no-untyped-call]
    return results
