"""A cell bound to its memory: a step is one call of machine code, without any tensor."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.compiler.program import Program
from conveyor.kernels.kernel import Array, StepKernel
from conveyor.kernels.layout.values import ArrayKey
from conveyor.kernels.llvm.abi import Argument, OfArray
from conveyor.kernels.llvm.invoke import arguments
from conveyor.kernels.llvm.launch_plan import LaunchPlans
from conveyor.kernels.memory import aligned
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps


class KernelStream:
    """One layer of one direction, going step by step; see ``kernel.StepKernel``.

    Args:
        program: the cell's.
        launch_plans: of its passes.
        parameters: as the passes read them.
        batch, input_size, shared, states, begin, source, below, first: see ``Kernel.bind``.

    ``outputs`` are where each output stands, with padding, by name, and how wide it is; ``read``
    where each input does.
    """

    def __init__(
        self,
        program: Program,
        launch_plans: LaunchPlans,
        parameters: Parameters,
        *,
        batch: int,
        input_size: int,
        shared: Mapping[str, int],
        states: Mapping[str, int],
        begin: Mapping[str, float | Array],
        source: StepKernel | None = None,
        below: Mapping[str, str] | None = None,
        first: StepKernel | None = None,
    ) -> None:
        self._stored = parameters.tensors
        more = {} if source is None else {n: source.outputs[o] for n, o in (below or {}).items()}
        main, *others = [leaf.name for leaf in program.leaves_of("input")]
        width_of = {**shared, **{name: width for name, (_, width) in more.items()}}
        self._launch = launch_plans.plan(
            "inference",
            (input_size, *[width_of[name] for name in others], *states.values()),
            parameters.tensors,
            parameters.pieces,
            Steps(1, batch),
        )
        sizes = self._launch.sizes
        dtype = torch.empty(0, dtype=launch_plans.compiled.dtype).numpy().dtype

        def memory(name: str) -> Array:
            """Return where an input stands, with padding."""
            if name in more:
                return more[name][0]
            if name in shared and isinstance(first, KernelStream):
                return first.read[name]
            if name == main and source is not None:
                return next(iter(source.outputs.values()))[0]
            return aligned((batch, sizes.strides[ArrayKey("input", name)]), dtype)

        self.read: dict[str, Array] = {name: memory(name) for name in (main, *others)}
        self.input: Array = self.read[main][:, :input_size]
        self.inputs: dict[str, Array] = {
            main: self.input,
            **{name: self.read[name][:, :width] for name, width in shared.items()},
        }
        self._outputs = [aligned((batch, stride), dtype) for stride in sizes.written]
        named = zip(program.values_of("output"), self._outputs, sizes.outputs, strict=True)
        self.outputs: dict[str, tuple[Array, int]] = {n: (each, wide) for n, each, wide in named}
        self.output: Array = self._outputs[0][:, : sizes.outputs[0]]
        self._states = {name: aligned((batch, size), dtype) for name, size in states.items()}
        self._space = aligned((self._launch.space,), np.dtype(np.uint8))
        self._arguments = [self._prepare(parity) for parity in range(2)]
        # Looking up addresses and the team of threads would take longer than a small step.
        self._entry = self._launch.entry
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
            self._launch,
            [
                *[each.ctypes.data for each in self.read.values()],
                *[each.ctypes.data for each in self._outputs],
                *keeps,
            ],
            tuple([each.data_ptr() for each in self._stored]),
            self._space.ctypes.data,
            inputs_wanted=True,
        )
        given = np.frombuffer(packed, dtype=np.int64).copy()
        for name, array in self.read.items():
            self._put(given, OfArray("stride", ArrayKey("input", name)), array.shape[1])
        self._put(given, "parity", parity)
        self._put(given, "pack", 0)
        return given

    def _put(self, given: NDArray[np.int64], argument: Argument, value: int) -> None:
        given[self._launch.sizes.compiled.abi.numbers[argument]] = value

    def _set(self, *, pack: bool, states: dict[str, Array] | None) -> None:
        """Pack the weights, set the states (zeros if None); no step is done."""
        given = self._arguments[self._odd].copy()
        self._put(given, "stretches", 0)
        self._put(given, "pack", int(pack))
        for name in self._states:
            address = 0 if states is None else states[name].ctypes.data
            self._put(given, OfArray("begin", ArrayKey("state", name)), address)
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
            self._put(given, OfArray("end", ArrayKey("state", name)), each.ctypes.data)
        self._entry(given.tobytes())
        return {name: each.copy() for name, each in self._states.items()}

    @state.setter
    def state(self, values: dict[str, Array]) -> None:
        for name, each in self._states.items():
            each[...] = values[name]
        self._set(pack=False, states=self._states)
