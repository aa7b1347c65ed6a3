"""A cell bound to its memory: a step is one call of machine code, without any tensor."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.kernels.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm_run import arguments
from conveyor.kernels.memory import aligned
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Parameters

Array = NDArray[np.floating]


class KernelStream:
    """One layer of one direction, going step by step.

    ``input`` [B, I] is read by ``step`` and ``output`` [B, width] is written; both stay where they
    are. The weights are those of the moment when this was made.

    Args:
        begin: what states start at that do not start at 0.
        source: another stream whose output this one reads; without, ``input`` is its own memory.
        below: of each further input, the output of ``source`` that it is.

    ``outputs`` are where each output stands, by name, and how wide it is.
    """

    def __init__(
        self,
        kernel: LlvmKernel,
        parameters: Parameters,
        *,
        batch: int,
        input_size: int,
        states: dict[str, int],
        begin: Mapping[str, float | Array],
        source: "KernelStream | None" = None,
        below: Mapping[str, str] | None = None,
    ) -> None:
        with torch.no_grad():
            stored = tuple([kernel.as_read(tensor.detach()) for tensor in parameters.tensors])
        self._stored = stored
        more = {} if source is None else {n: source.outputs[o] for n, o in (below or {}).items()}
        self._recipe = kernel.recipes.recipe(
            "inference",
            (input_size, *[width for _, width in more.values()], *states.values()),
            stored,
            parameters.pieces,
            Steps(1, batch),
        )
        sizes = self._recipe.sizes
        dtype = torch.empty(0, dtype=kernel.dtype).numpy().dtype
        program = kernel.plan.program
        self._name = program.leaves_of("input")[0].name
        width = sizes.strides[f"in:{self._name}"]
        own_input = aligned((batch, width), dtype) if source is None else source._output
        self._input: Array = own_input
        self.input = self._input[:, :input_size]
        self._more = {name: array for name, (array, _) in more.items()}
        self._outputs = [aligned((batch, stride), dtype) for stride in sizes.made]
        named = zip(program.values_of("output"), self._outputs, sizes.outputs, strict=True)
        self.outputs: dict[str, tuple[Array, int]] = {n: (each, wide) for n, each, wide in named}
        self._output: Array = self._outputs[0]
        self.output = self._output[:, : sizes.outputs[0]]
        self._states = {name: aligned((batch, size), dtype) for name, size in states.items()}
        self._space = aligned((self._recipe.space,), np.dtype(np.uint8))
        self._arguments = [self._prepare(parity) for parity in range(2)]
        # Looking up addresses and the team of threads would take longer than a small step.
        self._entry = self._recipe.entry
        self._even_step, self._odd_step = (each.tobytes() for each in self._arguments)
        self._odd = False
        self._begin = begin
        self._set(pack=True, states=None)
        if begin:
            self.restart()

    def _prepare(self, parity: int) -> NDArray[np.int64]:
        """The arguments of a step that reads this half of the rings."""
        keeps = [-1] * (2 * len(self._states))
        packed = arguments(
            self._recipe,
            [
                self._input.ctypes.data,
                *[each.ctypes.data for each in self._more.values()],
                *[each.ctypes.data for each in self._outputs],
                *keeps,
            ],
            tuple([each.data_ptr() for each in self._stored]),
            self._space.ctypes.data,
            inputs_wanted=True,
        )
        given = np.frombuffer(packed, dtype=np.int64).copy()
        for name, array in {self._name: self._input, **self._more}.items():
            self._put(given, f"stride:in:{name}", array.shape[1])
        self._put(given, "parity", parity)
        self._put(given, "pack", 0)
        return given

    def _put(self, given: NDArray[np.int64], name: str, value: int) -> None:
        given[self._recipe.sizes.compiled.numbers[name]] = value

    def _set(self, *, pack: bool, states: dict[str, Array] | None) -> None:
        """Pack the weights, set the states (zeros if None); no step is done."""
        given = self._arguments[self._odd].copy()
        self._put(given, "stretches", 0)
        self._put(given, "pack", int(pack))
        for name in self._states:
            address = 0 if states is None else states[name].ctypes.data
            self._put(given, f"begin:state:{name}", address)
        self._entry(given.tobytes())

    def step(self) -> None:
        """Read ``input``, write ``output``, go on to the next state."""
        self._entry(self._odd_step if self._odd else self._even_step)
        self._odd = not self._odd

    def restart(self) -> None:
        """Begin anew."""
        for name, each in self._states.items():
            each[...] = self._begin.get(name, 0.0)
        self._set(pack=False, states=self._states if self._begin else None)

    @property
    def state(self) -> dict[str, Array]:
        """The states [B, width] by name, a copy."""
        given = self._arguments[not self._odd].copy()
        self._put(given, "stretches", 0)
        for name, each in self._states.items():
            self._put(given, f"end:state:{name}", each.ctypes.data)
        self._entry(given.tobytes())
        return {name: each.copy() for name, each in self._states.items()}

    @state.setter
    def state(self, values: dict[str, Array]) -> None:
        for name, each in self._states.items():
            each[...] = values[name]
        self._set(pack=False, states=self._states)
