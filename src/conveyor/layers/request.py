"""Requests: what a layer is called with, checked once and brought into one form."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.errors import ShapeError, counted
from conveyor.kernels.kernel import InitialState, Values
from conveyor.kernels.steps import Steps
from conveyor.layers.lengths import Packing, Ragged


class Request(NamedTuple):
    """A call on sequences, read.

    Args:
        x: [T, B, I], or rows [N, I] of a packed sequence.
        shared: inputs that every layer reads, by name, laid out as ``x``.
        steps: how many, and how many sequences take part in each.
        start: the state before the first step.
        ragged: how x becomes rows without padding; None if it has none.
        packing: how x was packed, if it was.
        resets: whether states go back to the initial one within sequences.
        batched: whether the input had a batch dimension.
        batch_first: whether batches come first in what the caller sees.
    """

    x: Tensor
    shared: Values
    steps: Steps
    start: InitialState
    ragged: Ragged | None
    packing: Packing | None
    resets: bool
    batched: bool
    batch_first: bool

    @property
    def rows(self) -> Tensor:
        """What kernels read: rows without padding, or x itself."""
        return self.x if self.ragged is None else self.ragged.pack(self.x)

    @property
    def shared_rows(self) -> Values:
        """Inputs that every layer reads, as ``rows``."""
        if self.ragged is None:
            return self.shared
        return {name: self.ragged.pack(values) for name, values in self.shared.items()}

    def laid_out(self, values: Tensor) -> Tensor:
        """Return values of each row as the caller sees them: padded, with the dimensions of the
        input."""
        if self.packing is not None:
            values = self.packing.pad(values)
        elif self.ragged is not None:
            values = self.ragged.unpack(values, *self.x.shape[:2])
        if not self.batched:
            return values.squeeze(1)
        return values.transpose(0, 1) if self.batch_first else values

    def rows_of(self, values: Tensor) -> Tensor:
        """Return the rows of values that ``laid_out`` returned."""
        if not self.batched:
            values = values.unsqueeze(1)
        elif self.batch_first:
            values = values.transpose(0, 1)
        if self.packing is not None:
            return self.packing.rows(values)
        return values if self.ragged is None else self.ragged.pack(values)

    def output(self, values: Tensor) -> Tensor | PackedSequence:
        """Return an output of each row as the caller sees it: packed if the input was."""
        return self.laid_out(values) if self.packing is None else self.packing.pack(values)

    def final(self, states: Values) -> Values:
        """Return the final states in the order of the caller's batch."""
        if self.packing is not None:
            return {name: self.packing.unsort(each, 1) for name, each in states.items()}
        return states if self.batched else {n: each.squeeze(1) for n, each in states.items()}


def check_tensor(what: str, value: Any) -> None:
    """Raise unless ``value`` is a dense tensor.

    Raises:
        ShapeError: it is something else, or a sparse, nested or otherwise packed tensor.
    """
    if not isinstance(value, Tensor):
        raise ShapeError(
            f"{what} is a {type(value).__name__}; expected a tensor. "
            "torch.as_tensor makes one of numbers and arrays."
        )
    if value.is_nested:
        raise ShapeError(
            f"{what} is a nested tensor; expected a padded one. "
            "Give torch.nested.to_padded_tensor(x, 0.0) with lengths=."
        )
    if value.layout is not torch.strided:
        raise ShapeError(
            f"{what} is a tensor of layout {value.layout}; expected a dense one. "
            "Convert it: .to_dense()."
        )


def one_of_each(state: Any, names: Sequence[str], layer: str, argument: str) -> Values:
    """Return a state's tensors by name.

    Args:
        state: a tensor, or a tuple or list of tensors.
        names: of the layer's states.
        layer: its name, for the error.
        argument: what the state is called where it is given.

    Raises:
        ShapeError: there is not one tensor for each name.
    """
    tensors = tuple(state) if isinstance(state, tuple | list) else (state,)
    if len(tensors) != len(names) or not all(isinstance(each, Tensor) for each in tensors):
        kinds = ", ".join(type(each).__name__ for each in tensors)
        several = isinstance(state, tuple | list)
        got = f"a {type(state).__name__} of ({kinds})" if several else f"a {kinds}"
        raise ShapeError(
            f"{argument} is {got}; {layer} needs the tensors {', '.join(names)}. "
            "layer.start(batch) makes them."
        )
    return dict(zip(names, tensors, strict=True))


def check_same_kind(what: str, tensor: Tensor, like: Tensor) -> None:
    """Raise unless a tensor is of the type and on the device of ``like``. Under autocast it may be
    of another type.

    Raises:
        ShapeError: it is not.
    """
    if tensor.dtype != like.dtype and not torch.is_autocast_enabled(like.device.type):
        or_layer = ""
        if tensor.dtype.is_floating_point:  # a layer has parameters of no other type
            or_layer = f", or the layer: layer.to({tensor.dtype})"
        raise ShapeError(
            f"{what} is of {tensor.dtype}, expected {like.dtype}. "
            f"Convert it: .to({like.dtype}){or_layer}."
        )
    if tensor.device != like.device:
        raise ShapeError(f"{what} is on {tensor.device}, expected {like.device}.")


def read_input(
    input: Tensor | PackedSequence, weight: Tensor, *, features: int, batch_first: bool, layer: str
) -> tuple[Tensor, Packing | None, bool]:
    """Return the input as [T, B, I], or as rows with how they were packed; and whether it had a
    batch dimension.

    Args:
        weight: a parameter, of whose type and on whose device the input must be.
        features: I.
        layer: the name of the layer's class, for errors.

    Raises:
        ShapeError: the input does not fit.
    """
    packing: Packing | None = None
    batched = True
    if isinstance(input, PackedSequence):
        check_tensor("the packed input", input.data)
        if input.data.dim() != 2:
            raise ShapeError(
                f"the packed input has {counted(input.data.dim(), 'dimension')}; expected 2: "
                "steps of all sequences, and features."
            )
        x, packing = input.data, Packing.of(input)
        packing.check(x.shape[0])
    else:
        check_tensor("input", input)
        if input.dim() not in (2, 3):
            raise ShapeError(f"{layer}: expected input to be 2D or 3D, got {input.dim()}D.")
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(0 if batch_first else 1)
        x = x.transpose(0, 1) if batch_first else x
    if x.shape[-1] != features:
        raise ShapeError(f"input.size(-1) is {x.shape[-1]}; this layer reads {features} features.")
    check_same_kind("input", x, weight)
    x = x if x.dtype == weight.dtype else x.to(weight.dtype)  # another only under autocast
    return x, packing, batched


def by_name(input: Any, names: Sequence[str], layer: str) -> Mapping[str, Any]:
    """Return a cell's inputs by name.

    Args:
        input: as the caller gives it: a mapping; where there is one input, that alone too.
        names: of the inputs.
        layer: its name, for the error.

    Raises:
        ShapeError: there is not one for each name.
    """
    if isinstance(input, Mapping) and input.keys() == set(names):
        return input
    if len(names) == 1 and not isinstance(input, Mapping):
        return {names[0]: input}
    several = isinstance(input, Mapping)
    got = f"holds {', '.join(map(str, input)) or 'nothing'}" if several else "is one tensor"
    expected = ", ".join(f'"{name}": {name}' for name in names)
    raise ShapeError(
        f"the input {got}; {layer} reads {', '.join(names)}. Give them by name: {{{expected}}}."
    )


def read_shared(
    name: str,
    input: Any,
    like: Tensor,
    weight: Tensor,
    *,
    features: int,
    packing: Packing | None,
    batched: bool,
    batch_first: bool,
) -> Tensor:
    """Return an input besides the main one as that is laid out: [T, B, width], or rows.

    Args:
        name: what it is called.
        input: as the caller gives it.
        like: the main input, laid out.
        weight: a parameter, of whose type and on whose device the input must be.
        features: how wide it must be.
        packing: how the main input was packed, if it was.
        batched: whether the main input had a batch dimension.
        batch_first: whether batches come first in what the caller gives.

    Raises:
        ShapeError: it does not fit.
    """
    if (packing is not None) != isinstance(input, PackedSequence):
        raise ShapeError(
            f"input {name} is a {type(input).__name__}; expected all inputs packed, or none."
        )
    if packing is not None:
        if not packing.packs_as(input):
            raise ShapeError(
                f"input {name} is packed in other steps or another order than the first input. "
                "Pack all inputs with the same lengths."
            )
        values = input.data
        check_tensor(f"packed input {name}", values)
    else:
        check_tensor(f"input {name}", input)
        if input.dim() != (3 if batched else 2):
            raise ShapeError(
                f"input {name} has {counted(input.dim(), 'dimension')}; expected "
                f"{3 if batched else 2}, as the first input."
            )
        values = input if batched else input.unsqueeze(0 if batch_first else 1)
        values = values.transpose(0, 1) if batch_first else values
    expected = (*like.shape[:-1], features)
    if values.shape != expected:
        order = "rows, features" if packing is not None else "T, B, features"
        raise ShapeError(
            f"input {name} is {list(values.shape)} ({order}); expected {list(expected)}."
        )
    check_same_kind(f"input {name}", values, weight)
    shared: Tensor = values if values.dtype == weight.dtype else values.to(weight.dtype)
    return shared


def read_step(
    x_t: Tensor, weight: Tensor, *, features: int, name: str = "x_t"
) -> tuple[Tensor, bool]:
    """Return one step as [B, I], and whether it had a batch dimension; see ``read_input``.

    Raises:
        ShapeError: it does not fit.
    """
    check_tensor(name, x_t)
    if x_t.dim() not in (1, 2) or x_t.shape[-1] != features:
        raise ShapeError(f"{name} is {list(x_t.shape)}; expected [B, {features}], one step.")
    batched = x_t.dim() == 2
    x = x_t if batched else x_t.unsqueeze(0)
    check_same_kind(name, x, weight)
    return x.to(weight.dtype), batched


def read_reset(reset: Tensor, x: Tensor, *, batched: bool, batch_first: bool) -> Tensor:
    """Return ``reset`` as [T, B], on the device of ``x`` [T, B, I].

    Raises:
        ShapeError: it is no bool tensor of the shape that the input has.
    """
    check_tensor("reset", reset)
    if reset.is_meta and not x.is_meta:
        raise ShapeError(f"reset is on meta, which holds no numbers; expected {x.device}.")
    restart = reset if batched else reset.unsqueeze(-1)
    if batch_first and batched and restart.dim() == 2:
        restart = restart.transpose(0, 1)
    if restart.shape != x.shape[:2] or restart.dtype != torch.bool:
        order = "[B, T]" if batch_first else "[T, B]"
        raise ShapeError(
            f"reset is {list(reset.shape)} of {reset.dtype}; expected bool of {order}, "
            f"with T = {x.shape[0]} and B = {x.shape[1]}."
        )
    return restart.to(x.device)


def read_state(
    values: Values, widths: Mapping[str, int], *, rows: int, batch: int, like: Tensor, batched: bool
) -> InitialState:
    """Return the state before the first step, [rows, batch, width] by name.

    Args:
        widths: of each state.
        rows: layers times directions.
        like: the input, of whose type and on whose device the state must be.
        batched: whether the input had a batch dimension; the state must have one then.

    Raises:
        ShapeError: a state does not fit.
    """
    checked = {}
    for name, width in widths.items():
        state = values[name]
        check_tensor(f"state {name}", state)
        if state.dim() != (3 if batched else 2):
            raise ShapeError(
                f"state {name} has {counted(state.dim(), 'dimension')}; for "
                f"{'batched 3-D' if batched else 'unbatched 2-D'} input expected "
                f"{3 if batched else 2}."
            )
        state = state if batched else state.unsqueeze(1)
        if state.shape != (rows, batch, width):
            raise ShapeError(
                f"state {name} is {list(state.shape)}; expected [{rows}, {batch}, {width}]: "
                "num_layers * directions, batch, width. layer.start(batch) makes one."
            )
        check_same_kind(f"state {name}", state, like)
        checked[name] = state if state.dtype == like.dtype else state.to(like.dtype)
    return InitialState(widths, checked)
