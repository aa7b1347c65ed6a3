"""Depth and directions: a kernel run over a stack of layers, with dropout between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import dropout

from conveyor.kernels.target import Kernel, Steps, Values
from conveyor.layers.lengths import reverse_each, reverse_restarts

# Parameters by name, for each layer and in it for each direction.
StackParameters = Sequence[Sequence[Mapping[str, Tensor]]]


@dataclass(frozen=True)
class Stack:
    """How the layers of a stack are run. ``input`` and ``output`` are the cell's names of what
    it reads and of what the next layer reads; ``dropout`` is a probability, 0 when not training."""

    kernel: Kernel
    input: str
    output: str
    dropout: float
    training: bool

    def _between(
        self, layer: int, layers: int, values: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        if self.dropout == 0 or layer == layers - 1:
            return values
        if valid is None:
            return dropout(values, self.dropout, self.training)
        # Only steps that count draw a random number, as in torch's packed sequences.
        dropped = dropout(values[valid], self.dropout, self.training)
        return torch.zeros_like(values).masked_scatter(valid.unsqueeze(-1), dropped)

    def sequence(
        self,
        x: Tensor,
        start: Mapping[str, Tensor],
        parameters: StackParameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> tuple[Tensor, Values, dict[tuple[int, bool], Values]]:
        """Run T steps.

        Args:
            x: [T, B, I].
            start: by state, [layers * directions, B, width], as is ``steps.fresh``.

        Returns:
            The last layer's output [T, B, directions * width]; the final state as ``start``;
            what was observed, by layer and whether it is the reverse direction.
        """
        finals: dict[str, list[Tensor]] = {name: [] for name in start}
        observed: dict[tuple[int, bool], Values] = {}
        row = 0
        for layer, directions in enumerate(parameters):
            outputs = []
            for reverse, own in enumerate(directions):
                there = steps
                if steps.fresh is not None:
                    fresh = {name: each[row] for name, each in steps.fresh.items()}
                    there = replace(steps, fresh=fresh)
                if reverse and steps.restart is not None:
                    there = replace(there, restart=reverse_restarts(steps.restart, steps.valid))
                read = reverse_each(x, steps.valid) if reverse else x
                unrolled = self.kernel.sequence(
                    {self.input: read},
                    {name: each[row] for name, each in start.items()},
                    own,
                    steps=there,
                    observe=observe,
                )
                output, seen = unrolled.outputs[self.output], unrolled.observed
                if reverse:
                    output = reverse_each(output, steps.valid)
                    seen = {name: reverse_each(each, steps.valid) for name, each in seen.items()}
                outputs.append(output)
                observed[layer, bool(reverse)] = seen
                for name, each in unrolled.final.items():
                    finals[name].append(each)
                row += 1
            x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
            x = self._between(layer, len(parameters), x, steps.valid)
        return x, {name: torch.stack(each) for name, each in finals.items()}, observed

    def step(
        self, x: Tensor, state: Mapping[str, Tensor], parameters: StackParameters
    ) -> tuple[Tensor, Values]:
        """Run one step on [B, I]; ``state`` is by name [layers, B, width]. One direction only."""
        finals: dict[str, list[Tensor]] = {name: [] for name in state}
        for layer, (own,) in enumerate(parameters):
            before = {name: each[layer] for name, each in state.items()}
            outputs, after = self.kernel.step({self.input: x}, before, own)
            x = self._between(layer, len(parameters), outputs[self.output])
            for name, each in after.items():
                finals[name].append(each)
        return x, {name: torch.stack(each) for name, each in finals.items()}
