"""Depth and directions: a kernel run over a stack of layers, with dropout between them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout

from conveyor.compiler.regularise import Mask
from conveyor.kernels.kernel import InitialState, Kernel, Values
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps
from conveyor.layers.lengths import Ragged
from conveyor.layers.masks import drawn, once
from conveyor.layers.segments import in_segments

# For each layer and in it for each direction.
StackParameters = Sequence[Sequence[Parameters]]


class Level(NamedTuple):
    """How one layer is run. ``masks`` are drawn for each direction; ``below`` are further inputs,
    each with the output of the layer below that it is."""

    kernel: Kernel
    masks: tuple[Mask, ...] = ()
    below: tuple[tuple[str, str], ...] = ()


class Stack(NamedTuple):
    """How the layers of a stack are run: the first as the first of ``levels``, all others as the
    last. ``input`` and ``output`` are the cell's names of what it reads and of what the next layer
    reads; ``dropout`` is a probability; ``checkpoint`` says how many steps at a time are computed
    again on the way back, see ``in_segments``. ``sizes`` are the widths of the masks' axes;
    ``variational`` is the probability of dropping a feature of a layer's input at all steps;
    ``merge`` says what becomes of both directions, see ``merged``."""

    levels: tuple[Level, ...]
    input: str
    output: str
    dropout: float
    training: bool
    checkpoint: bool | int = False
    variational: float = 0.0
    sizes: Mapping[str, int] = {}
    merge: str = "concatenate"

    def _inputs(self, level: Level, x: Tensor, below: Values, steps: Steps) -> Values:
        """What a layer's cell reads: x, what the layer below gives besides, and masks."""
        if not level.masks and not self.variational and not level.below:
            return {self.input: x}
        if self.variational and self.training:
            x = once(x, steps, self.variational)
        more = {name: below[output] for name, output in level.below}
        return {self.input: x, **more, **drawn(level.masks, x, steps, self.sizes)}

    def _between(self, layer: int, layers: int, reads: list[Tensor]) -> list[Tensor]:
        """What the directions of the next layer read, some of it dropped."""
        # Rows have no padding: only steps that count draw a random number, as in torch's packed
        # sequences.
        if self.dropout == 0 or layer == layers - 1:
            return reads
        return dropped(reads, self.dropout, self.training)

    def sequence(
        self,
        x: Tensor,
        start: InitialState,
        parameters: StackParameters,
        *,
        steps: Steps,
        ragged: Ragged | None,
        fresh: Mapping[str, Tensor] | None,
        observe: bool,
    ) -> tuple[Tensor, Values, dict[tuple[int, bool], Values]]:
        """Run all steps.

        Args:
            x: [rows, I], or [T, B, I] if no sequence is shorter.
            start: by state, [layers * directions, B, width], as is ``fresh``, which is what a
                reset goes back to; ``fresh`` is given where a batch is ragged by resets.
            ragged: how the rows came from a padded batch, if they did.

        Returns:
            The last layer's output, as ``x`` but as wide as all directions; the final state as
            ``start``; what was observed, by layer and whether it is the reverse direction.
        """
        finals: dict[str, list[Tensor]] = {name: [] for name in start.widths}
        observed: dict[tuple[int, bool], Values] = {}
        row = 0
        below: list[Values] = [{} for _ in parameters[0]]
        reads = [x] * len(parameters[0])
        for layer, directions in enumerate(parameters):
            level = self.levels[min(layer, len(self.levels) - 1)]
            outputs = []
            for number, own in enumerate(directions):
                reverse = number > 0
                begin = start
                if start.values is not None:
                    given = at_row(start.values, row)
                    if ragged is not None:
                        again = None
                        if fresh is not None:
                            again = at_row(fresh, row)
                        given = ragged.begin(given, again, reverse)
                    begin = InitialState(start.widths, given)
                there = steps.reversed if reverse else steps
                if self.checkpoint and torch.is_grad_enabled():
                    unrolled = in_segments(
                        level.kernel,
                        self._inputs(level, reads[number], below[number], there),
                        self.output,
                        begin,
                        own,
                        steps=there,
                        length=self.checkpoint,
                    )
                else:
                    unrolled = level.kernel.sequence(
                        self._inputs(level, reads[number], below[number], there),
                        begin,
                        own,
                        steps=there,
                        observe=observe,
                    )
                below[number] = unrolled.outputs
                outputs.append(unrolled.outputs[self.output])
                observed[layer, reverse] = unrolled.observed
                final = unrolled.final
                if ragged is not None:
                    final = ragged.end(final, reverse)
                for name, each in final.items():
                    finals[name].append(each)
                row += 1
            reads = merged(outputs, self.merge, top=layer == len(parameters) - 1)
            reads = self._between(layer, len(parameters), reads)
        return reads[0], stacked(finals), observed

    def step(
        self, x: Tensor, state: InitialState, parameters: StackParameters
    ) -> tuple[Tensor, Values]:
        """Run one step on [B, I]; ``state`` is by name [layers, B, width]. One direction only."""
        finals: dict[str, list[Tensor]] = {name: [] for name in state.widths}
        outputs: Values = {}
        for layer, (own,) in enumerate(parameters):
            level = self.levels[min(layer, len(self.levels) - 1)]
            before = state
            if state.values is not None:
                before = InitialState(state.widths, at_row(state.values, layer))
            inputs = self._inputs(level, x, outputs, Steps.dense(1, x.shape[0]))
            outputs, after = level.kernel.step(inputs, before, own)
            x = self._between(layer, len(parameters), [outputs[self.output]])[0]
            for name, each in after.items():
                finals[name].append(each)
        return x, stacked(finals)


MERGES = ("concatenate", "sum", "separate")


def merged(outputs: list[Tensor], merge: str, *, top: bool) -> list[Tensor]:
    """What each direction of the layer above reads of both directions' outputs: both side by side,
    their sum, or each its own. On ``top`` of the stack that is the stack's output."""
    if len(outputs) == 1:
        return outputs
    if merge == "sum":
        return [outputs[0] + outputs[1]] * 2
    if merge == "separate" and not top:
        return outputs
    return [torch.cat(outputs, -1)] * 2


def dropped(reads: list[Tensor], rate: float, training: bool) -> list[Tensor]:
    """What directions read, some of it dropped: the same where they read the same."""
    first = dropout(reads[0], rate, training)
    others = [first if each is reads[0] else dropout(each, rate, training) for each in reads[1:]]
    return [first, *others]


def at_row(states: Mapping[str, Tensor], row: int) -> Values:
    """One layer's states in one direction, [1, B, width]."""
    return {name: each if len(each) == 1 else each[row : row + 1] for name, each in states.items()}


def stacked(finals: Mapping[str, list[Tensor]]) -> Values:
    """States of all layers and directions, [layers * directions, B, width]."""
    return {name: each[0] if len(each) == 1 else torch.cat(each) for name, each in finals.items()}
