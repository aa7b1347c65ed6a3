"""What each step of an input contributed to an answer."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError, did_you_mean

Method = Literal["integrated", "gradient", "occlusion"]


def contributions(
    answer: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    method: Method = "integrated",
    baseline: Tensor | float = 0.0,
    points: int = 32,
    steps_axis: int = 0,
) -> Tensor:
    """Return what each number of an input, or each step, contributed to an answer.

    Args:
        answer: takes inputs like x and gives one number for each sequence, [B], as
            ``lambda x: net(x)[:, 3]``. Sequences must not see each other.
        x: [T, B, width], or [B, T, width] with ``steps_axis=1``: numbers, or embedded symbols.
        method: ``"integrated"``: gradients integrated on the straight way from the baseline to x,
            times the way (Sundararajan, Taly & Yan 2017); their sum is answer(x) -
            answer(baseline), as exactly as ``points`` allow. ``"gradient"``: gradient times input
            less baseline. ``"occlusion"``: how much the answer falls if a step is the baseline's.
        baseline: an input without content, a number or a tensor that fits x.
        points: of the Gauss-Legendre rule, for ``"integrated"``.
        steps_axis: 0 or 1.

    Returns:
        As x for ``"integrated"`` and ``"gradient"``; [T, B] (or [B, T]) for ``"occlusion"``.

    Raises:
        SettingError: an argument is out of its range.
        ShapeError: the input or the answer does not fit.
    """
    if method not in get_args(Method):
        raise SettingError(f"method is {method!r}. {did_you_mean(str(method), get_args(Method))}")
    if steps_axis not in (0, 1) or not isinstance(points, int) or points < 1:
        raise SettingError("expected steps_axis 0 or 1, and points a whole number from 1.")
    if x.dim() != 3 or not x.is_floating_point():
        raise ShapeError(
            f"x is {list(x.shape)} of {x.dtype}; expected numbers [T, B, width]. Embed symbols "
            "first, and let answer begin behind the embedding."
        )
    x = x.detach()
    origin = torch.as_tensor(baseline, dtype=x.dtype, device=x.device).detach().expand_as(x)
    if method == "occlusion":
        return _occlusion(answer, x, origin, steps_axis)
    if method == "gradient":
        return _gradient(answer, x, steps_axis) * (x - origin)
    places, weights = np.polynomial.legendre.leggauss(points)
    total = torch.zeros_like(x)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        total += float(weight) * _gradient(answer, origin + float(place) * (x - origin), steps_axis)
    return total * (x - origin)


def _answered(answer: Callable[[Tensor], Tensor], x: Tensor, steps_axis: int) -> Tensor:
    numbers = answer(x)
    batch = x.shape[1 - steps_axis]
    if not isinstance(numbers, Tensor) or numbers.shape != (batch,):
        got = list(numbers.shape) if isinstance(numbers, Tensor) else type(numbers).__name__
        raise ShapeError(f"the answer is {got}; expected one number for each sequence, [{batch}].")
    return numbers


def _gradient(answer: Callable[[Tensor], Tensor], x: Tensor, steps_axis: int) -> Tensor:
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(
            _answered(answer, leaf, steps_axis).sum(), [leaf], materialize_grads=True
        )
    return gradient


@torch.no_grad()
def _occlusion(
    answer: Callable[[Tensor], Tensor], x: Tensor, origin: Tensor, steps_axis: int
) -> Tensor:
    whole = _answered(answer, x, steps_axis)
    falls = []
    for step in range(x.shape[steps_axis]):
        without = x.clone()
        without.select(steps_axis, step).copy_(origin.select(steps_axis, step))
        falls.append(whole - _answered(answer, without, steps_axis))
    return torch.stack(falls, steps_axis)
