"""Replays inference: for shapes seen before, reuse the kernels' launch plans and fill in only the
addresses.

For a small network on short sequences most of a call's time goes into finding out how to run it.
"""

from collections.abc import Hashable
from typing import NamedTuple

import torch
from torch import Tensor

from conveyor.kernels.kernel import InitialState, Replay, Values
from conveyor.kernels.select import how_chosen
from conveyor.kernels.steps import Steps
from conveyor.layers.plans import Reads
from conveyor.layers.stack import Stack, StackParameters
from conveyor.layers.walk import (
    TENSORS,
    WIDTHS,
    at_rows,
    joined_states,
    outputs_on_top,
    walk,
)

# A program that calls a layer with ever other shapes must not fill memory.
MOST = 64


class StackReplay(NamedTuple):
    """The replays of all layers and directions."""

    replays: tuple[tuple[Replay, ...], ...]
    # Of each layer: where its inputs come from, and the names of its outputs.
    reads: tuple[Reads, ...]
    outputs: tuple[tuple[str, ...], ...]
    # Of the last layer, which are asked for.
    on_top: tuple[str, ...]
    merge: str

    @staticmethod
    def key(x: Tensor, start: InitialState, dropout: float) -> Hashable:
        """Return what a replay depends on, besides what each checks itself.

        Args:
            x: the main input, whose leading dimensions are those of all others.
            start: the initial state.
            dropout: that between layers, 0 in evaluation.
        """
        return x.shape, x.dtype, start.values is not None, dropout, how_chosen()

    @staticmethod
    def of(
        stack: Stack,
        x: Tensor,
        shared: Values,
        start: InitialState,
        parameters: StackParameters,
        *,
        steps: Steps,
    ) -> "StackReplay | None":
        """Return the replay of calls on such tensors; None where there is more to do than to run
        kernels."""
        if stack.dropout and stack.training:
            return None
        leading, started = x.shape[:-1], start.values is not None
        layers, directions = len(parameters), len(parameters[0])
        replays: dict[tuple[int, int], Replay] = {}
        shared_widths = {name: each.shape[-1] for name, each in shared.items()}
        below: list[dict[str, int]] = [{} for _ in range(directions)]
        names = tuple(
            tuple(level.kernel.plan.program.values_of("output")) for level in stack.levels
        )

        def make(layer: int, direction: int, width: int) -> int:
            level = stack.levels[layer]
            widths = width, *level.reads.others(shared_widths, below[direction]).values()
            replay = level.kernel.replay(
                [torch.Size((*leading, each)) for each in widths],
                start.widths,
                parameters[layer][direction],
                steps.reversed if direction else steps,
                started=started,
            )
            if replay is None:
                raise _NotReplayable
            replays[layer, direction] = replay
            below[direction] = dict(zip(names[layer], replay.widths, strict=True))
            return replay.widths[0]

        try:
            walk(
                x.shape[-1],
                make,
                layers=layers,
                directions=directions,
                merge=stack.merge,
                join=WIDTHS,
            )
        except _NotReplayable:
            return None
        return StackReplay(
            tuple(
                [
                    tuple([replays[layer, direction] for direction in range(directions)])
                    for layer in range(layers)
                ]
            ),
            tuple([level.reads for level in stack.levels]),
            names,
            stack.outputs,
            stack.merge,
        )

    def run(
        self, x: Tensor, shared: Values, start: InitialState, parameters: StackParameters
    ) -> tuple[Values, Values] | None:
        """Return the outputs and the final state, as ``Stack.sequence`` does; None if a tensor is
        not as those that the replay is for."""
        names, values = tuple(start.widths), start.values
        if len(parameters) == 1 and len(parameters[0]) == 1:  # a small net: microseconds count
            begin = () if values is None else values.values()
            others = [*self.reads[0].others(shared, {}).values()] if shared else []
            computed = self.replays[0][0]([x, *others, *begin, *parameters[0][0].tensors])
            if computed is None:
                return None
            outputs = {self.on_top[0]: computed[0][0]}
            if len(self.on_top) > 1:
                several = dict(zip(self.outputs[0], computed[0], strict=True))
                outputs = {name: several[name] for name in self.on_top}
            return outputs, dict(zip(names, computed[1], strict=True))
        finals: list[list[Tensor]] = []
        below: list[Values] = [{} for _ in parameters[0]]

        def run(layer: int, direction: int, read: Tensor) -> Tensor:
            row = len(finals)
            begin = () if values is None else at_rows(values, slice(row, row + 1)).values()
            tensors = parameters[layer][direction].tensors
            reads = self.reads[layer]
            others = [] if reads.plain else [*reads.others(shared, below[direction]).values()]
            computed = self.replays[layer][direction]([read, *others, *begin, *tensors])
            if computed is None:
                raise _NotReplayable
            below[direction] = dict(zip(self.outputs[layer], computed[0], strict=True))
            finals.append(computed[1])
            return computed[0][0]

        try:
            output = walk(
                x, run, layers=len(parameters), directions=len(parameters[0]), merge=self.merge
            )
        except _NotReplayable:
            return None
        by_name = zip(names, zip(*finals, strict=True), strict=True)
        outputs = outputs_on_top(output, below, self.on_top, self.merge, TENSORS)
        return outputs, joined_states({name: list(each) for name, each in by_name})


class _NotReplayable(Exception):  # noqa: N818  (it ends a walk, and is no error)
    """Ends the walk where a kernel has to be run the long way."""
