"""Depth and directions: a kernel run over a stack of layers, with dropout between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import dropout

from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Kernel, Parameters, Start, Values
from conveyor.layers.lengths import Ragged

# For each layer and in it for each direction.
StackParameters = Sequence[Sequence[Parameters]]


@dataclass(frozen=True)
class Stack:
    """How the layers of a stack are run. ``input`` and ``output`` are the cell's names of what
    it reads and of what the next layer reads; ``dropout`` is a probability, 0 when not training."""

    kernel: Kernel
    input: str
    output: str
    dropout: float
    training: bool

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
                unrolled = self.kernel.sequence(
                    {self.input: x},
                    begin,
                    own,
                    steps=replace(steps, reverse=True) if reverse else steps,
                    observe=observe,
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
