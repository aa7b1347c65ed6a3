"""Saved models: ``model.json`` says what the model is, ``model.safetensors`` holds its weights.

The cell is saved as its program, so a model loads where the cell's code does not exist, and
loading executes nothing: no pickle, no code.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import from_json, to_json
from conveyor.data.files import check_regular, read_json, write_whole
from conveyor.data.records import shown
from conveyor.errors import ConveyorError, RunError, SettingError, named
from conveyor.networks.network import Network
from conveyor.tasks.registry import find
from conveyor.tasks.task import Task
from conveyor.version import VERSION

# Raised by one whenever a model that older versions saved would be read wrongly.
FORMAT = 1

MODEL, WEIGHTS = "model.json", "model.safetensors"

# No description needs so many bytes: a tail of a year of minutes and ten columns has 100 MB.
MOST_DESCRIBED = 2**28


class Saved(NamedTuple):
    """A model of a run folder: the task's name, the network ready to use, and what the task must
    know of the data that it was fitted on, None where nothing is known."""

    task: str
    network: Network
    fitted_on: dict[str, Any] | None


def save(
    folder: Path, task: str, network: Network, fitted_on: Mapping[str, Any] | None = None
) -> None:
    """Write ``model.json`` and ``model.safetensors``.

    Raises:
        SaveError: a file could not be written; those that were there are whole.
    """
    weights = {n: each.detach().cpu().contiguous() for n, each in network.state_dict().items()}
    packed = save_tensors(weights)
    described: dict[str, Any] = {
        "format": FORMAT,
        "written_by": {
            "conveyor": VERSION,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "task": task,
        "fitted_on": None if fitted_on is None else dict(fitted_on),
        **network.description(),
        "program": to_json(network.recurrent.program),
        "weights_sha256": hashlib.sha256(packed).hexdigest(),
    }
    write_whole(folder / WEIGHTS, packed)
    write_whole(folder / MODEL, json.dumps(described, ensure_ascii=False, indent=1))


def read_description(folder: Path) -> dict[str, Any]:
    """What ``model.json`` says.

    Raises:
        RunError: the folder is no run, or the file is corrupt or of a newer version.
    """
    path = folder / MODEL
    if not path.is_symlink() and not path.exists():
        what = "there is no such folder" if not folder.exists() else f"it holds no {MODEL}"
        raise RunError(f"{folder} is not a run: {what}. `conveyor fit` makes one.")
    try:
        described = read_json(path, MOST_DESCRIBED)
    except (ValueError, OSError, RecursionError) as error:
        raise RunError(f"{path} is corrupt: {error}. Fit again, or restore the file.") from error
    if not isinstance(described, dict) or not isinstance(described.get("format"), int):
        raise RunError(f"{path} is not a model of conveyor: it has no format number.")
    if described["format"] > FORMAT:
        raise RunError(
            f"{path} has format {described['format']} and this conveyor reads up to {FORMAT}. "
            "Install a newer conveyor."
        )
    return described


def _build(described: dict[str, Any], where: str, most_layers: int) -> Network:
    """Return the network, without weights and without memory for them: a description may claim any
    size. Only layers cost time and memory even so, and there are fewer than tensors."""
    program = check_cell(from_json(described["program"]))
    layers = dict(described["network"]).get("layers", 1)
    if not isinstance(layers, int) or layers > most_layers:
        raise RunError(f"{where} says {shown(layers)} layers; {WEIGHTS} holds fewer.")
    network_type = task_of(described["task"], where).network_type
    with torch.device("meta"):
        network: Network = network_type.described(program, described, where)
    return network


def task_of(name: Any, where: str) -> type[Task[Any]]:
    """Return the task of a run.

    Raises:
        RunError: there is no such task.
    """
    try:
        return find(name, f"{where}: task").task
    except SettingError as error:
        raise RunError(str(error)) from error


def _read_weights(path: Path) -> tuple[bytes, dict[str, Tensor]]:
    """The bytes of a file of weights, and its tensors.

    Raises:
        RunError: it is missing, corrupt or no file that ends, or a weight is not a finite number.
    """
    try:
        check_regular(path)
        with safe_open(path, framework="pt"):  # sees that the header accounts for every byte
            pass
        packed = path.read_bytes()
        weights = load_tensors(packed)
    except FileNotFoundError as error:
        raise RunError(
            f"{path.parent} holds no {WEIGHTS}. Fit again, or restore the file."
        ) from error
    except (SafetensorError, OSError, MemoryError) as error:
        raise RunError(f"{path} is corrupt or truncated: {error}.") from error
    for name, each in weights.items():
        if not each.isfinite().all():
            raise RunError(f"{path}: {name} holds what is no finite number. Fit again.")
    return packed, weights


def load(run: str | Path) -> Saved:
    """Return the model of a run folder, ready to use, in evaluation mode.

    Executes nothing from the files: the cell is data, the weights are plain numbers.

    Raises:
        RunError: the folder is no run; a file is missing, corrupt, truncated or newer.
    """
    folder = Path(run)
    described = read_description(folder)
    where = str(folder / MODEL)
    path = folder / WEIGHTS
    packed, weights = _read_weights(path)
    try:
        model = _build(described, where, most_layers=len(weights))
    except RunError:
        raise
    except ConveyorError as error:
        raise RunError(f"{where} is corrupt: {error}") from error
    except (
        KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        said = (str(error).splitlines() or [""])[0]  # torch adds its own C++ frames
        raise RunError(f"{where} is corrupt: {type(error).__name__}: {said}.") from error
    expected = model.state_dict()
    for name in weights.keys() - expected.keys():
        raise RunError(f"{path} holds {name}, which {MODEL} does not know.")
    for name, wanted in expected.items():
        found = weights.get(name)
        if found is None or found.shape != wanted.shape or found.dtype != wanted.dtype:
            got = "is missing" if found is None else f"is {list(found.shape)} of {found.dtype}"
            raise RunError(
                f"{path}: {name} {got}; {MODEL} says {list(wanted.shape)} of {wanted.dtype}. The "
                "two files do not belong together."
            )
    if hashlib.sha256(packed).hexdigest() != described.get("weights_sha256"):
        raise RunError(
            f"{path} is not the file that {MODEL} was written with. Finish the run with "
            f"{named('resume', True)}, "
            "or fit again."
        )
    model.load_state_dict(weights, assign=True)
    fitted_on = described.get("fitted_on")
    if fitted_on is not None and not isinstance(fitted_on, dict):
        raise RunError(f"{where} is corrupt: fitted_on is {shown(fitted_on)}.")
    return Saved(described["task"], model.eval(), fitted_on)
