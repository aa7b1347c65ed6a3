"""All steps of a decoder that looks at a memory at every one of them, in one call of machine code.

``compiler.attending`` makes a program of the layer's cell and the attention around it; it computes
with the decoder's parameters as they are stored.
"""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from conveyor.compiler.attending import (
    FED,
    GATE,
    KEYS,
    MEMORY,
    OF_OUTPUT,
    OF_QUERY,
    OF_SEEN,
    OUTPUT,
    READ,
    SEEN,
    SELECTOR,
    SELECTOR_BIAS,
    WEIGHTS,
    V,
    attending,
    beside,
    mask,
    of_layer,
    reading_matrices,
)
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.errors import TargetError
from conveyor.kernels.kernel import InitialState, Kernel, Memory, Values, are_counts
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps
from conveyor.layers.cache import Cache, cache_of
from conveyor.layers.sequence import SequenceLayer
from conveyor.networks.attention import AttendedMemory, Attention
from conveyor.networks.plain_parts import is_plain


class Told(NamedTuple):
    """What steps gave.

    Attributes:
        outputs: of the layer, [T, B, width]; with input feeding the attentional vectors h~.
        seen: the weighted means of the memory, [T, B, memory_size], or as much of them as was
            looked; None with input feeding.
        weights: of places, [T, B, S].
        gates: how much was looked, [T, B, 1]; None without a gate.
        state: of the layer after the last step, by name.
    """

    outputs: Tensor
    seen: Tensor | None
    weights: Tensor
    gates: Tensor | None
    state: Values


class StepsAtOnce:
    """How a decoder's steps are run at once: several steps, on a CPU, in float32 or float64.

    Steps are done one by one, as ``layer.step`` and the attention do them, where the first layer
    reads its input otherwise than by matrices or has more that is as wide as it, or the output of
    a layer is one number; in training with what draws inside the cell
    (zoneout, recurrent, variational and weight dropout), of which a step draws anew; with the score
    ``"location"``, which reads the weights before, and with smoothing; where a part is not what it
    was made as, see ``is_plain``; where tensors or lengths do not fit; under autocast,
    ``torch.func``, ``torch.compile``, ``torch.export``, and on a target without machine code.

    Args:
        decoder: its ``layer`` reads [y; z], see ``compiler.attending``; the queries of its
            ``attention`` are outputs of the layer.
        kind: whose steps these are.
        feeds: makes h~ of what was seen and the output, side by side; None where z is what is seen.
        gates: says by the old output how much is looked, without ``feeds``; None for all.
    """

    def __init__(
        self,
        decoder: Any,
        kind: type[nn.Module],
        feeds: nn.Linear | None = None,
        gates: nn.Linear | None = None,
    ) -> None:
        self.decoder, self.kind, self.feeds, self.gates = decoder, kind, feeds, gates
        self.layer: SequenceLayer = decoder.layer
        self.attention: Attention = decoder.attention

    def __call__(
        self, vectors: Tensor, state: Values, fed: Tensor, memory: AttendedMemory
    ) -> Told | None:
        """Return what steps give; None where they must be done one by one: there is no machine code
        for them, or somebody must see each.

        Args:
            vectors: of the symbols that are read, [T, B, width].
            state: of the layer before the first step, by name.
            fed: what the step before handed on, [1, B, width].
            memory: what is looked at.
        """
        if self.attention.scoring == "location" or self.attention.smooth:
            return None
        kernel = None if self._seen_by_others(vectors, fed, memory) else self._kernel()
        if kernel is None:
            return None
        layer, program = self.layer, kernel.plan.program
        steps, batch, _ = vectors.shape
        inputs = {READ: vectors}
        for number in range(1, layer.num_layers) if self._drops else ():
            ones = vectors.new_ones(steps, batch, layer._output_width())
            inputs[mask(number)] = dropped(ones, layer.dropout)
        begun = layer._initial_state(layer._state_of(state), batch, vectors, True)
        assert begun.values is not None
        values = {
            of_layer(number, name): each[number : number + 1]
            for number in range(layer.num_layers)
            for name, each in begun.values.items()
        }
        names = program.values_of("state")
        values[FED] = fed
        memories = {MEMORY: memory.values, KEYS: memory.keys}
        start = InitialState.of({name: values[name] for name in names})._replace(
            memories={
                leaf.name: Memory(memories[leaf.name].transpose(0, 1), memory.lengths)
                for leaf in program.memories
            }
        )
        told = kernel.sequence(
            inputs,
            start,
            Parameters.of(self._parameters(program, vectors.shape[2])),
            steps=Steps.dense(steps, batch),
            observe=True,
        )
        after = {
            name: torch.cat(
                [told.final[of_layer(number, name)] for number in range(layer.num_layers)]
            )
            for name in begun.values
        }
        outputs, weights = told.outputs, told.observed[WEIGHTS]
        return Told(outputs[OUTPUT], outputs.get(SEEN), weights, outputs.get(GATE), after)

    @property
    def _drops(self) -> bool:
        """Whether something is dropped between layers."""
        return self.layer.training and self.layer.dropout > 0 and self.layer.num_layers > 1

    def _seen_by_others(self, vectors: Tensor, fed: Tensor, memory: AttendedMemory) -> bool:
        """Return whether each step is to be seen, by torch or by a hook, or draws anew what one
        call would draw once, or whether tensors do not go together, of which the step says what is
        wrong."""
        layer = self.layer
        weight = layer._weight()
        if torch.compiler.is_compiling() or layer._recorded():
            return True
        if layer._placement(weight).transformed or torch.is_autocast_enabled(weight.device.type):
            return True
        if layer._draws or (layer.training and layer.weight_dropout > 0):
            return True
        if not is_plain(self.decoder, self.kind, self.feeds, self.gates):
            return True
        tensors = (vectors, fed, memory.values, memory.keys)
        alike = all(t.dtype == weight.dtype and t.device == weight.device for t in tensors)
        return not alike or not self._fit(vectors, fed, memory)

    def _fit(self, vectors: Tensor, fed: Tensor, memory: AttendedMemory) -> bool:
        """Return whether tensors have the shapes of a step, and each memory a true place or more
        and no more than there are."""
        attention, batch, places = self.attention, vectors.shape[1], len(memory.values)
        width = attention.memory_size if attention.scoring == "dot" else attention.width
        handed = attention.query_size if self.feeds is None else self.feeds.out_features
        more = attention.memory_size if self.feeds is None else handed
        return (
            vectors.shape[2] + more == self.layer._features
            and fed.shape == (1, batch, handed)
            and memory.values.shape == (places, batch, attention.memory_size)
            and memory.keys.shape == (places, batch, width)
            and isinstance(memory.lengths, Tensor)  # by hand it may be anything
            and are_counts(memory.lengths, batch, places)
        )

    def _kernel(self) -> Kernel | None:
        """Return the machine code of all steps; None if there is none."""
        layer = self.layer
        layers = [plans.inference.program for plans in layer._plans]
        known: Cache[Hashable, tuple[list[Program], Plan | None]]
        known = cache_of(layer, "_steps_at_once")
        scoring, feeds, gates = (
            self.attention.scoring,
            self.feeds is not None,
            self.gates is not None,
        )
        key = scoring, feeds, gates, self._drops
        if key not in known or [*map(id, known[key][0])] != [*map(id, layers)]:
            program = attending(layers, scoring, feeds=feeds, gates=gates, drops=self._drops)
            known[key] = layers, None if program is None else plan(program)
        planned = known[key][1]
        if planned is None:
            return None
        try:
            kernel = layer._kernel(layer._placement(layer._weight()), planned)
        except TargetError:  # of the one that was asked for
            return None
        return None if kernel.planned is None else kernel

    def _parameters(self, program: Program, width: int) -> dict[str, Tensor]:
        """Return parameters by their names in a program.

        Args:
            program: that reads them.
            width: of what is read besides z.
        """
        layer, attention = self.layer, self.attention
        stack = layer._stack_parameters()
        layer._check_stored(stack)
        found: dict[str, Tensor] = {}
        for number, (own,) in enumerate(stack):
            if not number:
                found |= self._first(own, width)
            else:
                found |= {of_layer(number, name): each for name, each in own.by_name.items()}
        if attention.scoring == "concat":
            found |= {OF_QUERY: attention.of_query.weight, V: attention.v}
        if self.feeds is not None:
            sizes = [attention.memory_size, attention.query_size]
            found[OF_SEEN], found[OF_OUTPUT] = torch.split(self.feeds.weight, sizes, 1)
        if self.gates is not None:
            found |= {SELECTOR: self.gates.weight, SELECTOR_BIAS: self.gates.bias}
        return {leaf.name: found[leaf.name] for leaf in program.stored}

    def _first(self, own: Parameters, width: int) -> Mapping[str, Tensor]:
        """Return the first layer's parameters, those that read [y; z] taken apart."""
        matrices = reading_matrices(self.layer._plans[0].inference.program) or ()
        wide = {own.pieces[name][0].tensor for name in matrices}
        parts = [
            torch.split(each, [width, each.shape[1] - width], 1) if number in wide else (each, each)
            for number, each in enumerate(own.tensors)
        ]
        of_y = Parameters(tuple([one for one, _ in parts]), own.pieces)
        pieces = {name: own.pieces[name] for name in matrices}
        of_z = Parameters(tuple([other for _, other in parts]), pieces)
        found = {of_layer(0, name): each for name, each in of_y.by_name.items()}
        return found | {beside(of_layer(0, name)): each for name, each in of_z.by_name.items()}
