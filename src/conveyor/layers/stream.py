"""A layer that goes step by step at the speed of its arithmetic: NumPy in, NumPy out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conveyor.errors import ShapeError
from conveyor.kernels.kernel import StepKernel
from conveyor.layers.checks import check_whole
from conveyor.layers.request import by_name
from conveyor.layers.walk import rows_of_layer, walk

if TYPE_CHECKING:
    from conveyor.layers.sequence import SequenceLayer

Array = NDArray[np.floating]


class Stream:
    """A layer bound to its memory, see ``SequenceLayer.stream``.

    ``stream(x)`` takes one step. For the last microsecond write into ``stream.input`` [B, I], call
    ``stream.advance()`` and read ``stream.output`` [B, width]; these arrays stay where they are.
    ``stream.inputs`` and ``stream.outputs`` are all of them by name. ``stream.state`` is a copy of
    the state by name, [layers, B, width], and can be set.

    Args:
        layers: the lowest first.
        inputs, outputs: the names of what is read and given, the main ones first.
    """

    def __init__(
        self, layers: list[StepKernel], inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self._layers = layers
        self.input, self.output = layers[0].input, layers[-1].output
        self.inputs = {name: layers[0].inputs[name] for name in inputs}
        written = layers[-1].outputs
        self.outputs = {name: written[name][0][:, : written[name][1]] for name in outputs}
        self._plain = len(inputs) == len(outputs) == 1
        # What would be looked up at every step.
        self._steps = [layer.step for layer in layers]
        self._shape = self.input.shape
        self._single = self.input.shape[1:] if len(self.input) == 1 else None
        self._row_in, self._row_out = self.input[0], self.output[0]

    def __call__(self, x: ArrayLike | Mapping[str, ArrayLike]) -> Any:
        """Take one step.

        Args:
            x: [B, input_size], or [input_size] if the batch is one; arrays by name where the cell
                has several inputs.

        Returns:
            The output, [B, width], or [width] where x had no batch dimension; arrays by name where
            the cell has several outputs.

        Raises:
            ShapeError: x does not fit.
        """
        if not self._plain or isinstance(x, Mapping):
            return self._step_by_name(x)
        array = x if isinstance(x, np.ndarray) else np.asarray(x)
        if array.shape == self._single:
            self._row_in[:] = array
            for step in self._steps:
                step()
            output: Array = self._row_out.copy()
            return output
        if array.shape == self._shape:
            self.input[:] = array
            self.advance()
            return self.output.copy()
        raise ShapeError(f"x is {list(array.shape)}; expected {list(self._shape)}, one step.")

    def _step_by_name(self, x: ArrayLike | Mapping[str, ArrayLike]) -> Any:
        named = by_name(x, tuple(self.inputs), "this stream")
        arrays = {name: np.asarray(named[name]) for name in self.inputs}
        dimensions = {array.ndim for array in arrays.values()}
        batched = dimensions != {1}
        for name, array in arrays.items():
            memory = self.inputs[name]
            if array.shape != (memory.shape if batched else memory.shape[1:]) or (
                not batched and len(memory) > 1
            ):
                raise ShapeError(
                    f"{name} is {list(array.shape)}; expected {list(memory.shape)}, one step."
                )
        for name, array in arrays.items():
            self.inputs[name][:] = array
        self.advance()
        outputs = {
            name: (array if batched else array[0]).copy() for name, array in self.outputs.items()
        }
        return outputs if len(outputs) > 1 else outputs.popitem()[1]

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
        """The state by name, [layers, B, width]; of a dilated layer a row for each step that it is
        read late."""
        each = [layer.state for layer in self._layers]
        return {name: np.concatenate([_rows(of[name]) for of in each]) for name in each[0]}

    @state.setter
    def state(self, values: Mapping[str, ArrayLike]) -> None:
        if not isinstance(values, Mapping):
            raise ShapeError(
                f"the state is a {type(values).__name__}; expected arrays by name, as ``state`` "
                "gives them."
            )
        now = self.state
        arrays = {name: np.asarray(each) for name, each in values.items()}
        if arrays.keys() != now.keys() or any(arrays[n].shape != now[n].shape for n in now):
            expected = ", ".join(f"{name} {list(each.shape)}" for name, each in now.items())
            got = ", ".join(f"{name} {list(each.shape)}" for name, each in arrays.items())
            raise ShapeError(f"the state is {got}; expected {expected}.")
        begin = 0
        for layer in self._layers:
            shape = next(iter(layer.state.values())).shape
            dilated = len(shape) > 2
            end = begin + (shape[0] if dilated else 1)
            layer.state = {
                name: each[begin:end] if dilated else each[begin] for name, each in arrays.items()
            }
            begin = end


def _rows(states: Array) -> Array:
    """Return a layer's states with an axis of rows, of which there is one unless it is dilated."""
    return states if states.ndim > 2 else states[np.newaxis]


def streamed(layer: "SequenceLayer", batch: int) -> Stream:
    """Return a layer bound to its memory, with the weights as they are now.

    Args:
        layer: of one direction.
        batch: how many sequences go on side by side.

    Raises:
        SettingError: ``batch`` is below 1, or the layer is bidirectional.
        TargetError: no target that can be used goes without tensors.
    """
    check_whole(batch=batch)
    layer._check_one_direction()
    placement = layer._placement(layer._weight())
    parameters = layer._stack_parameters()
    layer._check_stored(parameters)
    bound = list[StepKernel]()

    def bind(number: int, direction: int, source: StepKernel | None) -> StepKernel:
        plans = layer._plans[number]
        kernel = layer._layer_kernel(number, placement, plans.inference).bind(
            parameters[number][0],
            batch=batch,
            input_size=layer._features if source is None else layer._output_width(),
            shared=layer._shared_widths,
            states=layer._state_widths,
            begin=_begins_with(layer, number),
            source=source,
            below=dict(plans.reads.below),
            first=bound[0] if bound else None,
        )
        if kernel is None:
            raise layer._lacking("steps without tensors", placement)
        bound.append(kernel)
        return kernel

    walk(None, bind, layers=len(parameters))
    reads = layer._first_plans.reads
    return Stream(bound, (reads.main, *reads.shared), layer._output_names)


def _begins_with(layer: "SequenceLayer", number: int) -> Mapping[str, Any]:
    """Return what the states of one of the layers begin with, by name: a number, or an array [1,
    width], with an axis of rows where it is dilated."""
    if not layer.learn_start:
        return layer.plan.program.start_states
    rows = rows_of_layer(layer._dilations, number, 0, 1)
    learned = {name: each[rows].detach().numpy() for name, each in layer._start_values(1).items()}
    if rows.stop - rows.start > 1:
        return learned
    return {name: each[0] for name, each in learned.items()}
