"""A call with a trace: what a layer's cells computed inside, where gradients arrive at it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from conveyor.compiler.observe import taps
from conveyor.compiler.plan import Plan
from conveyor.compiler.program import Program
from conveyor.errors import TargetError
from conveyor.kernels.kernel import Values
from conveyor.kernels.pieces import Parameters
from conveyor.layers.places import number_of_places
from conveyor.layers.request import Request
from conveyor.layers.stack import Observed, Stack, StackParameters
from conveyor.layers.trace_gradients import DrawnNumbers, traced_tensors

if TYPE_CHECKING:
    from conveyor.layers.sequence import SequenceLayer


class _Sources(NamedTuple):
    """All tensors that a call reads.

    Args:
        request: the call.
        fresh: the state that a reset goes back to, if there are resets.
        parameters: of each layer and direction.
    """

    request: Request
    fresh: Values | None
    parameters: StackParameters

    @staticmethod
    def of_call(
        layer: "SequenceLayer", request: Request, parameters: StackParameters
    ) -> "_Sources":
        """Return what a call reads."""
        fresh = layer._fresh(request.x, request.x.shape[1]) if request.resets else None
        return _Sources(request, fresh, parameters)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors in a list."""
        request = self.request
        return [
            request.x,
            *request.shared.values(),
            *(request.start.values or {}).values(),
            *[memory.values for memory in request.start.memories.values()],
            *(self.fresh or {}).values(),
            *[each for row in self.parameters for one in row for each in one.tensors],
        ]

    def of(self, tensors: Sequence[Tensor]) -> "_Sources":
        """Return the same call on other tensors."""
        rest = iter(tensors)
        x = next(rest)
        shared = {name: next(rest) for name in self.request.shared}
        start = self.request.start
        if start.values is not None:
            start = start._replace(values={name: next(rest) for name in start.values})
        if start.memories:
            start = start._replace(
                memories={n: each._replace(values=next(rest)) for n, each in start.memories.items()}
            )
        fresh = None if self.fresh is None else {name: next(rest) for name in self.fresh}
        parameters = [
            [Parameters(tuple([next(rest) for _ in one.tensors]), one.pieces) for one in row]
            for row in self.parameters
        ]
        request = self.request._replace(x=x, shared=shared, start=start)
        return _Sources(request, fresh, parameters)

    def run(
        self,
        stack: Stack,
        *,
        observe: bool,
        added: Mapping[tuple[int, bool], Values] | None = None,
    ) -> tuple[Values, Values, Observed]:
        """Run the call, see ``Stack.sequence``."""
        request = self.request
        return stack.sequence(
            request.rows,
            request.shared_rows,
            request.start,
            self.parameters,
            steps=request.steps,
            ragged=request.ragged,
            fresh=self.fresh,
            observe=observe,
            added=added,
        )


def traced_call(
    layer: "SequenceLayer", request: Request, parameters: StackParameters, *, gradients: bool
) -> tuple[Values, Values, Observed]:
    """Return the outputs, the final states and what was observed, laid out as the caller sees it.

    Args:
        layer: which was called.
        request: the call.
        parameters: of each layer and direction.
        gradients: whether what is observed must lie on the way to the output.

    Raises:
        TargetError: it must, and cannot under ``torch.func`` or where operations are recorded.
    """
    sources = _Sources.of_call(layer, request, parameters)
    if not gradients:
        return _observed(layer, sources)
    if layer._placement(request.x).transformed or layer._recorded():
        raise TargetError(
            "trace='gradient' works in eager calls, not under torch.func, forward-mode gradients "
            "or where operations are recorded. Use trace=True there."
        )
    if not torch.is_grad_enabled() or not any(each.requires_grad for each in sources.tensors):
        return _observed(layer, sources)
    return _differentiated(layer, sources)


def observed_call(
    layer: "SequenceLayer", request: Request, change: Callable[[Plan], Plan]
) -> Observed:
    """Return what is observed of a call in which every layer runs another plan, laid out as the
    caller sees it.

    Args:
        layer: which is called.
        request: the call.
        change: of every plan, the one to run in its place.
    """
    sources = _Sources.of_call(layer, request, layer._parameters_now())
    return _observed(layer, sources, change)[2]


def _observed(
    layer: "SequenceLayer", sources: _Sources, change: Callable[[Plan], Plan] | None = None
) -> tuple[Values, Values, Observed]:
    """Run the call and observe it: the values depend on what it reads, and nothing on them."""
    request = sources.request
    stack = layer._stack(request.x, sources.parameters, observed=True, change=change)
    outputs, final, observed = sources.run(stack, observe=True)
    laid_out = {
        where: {name: request.laid_out(each) for name, each in values.items()}
        for where, values in observed.items()
    }
    return outputs, final, laid_out


def _differentiated(layer: "SequenceLayer", sources: _Sources) -> tuple[Values, Values, Observed]:
    """Run the call so that gradients arrive at what is observed, see ``trace_gradients``."""
    request = sources.request
    numbers = DrawnNumbers.now(request.x.device) if layer._drops else None

    def same_draws() -> AbstractContextManager[None]:
        return nullcontext() if numbers is None else numbers.drawn_again()

    # The tap of each local name, by layer and direction. Names of one value share it, and become
    # one tensor.
    inputs: dict[tuple[int, bool], dict[str, str]] = {}
    widths: dict[tuple[tuple[int, bool], str], int] = {}

    places = number_of_places(request.start.memories, layer.plan.program)
    for number, width in enumerate(layer._widths_read()):
        program, sizes = _program(layer, number), {**layer._sizes(), **places, "I": width}
        local, axes = program.values_of("local"), program.axes
        for where in [(number, direction > 0) for direction in range(layer._directions)]:
            inputs[where] = taps(program)
            for name, tap in inputs[where].items():
                widths[where, tap] = prod([sizes[axis] for axis in axes[local[name]]])

    if not widths:  # the cell has no name at which a gradient could arrive
        return _observed(layer, sources)

    def observe(tensors: Sequence[Tensor]) -> list[Tensor]:
        with same_draws():
            again = _observed(layer, sources.of(tensors))[2]
        of_inputs = {
            (where, tap): again[where][name]
            for where, by_name in inputs.items()
            for name, tap in by_name.items()
        }
        return [of_inputs[key] for key in widths]

    nothing = request.laid_out(request.rows.new_empty((*request.rows.shape[:-1], 0)))
    shapes = [(*nothing.shape[:-1], width) for width in widths.values()]
    tensors, zeros = traced_tensors(request.rows, shapes, observe, sources.tensors)
    added: dict[tuple[int, bool], Values] = {where: {} for where in inputs}
    for (where, tap), zero in zip(widths, zeros, strict=True):
        added[where][tap] = request.rows_of(zero)
    stack = layer._stack(request.x, sources.parameters, observed=True, change=attrgetter("tapped"))
    outputs, final, observed = sources.run(stack, observe=True, added=added)
    traced = dict(zip(widths, tensors, strict=True))
    laid_out: Observed = {where: {} for where in observed}
    filled = set[tuple[tuple[int, bool], str]]()
    for where, by_name in observed.items():
        for name, value in by_name.items():
            if name not in inputs[where]:
                laid_out[where][name] = request.laid_out(value.detach())
                continue
            key = where, inputs[where][name]
            laid_out[where][name] = traced[key]
            if key not in filled:
                traced[key].data = request.laid_out(value.detach())
                filled.add(key)
    return outputs, final, laid_out


def _program(layer: "SequenceLayer", number: int) -> Program:
    """Return the program that a layer runs now."""
    plans = layer._plans[number]
    return (plans.training if layer._draws else plans.inference).program
