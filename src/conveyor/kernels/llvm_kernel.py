"""Machine code as a kernel of torch: tensors in, tensors out, gradients by the plan's way back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conveyor.compiler.observe import MARK, observed
from conveyor.compiler.plan import Plan, plan
from conveyor.errors import ShapeError, TargetError
from conveyor.kernels import openmp
from conveyor.kernels.gradients import gradients_of, must_see_all
from conveyor.kernels.llvm_again import Again
from conveyor.kernels.llvm_compile import Compiled, Way
from conveyor.kernels.llvm_layout import forward_layout
from conveyor.kernels.llvm_limits import limits
from conveyor.kernels.llvm_machine import host
from conveyor.kernels.llvm_recipe import MOST_RECIPES, Recipe, Recipes
from conveyor.kernels.llvm_run import addresses_of, call
from conveyor.kernels.llvm_share import Work, multiply_adds, share
from conveyor.kernels.memory import LARGE, check_memory, has_memory, is_ready, narrowed, new_rows
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Parameters, Pieces, Start, Unrolled, Values, is_plain


class _Call(NamedTuple):
    """One call's names, and how its tensors stand in a row: inputs, start, parameters. There
    is no start where all states begin with zeros; ``widths`` are theirs."""

    kernel: "LlvmKernel"
    steps: Steps
    inputs: tuple[str, ...]
    start: tuple[str, ...]
    widths: Mapping[str, int]
    pieces: Pieces

    def split(
        self, tensors: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """Inputs, start, stored parameters."""
        one, two = len(self.inputs), len(self.inputs) + len(self.start)
        return tensors[:one], tensors[one:two], tensors[two:]


class _Sequence(torch.autograd.Function):
    """The way forward, and back."""

    @staticmethod
    def forward(ctx: Any, own: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs, final, kept = own.kernel.forward(own, tensors, training=True)
        ctx.own = own
        ctx.save_for_backward(*tensors, *kept)
        ctx.count = len(tensors)
        ctx.shapes = [tensor.shape for tensor in (*tensors, *kept)]
        ctx.addresses = [tensor.data_ptr() for tensor in (*tensors, *kept)]
        ctx.set_materialize_grads(False)
        return (*outputs, *final)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        own: _Call = ctx.own
        saved = ctx.saved_tensors
        # Another address: put there through .data, or by a hook of saved tensors.
        if not _stand_at(saved, ctx.addresses):
            saved = own.kernel.reread(saved, ctx.shapes)
        tensors, kept = saved[: ctx.count], saved[ctx.count :]
        needed = ctx.needs_input_grad[1:]
        if must_see_all(gradients):
            return (None, *_by_reference(own, tensors, gradients, needed))
        return (None, *own.kernel.backward(own, tensors, kept, gradients, needed))


def _by_reference(
    own: _Call,
    tensors: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients that are differentiable themselves, by the reference target."""
    with torch.enable_grad():
        inputs, start, stored = own.split(tensors)
        unrolled = ReferenceKernel(own.kernel.plan).sequence(
            dict(zip(own.inputs, inputs, strict=True)),
            Start(own.widths, dict(zip(own.start, start, strict=True)) or None),
            Parameters(tuple(stored), own.pieces),
            steps=own.steps,
            observe=False,
        )
        results = (*unrolled.outputs.values(), *unrolled.final.values())
        return gradients_of(results, gradients, tensors, needed, create_graph=True)


@dataclass(frozen=True)
class LlvmKernel:
    """A plan as machine code for numbers of one type."""

    plan: Plan
    dtype: torch.dtype

    @cached_property
    def recipes(self) -> Recipes:
        """What calls of the compiled passes need."""
        return Recipes(Compiled(self.plan, self.dtype))

    @cached_property
    def _observing(self) -> "LlvmKernel":
        """The kernel of the same cell whose every local name is an output."""
        return LlvmKernel(plan(observed(self.plan.program)), self.dtype)

    def as_read(self, tensor: Tensor, stride: int | None = None) -> Tensor:
        """Return a tensor as machine code reads it: contiguous numbers in memory.

        Args:
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
            return _padded(tensor, stride)
        return tensor if tensor.is_contiguous() else tensor.contiguous()

    def reread(self, saved: Sequence[Tensor], shapes: Sequence[torch.Size]) -> list[Tensor]:
        """Return what was saved for the backward pass as machine code reads it.

        Raises:
            ShapeError: a tensor has another shape than in the forward pass.
        """
        for tensor, shape in zip(saved, shapes, strict=True):
            if tensor.shape != shape:
                raise ShapeError(
                    f"{self.plan.program.name}: a tensor that the backward pass reads is "
                    f"{list(tensor.shape)}; expected {list(shape)}, as in the forward pass."
                )
        return [self.as_read(tensor) for tensor in saved]

    def _plain(self, parameters: Parameters) -> bool:
        """Return whether the stored tensors are the parameters' rows and nothing else, so that
        code can read them and write their gradients in place. It is found out once for each way
        of storing; tensors of another height raise where their sizes are worked out."""
        pieces = parameters.pieces
        known = self._known_plain.get(id(pieces))
        if known is None or known[0] is not pieces:
            if len(self._known_plain) > MOST_RECIPES:
                self._known_plain.clear()
            known = pieces, is_plain(parameters)
            self._known_plain[id(pieces)] = known
        return known[1]

    @cached_property
    def _known_plain(self) -> dict[int, tuple[object, bool]]:
        return {}

    @cached_property
    def _inputs(self) -> tuple[str, ...]:
        return tuple(leaf.name for leaf in self.plan.program.leaves_of("input"))

    @cached_property
    def _outputs(self) -> tuple[str, ...]:
        return tuple(self.plan.program.values_of("output"))

    @cached_property
    def _states(self) -> tuple[str, ...]:
        return tuple(leaf.name.removesuffix("'") for leaf in self.plan.program.states)

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: Start,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        if steps.rows == 0:  # nothing to compute, but shapes and gradients there must be
            return ReferenceKernel(self.plan).sequence(
                inputs, start, parameters, steps=steps, observe=observe
            )
        if observe:
            return self._observe(inputs, start, parameters, steps)
        if not self._plain(parameters):
            parameters = Parameters.of(parameters.by_name)
        begin = start.values
        states = () if begin is None else self._states
        tensors = [
            *[inputs[name] for name in self._inputs],
            *[begin[name] for name in states if begin is not None],
            *parameters.tensors,
        ]
        for number, tensor in enumerate(tensors):
            if is_ready(tensor, self.dtype):
                continue
            if tensor.layout is torch.strided and not has_memory(tensor):
                return ReferenceKernel(self.plan).sequence(
                    inputs, start, parameters, steps=steps, observe=observe
                )
            tensors[number] = self.as_read(tensor)
        for tensor in tensors[: -len(parameters.tensors) or None]:
            check_memory(tensor)  # that of parameters is looked at where they are called with
        own = _Call(self, steps, self._inputs, states, start.widths, parameters.pieces)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            results = _Sequence.apply(own, *tensors)  # type: ignore[no-untyped-call]
            outputs, final = results[: len(self._outputs)], results[len(self._outputs) :]
        else:
            outputs, final, _ = self.forward(own, tensors, training=False)
        return Unrolled(
            dict(zip(self._outputs, outputs, strict=True)),
            dict(zip(self._states, final, strict=True)),
            {},
        )

    def again(
        self,
        shape: torch.Size,
        widths: Mapping[str, int],
        parameters: Parameters,
        steps: Steps,
        *,
        started: bool,
    ) -> Again | None:
        """How a pass without gradients over an input of this shape is made, with states before it
        or from zeros; None where there is more to do than to run it."""
        if len(self._inputs) > 1 or steps.rows == 0 or not self._plain(parameters):
            return None
        stored = parameters.tensors
        read = (shape[-1], *[widths[name] for name in self._states])
        recipe = self.recipes.recipe("inference", read, stored, parameters.pieces, steps)
        made = tuple([(*shape[:-1], stride) for stride in recipe.sizes.made])
        most = max([math.prod(each) for each in made]) * self.dtype.itemsize
        if recipe.sizes.padded or most >= LARGE:
            return None
        final = [(1, steps.batch, widths[name]) for name in self._states]
        begin = final if started else []
        return Again(
            recipe,
            self.dtype,
            (shape, *map(torch.Size, begin), *[each.shape for each in stored]),
            len(begin),
            made,
            recipe.sizes.outputs[0],
            tuple(final),
        )

    def _observe(
        self,
        inputs: Mapping[str, Tensor],
        start: Start,
        parameters: Parameters,
        steps: Steps,
    ) -> Unrolled:
        whole = self._observing.sequence(inputs, start, parameters, steps=steps, observe=False)
        outputs = {name: whole.outputs[name] for name in self._outputs}
        names = self.plan.program.values_of("local")
        local = {name: whole.outputs[f"{name}{MARK}"] for name in names}
        return Unrolled(outputs, whole.final, local)

    def step(
        self,
        inputs: Mapping[str, Tensor],
        state: Start,
        parameters: Parameters,
    ) -> tuple[Values, Values]:
        rows = len(next(iter(inputs.values())))
        steps = Steps.dense(1, rows)
        unrolled = self.sequence(inputs, state, parameters, steps=steps, observe=False)
        return unrolled.outputs, unrolled.final

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
            f"weights of the loop: {in_loop * size:,} bytes, read once a step",
            f"the machine's limit for the products: {limit / 1e6:,.3f} ms (for each core "
            f"{best.multiply_adds_per_ns:.0f} multiply-adds and {best.bytes_per_ns:.0f} bytes of "
            "such weights in a nanosecond, measured now)",
        ]

    def _recipe(
        self, way: Way, own: _Call, inputs: Sequence[Tensor], stored: Sequence[Tensor]
    ) -> Recipe:
        read = [each.shape[-1] for each in inputs]
        read += [own.widths[name] for name in self._states]
        return self.recipes.recipe(way, tuple(read), stored, own.pieces, own.steps)

    def forward(
        self, own: _Call, tensors: Sequence[Tensor], *, training: bool
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Outputs, final states, and with ``training`` what the way back reads."""
        inputs, start, stored = own.split(tensors)
        recipe = self._recipe("training" if training else "inference", own, inputs, stored)
        sizes, like = recipe.sizes, inputs[0]
        given = _padded_inputs(recipe, own.inputs, inputs) if sizes.padded else inputs
        made = [new_rows(like, stride) for stride in sizes.made]
        rows = 1, own.steps.batch
        final = [like.new_empty((*rows, own.widths[name])) for name in self._states]
        addresses = [each.data_ptr() for each in (*given, *made, *start, *final)]
        if not start:
            addresses[-len(final) : -len(final)] = [0] * len(final)
        call(recipe, addresses, addresses_of(recipe, stored))
        outputs = [narrowed(each, width) for each, width in zip(made, sizes.outputs, strict=False)]
        return outputs, final, made[len(outputs) :]

    def backward(
        self,
        own: _Call,
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        """The gradient of every tensor of a call; None where it is not needed."""
        inputs, start, stored = own.split(tensors)
        recipe = self._recipe("backward", own, inputs, stored)
        like = inputs[0]
        strides = recipe.sizes.strides
        given = [*_padded_inputs(recipe, own.inputs, inputs), *kept]
        for name, gradient in zip(self._outputs, gradients, strict=False):
            array = f"in:∂{name}@out"
            if array in strides:
                stride = strides[array]
                given.append(
                    like.new_zeros((own.steps.rows, stride))
                    if gradient is None
                    else self.as_read(gradient, stride)
                )
        of_final = [
            None if each is None else self.as_read(each) for each in gradients[len(self._outputs) :]
        ]
        want_inputs = any(needed[: len(inputs)])
        of_input = [new_rows(like, strides[f"out:{name}"]) for name in own.inputs]
        of_start = [torch.empty_like(each) for each in start]
        need_stored = needed[len(inputs) + len(start) :]
        of_stored = [
            torch.empty_like(each) if need else None
            for each, need in zip(stored, need_stored, strict=True)
        ]
        call(
            recipe,
            [
                *[each.data_ptr() for each in given],
                *[each.data_ptr() for each in of_input],
                *[0 if each is None else each.data_ptr() for each in of_final],
                # A final state that nobody wants to know is marked by -1.
                *([each.data_ptr() for each in of_start] or [-1] * len(self._states)),
            ],
            addresses_of(recipe, stored)
            + tuple([0 if each is None else each.data_ptr() for each in of_stored]),
            inputs_wanted=want_inputs,
        )
        found: list[Tensor | None] = [
            narrowed(each, whole.shape[-1]) for each, whole in zip(of_input, inputs, strict=True)
        ]
        found += [*of_start, *of_stored]
        return [each if need else None for each, need in zip(found, needed, strict=True)]


def _stand_at(saved: Sequence[Tensor], addresses: Sequence[int]) -> bool:
    """Return whether tensors are at these addresses."""
    try:
        return [tensor.data_ptr() for tensor in saved] == addresses
    except RuntimeError:  # of a tensor that has none
        return False


def _padded(values: Tensor, stride: int) -> Tensor:
    """Rows of so many numbers, of rows of fewer."""
    missing = stride - values.shape[-1]
    return values if not missing else torch.nn.functional.pad(values, (0, missing))


def _padded_inputs(recipe: Recipe, names: Sequence[str], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Inputs as the pass reads them: padded only where vectors of them are read."""
    strides = recipe.sizes.padded
    return [
        _padded(each, strides[name]) if name in strides else each
        for name, each in zip(names, inputs, strict=True)
    ]
