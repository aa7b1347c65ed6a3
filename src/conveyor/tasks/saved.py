"""Saved models: ``model.json`` says what the model is, ``model.safetensors`` holds its weights.

The cell is saved as its program, so a model loads where the cell's code does not exist, and
loading executes nothing: no pickle, no code.
"""

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import from_json, to_json
from conveyor.errors import ConveyorError, RunError
from conveyor.tasks.files import write_whole
from conveyor.tasks.forecaster import Forecaster, ForecastFrame, Tail
from conveyor.tasks.language_model import LanguageModel
from conveyor.tasks.records import from_record, to_record
from conveyor.tasks.scale import Scale
from conveyor.tasks.text import Vocabulary
from conveyor.tasks.timeline import Step
from conveyor.version import VERSION

# Raised by one whenever a model that older versions saved would be read wrongly.
FORMAT = 1

MODEL, WEIGHTS = "model.json", "model.safetensors"


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
        "format": FORMAT,
        "written_by": {
            "conveyor": VERSION,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
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
    weights = {name: each.detach().cpu().contiguous() for name, each in model.state_dict().items()}
    packed = save_tensors(weights)
    described["weights_sha256"] = hashlib.sha256(packed).hexdigest()
    write_whole(folder / WEIGHTS, packed)
    write_whole(folder / MODEL, json.dumps(described, ensure_ascii=False, indent=1))


def read_description(folder: Path) -> dict[str, Any]:
    """What ``model.json`` says.

    Raises:
        RunError: the folder is no run, or the file is corrupt or of a newer version.
    """
    path = folder / MODEL
    if not path.is_file():
        what = "there is no such folder" if not folder.exists() else f"it holds no {MODEL}"
        raise RunError(f"{folder} is not a run: {what}. `conveyor fit` makes one.")
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
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


def _frame(data: Any, where: str) -> ForecastFrame:
    parts = dict(data)
    parts["scale"] = to_record(Scale, parts.get("scale"), where)
    if parts.get("step") is not None:
        parts["step"] = to_record(Step, parts["step"], where)
    return to_record(ForecastFrame, parts, where)


def _build(described: dict[str, Any], where: str, most_layers: int) -> Forecaster | LanguageModel:
    """The model, without weights and without memory for them: a description may claim any size.
    Only layers cost time and memory even so, and there are fewer than tensors."""
    program = check_cell(from_json(described["program"]))
    sizes = to_record(Sizes, described["network"], where)
    if sizes.layers > most_layers:
        raise RunError(f"{where} says {sizes.layers} layers; {WEIGHTS} holds fewer.")
    network: dict[str, Any] = {**from_record(sizes)}
    embedding, linear = network.pop("embedding"), network.pop("linear")
    if described["task"] not in ("forecast", "text"):
        raise RunError(f"{where}: the task is {described['task']!r}; expected forecast or text.")
    with torch.device("meta"):
        if described["task"] == "text":
            characters = described["vocabulary"]
            if not all(isinstance(each, str) and len(each) == 1 for each in characters):
                raise RunError(f"{where}: the vocabulary is not a list of characters.")
            vocabulary = Vocabulary(tuple(characters))
            return LanguageModel(program, vocabulary, embedding=embedding, **network)
        model = Forecaster(program, _frame(described["frame"], where), linear=linear, **network)
        if described["tail"] is not None:
            model.tail = to_record(Tail, described["tail"], where)
            wanted = (model.frame.history, len(model.frame.columns))
            if (len(model.tail.values), len(model.tail.values[0])) != wanted:
                raise RunError(f"{where}: the kept history does not fit the model.")
            model.future_times(model.tail.last_time, 1)
        return model


def load(run: str | Path) -> Forecaster | LanguageModel:
    """The model of a run folder, ready to use, in evaluation mode.

    Executes nothing from the files: the cell is data, the weights are plain numbers.

    Raises:
        RunError: the folder is no run; a file is missing, corrupt, truncated or newer.
    """
    folder = Path(run)
    described = read_description(folder)
    where = str(folder / MODEL)
    path = folder / WEIGHTS
    try:
        packed = path.read_bytes()
        weights = load_tensors(packed)
    except FileNotFoundError as error:
        raise RunError(f"{folder} holds no {WEIGHTS}. Fit again, or restore the file.") from error
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} is corrupt or truncated: {error}.") from error
    try:
        model = _build(described, where, most_layers=len(weights))
    except RunError:
        raise
    except ConveyorError as error:
        raise RunError(f"{where} is corrupt: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise RunError(f"{where} is corrupt: {type(error).__name__}: {error}.") from error
    wanted_weights = model.state_dict()
    for name in weights.keys() - wanted_weights.keys():
        raise RunError(f"{path} holds {name}, which {MODEL} does not know.")
    for name, wanted in wanted_weights.items():
        found = weights.get(name)
        if found is None or found.shape != wanted.shape or found.dtype != wanted.dtype:
            got = "is missing" if found is None else f"is {list(found.shape)} of {found.dtype}"
            raise RunError(
                f"{path}: {name} {got}; {MODEL} says {list(wanted.shape)} of {wanted.dtype}. The "
                "two files do not belong together."
            )
    if hashlib.sha256(packed).hexdigest() != described.get("weights_sha256"):
        raise RunError(f"{path} is not the file that {MODEL} was written with. Fit again.")
    model.load_state_dict(weights, assign=True)
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
