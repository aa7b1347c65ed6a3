"""Kernels: plans made ready to run. All that layers know of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.compiler.plan import Plan
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps

Values = dict[str, Tensor]
Array = NDArray[Any]


class Memory(NamedTuple):
    """What sequences look at at every step.

    Args:
        values: [B, L, width], zeros at padding.
        counts: how many places each sequence has, [B], 1 to L; None if all have L.
    """

    values: Tensor
    counts: Tensor | None = None

    def of(self, sequences: Tensor) -> "Memory":
        """Return the memory of other sequences, each of which is one of these."""
        counts = None if self.counts is None else self.counts.index_select(0, sequences)
        return Memory(self.values.index_select(0, sequences), counts)


def are_counts(counts: Tensor, batch: int, places: int) -> bool:
    """Return whether numbers say how many places each sequence has, as machine code reads them:
    [batch] whole numbers (int64) on the CPU, 1 to ``places``."""
    if counts.dtype is not torch.int64 or not counts.is_cpu or counts.shape != (batch,):
        return False
    if not batch:
        return True
    least, most = counts.aminmax()
    return int(least) >= 1 and int(most) <= places


# Every call makes one: as a tuple it costs a third of what a frozen dataclass costs.
class InitialState(NamedTuple):
    """What sequences have from the start: the states before the first step, [1, B, width] by name
    without primes; zeros if ``values`` is None. ``widths`` are their widths. ``memories`` are what
    they look at, by name; ``once`` is what ``Kernel.of_memories`` made of these, if known."""

    widths: Mapping[str, int]
    values: Mapping[str, Tensor] | None = None
    memories: Mapping[str, Memory] = {}
    once: Mapping[str, Tensor] | None = None

    @staticmethod
    def of(values: Mapping[str, Tensor]) -> "InitialState":
        """Return the initial state of these values."""
        return InitialState({name: each.shape[-1] for name, each in values.items()}, values)

    def tensors(self, batch: int, like: Tensor, rows: int = 1) -> Values:
        """Return the states as tensors [rows, batch, width], of the type and on the device of
        ``like``."""
        if self.values is not None:
            return dict(self.values)
        return {name: like.new_zeros(rows, batch, width) for name, width in self.widths.items()}


class Unrolled(NamedTuple):
    """What a kernel computed of a sequence.

    ``outputs`` and ``observed`` are [..., width] by name, with the leading dimensions of the
    inputs; ``final`` is [1, B, width] by state, as it was after each sequence's last step.
    """

    outputs: Values
    final: Values
    observed: Values


class Replay(Protocol):
    """Inference on tensors of known shapes, where only their addresses are new.

    ``widths`` are those of the outputs.
    """

    @property
    def widths(self) -> tuple[int, ...]: ...

    def __call__(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]] | None:
        """Return the outputs and the states after.

        Args:
            tensors: the inputs, the initial states if there are any, the stored parameters.

        Returns:
            None where a tensor is not as those that the replay is for.
        """


class StepKernel(Protocol):
    """A kernel bound to its memory, which goes step by step without tensors.

    ``inputs`` [B, width] by name, the first of which is ``input``, are read by ``step``, and
    ``output`` [B, width] is written; all stay where they are. ``state`` is a copy of the states
    [B, width] by name, and can be set.
    """

    inputs: dict[str, Array]
    input: Array
    output: Array
    # Where each output stands, by name, and how wide it is without padding.
    outputs: dict[str, tuple[Array, int]]
    state: dict[str, Array]

    def step(self) -> None:
        """Read ``input``, write ``output``, go on to the next state."""

    def restart(self) -> None:
        """Set the states to what they were at first."""


class FrozenKernel(Protocol):
    """A kernel bound to weights that stay as they are, which runs whole sequences without
    tensors. Several threads may call it at once."""

    def __call__(
        self, inputs: Mapping[str, Array], begin: Mapping[str, Array] | None, steps: Steps
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the outputs and the states after each sequence's last step, by name, in arrays of
        their own.

        Args:
            inputs: by name, [T, B, width], or the rows [N, width] of sequences of different length.
            begin: the states before the first step, [B, width] by name, [state_rows, B, width]
                where a kernel has several rows; None for zeros. So are those returned.
            steps: how many, at least one, and how many sequences take part in each.
        """


class Kernel(ABC):
    """A plan made ready to run. What a subclass leaves out, others do for it more slowly."""

    plan: Plan

    @property
    def state_rows(self) -> int:
        """Rows of each state, [rows, B, width]: more than one where several are handed on."""
        return 1

    @property
    def planned(self) -> Plan | None:
        """The plan whose backward pass the kernel runs; None if that is left to autograd."""
        return None

    @abstractmethod
    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        """Run all steps.

        Args:
            inputs: [..., width] by name: rows as ``Steps`` orders them, in any leading dimensions,
                as [T, B, width] if no sequence is shorter.
            start: the states before the first step.
            parameters: as they are stored.
            steps: how many, and how many sequences take part in each.
            observe: whether every local name of the cell is asked for, over time.
        """

    def step(
        self, inputs: Mapping[str, Tensor], state: InitialState, parameters: Parameters
    ) -> tuple[Values, Values]:
        """Return the outputs [B, width] and the new state [1, B, width] of one step on inputs
        [B, width]."""
        steps = Steps.dense(1, len(next(iter(inputs.values()))))
        unrolled = self.sequence(inputs, state, parameters, steps=steps, observe=False)
        return unrolled.outputs, unrolled.final

    def of_memories(self, memories: Mapping[str, Memory], parameters: Parameters) -> Values | None:
        """Return what is computed of memories alone, by name, for many calls with the same memories
        and parameters; None where a call computes it itself.

        Args:
            memories: what is looked at, by name.
            parameters: as they are stored.
        """
        return None

    def replay(
        self,
        shapes: Sequence[torch.Size],
        widths: Mapping[str, int],
        parameters: Parameters,
        steps: Steps,
        *,
        started: bool,
    ) -> Replay | None:
        """Return how inference on inputs of these shapes is replayed; None where there is more to
        do than to run it.

        Args:
            shapes: of the inputs in the cell's order, [..., width] each.
            widths: of the states.
            parameters: as those that later calls will give are stored.
            steps: how many, and how many sequences take part in each.
            started: whether states are given; otherwise all begin with zeros.
        """
        return None

    def bind(
        self,
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
    ) -> StepKernel | None:
        """Return this kernel bound to its memory and to the parameters as they are now; None if it
        cannot go step by step without tensors.

        Args:
            parameters: as they are stored.
            batch: how many sequences go on side by side.
            input_size: features of the first input.
            shared: features of inputs that all layers read, by name.
            states: their widths.
            begin: what states start at that do not start at 0.
            source: of this class, whose first output this one reads; without, ``input`` is memory
                of its own.
            below: of inputs that are another output of ``source``, which it is.
            first: of this class, whose shared inputs this one reads; without, they are memory of
                its own.
        """
        return None

    def freeze(self, parameters: Parameters, states: Mapping[str, int]) -> FrozenKernel | None:
        """Return this kernel bound to the parameters as they are now; None if it does not run
        without tensors.

        Args:
            parameters: as they are stored.
            states: their widths.
        """
        return None

    def explain(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        """Return lines for people: how such a sequence is run, and what the machine could do at
        best.

        Args:
            widths: of all axes.
            steps: how many, and how many sequences take part in each.
        """
        return []
