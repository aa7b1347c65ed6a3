"""A layer's call without gradients, made again.

For a small network on short sequences most of a call's time goes into finding out how it is to be
run. A layer keeps what it found out, by all that this depends on.
"""

from collections.abc import Hashable
from typing import NamedTuple

import torch
from torch import Tensor

from conveyor.kernels.kernel import InitialState, Replay, Values
from conveyor.kernels.select import how_chosen
from conveyor.kernels.steps import Steps
from conveyor.layers.stack import Stack, StackParameters, at_row, merged, stacked

# A program that calls a layer with ever other shapes shall not fill memory.
MOST = 64


class StackAgain(NamedTuple):
    """The passes of all layers and directions."""

    passes: tuple[tuple[Replay, ...], ...]
    merge: str

    @staticmethod
    def key(x: Tensor, start: InitialState, dropout: float) -> Hashable:
        """What they depend on, besides what each looks at itself. ``dropout`` is that between
        layers, 0 in evaluation."""
        started = start.values is not None
        return x.shape, x.dtype, started, dropout, how_chosen()

    @staticmethod
    def of(
        stack: Stack, x: Tensor, start: InitialState, parameters: StackParameters, steps: Steps
    ) -> "StackAgain | None":
        """Of a call on these tensors; None where there is more to do than to run passes."""
        kernel = stack.levels[0].kernel
        if len(stack.levels) > 1:
            return None
        if stack.dropout and stack.training:
            return None
        shape, layers = x.shape, []
        both = stack.merge == "concatenate"
        for directions in parameters:
            passes = []
            for number, own in enumerate(directions):
                there = steps.reversed if number else steps
                found = kernel.replay(
                    shape, start.widths, own, there, started=start.values is not None
                )
                if found is None:
                    return None
                passes.append(found)
            layers.append(tuple(passes))
            shape = torch.Size((*shape[:-1], passes[0].width * (len(passes) if both else 1)))
        return StackAgain(tuple(layers), stack.merge)

    def run(
        self, x: Tensor, start: InitialState, parameters: StackParameters
    ) -> tuple[Tensor, Values] | None:
        """What ``Stack.sequence`` gives, but nothing observed; None if a tensor is not as those
        that this was made for."""
        names, given = tuple(start.widths), start.values
        finals: list[list[Tensor]] = []
        reads = [x] * len(self.passes[0])
        for number, (passes, directions) in enumerate(zip(self.passes, parameters, strict=True)):
            outputs = []
            for read, again, own in zip(reads, passes, directions, strict=True):
                begin = () if given is None else at_row(given, len(finals)).values()
                found = again([read, *begin, *own.tensors])
                if found is None:
                    return None
                outputs.append(found[0])
                finals.append(found[1])
            top = number == len(parameters) - 1
            reads = merged(outputs, self.merge, top=top)
        if len(finals) == 1:  # a small net, where a microsecond counts
            return reads[0], dict(zip(names, finals[0], strict=True))
        by_name = zip(names, zip(*finals, strict=True), strict=True)
        return reads[0], stacked({name: list(each) for name, each in by_name})
