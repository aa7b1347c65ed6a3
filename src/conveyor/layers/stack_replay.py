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
from conveyor.layers.stack import Stack, StackParameters
from conveyor.layers.walk import WIDTHS, at_rows, joined_states, walk

# A program that calls a layer with ever other shapes must not fill memory.
MOST = 64


class StackReplay(NamedTuple):
    """The replays of all layers and directions."""

    replays: tuple[tuple[Replay, ...], ...]
    merge: str

    @staticmethod
    def key(x: Tensor, start: InitialState, dropout: float) -> Hashable:
        """Return what a replay depends on, besides what each checks itself.

        Args:
            x: the input.
            start: the initial state.
            dropout: that between layers, 0 in evaluation.
        """
        return x.shape, x.dtype, start.values is not None, dropout, how_chosen()

    @staticmethod
    def of(
        stack: Stack,
        x: Tensor,
        start: InitialState,
        parameters: StackParameters,
        steps: Steps,
    ) -> "StackReplay | None":
        """Return the replay of calls on such tensors; None where there is more to do than to run
        kernels."""
        plain = all(level.reads.plain for level in stack.levels) and len(stack.outputs) == 1
        if not plain or (stack.dropout and stack.training):
            return None
        shape, started = x.shape[:-1], start.values is not None
        replays: dict[tuple[int, int], Replay] = {}

        def make(layer: int, direction: int, width: int) -> int:
            replay = stack.levels[layer].kernel.replay(
                torch.Size((*shape, width)),
                start.widths,
                parameters[layer][direction],
                steps.reversed if direction else steps,
                started=started,
            )
            if replay is None:
                raise _NotReplayable
            replays[layer, direction] = replay
            return replay.width

        layers, directions = len(parameters), len(parameters[0])
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
            stack.merge,
        )

    def run(
        self, x: Tensor, start: InitialState, parameters: StackParameters
    ) -> tuple[Tensor, Values] | None:
        """Return the output and the final state, as ``Stack.sequence`` does; None if a tensor is
        not as those that the replay is for."""
        names, values = tuple(start.widths), start.values
        if len(parameters) == 1 and len(parameters[0]) == 1:  # a small net: microseconds count
            begin = () if values is None else values.values()
            computed = self.replays[0][0]([x, *begin, *parameters[0][0].tensors])
            if computed is None:
                return None
            return computed[0], dict(zip(names, computed[1], strict=True))
        finals: list[list[Tensor]] = []

        def run(layer: int, direction: int, read: Tensor) -> Tensor:
            row = len(finals)
            begin = () if values is None else at_rows(values, slice(row, row + 1)).values()
            tensors = parameters[layer][direction].tensors
            computed = self.replays[layer][direction]([read, *begin, *tensors])
            if computed is None:
                raise _NotReplayable
            finals.append(computed[1])
            return computed[0]

        try:
            output = walk(
                x, run, layers=len(parameters), directions=len(parameters[0]), merge=self.merge
            )
        except _NotReplayable:
            return None
        by_name = zip(names, zip(*finals, strict=True), strict=True)
        return output, joined_states({name: list(each) for name, each in by_name})


class _NotReplayable(Exception):  # noqa: N818  (it ends a walk, and is no error)
    """Ends the walk where a kernel has to be run the long way."""
