"""How much each step of a sequence counts for an answer: integrated gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

# Points of the path at which gradients are taken, side by side as a batch.
_POINTS = 32


def integrated_gradients(
    answer: Callable[[Tensor], Tensor], inputs: Tensor, points: int = _POINTS
) -> Tensor:
    """Return how much each step counts for an answer (Sundararajan, Taly & Yan 2017, Axiomatic
    attribution for deep networks).

    Together they come to the answer to the inputs minus that to zeros, up to the error of the sum
    over the path, which ``points`` makes small.

    Args:
        answer: of sequences [T, B, features], a number for each, [B].
        inputs: one sequence as the network reads it, as vectors, [T, features].
        points: of the path from zeros to the inputs.

    Returns:
        A number for each step, [T], with a sign.
    """
    # Midpoints: the sum over them is exact for what is linear along the path.
    shares = (torch.arange(points, device=inputs.device) + 0.5) / points
    with torch.enable_grad():
        path = (inputs.detach()[:, None] * shares[:, None].to(inputs.dtype)).requires_grad_()
        (gradient,) = torch.autograd.grad(answer(path).sum(), path)
    return (gradient.mean(1) * inputs).sum(-1).detach()
