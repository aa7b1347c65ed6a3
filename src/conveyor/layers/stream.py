"""A layer that goes step by step at the speed of its arithmetic: NumPy in, NumPy out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conveyor.errors import ShapeError
from conveyor.kernels.kernel import StepKernel

Array = NDArray[np.floating]


class Stream:
    """A layer bound to its memory, see ``SequenceLayer.stream``.

    ``stream(x)`` takes one step. For the last microsecond write into ``stream.input`` [B, I], call
    ``stream.advance()`` and read ``stream.output`` [B, width]; these arrays stay where they are.
    ``stream.state`` is a copy of the state by name, [layers, B, width], and can be set.
    """

    def __init__(self, layers: list[StepKernel]) -> None:
        self._layers = layers
        self.input, self.output = layers[0].input, layers[-1].output
        # What would be looked up at every step.
        self._steps = [layer.step for layer in layers]
        self._shape = self.input.shape
        self._single = self.input.shape[1:] if len(self.input) == 1 else None
        self._row_in, self._row_out = self.input[0], self.output[0]

    def __call__(self, x: ArrayLike) -> Array:
        """One step.

        Args:
            x: [B, input_size], or [input_size] if the batch is one.

        Returns:
            The output, [B, width], or [width] where x had no batch dimension.

        Raises:
            ShapeError: x does not fit.
        """
        given = x if isinstance(x, np.ndarray) else np.asarray(x)
        if given.shape == self._single:
            self._row_in[:] = given
            for step in self._steps:
                step()
            output: Array = self._row_out.copy()
            return output
        if given.shape == self._shape:
            self.input[:] = given
            self.advance()
            return self.output.copy()
        raise ShapeError(f"x is {list(given.shape)}; expected {list(self._shape)}, one step.")

    def advance(self) -> None:
        """Take one step from what stands in ``input``."""
        for step in self._steps:
            step()

    def restart(self) -> None:
        """Begin anew, with the states of the layer's ``start``."""
        for layer in self._layers:
            layer.restart()

    @property
    def state(self) -> dict[str, Array]:
        """The state by name, [layers, B, width]."""
        each = [layer.state for layer in self._layers]
        return {name: np.stack([states[name] for states in each]) for name in each[0]}

    @state.setter
    def state(self, values: Mapping[str, ArrayLike]) -> None:
        if not isinstance(values, Mapping):
            raise ShapeError(
                f"the state is a {type(values).__name__}; expected arrays by name, as ``state`` "
                "gives them."
            )
        now = self.state
        given = {name: np.asarray(each) for name, each in values.items()}
        if given.keys() != now.keys() or any(given[n].shape != now[n].shape for n in now):
            expected = ", ".join(f"{name} {list(each.shape)}" for name, each in now.items())
            got = ", ".join(f"{name} {list(each.shape)}" for name, each in given.items())
            raise ShapeError(f"the state is {got}; expected {expected}.")
        for number, layer in enumerate(self._layers):
            layer.state = {name: each[number] for name, each in given.items()}
