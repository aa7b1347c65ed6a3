"""Arrays of numbers that a saved model keeps in a file beside its weights: the rows that a
forecaster goes on from are too many for ``model.json``.

The name of the file has a digest of its content, and ``model.json`` names it. So a run changes its
rows in one step, when ``model.json`` is replaced: whoever reads the run gets the old rows or the
new ones.
"""

import hashlib
import re
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.errors import RunError

# The names of such arrays begin with this, the keys that lead to each in the description follow.
KEPT, _BETWEEN = "kept", "/"


class _KeptFiles(Container[str]):
    """The names that files of arrays have."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _FILE.fullmatch(name) is not None


_FILE = re.compile(r"kept-[0-9a-f]{32}\.safetensors")
KEPT_FILES = _KeptFiles()


def kept_file(packed: bytes) -> str:
    """Return the name of a file of arrays with this content."""
    return f"kept-{hashlib.sha256(packed).hexdigest()[:32]}.safetensors"


def is_kept(name: str) -> bool:
    """Return whether a stored tensor is an array that is kept, and no weight."""
    return name.startswith(KEPT + _BETWEEN)


def without_arrays(described: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a description without the arrays of numbers in it, and these as tensors by name.

    Args:
        described: what is saved of a network; dictionaries in it may hold arrays of float64 or
            int64.
    """
    tensors: dict[str, Tensor] = {}

    def parted(inside: Mapping[str, Any], name: str) -> dict[str, Any]:
        rest: dict[str, Any] = {}
        for key, value in inside.items():
            called = name + _BETWEEN + key
            if isinstance(value, np.ndarray):
                tensors[called] = torch.from_numpy(np.ascontiguousarray(value))
            else:
                rest[key] = parted(value, called) if isinstance(value, dict) else value
        return rest

    return parted(described, KEPT), tensors


def with_arrays(
    described: Mapping[str, Any], tensors: Mapping[str, Tensor], where: str
) -> dict[str, Any]:
    """Return a description with its arrays, see ``without_arrays``.

    Args:
        described: as it was read.
        tensors: by name.
        where: the file of the tensors, for errors.

    Raises:
        RunError: an array stands where the description has no place for it.
    """
    whole = dict(described)
    for name, each in tensors.items():
        *path, last = name.split(_BETWEEN)[1:]
        inside = whole
        for key in path:
            if not isinstance(inside.get(key), dict):
                raise RunError(f"{where} keeps {name}, for which the description has no place.")
            inside[key] = inside = dict(inside[key])
        if last in inside:
            raise RunError(f"{where} keeps {name}, which the description holds, too.")
        inside[last] = each.numpy()
    return whole


def array_of(
    described: Any, key: str, shape: tuple[int | None, ...], kind: type, where: str
) -> NDArray[Any]:
    """Return an array of a description.

    Args:
        described: the dictionary that holds it.
        key: under which.
        shape: of the array; None for any number.
        kind: ``np.float64`` or ``np.int64``.
        where: the file, for errors.

    Raises:
        RunError: it is missing, or of another kind or shape.
    """
    array = described.get(key) if isinstance(described, dict) else None
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == kind
        and array.ndim == len(shape)
        and all(size in (None, of) for size, of in zip(shape, array.shape, strict=True))
    )
    if not fits:
        raise RunError(
            f"{where}: of the arrays that the run keeps, {key!r} is missing or does not fit the "
            "model. Fit again, or restore the file."
        )
    assert isinstance(array, np.ndarray)
    return array
