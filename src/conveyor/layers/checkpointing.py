"""Activation checkpointing over time: only the states between segments of a sequence are kept,
and the backward pass recomputes each segment (Chen et al. 2016, Training deep nets with sublinear
memory cost)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conveyor.kernels.gradients import gradients_of, independent, must_see_all
from conveyor.kernels.kernel import InitialState, Kernel, Memory, Unrolled, Values
from conveyor.kernels.pieces import Parameters, Pieces
from conveyor.kernels.steps import Steps


class _Segment(NamedTuple):
    """Steps, and which rows they have."""

    steps: Steps
    first: int
    rows: int

    def of(self, rows: Tensor) -> Tensor:
        """Return the segment's rows."""
        return rows.narrow(0, self.first, self.rows)


class _Segmented(NamedTuple):
    """How a sequence is run in segments of so many steps. Its tensors stand in a flat list: the
    inputs as rows, the states by name, and what all segments read: the stored parameters and the
    memories, of which ``counts`` says how many places each sequence has."""

    kernel: Kernel
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    counts: Mapping[str, Tensor | None]
    pieces: Pieces
    steps: Steps
    length: int

    def segments(self) -> Iterator[_Segment]:
        """Yield the segments in the order in which they are run."""
        steps = self.steps
        first, count = steps.in_time
        begins = range(0, steps.steps, self.length)
        for begin in reversed(begins) if steps.reverse else begins:
            end = min(begin + self.length, steps.steps)
            counts = None if steps.counts is None else steps.counts[begin:end]
            rows = int(count[begin:end].sum())
            yield _Segment(
                Steps(end - begin, steps.batch, counts, steps.reverse), int(first[begin]), rows
            )

    def split(self, tensors: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Return inputs, states and what all segments read, of what stands in their order."""
        one = len(self.inputs)
        two = one + len(self.states)
        return tensors[:one], tensors[one:two], tensors[two:]

    def results(self, tensors: Sequence[Tensor], steps: Steps) -> tuple[Tensor, ...]:
        """Return the outputs and the final states of some steps, by the kernel."""
        inputs, states, read = self.split(tensors)
        stored = read[: len(read) - len(self.counts)]
        looked_at = zip(self.counts.items(), read[len(stored) :], strict=True)
        memories = {name: Memory(values, count) for (name, count), values in looked_at}
        start = InitialState.of(dict(zip(self.states, states, strict=True)))
        unrolled = self.kernel.sequence(
            dict(zip(self.inputs, inputs, strict=True)),
            start._replace(memories=memories),
            Parameters(tuple(stored), self.pieces),
            steps=steps,
            observe=False,
        )
        return (
            *[unrolled.outputs[name] for name in self.outputs],
            *[unrolled.final[name] for name in self.states],
        )


class _Run(torch.autograd.Function):
    """Both passes over all segments."""

    @staticmethod
    def forward(ctx: Any, segmented: _Segmented, *tensors: Tensor) -> tuple[Tensor, ...]:
        inputs, states, stored = segmented.split(tensors)
        x = inputs[0]
        segments = list(segmented.segments())
        # What stays is put into memory of its segmented: between what is freed it would leave holes
        # that the next segment does not fit in.
        between = [each.new_empty(len(segments), *each.shape) for each in states]
        count = len(segmented.outputs)
        wholes: list[Tensor] = []
        for number, segment in enumerate(segments):
            for kept, state in zip(between, states, strict=True):
                kept[number] = state
            read = map(segment.of, inputs)
            results = segmented.results((*read, *states, *stored), segment.steps)
            if number == 0:
                wholes = [part.new_empty((len(x), part.shape[1])) for part in results[:count]]
            for whole, part in zip(wholes, results[:count], strict=True):
                segment.of(whole).copy_(part)
            states = results[count:]
        ctx.segmented, ctx.precision = segmented, _precision(x)
        ctx.save_for_backward(*tensors, *between)
        ctx.set_materialize_grads(False)
        return *wholes, *states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        segmented: _Segmented = ctx.segmented
        needed = ctx.needs_input_grad[1:]
        saved = ctx.saved_tensors  # once: torch's checkpointing unpacks each tensor only once
        every, between = saved[: len(needed)], saved[len(needed) :]
        inputs, _, stored = segmented.split(every)
        need_inputs, need_states, need_stored = segmented.split(needed)
        segments = list(segmented.segments())
        if must_see_all(gradients):  # then nothing is saved: all at once
            with torch.enable_grad():
                every = independent(every)
                results = segmented.results(every, segmented.steps)
            create_graph = torch.is_grad_enabled()
            of_tensors = gradients_of(results, gradients, every, needed, create_graph=create_graph)
            return None, *of_tensors
        count = len(segmented.outputs)
        of_outputs, of_states = gradients[:count], list(gradients[count:])
        of_inputs = [
            torch.zeros_like(each) if need else None
            for each, need in zip(inputs, need_inputs, strict=True)
        ]
        totals: list[Tensor | None] = [None] * len(stored)
        # States pass gradients on, needed at the beginning or not.
        needs = [*need_inputs, *[True] * len(segmented.states), *need_stored]
        for index in reversed(range(len(segments))):
            segment = segments[index]
            states = [each[index] for each in between]
            leaves = [
                each.detach().requires_grad_(need)
                for each, need in zip(
                    (*map(segment.of, inputs), *states, *stored), needs, strict=True
                )
            ]
            with torch.enable_grad(), ctx.precision:
                results = segmented.results(leaves, segment.steps)
            of_results = [None if part is None else segment.of(part) for part in of_outputs]
            of_results += of_states
            of_leaves = gradients_of(results, of_results, leaves, needs, create_graph=False)
            part_inputs, part_states, part_stored = segmented.split(of_leaves)
            for whole, part in zip(of_inputs, part_inputs, strict=True):
                if whole is not None and part is not None:
                    segment.of(whole).copy_(part)
            of_states = list(part_states)
            for number, gradient in enumerate(part_stored):
                if gradient is None:  # nothing of this segment depends on it
                    continue
                total = totals[number]
                # Not in place: two biases that are added may have one tensor as gradient.
                totals[number] = gradient if total is None else total + gradient
        begin = [each if need else None for each, need in zip(of_states, need_states, strict=True)]
        return None, *of_inputs, *begin, *totals


def _precision(like: Tensor) -> AbstractContextManager[object]:
    """Return autocast as it is now, under which the backward pass recomputes."""
    device = like.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, torch.get_autocast_dtype(device))


def checkpointed(
    kernel: Kernel,
    inputs: Values,
    outputs: tuple[str, ...],
    start: InitialState,
    parameters: Parameters,
    *,
    steps: Steps,
    length: bool | int,
) -> Unrolled:
    """Return what ``Kernel.sequence`` gives, but of the outputs only those that are asked for.

    Args:
        kernel, inputs, start, parameters, steps: as of ``Kernel.sequence``.
        outputs: those that are asked for.
        length: steps of a segment. True stands for twice the root of all: a step of a segment
            takes more memory than a state that is kept, but each segment costs some calls.
    """
    x = next(iter(inputs.values()))
    states = start.tensors(steps.batch, x, kernel.state_rows)
    count = 2 * math.isqrt(steps.steps) if length is True else int(length)
    segmented = _Segmented(
        kernel,
        tuple(inputs),
        outputs,
        tuple(states),
        {name: memory.counts for name, memory in start.memories.items()},
        parameters.pieces,
        steps,
        max(1, count),
    )
    rows = [each.flatten(0, -2) for each in inputs.values()]
    memories = [memory.values for memory in start.memories.values()]
    tensors = (*rows, *states.values(), *parameters.tensors, *memories)
    results = _Run.apply(segmented, *tensors)  # type: ignore[no-untyped-call]
    wholes = zip(outputs, results[: len(outputs)], strict=True)
    final: Values = dict(zip(states, results[len(outputs) :], strict=True))
    return Unrolled(
        {name: whole.view(*x.shape[:-1], whole.shape[1]) for name, whole in wholes}, final, {}
    )
