"""Depth and directions: a kernel run over a stack of layers, with dropout between them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.utils.checkpoint import checkpoint

from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Kernel, Parameters, Start, Unrolled, Values
from conveyor.layers.lengths import Ragged

# For each layer and in it for each direction.
StackParameters = Sequence[Sequence[Parameters]]


class Stack(NamedTuple):
    """How the layers of a stack are run. ``input`` and ``output`` are the cell's names of what
    it reads and of what the next layer reads; ``dropout`` is a probability; ``checkpoint`` says
    how many steps at a time are computed again on the way back, True for the root of T."""

    kernel: Kernel
    input: str
    output: str
    dropout: float
    training: bool
    checkpoint: bool | int = False

    def _between(self, layer: int, layers: int, values: Tensor) -> Tensor:
        # Rows have no padding: only steps that count draw a random number, as in torch's packed
        # sequences.
        if self.dropout == 0 or layer == layers - 1:
            return values
        return dropout(values, self.dropout, self.training)

    def sequence(
        self,
        x: Tensor,
        start: Start,
        parameters: StackParameters,
        *,
        steps: Steps,
        ragged: Ragged | None,
        fresh: Mapping[str, Tensor] | None,
        observe: bool,
    ) -> tuple[Tensor, Values, dict[tuple[int, bool], Values]]:
        """Run all steps.

        Args:
            x: [rows, I].
            start: by state, [layers * directions, B, width], as is ``fresh``, which is what a
                reset goes back to; ``fresh`` is given where a batch is ragged by resets.
            ragged: how the rows came from a padded batch, if they did.

        Returns:
            The last layer's output [rows, directions * width]; the final state as ``start``;
            what was observed, by layer and whether it is the reverse direction.
        """
        finals: dict[str, list[Tensor]] = {name: [] for name in start.widths}
        observed: dict[tuple[int, bool], Values] = {}
        row = 0
        for layer, directions in enumerate(parameters):
            outputs = []
            for number, own in enumerate(directions):
                reverse = number > 0
                begin = start
                if start.values is not None:
                    given = {name: each[row] for name, each in start.values.items()}
                    if ragged is not None:
                        again = None
                        if fresh is not None:
                            again = {name: each[row] for name, each in fresh.items()}
                        given = ragged.begin(given, again, reverse)
                    begin = Start(start.widths, given)
                there = steps.reversed if reverse else steps
                if self.checkpoint and torch.is_grad_enabled() and not observe:
                    unrolled = self._in_segments(x, begin, own, there)
                else:
                    unrolled = self.kernel.sequence(
                        {self.input: x}, begin, own, steps=there, observe=observe
                    )
                outputs.append(unrolled.outputs[self.output])
                observed[layer, reverse] = unrolled.observed
                final = unrolled.final
                if ragged is not None:
                    final = ragged.end(final, reverse)
                for name, each in final.items():
                    finals[name].append(each)
                row += 1
            x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
            x = self._between(layer, len(parameters), x)
        return x, stacked(finals), observed

    def _in_segments(
        self, x: Tensor, start: Start, parameters: Parameters, steps: Steps
    ) -> Unrolled:
        """Run some steps at a time and keep only the states between: the way back computes each
        segment again (Chen et al. 2016, Training deep nets with sublinear memory cost)."""
        length = math.isqrt(steps.steps) if self.checkpoint is True else int(self.checkpoint)
        cuts = list(range(0, steps.steps, max(1, length)))
        segments = [slice(a, b) for a, b in zip(cuts, [*cuts[1:], steps.steps], strict=True)]
        states = tuple(start.tensors(steps.batch, x).values())
        counts = steps.in_time[1].tolist()
        rows = torch.split(x, [sum(counts[segment]) for segment in segments])
        parts: list[Tensor] = []

        def run(read: Tensor, own: Steps, *before: Tensor) -> tuple[Tensor, ...]:
            begin = Start(start.widths, dict(zip(start.widths, before, strict=True)))
            unrolled = self.kernel.sequence(
                {self.input: read}, begin, parameters, steps=own, observe=False
            )
            return unrolled.outputs[self.output], *unrolled.final.values()

        order = list(zip(segments, rows, strict=True))
        for segment, read in order[::-1] if steps.reverse else order:
            own = None if steps.counts is None else steps.counts[segment]
            these = Steps(segment.stop - segment.start, steps.batch, own, steps.reverse)
            output, *last = checkpoint(
                run, read, these, *states, use_reentrant=False, preserve_rng_state=False
            )
            parts.append(output)
            states = tuple(last)
        whole = torch.cat(parts[::-1] if steps.reverse else parts)
        return Unrolled({self.output: whole}, dict(zip(start.widths, states, strict=True)), {})

    def step(self, x: Tensor, state: Start, parameters: StackParameters) -> tuple[Tensor, Values]:
        """Run one step on [B, I]; ``state`` is by name [layers, B, width]. One direction only."""
        finals: dict[str, list[Tensor]] = {name: [] for name in state.widths}
        for layer, (own,) in enumerate(parameters):
            before = state
            if state.values is not None:
                values = {name: each[layer] for name, each in state.values.items()}
                before = Start(state.widths, values)
            outputs, after = self.kernel.step({self.input: x}, before, own)
            x = self._between(layer, len(parameters), outputs[self.output])
            for name, each in after.items():
                finals[name].append(each)
        return x, stacked(finals)


def stacked(finals: Mapping[str, list[Tensor]]) -> Values:
    """States of all layers and directions, [layers * directions, B, width]."""
    return {
        name: each[0].unsqueeze(0) if len(each) == 1 else torch.stack(each)
        for name, each in finals.items()
    }
