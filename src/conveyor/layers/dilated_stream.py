"""Steps without tensors of a dilated layer: a bound kernel for each step that the layer reads its
state late, which take turns."""

from collections.abc import Sequence

import numpy as np

from conveyor.kernels.kernel import Array, StepKernel


class DilatedStepKernel:
    """A dilated layer of one direction, going step by step; see ``kernel.StepKernel``. Its states
    are [dilation, B, width], the first of which the next step reads.

    Args:
        kernels: one for each step that the layer reads its state late; the first of them does the
            first step. They read what the layer below gives, or, in the lowest layer, memory of
            their own.
        lowest: whether this is the lowest layer.
    """

    def __init__(self, kernels: Sequence[StepKernel], *, lowest: bool) -> None:
        self.kernels = list(kernels)
        first = self.kernels[0]
        self.input, self.inputs = first.input, first.inputs
        self.output, self.outputs = first.output, first.outputs
        self._lowest = lowest
        self._next = 0

    def step(self) -> None:
        """Read ``input``, write ``output``, go on to the next state."""
        kernel = self.kernels[self._next]
        if self._next and self._lowest:
            for name, memory in kernel.inputs.items():
                memory[...] = self.inputs[name]
        kernel.step()
        if self._next:
            for name, (memory, _) in self.outputs.items():
                memory[...] = kernel.outputs[name][0]
        self._next = (self._next + 1) % len(self.kernels)

    def restart(self) -> None:
        """Set the states to what they were at first."""
        for kernel in self.kernels:
            kernel.restart()
        self._next = 0

    @property
    def state(self) -> dict[str, Array]:
        """The states [dilation, B, width] by name, a copy."""
        waiting = [kernel.state for kernel in self._in_turn]
        return {name: np.stack([states[name] for states in waiting]) for name in waiting[0]}

    @state.setter
    def state(self, values: dict[str, Array]) -> None:
        for number, kernel in enumerate(self._in_turn):
            kernel.state = {name: each[number] for name, each in values.items()}

    @property
    def _in_turn(self) -> list[StepKernel]:
        """The kernels, that of the next step first."""
        return [*self.kernels[self._next :], *self.kernels[: self._next]]
