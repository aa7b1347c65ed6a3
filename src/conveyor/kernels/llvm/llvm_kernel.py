"""Machine code as a kernel of torch: tensors in, tensors out, gradients by the plan's backward
pass."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from conveyor.compiler.plan import Plan
from conveyor.errors import ShapeError, TargetError
from conveyor.kernels.autotune import is_on
from conveyor.kernels.compiled_kernel import Call, CompiledKernel, Passed
from conveyor.kernels.kernel import Array, StepKernel, are_counts
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.layout.values import ArrayKey
from conveyor.kernels.llvm import openmp
from conveyor.kernels.llvm.compiled_plan import CompiledPlan, PassKind
from conveyor.kernels.llvm.frozen_kernel import FrozenLlvmKernel
from conveyor.kernels.llvm.invoke import addresses_of, invoke
from conveyor.kernels.llvm.kernel_stream import KernelStream
from conveyor.kernels.llvm.launch_plan import LaunchPlan, LaunchPlans
from conveyor.kernels.llvm.limits import limits
from conveyor.kernels.llvm.machine import host
from conveyor.kernels.llvm.replay import LlvmReplay
from conveyor.kernels.llvm.share import Work, multiply_adds, share
from conveyor.kernels.memory import (
    LARGE,
    check_memory,
    contiguous,
    has_memory,
    hollow,
    is_ready,
    narrowed,
    new_rows,
    padded,
)
from conveyor.kernels.pieces import Parameters, Pieces
from conveyor.kernels.steps import Steps


@dataclass(frozen=True)
class LlvmKernel(CompiledKernel):
    """A plan as machine code for numbers of one type."""

    plan: Plan
    dtype: torch.dtype

    @cached_property
    def launch_plans(self) -> LaunchPlans:
        """What calls of the compiled passes need."""
        return LaunchPlans(CompiledPlan(self.plan, self.dtype))

    def for_plan(self, plan: Plan) -> "LlvmKernel":
        return LlvmKernel(plan, self.dtype)

    def as_read(self, tensor: Tensor, stride: int | None = None) -> Tensor:
        """Return a tensor as machine code reads it: contiguous numbers in memory.

        Args:
            tensor: any.
            stride: numbers of each row, the last of them padding; None for no padding.

        Raises:
            ShapeError: it is of another type or on another device.
            TargetError: its numbers lie in no memory.
        """
        if tensor.dtype is not self.dtype or not tensor.is_cpu:
            raise ShapeError(
                f"{self.plan.program.name}: a tensor is of {tensor.dtype} on {tensor.device}; "
                f"expected {self.dtype} on the CPU, as the input."
            )
        if tensor._is_zerotensor():  # a gradient
            tensor = tensor.clone()
        if not has_memory(tensor):
            dense = tensor.layout is torch.strided
            raise TargetError(
                f"{self.plan.program.name}: a {type(tensor).__name__} of layout {tensor.layout} "
                "holds its numbers in no memory that machine code could read. "
                + ("Use conveyor.use_target('reference')." if dense else "Convert it: .to_dense().")
            )
        check_memory(tensor)
        if tensor.is_neg():
            tensor = tensor.resolve_neg()
        if stride is not None and stride != tensor.shape[-1]:
            return padded(tensor, stride)
        return contiguous(tensor)

    def prepared(self, tensors: list[Tensor], stored: int) -> list[Tensor] | None:
        for number, tensor in enumerate(tensors):
            if is_ready(tensor, self.dtype):
                continue
            if tensor.layout is torch.strided and not has_memory(tensor):
                return None
            tensors[number] = self.as_read(tensor)
        for tensor in tensors[: len(tensors) - stored]:
            check_memory(tensor)  # that of parameters is checked where their addresses are read
        return tensors

    def kept_widths(
        self, widths: Sequence[int], stored: Sequence[Any], pieces: Pieces
    ) -> list[int]:
        sizes = self.launch_plans.sizes("training", tuple(widths), stored, pieces)
        return [] if sizes.kept is None else [sizes.kept]

    def replay(
        self,
        shapes: Sequence[torch.Size],
        widths: Mapping[str, int],
        parameters: Parameters,
        steps: Steps,
        *,
        started: bool,
    ) -> LlvmReplay | None:
        if steps.rows == 0 or not self.is_plain(parameters):
            return None
        stored, leading = parameters.tensors, shapes[0][:-1]
        read = (*[shape[-1] for shape in shapes], *[widths[name] for name in self.states])
        launch = self.launch_plans.plan("inference", read, stored, parameters.pieces, steps)
        written = [(*leading, stride) for stride in launch.sizes.written]
        most = max([math.prod(rows) for rows in written]) * self.dtype.itemsize
        if most >= LARGE:
            return None
        strides = launch.sizes.padded
        widths_read = zip(self.inputs, read, strict=False)
        wide = tuple([strides.get(name, width) for name, width in widths_read]) if strides else ()
        final = [(1, steps.batch, widths[name]) for name in self.states]
        begin = final if started else []
        return LlvmReplay(
            launch,
            self.dtype,
            (*shapes, *map(torch.Size, begin), *[each.shape for each in stored]),
            len(shapes),
            len(begin),
            tuple([hollow(rows, self.dtype) for rows in written]),
            tuple(launch.sizes.outputs),
            tuple([hollow(rows, self.dtype) for rows in final]),
            wide,
        )

    def bind(
        self,
        parameters: Parameters,
        *,
        batch: int,
        input_size: int,
        shared: Mapping[str, int],
        states: Mapping[str, int],
        begin: Mapping[str, float | Array],
        source: StepKernel | None = None,
        below: Mapping[str, str] | None = None,
        first: StepKernel | None = None,
    ) -> KernelStream:
        with torch.no_grad():
            stored = tuple([self.as_read(tensor.detach()) for tensor in parameters.tensors])
        return KernelStream(
            self.plan.program,
            self.launch_plans,
            Parameters(stored, parameters.pieces),
            batch=batch,
            input_size=input_size,
            shared=shared,
            states=states,
            begin=begin,
            source=source,
            below=below,
            first=first,
        )

    def freeze(self, parameters: Parameters, states: Mapping[str, int]) -> FrozenLlvmKernel:
        with torch.no_grad():
            if not self.is_plain(parameters):
                parameters = Parameters.of(parameters.by_name)
            # Copies: the weights are packed anew for other numbers of rows.
            stored = tuple([self.as_read(each.detach()).clone() for each in parameters.tensors])
        return FrozenLlvmKernel(
            self.plan.program, self.launch_plans, Parameters(stored, parameters.pieces), states
        )

    def explain(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        layout = forward_layout(self.plan, training=False)
        size, most = self.dtype.itemsize, openmp.most_threads()
        shared = share(Work.of(layout, host(), widths, size), steps, most_threads=most)
        in_loop = multiply_adds(layout, "loop", widths)
        outside = sum(multiply_adds(layout, part, widths) for part in ("before", "after"))
        best = limits(self.dtype, in_loop * size)
        peak, bandwidth = (
            shared.threads * each for each in (best.multiply_adds_per_ns, best.bytes_per_ns)
        )
        reading = steps.steps * in_loop * size / bandwidth
        computing = steps.rows * in_loop / peak
        limit = max(reading, computing) + steps.rows * outside / peak
        return [
            f"shared out: {shared.partition}",
            *self._timed(widths, steps),
            f"weights of the loop: {in_loop * size:,} bytes, read once a step",
            f"the machine's limit for the products: {limit / 1e6:,.3f} ms (for each core "
            f"{best.multiply_adds_per_ns:.0f} multiply-adds and {best.bytes_per_ns:.0f} bytes of "
            "such weights in a nanosecond, measured now)",
        ]

    def _timed(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        """Return lines for people: what was seen of calls that could be shared out otherwise."""
        plan = self.launch_plans.known("inference", widths, steps)
        tuner = None if plan is None else plan.tuner
        if tuner is None:
            return []
        if not is_on():
            return ["  not timed: autotune(False)"]
        if tuner.seen is None:
            return ["  the rule is not sure: calls of these sizes without gradients will be timed"]
        ways = [tuner.rule.share.partition, tuner.other().share.partition]
        pairs = zip(ways, tuner.seen, strict=True)
        said = "; ".join(f"{way}, {seconds * 1e3:.3f} ms" for way, seconds in pairs)
        return [f"  timed: {said}; kept: {tuner.kept.share.partition}"]

    def _launch_plan(self, kind: PassKind, call: Call, tensors: Sequence[Tensor]) -> LaunchPlan:
        inputs, memories, _, stored, _ = call.split(tensors)
        read = [each.shape[-1] for each in inputs]
        for memory in memories:
            read += memory.shape[1:]
        read += [call.widths[name] for name in self.states]
        return self.launch_plans.plan(kind, tuple(read), stored, call.pieces, call.steps)

    def _places(self, call: Call, memories: Sequence[Tensor]) -> list[Tensor]:
        """Return how many places each sequence has, for each axis of places.

        Raises:
            ShapeError: there is not one memory for each sequence, or it has not the places that it
                is said to have: machine code would read beside it.
        """
        of_axis: dict[str, Tensor] = {}
        most: dict[str, int] = {}
        for leaf, memory in zip(self.plan.program.memories, memories, strict=True):
            if memory.dim() != 3 or len(memory) != call.steps.batch:
                raise ShapeError(
                    f"{self.plan.program.name}: memory {leaf.name} is {list(memory.shape)}; "
                    f"expected [{call.steps.batch}, {', '.join(leaf.axes)}], one for each sequence."
                )
            axis, places = leaf.axes[0], memory.shape[1]
            counts = call.counts[leaf.name]
            if counts is None:
                counts = torch.full((len(memory),), places, dtype=torch.int64)
            elif not are_counts(counts, len(memory), places):
                raise ShapeError(
                    f"{self.plan.program.name}: memory {leaf.name} has {places} places; expected "
                    f"how many of them each sequence has, [{len(memory)}] whole numbers (int64) on "
                    f"the CPU from 1 to {places}, got {counts}."
                )
            before = of_axis.setdefault(axis, counts)
            alike = before is counts or torch.equal(before, counts)
            if most.setdefault(axis, places) != places or not alike:
                raise ShapeError(
                    f"{self.plan.program.name}: memory {leaf.name} has other places than the "
                    f"memory before it; expected the same, for both have the axis {axis}."
                )
            of_axis[axis] = before.contiguous()
        return [of_axis[axis] for axis in sorted(of_axis)]

    def forward(self, call: Call, tensors: Sequence[Tensor], *, training: bool) -> Passed:
        inputs, memories, start, stored, _ = call.split(tensors)
        places = self._places(call, memories)
        launch = self._launch_plan("training" if training else "inference", call, tensors)
        sizes, like = launch.sizes, inputs[0]
        read = _padded_inputs(launch, call.inputs, inputs) if sizes.padded else inputs
        if memories:
            read = [*read, *_padded_memories(launch, call.counts, memories)]
        written = [new_rows(like, stride) for stride in sizes.written]
        rows = 1, call.steps.batch
        final = [like.new_empty((*rows, call.widths[name])) for name in self.states]
        addresses = [each.data_ptr() for each in (*read, *written, *start, *final)]
        if not start:
            addresses[-len(final) : -len(final)] = [0] * len(final)
        addresses += [each.data_ptr() for each in places]
        invoke(launch, addresses, addresses_of(launch, stored))
        outputs = [
            narrowed(each, width) for each, width in zip(written, sizes.outputs, strict=False)
        ]
        return Passed(outputs, final, written[len(outputs) :])

    def backward(
        self,
        call: Call,
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        inputs, memories, start, stored, taps = call.split(tensors)
        launch = self._launch_plan("backward", call, tensors)
        like = inputs[0]
        strides = launch.sizes.strides
        looked_at = _padded_memories(launch, call.counts, memories)
        places = self._places(call, memories)
        read = [*_padded_inputs(launch, call.inputs, inputs), *looked_at, *kept]
        for name, gradient in zip(self.outputs, gradients, strict=False):
            stride = strides.get(ArrayKey("upstream", name))
            if stride is not None:
                read.append(
                    like.new_zeros((call.steps.rows, stride))
                    if gradient is None
                    else self.as_read(gradient, stride)
                )
        of_final = [
            None if each is None else self.as_read(each) for each in gradients[len(self.outputs) :]
        ]
        of_input = [new_rows(like, strides[ArrayKey("output", name)]) for name in call.inputs]
        of_memory = [torch.zeros_like(each) for each in looked_at]  # to which steps add
        of_tap = {
            name: new_rows(like, strides[key])
            for name in call.taps
            if (key := ArrayKey("output", name)) in strides
        }
        of_start = [torch.empty_like(each) for each in start]
        need_inputs, _, _, need_stored, need_taps = call.split(needed)
        inputs_wanted = any(need_inputs) or any(need_taps)
        of_stored = [
            torch.empty_like(each) if need else None
            for each, need in zip(stored, need_stored, strict=True)
        ]
        invoke(
            launch,
            [
                *[each.data_ptr() for each in read],
                *[each.data_ptr() for each in (*of_input, *of_memory, *of_tap.values())],
                *[0 if each is None else each.data_ptr() for each in of_final],
                # A final state that nobody wants to know is marked by -1.
                *([each.data_ptr() for each in of_start] or [-1] * len(self.states)),
                *[each.data_ptr() for each in places],
            ],
            addresses_of(launch, stored)
            + tuple([0 if each is None else each.data_ptr() for each in of_stored]),
            inputs_wanted=inputs_wanted,
        )
        of_read = zip((*of_input, *of_memory), (*inputs, *memories), strict=True)
        results: list[Tensor | None] = [narrowed(each, whole.shape[-1]) for each, whole in of_read]
        results += [*of_start, *of_stored]
        for name, tap in zip(call.taps, taps, strict=True):
            # What nothing depends on has no gradient in the plan.
            arrived = of_tap.get(name)
            results.append(
                torch.zeros_like(tap) if arrived is None else narrowed(arrived, tap.shape[-1])
            )
        return [each if need else None for each, need in zip(results, needed, strict=True)]


def _padded_inputs(
    launch: LaunchPlan, names: Sequence[str], inputs: Sequence[Tensor]
) -> list[Tensor]:
    """Return inputs as the pass reads them: padded only where vectors of them are read."""
    strides = launch.sizes.padded
    return [
        padded(each, strides[name]) if name in strides else each
        for name, each in zip(names, inputs, strict=True)
    ]


def _padded_memories(
    launch: LaunchPlan, names: Iterable[str], memories: Sequence[Tensor]
) -> list[Tensor]:
    """Return memories with the vector of each place padded."""
    strides = launch.sizes.strides
    return [
        padded(each, strides[ArrayKey("memory", name)] // each.shape[1])
        for name, each in zip(names, memories, strict=True)
    ]
