"""Masks: what regularisers inside a cell draw, as inputs of its changed program."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from conveyor.compiler.regularise import Mask
from conveyor.kernels.kernel import Values
from conveyor.kernels.steps import Steps


def drawn(masks: Sequence[Mask], x: Tensor, steps: Steps, sizes: Mapping[str, int]) -> Values:
    """Fresh masks [..., width] for an input [..., I] whose rows ``steps`` orders, by torch's
    generator for the device. ``sizes`` are the widths of axes other than I."""
    widths = {**sizes, "I": x.shape[-1]}
    return {mask.name: _drawn(mask, x, steps, widths[mask.axis]) for mask in masks}


def once(x: Tensor, steps: Steps, rate: float) -> Tensor:
    """The input with the same features of a sequence dropped at all steps."""
    return x * _drawn(Mask("", "drop", "I", rate, True), x, steps, x.shape[-1])


def _drawn(mask: Mask, x: Tensor, steps: Steps, width: int) -> Tensor:
    rows = (steps.batch,) if mask.once else x.shape[:-1]
    numbers = torch.rand((*rows, width), device=x.device)
    if mask.kind == "zone":
        values = (numbers < mask.rate).to(x.dtype)
    else:
        values = (numbers >= mask.rate).to(x.dtype) / (1 - mask.rate)
    if not mask.once:
        return values
    if steps.counts is None:
        return values.expand(*x.shape[:-1], width)
    rows_of_steps = values.index_select(0, steps.sequences.to(x.device))
    return rows_of_steps.view(*x.shape[:-1], width)  # [0, B, I] where there is no step
