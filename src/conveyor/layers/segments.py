"""A sequence in segments: only the states between them are kept, and the way back computes each
segment again (Chen et al. 2016, Training deep nets with sublinear memory cost)."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conveyor.kernels.gradients import gradients_of, must_see_all
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Kernel, Parameters, Pieces, Start, Unrolled, Values


class _Segment(NamedTuple):
    """Steps, and which rows they have."""

    steps: Steps
    first: int
    rows: int

    def of(self, rows: Tensor) -> Tensor:
        """Its rows."""
        return rows.narrow(0, self.first, self.rows)


class _Segmented(NamedTuple):
    """How a sequence is run in segments of so many steps. Its tensors stand in a row: the input
    as rows, the states by name, the stored parameters."""

    kernel: Kernel
    input: str
    output: str
    states: tuple[str, ...]
    pieces: Pieces
    steps: Steps
    length: int

    def segments(self) -> Iterator[_Segment]:
        """In the order in which they are run."""
        steps = self.steps
        first, count = steps.in_time
        begins = range(0, steps.steps, self.length)
        for begin in reversed(begins) if steps.reverse else begins:
            end = min(begin + self.length, steps.steps)
            own = None if steps.counts is None else steps.counts[begin:end]
            rows = int(count[begin:end].sum())
            yield _Segment(
                Steps(end - begin, steps.batch, own, steps.reverse), int(first[begin]), rows
            )

    def results(self, tensors: Sequence[Tensor], steps: Steps) -> tuple[Tensor, ...]:
        """The output and the last states of some steps, by the kernel."""
        count = 1 + len(self.states)
        unrolled = self.kernel.sequence(
            {self.input: tensors[0]},
            Start.of(dict(zip(self.states, tensors[1:count], strict=True))),
            Parameters(tuple(tensors[count:]), self.pieces),
            steps=steps,
            observe=False,
        )
        return unrolled.outputs[self.output], *[unrolled.final[name] for name in self.states]


class _Run(torch.autograd.Function):
    """The way through all segments, and back."""

    @staticmethod
    def forward(ctx: Any, own: _Segmented, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        count = len(own.states)
        states, stored = others[:count], others[count:]
        segments = list(own.segments())
        # What stays is put into memory of its own: between what is freed it would leave holes
        # that the next segment does not fit in.
        between = [each.new_empty(len(segments), *each.shape) for each in states]
        whole = x.new_empty((0, 0))
        for number, segment in enumerate(segments):
            for kept, state in zip(between, states, strict=True):
                kept[number] = state
            output, *last = own.results((segment.of(x), *states, *stored), segment.steps)
            if number == 0:
                whole = output.new_empty((len(x), output.shape[1]))
            segment.of(whole).copy_(output)
            states = tuple(last)
        ctx.own, ctx.precision = own, _precision(x)
        ctx.save_for_backward(x, *others, *between)
        ctx.set_materialize_grads(False)
        return whole, *states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        own: _Segmented = ctx.own
        count, needed = len(own.states), ctx.needs_input_grad[1:]
        every, between = ctx.saved_tensors[: len(needed)], ctx.saved_tensors[len(needed) :]
        x, stored = every[0], every[1 + count :]
        segments = list(own.segments())
        if must_see_all(gradients):  # then nothing is saved: all at once
            with torch.enable_grad():
                results = own.results(every, own.steps)
            again = torch.is_grad_enabled()
            return None, *gradients_of(results, gradients, every, needed, create_graph=again)
        of_output, of_states = gradients[0], list(gradients[1:])
        of_x = torch.zeros_like(x) if needed[0] else None
        totals: list[Tensor | None] = [None] * len(stored)
        # States pass gradients on, wanted at the beginning or not.
        wanted = [needed[0], *[True] * count, *needed[1 + count :]]
        for number in reversed(range(len(segments))):
            segment = segments[number]
            states = [each[number] for each in between]
            leaves = [
                each.detach().requires_grad_(need)
                for each, need in zip((segment.of(x), *states, *stored), wanted, strict=True)
            ]
            with torch.enable_grad(), ctx.precision:
                results = own.results(leaves, segment.steps)
            of_results = [None if of_output is None else segment.of(of_output), *of_states]
            found = gradients_of(results, of_results, leaves, wanted, create_graph=False)
            if of_x is not None and found[0] is not None:
                segment.of(of_x).copy_(found[0])
            of_states = list(found[1 : 1 + count])
            for place, each in enumerate(found[1 + count :]):
                total = totals[place]
                # Not in place: two biases that are added may have one tensor as gradient.
                totals[place] = each if total is None or each is None else total + each
        begin = [
            each if need else None
            for each, need in zip(of_states, needed[1 : 1 + count], strict=True)
        ]
        return None, of_x, *begin, *totals


def _precision(like: Tensor) -> AbstractContextManager[object]:
    """Autocast as it is now, to compute again as it was computed."""
    device = like.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, torch.get_autocast_dtype(device))


def in_segments(
    kernel: Kernel,
    names: tuple[str, str],
    x: Tensor,
    start: Start,
    parameters: Parameters,
    *,
    steps: Steps,
    length: bool | int,
) -> Unrolled:
    """As ``Kernel.sequence``.

    Args:
        names: the cell's input and the one output that is wanted.
        length: steps of a segment. True stands for twice the root of all: a step of a segment
            takes more memory than a state that is kept, but each segment costs some calls.
    """
    states = start.tensors(steps.batch, x)
    each = 2 * math.isqrt(steps.steps) if length is True else int(length)
    own = _Segmented(kernel, *names, tuple(states), parameters.pieces, steps, max(1, each))
    rows = x.flatten(0, -2)
    whole, *last = _Run.apply(own, rows, *states.values(), *parameters.tensors)  # type: ignore[no-untyped-call]
    final: Values = dict(zip(states, last, strict=True))
    return Unrolled({names[1]: whole.view(*x.shape[:-1], whole.shape[1])}, final, {})
