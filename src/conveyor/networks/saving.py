"""Saving a network that was trained in one's own loop, and loading it where its code does not
exist."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import from_json, to_json
from conveyor.data.records import shown, to_record
from conveyor.errors import ConveyorError, SaveError, SettingError
from conveyor.networks.arguments import Programs
from conveyor.networks.described import build, check_same, describe
from conveyor.networks.earlier_weights import zeros_added
from conveyor.networks.stored import (
    DTYPES,
    MODEL,
    OF_NETWORK,
    WEIGHTS,
    Expected,
    building,
    check_together,
    expected_of,
    fill,
    owner_of,
    read_description,
    read_weights,
    write_model,
)

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class StoredNetwork:
    """What ``model.json`` says of a network: its modules, the programs of its cells, the type of
    each weight, by what other name a parameter is also known, and which parameters are not
    trained."""

    format: int
    written_by: Any
    module: Any
    programs: Any
    weights: Any
    tied: Any
    frozen: tuple[str, ...]
    weights_sha256: str


def save(module: nn.Module, path: str | Path) -> None:
    """Write a network to a folder, from which ``conveyor.load`` gives it back without its code.

        conveyor.save(network, "counting")
        network = conveyor.load("counting")

    The folder gets ``model.json``, which describes the modules and holds the cells as programs, and
    ``model.safetensors``, the weights. A parameter that stands at several places is still one after
    loading. The optimiser, the mode (training or evaluation) and the device are not saved.

    Args:
        module: a layer of conveyor, one of ``conveyor.networks``, a plain module of torch.nn
            (linear, embedding, convolution, pooling, normalisation, dropout, activation), or
            ``Sequential``, ``ModuleList`` and ``ModuleDict`` of such modules, also nested.
        path: the folder; a network that was saved there before is replaced.

    Raises:
        SettingError: a module cannot be saved, as of a class with code of your own, with hooks or
            parametrised; or a weight is not a finite number. Nothing was written then.
        SaveError: the files could not be written, or the folder holds another model than one of
            this function.
    """
    if not isinstance(module, nn.Module):
        raise SettingError(f"the module is {module!r:.80}; expected a torch.nn.Module.")
    folder = Path(path)
    _check_free(folder)
    programs = Programs([])
    described = describe(module, programs)
    with _quiet_meta():
        again = build(described, Programs(list(programs.programs)))
    check_same(module, again)
    stored = _stored_tensors(module)
    write_model(
        folder,
        {
            "module": described,
            "programs": [to_json(program) for program in programs.programs],
            "weights": {name: _NAMES[each.dtype] for name, each in stored.tensors.items()},
            "tied": stored.tied,
            "frozen": [
                name
                for name, each in stored.tensors.items()
                if isinstance(each, nn.Parameter) and not each.requires_grad
            ],
        },
        stored.tensors,
        OF_NETWORK,
    )


def _check_free(folder: Path) -> None:
    """See that no model is lost but one that ``save`` wrote.

    Raises:
        SaveError: there is one, or something else of its name.
    """
    if not (folder / MODEL).exists():
        return
    try:
        ours = "module" in read_description(folder)
    except ConveyorError:
        ours = False
    if not ours:
        raise SaveError(
            f"{folder} holds a {MODEL} that conveyor.save did not write, such as that of a run. "
            "Choose another folder."
        )


@contextmanager
def _quiet_meta() -> Iterator[None]:
    """Inside the block modules are made without memory, and torch does not warn of their
    arguments: it did when they were first made."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class _Stored:
    """The tensors of a file, and the further names of those that are known by several."""

    tensors: dict[str, Tensor]
    tied: dict[str, str]


def _stored_tensors(module: nn.Module) -> _Stored:
    """Return what is to be stored of a network.

    Raises:
        SettingError: a tensor is none that can be stored, or shares memory with another.
    """
    tensors: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, each in module.state_dict(keep_vars=True).items():
        if id(each) in first:
            tied[name] = first[id(each)]
            continue
        first[id(each)] = name
        _check_storable(name, each)
        tensors[name] = each
    _check_apart(tensors)
    return _Stored(tensors, tied)


def _check_storable(name: str, tensor: Any) -> None:
    if type(tensor) not in (nn.Parameter, Tensor):
        raise SettingError(
            f"{name} is a {type(tensor).__name__}; expected a plain torch tensor or parameter."
        )
    if tensor.layout is not torch.strided or tensor.is_meta:
        how = "has no memory" if tensor.is_meta else f"is laid out as {tensor.layout}"
        raise SettingError(f"{name} {how}; expected a dense tensor with numbers.")
    if tensor.dtype not in _NAMES:
        raise SettingError(f"{name} is of {tensor.dtype}; expected one of {', '.join(DTYPES)}.")
    if not tensor.isfinite().all():
        raise SettingError(
            f"{name} holds what is no finite number, and would not be loaded. Save an earlier "
            "state, and train with a smaller learning rate or clipped gradients."
        )


def _check_apart(tensors: Mapping[str, Tensor]) -> None:
    """See that no tensor shares memory with another: as two tensors they would no longer do so.

    Raises:
        SettingError: one does.
    """
    places = []
    for name, each in tensors.items():
        if each.numel():
            last = sum((n - 1) * step for n, step in zip(each.shape, each.stride(), strict=True))
            begin = each.data_ptr()
            places.append((str(each.device), begin, begin + (last + 1) * each.itemsize, name))
    places.sort()
    for (device, _, end, name), (other, begin, _, after) in pairwise(places):
        if device == other and begin < end:
            raise SettingError(
                f"{name} and {after} share memory and are not the same parameter. Give both "
                "modules the very same nn.Parameter, or a copy each: clone()."
            )


def load_network(folder: Path, described: dict[str, Any]) -> nn.Module:
    """Return the network that ``save`` wrote, in evaluation mode and on the CPU.

    Args:
        folder: where it is.
        described: what ``read_description`` gave.

    Raises:
        RunError: a file is missing, corrupt, truncated or newer, or holds what is no network.
    """
    where = str(folder / MODEL)
    weights = read_weights(folder / WEIGHTS)
    with building(where):
        stored = to_record(StoredNetwork, described, where)
        programs = Programs(_read_programs(stored.programs))
        with _quiet_meta():
            network = build(stored.module, programs)
        added = zeros_added(network, stored.programs, stored.weights, stored.tied)
        if added:
            weights.tensors.update(added)
            dtypes = {name: _NAMES[values.dtype] for name, values in added.items()}
            stored = replace(stored, weights={**stored.weights, **dtypes})
        expected = _expected(network, stored)
    check_together(folder, described, weights, expected)
    tensors = dict(weights.tensors)
    fill(network, tensors | {name: tensors[first] for name, first in stored.tied.items()})
    for name, first in stored.tied.items():
        owner, attribute = owner_of(network, name)
        setattr(owner, attribute, getattr(*owner_of(network, first)))
    for name in stored.frozen:
        getattr(*owner_of(network, name)).requires_grad_(False)
    return network.eval()


def _read_programs(data: Any) -> list[Program]:
    if not isinstance(data, list | tuple):
        raise SettingError(f"programs is {shown(data)}; expected a list.")
    return [check_cell(from_json(each)) for each in data]


def _expected(network: nn.Module, stored: StoredNetwork) -> dict[str, Expected]:
    """Return what the file of weights must hold.

    Args:
        network: built of the description, on the device ``meta``.
        stored: the whole description.

    Raises:
        SettingError: what it says of the weights is not of this network.
    """
    expected = expected_of(network)
    parameters = dict(network.named_parameters(remove_duplicate=False))
    for name, said in (("weights", stored.weights), ("tied", stored.tied)):
        if not isinstance(said, dict) or not all(isinstance(each, str) for each in said.values()):
            raise SettingError(f"{name} is {shown(said)}; expected texts by name.")
    for name in (stored.weights.keys() | stored.tied.keys()) ^ expected.keys():
        whose = "the modules have none" if name in stored.weights else "nothing is said of it"
        raise SettingError(f"tensor {shown(name)}: {whose}.")
    for name, first in stored.tied.items():
        fits = first in stored.weights and name not in stored.weights
        if not fits or expected[name].shape != expected[first].shape:
            raise SettingError(f"{shown(name)} is tied to {shown(first)}, which does not fit.")
        if (name in parameters) != (first in parameters):
            raise SettingError(f"{shown(name)} is tied to {shown(first)}: one is no parameter.")
    for name in stored.frozen:
        if name not in parameters or name not in stored.weights:
            raise SettingError(f"{shown(name)} is not trained, and is no parameter.")
    found = {}
    for name, said in stored.weights.items():
        built = expected[name]
        dtype = DTYPES.get(said)
        if dtype is None or dtype.is_floating_point != built.dtype.is_floating_point:
            raise SettingError(f"{shown(name)} is of {shown(said)}, which it cannot be.")
        found[name] = Expected(built.shape, dtype)
    return found
