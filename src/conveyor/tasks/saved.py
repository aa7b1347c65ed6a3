"""Saves and loads the models of tasks: ``model.json`` describes the model, ``model.safetensors``
holds its weights, and a file beside them long rows of numbers that are kept.

The cell is saved as its program. So a model can be loaded where the cell's code does not exist, and
loading executes no code: there is no pickle.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from conveyor.compiler.check import check_cell
from conveyor.compiler.program_json import from_json, to_json
from conveyor.data.records import shown
from conveyor.errors import RunError, SettingError
from conveyor.networks.earlier_weights import zeros_added
from conveyor.networks.kept_arrays import (
    KEPT_FILES,
    is_kept,
    kept_file,
    with_arrays,
    without_arrays,
)
from conveyor.networks.network import Network
from conveyor.networks.stored import (
    KEPT_IN,
    MODEL,
    OF_TASK,
    WEIGHTS,
    WITH_ARRAYS,
    building,
    check_together,
    expected_of,
    fill,
    read_description,
    read_weights,
    stored_weights,
    tied_names,
    write_model,
)
from conveyor.tasks.task import Task
from conveyor.tasks.task_registry import find


class Saved(NamedTuple):
    """A model loaded from a run folder.

    Attributes:
        task: the task's name.
        network: the network, ready to use.
        fitted_on: the task's record of the data that the network was fitted on; None without one.
    """

    task: str
    network: Network
    fitted_on: dict[str, Any] | None


def save(
    folder: Path, task: str, network: Network, fitted_on: Mapping[str, Any] | None = None
) -> None:
    """Write ``model.json``, ``model.safetensors`` and the file of the arrays that are kept.

    Args:
        folder: the run's folder.
        task: the task's name.
        network: the fitted network.
        fitted_on: the result of the task's ``fitted_on``.

    Raises:
        SaveError: a file could not be written; files that were there are unchanged.
    """
    described = {
        "task": task,
        "fitted_on": None if fitted_on is None else dict(fitted_on),
        **network.description(),
        "program": None if network.program is None else to_json(network.program),
    }
    described, arrays = without_arrays(described)
    number = WITH_ARRAYS if arrays else OF_TASK
    write_model(folder, described, stored_weights(network), number, arrays)


def task_of(name: Any, where: str) -> type[Task[Any]]:
    """Return the class of the task that a file names.

    Args:
        name: the value in the file.
        where: the file, for errors.

    Raises:
        RunError: there is no such task.
    """
    try:
        return find(name, f"{where}: task").task
    except SettingError as error:
        raise RunError(str(error)) from error


def _build(described: dict[str, Any], where: str, most_layers: int) -> Network:
    """Build the network without memory for its weights, because a file may claim any size.

    Layers cost time and memory even without weights. So there must not be more layers than stored
    tensors.
    """
    program = described["program"]
    if find(described["task"]).settings.has_cell():
        program = check_cell(from_json(program))
    elif program is not None:
        raise RunError(f"{where} has a cell; a run of the task {described['task']} has none.")
    layers = dict(described["network"]).get("layers", 1)
    if not isinstance(layers, int) or layers > most_layers:
        raise RunError(f"{where} says {shown(layers)} layers; {WEIGHTS} holds fewer.")
    network_type = task_of(described["task"], where).network_type
    with torch.device("meta"):
        network: Network = network_type.described(program, described, where)
    return network


def _with_kept(
    folder: Path, described: dict[str, Any], weights: dict[str, torch.Tensor]
) -> dict[str, Any]:
    """Return a description with the arrays that the run keeps.

    Args:
        folder: of the run.
        described: without them.
        weights: the tensors beside which earlier builds stored the arrays; these are taken out.

    Raises:
        RunError: their file is missing, corrupt or another one.
    """
    arrays = {name: weights.pop(name) for name in [*weights] if is_kept(name)}
    described = with_arrays(described, arrays, str(folder / WEIGHTS))
    name = described.pop(KEPT_IN, None)
    if name is None:
        return described
    if name not in KEPT_FILES:
        raise RunError(f"{folder / MODEL} is corrupt: {KEPT_IN} is {shown(name)}.")
    path = folder / name
    kept = read_weights(path)
    if kept_file(kept.packed) != name:
        raise RunError(
            f"{path} is not the file that {MODEL} was written with. Fit again, or restore the file."
        )
    for array in kept.tensors:
        if not is_kept(array):
            raise RunError(f"{path} holds {array}, which is no array that a run keeps.")
    return with_arrays(described, kept.tensors, str(path))


def load(folder: Path) -> Saved:
    """Return the model of a run folder, ready to use, in evaluation mode.

    Raises:
        RunError: the folder is no run; a file is missing, corrupt, truncated or newer.
    """
    described = read_description(folder)
    if "module" in described:
        raise RunError(
            f"{folder} holds a network that conveyor.save wrote, which has no task. Use "
            "conveyor.load in Python."
        )
    while True:
        try:
            return _loaded(folder, described)
        except RunError:
            # An update beside this may have replaced the file of arrays that was named.
            now = read_description(folder)
            if now.get(KEPT_IN) == described.get(KEPT_IN):
                raise
            described = now


def _loaded(folder: Path, described: dict[str, Any]) -> Saved:
    """Return the model of a run folder, see ``load``.

    Args:
        folder: of the run.
        described: what its ``model.json`` says.
    """
    where = str(folder / MODEL)
    weights = read_weights(folder / WEIGHTS)
    described = _with_kept(folder, described, weights.tensors)
    with building(where):
        network = _build(described, where, most_layers=len(weights.tensors))
    programs = [described["program"]] if described["program"] is not None else []
    weights.tensors.update(zeros_added(network, programs, tuple(weights.tensors)))
    tied = tied_names(network)
    expected = {name: each for name, each in expected_of(network).items() if name not in tied}
    check_together(folder, described, weights, expected)
    fill(network, weights.tensors)
    fitted_on = described.get("fitted_on")
    if fitted_on is not None and not isinstance(fitted_on, dict):
        raise RunError(f"{where} is corrupt: fitted_on is {shown(fitted_on)}.")
    return Saved(described["task"], network.eval(), fitted_on)
