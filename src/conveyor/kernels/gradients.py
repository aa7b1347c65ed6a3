"""When a backward pass must be left to autograd, and how autograd does it."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

_is_batch = torch._C._functorch.is_legacy_batchedtensor


def must_see_all(gradients: Iterable[Tensor | None]) -> bool:
    """Return whether a backward pass must be made of operations that torch sees: its gradients need
    gradients (``create_graph=True``), or are many at once (``is_grads_batched=True``)."""
    return (
        torch.is_grad_enabled()
        or torch._C._are_functorch_transforms_active()
        or any(each is not None and _is_batch(each) for each in gradients)
    )


def gradients_of(
    results: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    sources: Sequence[Tensor],
    needed: Sequence[bool],
    *,
    create_graph: bool,
) -> list[Tensor | None]:
    """By autograd: the gradient of each source, given those of results; None where it is not
    needed, or nothing depends on it."""
    pairs = [
        (result, gradient)
        for result, gradient in zip(results, gradients, strict=True)
        if gradient is not None and result.requires_grad
    ]
    wanted = [source for source, need in zip(sources, needed, strict=True) if need]
    if not pairs or not wanted:
        return [None] * len(sources)
    found = iter(
        torch.autograd.grad(
            [result for result, _ in pairs],
            wanted,
            [gradient for _, gradient in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return [next(found) if need else None for need in needed]


def independent(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return the same tensors, of which none depends on another. A start state may be made of the
    input: what autograd gives for the input would else hold the state's share, which the state
    passes on by itself."""
    return [each.view_as(each) for each in tensors]
