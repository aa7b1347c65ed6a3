"""A cell bound to its weights: whole sequences from arrays to arrays, without any tensor.

The weights are packed once. What a call on sequences of some shape needs is kept for the next of
that shape, with memory for what it reads and writes: to copy a small array takes less time than to
ask where it lies.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.compiler.program import Program
from conveyor.kernels.kernel import Array
from conveyor.kernels.llvm import openmp
from conveyor.kernels.llvm.abi import Abi, Argument, OfProduct
from conveyor.kernels.llvm.invoke import arguments
from conveyor.kernels.llvm.launch_plan import LaunchPlan, LaunchPlans
from conveyor.kernels.llvm.team_tuner import TeamTuner
from conveyor.kernels.memory import LINE, aligned
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps

# Calls that a thread keeps ready, of the last shapes.
MOST_CALLS = 16
# Bytes from which an input is read where it lies and an output is written where it stays: a copy
# then takes longer than to find out where that is.
LARGE = 1 << 16


class FrozenLlvmKernel:
    """One layer of one direction with weights that stay as they are; see ``kernel.FrozenKernel``.

    Args:
        program: the cell's.
        launch_plans: of its passes.
        parameters: as the passes read them; nobody else may change them.
        states: the widths of the states.
    """

    def __init__(
        self,
        program: Program,
        launch_plans: LaunchPlans,
        parameters: Parameters,
        states: Mapping[str, int],
    ) -> None:
        self._launch_plans, self._parameters = launch_plans, parameters
        self._inputs = tuple(leaf.name for leaf in program.leaves_of("input"))
        self._outputs = tuple(program.values_of("output"))
        self._states = dict(states)
        self._dtype = torch.empty(0, dtype=launch_plans.compiled.dtype, device="cpu").numpy().dtype
        self._packed: dict[tuple[tuple[int, int], ...], _Region] = {}
        self._ready = _Ready()

    def __call__(
        self, inputs: Mapping[str, Array], begin: Mapping[str, Array] | None, steps: Steps
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run all steps; see ``kernel.FrozenKernel``."""
        calls = self._ready.calls
        threads = openmp.most_threads()
        key = steps.steps, steps.batch, steps.counts, steps.reverse, begin is None, threads
        ways = calls.get(key)
        if ways is None:
            if len(calls) >= MOST_CALLS:
                calls.clear()
            ways = calls[key] = _Ways(self._launch_for(inputs, steps), {})
        launch, tuner = ways.launch, ways.launch.tuner
        way = launch if tuner is None else tuner.pick()
        call = ways.calls.get(way.share.threads)
        if call is None:
            call = self._made(way, inputs, begin is not None, steps)
            ways.calls[way.share.threads] = call
        outputs, final = call.run(
            tuner,
            [inputs[name] for name in self._inputs],
            [] if begin is None else [begin[name] for name in self._states],
        )
        return (
            dict(zip(self._outputs, outputs, strict=True)),
            dict(zip(self._states, final, strict=True)),
        )

    def _launch_for(self, inputs: Mapping[str, Array], steps: Steps) -> LaunchPlan:
        widths = [inputs[name].shape[-1] for name in self._inputs]
        stored, pieces = self._parameters.tensors, self._parameters.pieces
        return self._launch_plans.plan(
            "inference", (*widths, *self._states.values()), stored, pieces, steps
        )

    def _made(
        self, launch: LaunchPlan, inputs: Mapping[str, Array], started: bool, steps: Steps
    ) -> "_Call":
        """Return what calls on such inputs need, run by a plan."""
        widths = [inputs[name].shape[-1] for name in self._inputs]
        rows = (steps.steps, steps.batch) if steps.counts is None else (steps.rows,)
        strides = [
            launch.sizes.padded.get(name, width)
            for name, width in zip(self._inputs, widths, strict=True)
        ]
        states = [(steps.batch, width) for width in self._states.values()]
        begin = [aligned(shape, self._dtype) for shape in states] if started else []
        final = [aligned(shape, self._dtype) for shape in states]
        reads = [self._array(rows, *both) for both in zip(strides, widths, strict=True)]
        # What a pass writes of inference are outputs alone.
        sizes = launch.sizes
        writes = [self._array(rows, *b) for b in zip(sizes.written, sizes.outputs, strict=True)]
        space = _Region.of(launch, steps, packed=False)
        addresses = [_address(each) for each in (*reads, *writes)]
        addresses += [_address(each) for each in begin] or [0] * len(final)
        addresses += [_address(each) for each in final]
        table = self._table(launch, addresses)
        numbers = sizes.compiled.abi.numbers
        for argument, address in {**space.at, **self._packed_for(launch, steps).at}.items():
            table[numbers[argument]] = address
        table[numbers["pack"]] = 0
        at = [numbers[each] for each in sizes.compiled.abi.given[: len(reads) + len(writes)]]
        large = max(each.nbytes for each in (*reads, *writes)) > LARGE
        return _Call(launch, table, table.tobytes(), at, reads, writes, begin, final, space, large)

    def _array(self, rows: tuple[int, ...], stride: int, width: int) -> Array:
        """Return memory for rows of some width, which may be padded."""
        return aligned((*rows, stride), self._dtype)[..., :width]

    def _table(self, launch: LaunchPlan, addresses: list[int]) -> NDArray[np.int64]:
        """Return the arguments of a pass, but for its own memory."""
        stored = tuple([each.data_ptr() for each in self._parameters.tensors])
        given = arguments(launch, addresses, stored, 0, inputs_wanted=True)
        return np.frombuffer(given, dtype=np.int64).copy()

    def _packed_for(self, launch: LaunchPlan, steps: Steps) -> "_Region":
        """Return where the weights are packed as a call reads them. How they are cut depends on how
        many rows it has."""
        panels = launch.share.panels
        cut = tuple([(each.group, each.panel) for each in panels.values()])
        packed = self._packed.get(cut)
        if packed is None:
            packed = _Region.of(launch, steps, packed=True)
            space = _Region.of(launch, steps, packed=False)
            abi = launch.sizes.compiled.abi
            table = self._table(launch, [-1] * len(abi.given))  # states are kept: none is read
            more: dict[Argument, int] = {"threads": 1, "stretches": 0, "pack": 1}
            for argument, value in {**space.at, **packed.at, **more}.items():
                table[abi.numbers[argument]] = value
            launch.sizes.compiled.entry(table.tobytes())
            self._packed[cut] = packed
        return packed


@dataclass(frozen=True)
class _Region:
    """Memory of a pass, and which argument is which address in it."""

    memory: Array
    at: dict[Argument, int]

    @staticmethod
    def of(launch: LaunchPlan, steps: Steps, *, packed: bool) -> "_Region":
        """Return new memory for what stays from call to call, if ``packed``, or for the rest."""
        abi: Abi = launch.sizes.compiled.abi
        offsets: dict[Argument, int] = {}
        size = 0
        for argument, sizes in zip(abi.regions, launch.sizes.regions, strict=True):
            stays = argument == "vectors" or isinstance(argument, OfProduct)
            if stays == packed:
                of_batch, of_row, fixed, _ = sizes  # the last is of backward passes
                offsets[argument] = size
                space = steps.batch * of_batch + launch.share.stretch_rows * of_row + fixed
                size += -(-space // LINE) * LINE
        memory = aligned((max(size, 1),), np.dtype(np.uint8))
        begin = _address(memory)
        return _Region(memory, {each: begin + offset for each, offset in offsets.items()})


@dataclass(frozen=True)
class _Call:
    """What calls of one shape need in one thread.

    Args:
        launch: the plan.
        table: the arguments, with the addresses of the arrays below; ``packed`` as bytes.
        at: the numbers of the arguments that are addresses of inputs and of outputs.
        reads, writes: memory for inputs and outputs, [..., width].
        begin, final: memory for states, [B, width].
        space: other memory of the pass.
        large: whether an input or an output is.
    """

    launch: LaunchPlan
    table: NDArray[np.int64]
    packed: bytes
    at: list[int]
    reads: list[Array]
    writes: list[Array]
    begin: list[Array]
    final: list[Array]
    space: _Region
    large: bool

    def run(
        self, tuner: TeamTuner[LaunchPlan] | None, inputs: list[Array], begin: list[Array]
    ) -> tuple[list[Array], list[Array]]:
        """Return the outputs and the final states.

        Args:
            tuner: that chose the plan, if one did.
            inputs: of the shapes of ``reads``.
            begin: the initial states; none where all begin with zeros.
        """
        for memory, array in zip(self.begin, begin, strict=True):
            memory[...] = array
        if self.large:
            return self._run_in_place(tuner, inputs)
        for memory, array in zip(self.reads, inputs, strict=True):
            memory[...] = array
        self._enter(tuner, self.packed)
        return [each.copy() for each in self.writes], [each.copy() for each in self.final]

    def _run_in_place(
        self, tuner: TeamTuner[LaunchPlan] | None, inputs: list[Array]
    ) -> tuple[list[Array], list[Array]]:
        """Run on inputs where they lie, if rows follow each other there, and write outputs where
        they stay."""
        arrays = []
        for memory, array in zip(self.reads, inputs, strict=True):
            if array.dtype == memory.dtype and _is_dense(array) and _is_dense(memory):
                arrays.append(array)
            else:
                memory[...] = array
                arrays.append(memory)
        outputs = [np.empty_like(each) if _is_dense(each) else each for each in self.writes]
        table = self.table.copy()
        table[self.at] = [_address(each) for each in (*arrays, *outputs)]
        self._enter(tuner, table.tobytes())
        results = [
            each.copy() if each is memory else each
            for each, memory in zip(outputs, self.writes, strict=True)
        ]
        return results, [each.copy() for each in self.final]

    def _enter(self, tuner: TeamTuner[LaunchPlan] | None, table: bytes) -> None:
        if tuner is None:
            self.launch.run(table, self.space.at["barrier"])
        else:
            tuner.run(self.launch, table, self.space.at["barrier"])


class _Ways(NamedTuple):
    """The plan of a shape, and the calls of its ways, by their number of threads."""

    launch: LaunchPlan
    calls: dict[int, _Call]


class _Ready(threading.local):
    """The calls that a thread keeps ready: two threads may not share their memory."""

    def __init__(self) -> None:
        self.calls: dict[object, _Ways] = {}


def _is_dense(array: Array) -> bool:
    """Return whether an array's numbers follow each other, each where its type wants it."""
    return array.flags.c_contiguous and array.flags.aligned


def _address(array: Array) -> int:
    # Half the time of .ctypes.data.
    address: int = array.__array_interface__["data"][0]
    return address
