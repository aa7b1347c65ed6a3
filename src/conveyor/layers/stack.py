"""A stack of layers run by kernels: what each layer reads, dropout, masks and checkpointing."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout

from conveyor.compiler.regularise import Mask
from conveyor.kernels.kernel import InitialState, Kernel, Unrolled, Values
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps
from conveyor.layers.checkpointing import checkpointed
from conveyor.layers.lengths import Ragged
from conveyor.layers.masks import drawn, once
from conveyor.layers.plans import Reads
from conveyor.layers.remembered import Remembered
from conveyor.layers.walk import (
    TENSORS,
    at_rows,
    joined_states,
    outputs_on_top,
    rows_of_layer,
    walk,
)

# For each layer and in it for each direction.
StackParameters = Sequence[Sequence[Parameters]]

# What local names were, by layer and whether it is the reverse direction.
Observed = dict[tuple[int, bool], Values]


class Level(NamedTuple):
    """How one layer is run, and where its inputs come from. ``masks`` are drawn for each
    direction."""

    kernel: Kernel
    reads: Reads
    masks: tuple[Mask, ...] = ()


class Stack(NamedTuple):
    """How the layers of a stack are run.

    Args:
        levels: of each layer.
        outputs: what is asked for of the last layer; the first of them is what the next layer
            reads.
        dropout: probability of dropping what goes from layer to layer.
        training: whether something is dropped now.
        checkpoint: how many steps at a time are recomputed in the backward pass, see
            ``checkpointed``.
        variational: probability of dropping a feature of a layer's input at all steps.
        sizes: the widths of the masks' axes.
        merge: what becomes of both directions, see ``walk.MERGES``.
        dilations: how many steps late each layer reads its state; empty if all read the last.
        locked: whether ``dropout`` drops the same features of a sequence at all steps.
    """

    levels: tuple[Level, ...]
    outputs: tuple[str, ...]
    dropout: float
    training: bool
    checkpoint: bool | int = False
    variational: float = 0.0
    sizes: Mapping[str, int] = {}
    merge: str = "concatenate"
    dilations: tuple[int, ...] = ()
    locked: bool = False

    def _inputs(
        self, level: Level, x: Tensor, shared: Values, below: Values, steps: Steps
    ) -> Values:
        """Return what a layer's cell reads: x, inputs that all layers read, what the layer below
        gives besides, and masks."""
        reads = level.reads
        if not level.masks and not self.variational and reads.plain:
            return {reads.main: x}
        if self.variational and self.training:
            x = once(x, steps, self.variational)
        masks = drawn(level.masks, x, steps, self.sizes)
        return {reads.main: x, **reads.others(shared, below), **masks}

    def _between(self, steps: Steps) -> Callable[[list[Tensor]], list[Tensor]]:
        """Return what drops some of what the directions of the next layer read."""

        def between(reads: list[Tensor]) -> list[Tensor]:
            # Rows have no padding: only steps that count draw a random number, as in torch's packed
            # sequences.
            locked = steps if self.locked else None
            return dropped(reads, self.dropout, self.training, locked) if self.dropout else reads

        return between

    def sequence(
        self,
        x: Tensor,
        shared: Values,
        start: InitialState,
        parameters: StackParameters,
        *,
        steps: Steps,
        ragged: Ragged | None,
        fresh: Mapping[str, Tensor] | None,
        observe: bool,
        added: Mapping[tuple[int, bool], Values] | None = None,
    ) -> tuple[Values, Values, Observed]:
        """Run all steps.

        Args:
            x: [rows, I], or [T, B, I] if no sequence is shorter.
            shared: inputs that every layer reads, by name, with the leading dimensions of ``x``.
            start: by state, [layers * directions, B, width], as is ``fresh``.
            parameters: of each layer and direction.
            steps: of the rows.
            ragged: how the rows came from a padded batch, if they did.
            fresh: the state that a reset goes back to; given where a batch is ragged by resets.
            observe: whether local names are asked for.
            added: more inputs of each layer in each direction, by name.

        Returns:
            The last layer's outputs by name, as ``x`` but as wide as all directions; the final
            state as ``start``; what was observed.
        """
        finals: dict[str, list[Tensor]] = {name: [] for name in start.widths}
        observed: Observed = {}
        below: list[Values] = [{} for _ in parameters[0]]
        directions = len(parameters[0])

        def run(layer: int, direction: int, read: Tensor) -> Tensor:
            reverse = direction > 0
            level, here = self.levels[layer], steps.reversed if reverse else steps
            inputs = self._inputs(level, read, shared, below[direction], here)
            unrolled = self._unrolled(
                level.kernel,
                inputs if added is None else {**inputs, **added[layer, reverse]},
                self._begin(start, (layer, direction, directions), ragged, fresh),
                parameters[layer][direction],
                steps=here,
                observe=observe,
            )
            below[direction] = unrolled.outputs
            observed[layer, reverse] = unrolled.observed
            final = unrolled.final if ragged is None else ragged.end(unrolled.final, reverse)
            for name, state in final.items():
                finals[name].append(state)
            return unrolled.outputs[self.outputs[0]]

        output = walk(
            x,
            run,
            layers=len(parameters),
            directions=directions,
            merge=self.merge,
            between=self._between(steps),
        )
        outputs = outputs_on_top(output, below, self.outputs, self.merge, TENSORS)
        return outputs, joined_states(finals), observed

    def _unrolled(
        self,
        kernel: Kernel,
        inputs: Values,
        begin: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        """Return what one layer gives in one direction."""
        if self.checkpoint and torch.is_grad_enabled():
            return checkpointed(
                kernel,
                inputs,
                tuple(kernel.plan.program.values_of("output")),
                begin,
                parameters,
                steps=steps,
                length=self.checkpoint,
            )
        return kernel.sequence(inputs, begin, parameters, steps=steps, observe=observe)

    def _begin(
        self,
        start: InitialState,
        number: tuple[int, int, int],
        ragged: Ragged | None,
        fresh: Mapping[str, Tensor] | None,
    ) -> InitialState:
        """Return the initial state of one layer in one direction, for the sequences that it reads;
        ``number`` says which layer, which direction, and of how many."""
        if start.memories and ragged is not None:
            memories = {
                name: each.of(ragged.sequences(len(each.values), number[1] > 0))
                for name, each in start.memories.items()
            }
            start = start._replace(memories=memories)
        if start.values is None:
            return start
        rows = rows_of_layer(self.dilations, *number)
        states = at_rows(start.values, rows)
        if ragged is not None:
            restart = None if fresh is None else at_rows(fresh, rows)
            states = ragged.begin(states, restart, number[1] > 0)
        return start._replace(values=states)

    def step(
        self,
        x: Tensor,
        shared: Values,
        state: InitialState,
        parameters: StackParameters,
        remembered: Remembered | None = None,
    ) -> tuple[Values, Values]:
        """Run one step on [B, I]; ``shared`` are other inputs, ``state`` is by name [layers, B,
        width]. What is computed of memories alone is taken from ``remembered``, if given. One
        direction only."""
        finals: dict[str, list[Tensor]] = {name: [] for name in state.widths}
        outputs: Values = {}
        steps = Steps.dense(1, x.shape[0])

        def run(layer: int, direction: int, read: Tensor) -> Tensor:
            nonlocal outputs
            level = self.levels[layer]
            before = state
            if state.values is not None:
                rows = rows_of_layer(self.dilations, layer, 0, 1)
                before = state._replace(values=at_rows(state.values, rows))
            if remembered is not None:
                once = remembered.once(layer, level.kernel, parameters[layer][0])
                before = before._replace(once=once)
            inputs = self._inputs(level, read, shared, outputs, steps)
            outputs, after = level.kernel.step(inputs, before, parameters[layer][0])
            for name, each in after.items():
                finals[name].append(each)
            return outputs[self.outputs[0]]

        output = walk(x, run, layers=len(parameters), between=self._between(steps))
        on_top = outputs_on_top(output, [outputs], self.outputs, self.merge, TENSORS)
        return on_top, joined_states(finals)


def dropped(
    reads: list[Tensor], rate: float, training: bool, locked: Steps | None = None
) -> list[Tensor]:
    """Return what directions read, some of it dropped: the same where they read the same.

    Args:
        reads: of each direction.
        rate: the probability of dropping a number.
        training: whether something is dropped.
        locked: of the rows, where the same features of a sequence are dropped at all steps.
    """

    def drop(read: Tensor) -> Tensor:
        if locked is None or not training:
            return dropout(read, rate, training)
        return once(read, locked, rate)

    first = drop(reads[0])
    return [first, *[first if each is reads[0] else drop(each) for each in reads[1:]]]
