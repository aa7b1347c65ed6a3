"""A layer on NumPy arrays: whole sequences at the speed of their arithmetic, without tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from conveyor.errors import ShapeError
from conveyor.kernels.kernel import FrozenKernel
from conveyor.kernels.steps import Steps
from conveyor.layers.lengths import Ragged, read_lengths
from conveyor.layers.plans import Reads
from conveyor.layers.request import by_name
from conveyor.layers.walk import Join, outputs_on_top, rows_of_layer, walk

if TYPE_CHECKING:
    from conveyor.layers.sequence import SequenceLayer

Array = NDArray[np.floating]

ARRAYS = Join(
    lambda outputs: np.concatenate(outputs, axis=-1), lambda outputs: outputs[0] + outputs[1]
)
# Kinds of NumPy's numbers that become floating-point ones without loss of meaning.
REAL = "fiub"


class FrozenLevel(NamedTuple):
    """One layer: its kernels, one for each direction, and where its inputs come from."""

    kernels: tuple[FrozenKernel, ...]
    reads: Reads


class FrozenLayer:
    """A layer's arithmetic with the weights of a moment, see ``SequenceLayer.numpy``.

    Args:
        levels: the layers, from the first.
        inputs: features of the inputs by name; the first goes up the layers.
        outputs: the names of what a call gives; the first is what the next layer reads.
        states: the widths of the states.
        dilations: of the layers; empty if none is dilated.
        start: what states begin with that do not begin with zeros, [rows, 1, width] by name.
        state_of: makes a state as the layer hands it out, of arrays by name.
        dtype: of all numbers.
        batch_first: whether the batch comes first in inputs and outputs.
        merge: what becomes of both directions, see ``walk.MERGES``.
    """

    def __init__(
        self,
        levels: Sequence[FrozenLevel],
        *,
        inputs: Mapping[str, int],
        outputs: Sequence[str],
        states: Mapping[str, int],
        dilations: tuple[int, ...],
        start: Mapping[str, Array],
        state_of: Callable[[dict[str, Any]], Any],
        dtype: "np.dtype[Any]",
        batch_first: bool,
        merge: str,
    ) -> None:
        self._levels = tuple(levels)
        self._inputs, self._outputs = dict(inputs), tuple(outputs)
        self._input, self._input_size = next(iter(self._inputs.items()))
        self._output = self._outputs[0]
        self._states, self._start, self._state_of = dict(states), dict(start), state_of
        self._dtype, self._batch_first, self._merge = dtype, batch_first, merge
        self._dilations = dilations
        self._rows = (sum(dilations) or len(levels)) * len(levels[0].kernels)
        # What a call of a layer with one kernel asks for and nothing else.
        plain = self._rows == len(self._inputs) == len(self._outputs) == 1
        self._single = levels[0].kernels[0] if plain else None

    def __call__(
        self,
        x: ArrayLike | Mapping[str, ArrayLike],
        state: Any = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> tuple[Any, Any]:
        """Run the sequences.

        Args:
            x: [T, B, input_size]; [B, T, input_size] with ``batch_first``; [T, input_size] for one
                sequence. Numbers of another type are converted. Arrays by name where the cell has
                several inputs.
            state: what a call returned, or arrays in the order of ``layer.start``, each
                [rows, B, width] as there, without B for one sequence; None begins anew.
            lengths: how many steps of each sequence count, 0 to T, in any order. Outputs after a
                sequence's end are zeros, its final state is the one at its end, and the reverse
                direction begins there.

        Returns:
            (output, state): the output [T, B, output_size], laid out as ``x``, and a dictionary of
            those by name where the cell has several; the state in the form that the layer gives it,
            of arrays. Both are the caller's own.

        Raises:
            ShapeError: an array does not fit; the text says what was expected.
        """
        others: dict[str, Array] = {}
        # To ask an array whether it is a mapping takes as long as to copy a small one.
        if len(self._inputs) > 1 or (type(x) is not np.ndarray and isinstance(x, Mapping)):
            x, others = self._named(x)
        array = x if isinstance(x, np.ndarray) else np.asarray(x)
        batched = array.ndim == 3
        if array.ndim not in (2, 3) or array.shape[-1] != self._input_size:
            order = "[B, T" if self._batch_first else "[T, B"
            raise ShapeError(
                f"x is {list(array.shape)}; expected {order}, {self._input_size}], or "
                f"[T, {self._input_size}] for one sequence."
            )
        if array.dtype.kind not in REAL:
            raise ShapeError(f"x is of {array.dtype}; expected real numbers.")
        shared = {
            name: self._laid_out(self._checked(name, other, array), batched)
            for name, other in others.items()
        }
        array = self._laid_out(array, batched)
        length, batch, _ = array.shape
        begin = self._begin(state, batch, batched)
        ragged = None
        if lengths is not None:
            read = read_lengths(np.asarray(lengths), length, batch)  # type: ignore[arg-type]
            if (read != length).any():
                ragged = Ragged.of(read, None, length, torch.device("cpu"))
        steps = Steps.dense(length, batch) if ragged is None else ragged.steps
        if not steps.rows:
            outputs, final = self._nothing(array, begin)
        elif self._single is not None and ragged is None:
            outputs, last = self._single({self._input: array}, self._of(begin, 0, 0), steps)
            final = {n: with_rows(each) for n, each in last.items()}
        else:
            outputs, final = self._walked(array, shared, begin, steps, ragged)
        if not batched:
            outputs = {name: values[:, 0] for name, values in outputs.items()}
            final = {name: each[:, 0] for name, each in final.items()}
        elif self._batch_first:
            outputs = {name: values.swapaxes(0, 1) for name, values in outputs.items()}
        output = outputs[self._output] if len(self._outputs) == 1 else outputs
        return output, self._state_of(final)

    def _named(self, x: Any) -> tuple[Any, dict[str, Array]]:
        """Return the main input and the others by name.

        Raises:
            ShapeError: there is not one for each name.
        """
        named = by_name(x, tuple(self._inputs), "this layer")
        main, *others = self._inputs
        return named[main], {name: np.asarray(named[name]) for name in others}

    def _checked(self, name: str, array: Array, main: Array) -> Array:
        """Return an input besides the main one.

        Raises:
            ShapeError: it does not have the steps and sequences of the main one, or other features.
        """
        expected = (*main.shape[:-1], self._inputs[name])
        if array.shape != expected or array.dtype.kind not in REAL:
            raise ShapeError(
                f"input {name} is {list(array.shape)} of {array.dtype}; expected real numbers of "
                f"{list(expected)}."
            )
        return array

    def _laid_out(self, array: Array, batched: bool) -> Array:
        """Return an input as [T, B, width]."""
        if not batched:
            return array[:, None]
        return array.swapaxes(0, 1) if self._batch_first else array

    def _begin(self, state: Any, batch: int, batched: bool) -> dict[str, Array] | None:
        """Return the states before the first step, [rows, B, width] by name; None for zeros.

        Raises:
            ShapeError: one does not fit.
        """
        if state is None:
            if not self._start:
                return None
            return {
                name: np.broadcast_to(
                    self._start.get(name, np.zeros(1, self._dtype)), (self._rows, batch, width)
                )
                for name, width in self._states.items()
            }
        arrays = [
            np.asarray(each) for each in (state if isinstance(state, tuple | list) else [state])
        ]
        expected = [
            (self._rows, batch, width) if batched else (self._rows, width)
            for width in self._states.values()
        ]
        real = all(each.dtype.kind in REAL for each in arrays)
        if [each.shape for each in arrays] != expected or not real:
            got = ", ".join(f"{list(each.shape)} of {each.dtype}" for each in arrays)
            shapes = zip(self._states, expected, strict=True)
            raise ShapeError(
                f"the state is {got or 'empty'}; expected real numbers: "
                + ", ".join(f"{name} {list(shape)}" for name, shape in shapes)
                + "."
            )
        if not batched:
            arrays = [each[:, None] for each in arrays]
        return dict(zip(self._states, arrays, strict=True))

    def _of(
        self, states: Mapping[str, Array] | None, layer: int, direction: int
    ) -> dict[str, Array] | None:
        """Return one layer's states in one direction, as its kernel reads them."""
        if states is None:
            return None
        rows = rows_of_layer(self._dilations, layer, direction, len(self._levels[0].kernels))
        if rows.stop - rows.start == 1:
            return {name: each[rows.start] for name, each in states.items()}
        return {name: each[rows] for name, each in states.items()}

    def _nothing(
        self, x: Array, begin: Mapping[str, Array] | None
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return what no step gives: no output, or zeros for padding, and the state as it was."""
        length, batch, _ = x.shape
        zero = {n: np.zeros((self._rows, batch, w), self._dtype) for n, w in self._states.items()}
        final = (
            zero if begin is None else {n: each.astype(self._dtype) for n, each in begin.items()}
        )
        one = {name: np.zeros((1, 1, width), self._dtype) for name, width in self._inputs.items()}
        outputs, _ = self._walked(one.pop(self._input), one, None, Steps.dense(1, 1), None)
        zeros = {
            name: np.zeros((length, batch, values.shape[-1]), self._dtype)
            for name, values in outputs.items()
        }
        return zeros, final

    def _walked(
        self,
        x: Array,
        shared: Mapping[str, Array],
        begin: Mapping[str, Array] | None,
        steps: Steps,
        ragged: Ragged | None,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the outputs [T, B, width] and the final states of all layers and directions."""
        length, batch, _ = x.shape
        directions = len(self._levels[0].kernels)
        finals: dict[str, list[Array]] = {name: [] for name in self._states}
        below: list[dict[str, Array]] = [{} for _ in range(directions)]

        def run(layer: int, direction: int, read: Array) -> Array:
            level = self._levels[layer]
            others = level.reads.others(shared, below[direction])
            start = self._of(begin, layer, direction)
            if start and ragged is not None:
                order = ragged.begins[direction].numpy()
                start = {name: each[..., order, :] for name, each in start.items()}
            outputs, last = level.kernels[direction](
                {level.reads.main: read, **others}, start, steps.reversed if direction else steps
            )
            below[direction] = outputs
            for name, states in last.items():
                ends = states
                if ragged is not None:
                    ends = states[..., ragged.ends[direction].numpy(), :]
                finals[name].append(with_rows(ends))
            return outputs[self._output]

        if ragged is not None:
            rows = ragged.rows.numbers.numpy()
            x = x.reshape(length * batch, -1)[rows]
            shared = {n: values.reshape(length * batch, -1)[rows] for n, values in shared.items()}
        output = walk(
            x,
            run,
            layers=len(self._levels),
            directions=directions,
            merge=self._merge,
            join=ARRAYS,
        )
        outputs = outputs_on_top(output, below, self._outputs, self._merge, ARRAYS)
        if ragged is not None:
            for name, values in outputs.items():
                padded = np.zeros((length * batch, values.shape[-1]), self._dtype)
                padded[ragged.rows.numbers.numpy()] = values
                outputs[name] = padded.reshape(length, batch, -1)
        return outputs, {name: np.concatenate(each) for name, each in finals.items()}


def with_rows(state: Array) -> Array:
    """Return a state of one layer in one direction as [rows, B, width]."""
    return state if state.ndim == 3 else state[None]


def frozen(layer: "SequenceLayer") -> FrozenLayer:
    """Return a layer's arithmetic on arrays, with the weights as they are now.

    Raises:
        TargetError: no target that can be used runs without tensors.
        ShapeError: a parameter does not have the shape that the layer's sizes say.
    """
    placement = layer._placement(layer._weight())
    stack = layer._stack_parameters()
    layer._check_stored(stack)

    def of(number: int, direction: int) -> FrozenKernel:
        kernel = layer._layer_kernel(number, placement, layer._plans[number].inference)
        bound = kernel.freeze(stack[number][direction], layer._state_widths)
        if bound is None:
            raise layer._lacking("sequences without tensors", placement)
        return bound

    levels = [
        FrozenLevel(
            tuple(of(number, direction) for direction in range(len(stack[0]))),
            layer._plans[number].reads,
        )
        for number in range(len(stack))
    ]
    with torch.no_grad():
        begin = layer._start_values(1) if layer._begins_elsewhere else {}
    return FrozenLayer(
        levels,
        inputs={layer._first_plans.reads.main: layer._features, **layer._shared_widths},
        outputs=layer._output_names,
        states=layer._state_widths,
        dilations=layer._dilations,
        start={name: each.detach().numpy().copy() for name, each in begin.items()},
        state_of=layer._state_of,
        dtype=torch.empty(0, dtype=placement.dtype, device="cpu").numpy().dtype,
        batch_first=layer.batch_first,
        merge=layer.merge,
    )
