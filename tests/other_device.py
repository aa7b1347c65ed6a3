"""A device that is not the CPU, on machines that have none: it computes on the CPU, and says no to
what a GPU says no to.

A tensor ``on_other_device`` holds a tensor of the CPU and says that it is on ``OTHER``. It meets
others by torch's rules for CUDA: a tensor of the CPU with one axis or more is an error, and so is
the CPU's generator. ``OTHER`` is torch's lazy device, which every build of torch knows and none
fills, so that autograd runs on it and nothing computes there except by this module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map_only

OTHER = torch.device("lazy", 0)
CPU = torch.device("cpu")

# What brings tensors from one device to another.
_TRANSFERS = {"aten::_to_copy", "aten::copy_"}
# Which of their tensors are on the CPU whatever the others are on: arguments and results.
_ON_CPU = {"aten::_pack_padded_sequence": ((1,), (1,)), "aten::_pad_packed_sequence": ((1,), ())}
# Which may be on any device: torch brings lengths to where it needs them.
_ANYWHERE = {"aten::_ctc_loss": (2, 3), "aten::_ctc_loss_backward": (3, 4)}
# Indices may be on the CPU.
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class OnOther(Tensor):
    """A tensor of the other device."""

    value: Tensor

    @staticmethod
    def __new__(cls, value: Tensor) -> "OnOther":
        strided: dict[str, Any] = {}
        if value.layout is torch.strided:
            strided = {"strides": value.stride(), "storage_offset": value.storage_offset()}
        made: OnOther = Tensor._make_wrapper_subclass(
            cls, value.shape, dtype=value.dtype, layout=value.layout, device=OTHER, **strided
        )
        made.value = value
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _computed(function, args, kwargs or {})

    def tolist(self) -> Any:
        """Return the numbers."""
        return self.value.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Raise torch's error, or return the numbers."""
        if not force:
            raise TypeError(f"can't convert {self.device} device type tensor to numpy.")
        return self.value.numpy(force=True)

    def __array__(self, *_arguments: Any, **_options: Any) -> np.ndarray[Any, Any]:
        return np.asarray(self.numpy())

    def __repr__(self, **_options: Any) -> str:  # type: ignore[override]
        return f"OnOther({self.value!r})"


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees what makes tensors, too."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _computed(function, args, kwargs or {})


def _leaves(values: Any) -> Iterator[Any]:
    """Yield what stands in an operator's arguments. torch's own function for trees took two thirds
    of the time of all tests that use this device."""
    if isinstance(values, (list, tuple)):
        for each in values:
            yield from _leaves(each)
    elif isinstance(values, dict):
        yield from _leaves(list(values.values()))
    else:
        yield values


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in _leaves(values) if isinstance(value, Tensor)]


def _bare(values: Any) -> Any:
    """Return an operator's arguments with the CPU's tensors that stand for those of the device."""
    if isinstance(values, OnOther):
        return values.value
    if isinstance(values, (list, tuple)):
        return type(values)([_bare(each) for each in values])
    if isinstance(values, dict):
        return {name: _bare(each) for name, each in values.items()}
    return values


def _there(answer: Any) -> Any:
    """Return an operator's answer as it is on the device."""
    if isinstance(answer, Tensor):
        return OnOther(answer)
    if isinstance(answer, (list, tuple)):
        return type(answer)([_there(each) for each in answer])
    return answer


def _meet(name: str, tags: Any, args: Any, kwargs: Any) -> None:
    """Check that tensors may meet, by the rules of CUDA.

    Raises:
        RuntimeError: they are on two devices.
    """
    there = [isinstance(each, OnOther) for each in _tensors((args, kwargs))]
    if name in _TRANSFERS or not any(there):
        return
    if name in _INDEXING and isinstance(args[0], OnOther):
        args = args[0], *args[2:]
    on_cpu = _ON_CPU.get(name, ((), ()))[0]
    for place in (*on_cpu, *_ANYWHERE.get(name, ())):
        if place in on_cpu and isinstance(args[place], OnOther):
            raise RuntimeError(f"{name}: argument {place} should be on the CPU.")
        args = *args[:place], None, *args[place + 1 :]
    # A number meets everything, where what is computed is computed number by number.
    scalars = torch.Tag.pointwise in tags or name in _INDEXING
    for each in _tensors((args, kwargs)):
        if not isinstance(each, OnOther) and not (scalars and each.dim() == 0):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{OTHER} and cpu! ({name}, {list(each.shape)})"
            )


def _computed(function: Any, args: Any, kwargs: Any) -> Any:
    """Compute on the CPU, where torch would compute on the device."""
    schema = function._schema
    _meet(schema.name, function.tags, args, kwargs)
    device = kwargs.get("device")
    if device is not None:
        there = torch.device(device).type == OTHER.type
        kwargs = {**kwargs, "device": CPU}
    elif schema.name == "aten::copy_":
        there = isinstance(args[0], OnOther)
    else:
        there = any(isinstance(each, OnOther) for each in _tensors((args, kwargs)))
    if there and any(isinstance(each, torch.Generator) for each in _leaves((args, kwargs))):
        raise RuntimeError(
            f"Expected a '{OTHER.type}' device type for generator but found 'cpu' ({schema.name})"
        )
    with _disable_current_modes():
        answers = function(*_bare(args), **_bare(kwargs))
    if schema.is_mutable:
        return _changed(schema, args, kwargs, answers)
    if not there:
        return answers
    if isinstance(answers, tuple):
        stay = _ON_CPU.get(schema.name, ((), ()))[1]
        return tuple(each if place in stay else _there(each) for place, each in enumerate(answers))
    return _there(answers)


def _changed(schema: Any, args: Any, kwargs: Any, answers: Any) -> Any:
    """Return what a function that changes its arguments returns: those."""
    arguments = {each.name: value for each, value in zip(schema.arguments, args, strict=False)}
    arguments |= kwargs
    returned = []
    for answer in schema.returns:
        written = [
            arguments[each.name]
            for each in schema.arguments
            if answer.alias_info is not None
            and each.alias_info is not None
            and each.alias_info.before_set == answer.alias_info.before_set
        ]
        if len(written) != 1:
            raise NotImplementedError(f"{schema.name} on the other device")
        returned += written
    for each in _tensors((args, kwargs)):
        if isinstance(each, OnOther) and each.shape != each.value.shape:
            raise NotImplementedError(f"{schema.name} changes a shape on the other device")
    if not returned:
        return answers
    return tuple(returned) if len(returned) > 1 else returned[0]


@contextmanager
def other_device() -> Iterator[torch.device]:
    """Have the other device while the block runs."""
    before = torch._C._only_lift_cpu_tensors()
    # torch.tensor moves what it makes where a mode sees it, as for torch's fake tensors.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with _Mode():  # type: ignore[no-untyped-call]
            yield OTHER
    finally:
        torch._C._set_only_lift_cpu_tensors(before)


def on_other_device(value: Any) -> Any:
    """Return a batch, a module or a tensor as it is on the other device; a module is moved itself.

    Lightning moves a batch to a GPU by the same function.
    """
    if not isinstance(value, nn.Module):
        return move_data_to_device(value, OTHER)
    names: dict[int, list[str]] = {}
    for name, parameter in value.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    value.to(OTHER)
    # Weights that two parts share are one on a GPU, too; here torch makes one of each.
    for first, *others in names.values():
        for name in others:
            part, _, called = name.rpartition(".")
            setattr(value.get_submodule(part), called, value.get_parameter(first))
    return value


def on_cpu(value: Any) -> Any:
    """Return tensors of the other device as they are on the CPU."""
    return tree_map_only(OnOther, lambda each: each.detach().value, value)
