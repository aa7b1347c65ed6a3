"""The files of a saved model: ``model.json`` says what it is, ``model.safetensors`` holds its
weights, and a checksum in the first ties the two. It names the file of arrays that a run keeps.

Reading them executes nothing: no pickle, no code, no import of a name that a file holds.
"""

import contextlib
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from conveyor.data.files import check_regular, read_json, write_together, write_whole
from conveyor.errors import ConveyorError, RunError, SaveError, named
from conveyor.networks.kept_arrays import KEPT_FILES, is_kept, kept_file
from conveyor.version import VERSION

# Of models of tasks, of networks without a task, which have a "module", and of models of tasks that
# keep arrays: with their weights in one file (3), and in a file of their own. A new one comes
# whenever older versions would read a model wrongly; the last is the newest that is read.
OF_TASK, OF_NETWORK, WITH_ARRAYS = 1, 2, 4
FORMAT = WITH_ARRAYS

# Under this key model.json names the file of the arrays that a run keeps.
KEPT_IN = "kept_in"

MODEL, WEIGHTS = "model.json", "model.safetensors"

# No description needs so many bytes: a tail of a year of minutes and ten columns has 100 MB.
MOST_DESCRIBED = 2**28

# The types that stored numbers may have, as model.json calls them. Whole numbers count batches.
DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "int64": torch.int64,
}

# What constructors of torch.nn raise where an argument is wrong.
CONSTRUCTING = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Weights(NamedTuple):
    """A file of weights: its bytes, and its tensors by name."""

    packed: bytes
    tensors: dict[str, Tensor]


class Expected(NamedTuple):
    """The shape and the type that a stored tensor must have."""

    shape: torch.Size
    dtype: torch.dtype


def write_model(
    folder: Path,
    described: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    number: int,
    arrays: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the files. Where only the arrays change, a process that is killed meanwhile leaves the
    old ones or the new ones.

    Args:
        folder: where; made if it is not there.
        described: what ``model.json`` says besides the format, the versions and the checksum.
        tensors: the weights, none of which is part of another.
        number: the format that ``described`` has.
        arrays: those that are kept beside the weights, by name.

    Raises:
        SaveError: a file could not be written; those that were there are whole, and still
            belong together.
    """
    packed = save_tensors(
        {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    )
    packed_arrays = save_tensors(dict(arrays)) if arrays else b""
    kept = kept_file(packed_arrays) if arrays else None
    whole = {
        "format": number,
        "written_by": {
            "conveyor": VERSION,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        **described,
        **({KEPT_IN: kept} if kept else {}),
        "weights_sha256": hashlib.sha256(packed).hexdigest(),
    }
    try:
        text = json.dumps(whole, ensure_ascii=False, indent=1).encode()
    except UnicodeEncodeError as error:
        raise SaveError(
            f"{folder / MODEL} could not be written: {error.object!r:.80} holds half a character."
        ) from error
    before = _kept_before(folder)
    if kept:
        write_whole(folder / kept, packed_arrays)
    write_together({folder / WEIGHTS: packed, folder / MODEL: text})
    if before and before != kept:
        with contextlib.suppress(OSError):  # one that is open on Windows stays
            (folder / before).unlink()


def _kept_before(folder: Path) -> str | None:
    """Return the name of the file of arrays of the model that a folder holds; None without one."""
    try:
        name = read_description(folder).get(KEPT_IN)
    except RunError:
        return None
    return name if name in KEPT_FILES else None


def read_description(folder: Path) -> dict[str, Any]:
    """Return what ``model.json`` says.

    Raises:
        RunError: the folder holds no model, or the file is corrupt or of a newer version.
    """
    path = folder / MODEL
    if not path.is_symlink() and not path.exists():
        what = "there is no such folder" if not folder.exists() else f"it holds no {MODEL}"
        raise RunError(
            f"{folder} is not a run: {what}. `conveyor fit` makes one, and conveyor.save a folder "
            "of a network."
        )
    try:
        described = read_json(path, MOST_DESCRIBED)
    except (ValueError, OSError, RecursionError) as error:
        raise RunError(
            f"{path} is corrupt: {error}. Fit or save again, or restore the file."
        ) from error
    number = described.get("format") if isinstance(described, dict) else None
    if not isinstance(number, int):
        raise RunError(f"{path} is not a model of conveyor: it has no format number.")
    if number > FORMAT:
        raise RunError(
            f"{path} has format {number} and this conveyor reads up to {FORMAT}. "
            "Install a newer conveyor."
        )
    return dict(described)


def read_weights(path: Path) -> Weights:
    """Return what a file of weights holds.

    Raises:
        RunError: it is missing, corrupt or no file that ends, or a weight is not a finite number or
            of a type that no model of ours has.
    """
    try:
        check_regular(path)
        with safe_open(path, framework="pt"):  # sees that the header accounts for every byte
            pass
        packed = path.read_bytes()
        tensors = load_tensors(packed)
    except FileNotFoundError as error:
        raise RunError(
            f"{path.parent} holds no {path.name}. Fit or save again, or restore the file."
        ) from error
    except (SafetensorError, OSError, MemoryError, KeyError) as error:  # a type that torch lacks
        raise RunError(f"{path} is corrupt or truncated: {error}.") from error
    for name, each in tensors.items():
        if each.dtype not in DTYPES.values():
            raise RunError(
                f"{path}: {name} is of {each.dtype}; expected one of {', '.join(DTYPES)}."
            )
        usable = ~each.isinf() if is_kept(name) else each.isfinite()  # NaN: a value is missing
        if not usable.all():
            raise RunError(
                f"{path}: {name} holds what is no finite number. Fit again, or save a network "
                "whose weights are finite."
            )
    return Weights(packed, tensors)


def first_line(error: Exception) -> str:
    """Return an error's class and text, without the C++ frames that torch adds."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


@contextmanager
def building(where: str) -> Iterator[None]:
    """Turn whatever a wrong description raises where a model is built of it into our error.

    Args:
        where: the file that the description is from.

    Raises:
        RunError: something else was raised inside.
    """
    try:
        yield
    except RunError:
        raise
    except ConveyorError as error:
        raise RunError(f"{where} is corrupt: {error}") from error
    except CONSTRUCTING as error:
        raise RunError(f"{where} is corrupt: {first_line(error)}.") from error


def tied_names(model: nn.Module) -> dict[str, str]:
    """Return the further names of weights that a model knows by several, each with the first."""
    first: dict[int, str] = {}
    tied = {}
    for name, each in model.state_dict(keep_vars=True).items():
        other = first.setdefault(id(each), name)
        if other != name:
            tied[name] = other
    return tied


def stored_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's weights by name, those that it knows by several by the first of them."""
    tied = tied_names(model)
    return {name: each for name, each in model.state_dict().items() if name not in tied}


def expected_of(model: nn.Module) -> dict[str, Expected]:
    """Return what a model's weights must be, by name."""
    return {name: Expected(each.shape, each.dtype) for name, each in model.state_dict().items()}


def check_together(
    folder: Path, described: Mapping[str, Any], weights: Weights, expected: Mapping[str, Expected]
) -> None:
    """See that the weights are those of the model that ``model.json`` describes.

    Raises:
        RunError: one is missing, unknown or of another shape or type, or the checksum is another.
    """
    path = folder / WEIGHTS
    for name in weights.tensors.keys() - expected.keys():
        raise RunError(f"{path} holds {name}, which {MODEL} does not know.")
    for name, wanted in expected.items():
        found = weights.tensors.get(name)
        if found is None or (found.shape, found.dtype) != wanted:
            got = "is missing" if found is None else f"is {list(found.shape)} of {found.dtype}"
            raise RunError(
                f"{path}: {name} {got}; {MODEL} says {list(wanted.shape)} of {wanted.dtype}. The "
                "two files do not belong together."
            )
    if hashlib.sha256(weights.packed).hexdigest() != described.get("weights_sha256"):
        raise RunError(
            f"{path} is not the file that {MODEL} was written with. Finish the run with "
            f"{named('resume', True)}, "
            "or fit or save again."
        )


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model that was built without memory its weights.

    Args:
        model: built on the device ``meta``.
        tensors: by name, of the right shapes, see ``check_together``; of weights that the model
            knows by several names one is enough.
    """
    tied = {name: first for name, first in tied_names(model).items() if name not in tensors}
    whole = {**tensors, **{name: tensors[first] for name, first in tied.items()}}
    model.load_state_dict(whole, assign=True)
    for name, first in tied.items():
        owner, attribute = owner_of(model, name)
        setattr(owner, attribute, getattr(*owner_of(model, first)))
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:  # one that is in no file, for it holds no number
                module.register_buffer(name, torch.empty_like(buffer, device="cpu"), False)


def owner_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return the module that holds a tensor, and what the tensor is called there."""
    path, _, attribute = name.rpartition(".")
    return model.get_submodule(path), attribute
