"""Saved models: ``model.json`` says what the model is, ``model.safetensors`` holds its weights.

The cell is saved as its program, so a model loads where the cell's code does not exist, and
loading executes nothing: no pickle, no code.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import from_json, to_json
from conveyor.data.records import from_record, shown, to_record
from conveyor.data.text import UNKNOWN, Vocabulary
from conveyor.data.time_text import read_time, write_time, zone_of
from conveyor.data.timeline import Step
from conveyor.errors import ConveyorError, RunError
from conveyor.networks.saving import load_network
from conveyor.networks.stored import (
    MODEL,
    WEIGHTS,
    building,
    check_together,
    expected_of,
    fill,
    read_description,
    read_weights,
    write_model,
)
from conveyor.tasks.forecast.forecaster import Forecaster, ForecastFrame, Tail
from conveyor.tasks.forecast.scale import Scale
from conveyor.tasks.text.language_model import LanguageModel

# Of models of tasks, see ``networks.stored.FORMAT``.
FORMAT = 1


@dataclass(frozen=True)
class Sizes:
    """The sizes of a saved network; ``embedding`` is a language model's, ``linear`` a
    forecaster's."""

    hidden: int
    layers: int = 1
    dropout: float = 0.0
    projection: int = 0
    embedding: int = 0
    linear: bool = False


def sizes_of(model: Forecaster | LanguageModel) -> Sizes:
    """The sizes of a model."""
    recurrent = model.recurrent
    embedding = model.embedding.embedding_dim if isinstance(model, LanguageModel) else 0
    return Sizes(
        hidden=recurrent.hidden_size,
        layers=recurrent.num_layers,
        dropout=recurrent.dropout,
        projection=recurrent.sizes.get("P", 0),
        embedding=embedding,
        linear=isinstance(model, Forecaster) and model.linear is not None,
    )


@dataclass(frozen=True)
class FittedOn:
    """The rows that a model has seen in training and validation, so that a later evaluation does
    not score them: how many from the first, a digest of their numbers, the time of the last as the
    table writes it, and a digest of its history. Older models say neither of the last two."""

    rows: int
    digest: str
    last_time: str = ""
    end: str = ""


def save(
    folder: Path, model: Forecaster | LanguageModel, fitted_on: FittedOn | None = None
) -> None:
    """Write ``model.json`` and ``model.safetensors``.

    Raises:
        SaveError: a file could not be written; those that were there are whole.
    """
    described: dict[str, Any] = {
        "task": "forecast" if isinstance(model, Forecaster) else "text",
        "fitted_on": None if fitted_on is None else from_record(fitted_on),
        "network": from_record(sizes_of(model)),
        "program": to_json(model.recurrent.program),
    }
    if isinstance(model, Forecaster):
        described["frame"] = from_record(model.frame)
        described["tail"] = None if model.tail is None else from_record(model.tail)
    else:
        described["vocabulary"] = list(model.vocabulary.characters)
    write_model(folder, described, model.state_dict(), FORMAT)


def _frame(data: Any, where: str) -> ForecastFrame:
    parts = dict(data)
    parts["scale"] = to_record(Scale, parts.get("scale"), where)
    if parts.get("step") is not None:
        parts["step"] = to_record(Step, parts["step"], where)
    return to_record(ForecastFrame, parts, where)


def _vocabulary(characters: Any, where: str) -> Vocabulary:
    """The vocabulary of a file: different characters, ``UNKNOWN`` first."""
    if not isinstance(characters, list) or not all(map(_is_character, characters)):
        raise RunError(f"{where}: the vocabulary is not a list of characters.")
    if len(set(characters)) < len(characters) or characters[:1] != [UNKNOWN]:
        raise RunError(
            f"{where}: the vocabulary is none: expected {UNKNOWN!r} and then other characters, "
            "each once."
        )
    return Vocabulary(tuple(characters))


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1


def _check_times(model: Forecaster, where: str) -> None:
    """See that the format of times writes what it reads, and that the kept history has a next
    time: they are used long after loading."""
    frame = model.frame
    try:
        moment = datetime(2001, 2, 3, 4, 5, 6, tzinfo=zone_of(frame.zone))
        if frame.step is not None:
            written = write_time(moment, frame.time_format)
            written.encode()
            read = read_time(written, frame.time_format, frame.zone)
            if read.year != moment.year:
                raise ValueError(f"it reads {written!r} as {read}")
        if model.tail is not None:
            model.future_times(model.tail.last_time, 0)
    except (ConveyorError, ValueError, OverflowError) as error:
        raise RunError(
            f"{where} is corrupt: times are written as {shown(frame.time_format)}: {error}."
        ) from error


def _build(described: dict[str, Any], where: str, most_layers: int) -> Forecaster | LanguageModel:
    """The model, without weights and without memory for them: a description may claim any size.
    Only layers cost time and memory even so, and there are fewer than tensors."""
    program = check_cell(from_json(described["program"]))
    sizes = to_record(Sizes, described["network"], where)
    if sizes.layers > most_layers:
        raise RunError(f"{where} says {shown(sizes.layers)} layers; {WEIGHTS} holds fewer.")
    network: dict[str, Any] = {**from_record(sizes)}
    embedding, linear = network.pop("embedding"), network.pop("linear")
    if described["task"] not in ("forecast", "text"):
        task = shown(described["task"])
        raise RunError(f"{where}: the task is {task}; expected forecast or text.")
    with torch.device("meta"):
        if described["task"] == "text":
            vocabulary = _vocabulary(described["vocabulary"], where)
            return LanguageModel(program, vocabulary, embedding=embedding, **network)
        model = Forecaster(program, _frame(described["frame"], where), linear=linear, **network)
        if described["tail"] is not None:
            model.tail = to_record(Tail, described["tail"], where)
            wanted = (model.frame.history, len(model.frame.columns))
            if (len(model.tail.values), len(model.tail.values[0])) != wanted:
                raise RunError(f"{where}: the kept history does not fit the model.")
        _check_times(model, where)
        return model


def load(run: str | Path) -> Any:
    """Return the model of a run folder, or the network that ``conveyor.save`` wrote, ready to use,
    in evaluation mode and on the CPU.

    Executes nothing from the files: the cell is data, the weights are plain numbers.

    Args:
        run: the folder.

    Raises:
        RunError: the folder is no run and no saved network; a file is missing, corrupt, truncated
            or newer.
    """
    folder = Path(run)
    described = read_description(folder)
    return (
        load_network(folder, described) if "module" in described else _load_task(folder, described)
    )


def load_task(run: Path) -> Forecaster | LanguageModel:
    """Return the model of a run folder, ready to use, in evaluation mode.

    Raises:
        RunError: as ``load``, or the folder holds a network without a task.
    """
    described = read_description(run)
    if "module" in described:
        raise RunError(
            f"{run} holds a network that conveyor.save wrote, which has no task. Use conveyor.load "
            "in Python."
        )
    return _load_task(run, described)


def _load_task(folder: Path, described: dict[str, Any]) -> Forecaster | LanguageModel:
    weights = read_weights(folder / WEIGHTS)
    where = str(folder / MODEL)
    with building(where):
        model = _build(described, where, most_layers=len(weights.tensors))
    check_together(folder, described, weights, expected_of(model))
    fill(model, weights.tensors)
    return model.eval()


def read_fitted_on(folder: Path) -> FittedOn | None:
    """The data that a run's model was fitted on; None if the file does not say.

    Raises:
        RunError: the folder is no run, or its ``model.json`` is corrupt.
    """
    data = read_description(folder).get("fitted_on")
    if data is None:
        return None
    try:
        return to_record(FittedOn, data, str(folder / MODEL))
    except ConveyorError as error:
        raise RunError(f"{folder / MODEL} is corrupt: {error}") from error
