"""What a run is made with: frozen, typed, closed records, read from and written to TOML."""

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from conveyor.data.files import read_limited
from conveyor.data.records import from_record, shown, to_record
from conveyor.errors import RunError, SettingError, did_you_mean
from conveyor.tasks.registry import ENTRIES

# Three parts in order of time: fractions that add up to 1, or numbers of rows.
DEFAULT_SPLIT = (0.7, 0.1, 0.2)

# Settings that we write have a few hundred bytes; names of columns may be long.
MOST_BYTES = 10_000_000

# Sizes are exact as floats too, and no memory holds so much. Each layer is built by itself, some ms
# and a thousand tensors' names: more than these take minutes before anything is learned.
LARGEST_SIZE, MOST_LAYERS, MOST_DEVICES = 2**53, 1000, 1024

# torch takes seeds of 64 bits with a sign; some are multiplied before.
LARGEST_SEED = 2**60

# Adam's first steps are ten learning rates long, which must be a float32.
LARGEST_RATE = 1e30


def _check_split(split: tuple[float, ...], *, rows: bool) -> None:
    """Three fractions that add up to 1, or, where ``rows`` may be given, three whole numbers."""
    three = len(split) == 3 and all(math.isfinite(part) and part > 0 for part in split)
    fractions = three and abs(sum(split) - 1) <= 1e-6
    if not fractions and not (
        rows and three and min(split) >= 1 and split == tuple(map(int, split))
    ):
        raise SettingError(
            f"split is {'/'.join(f'{part:g}' for part in split)}; fractions must add up to 1, as "
            "0.7/0.1/0.2" + (", or give whole numbers of rows." if rows else ".")
        )


def _at_least(lowest: float, **values: float) -> None:
    for name, value in values.items():
        if not value >= lowest:
            raise SettingError(f"{name} is {shown(value)}; expected {lowest:g} or more.")


def _whole(lowest: int, highest: int = LARGEST_SIZE, **values: int) -> None:
    for name, value in values.items():
        _at_least(lowest, **{name: value})
        if value > highest:
            raise SettingError(f"{name} is {shown(value)}; expected {highest:,} or less.")


def _check_seed(**values: int) -> None:
    for name, value in values.items():
        if not 0 <= value < LARGEST_SEED:
            raise SettingError(f"{name} is {shown(value)}; expected 0 or more, below 2^60.")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The recurrent network. ``cell`` is a name, or a file and a function: ``mine.py:cell``."""

    cell: str = "lstm"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    projection: int = 0

    def __post_init__(self) -> None:
        _whole(1, hidden=self.hidden)
        _whole(1, MOST_LAYERS, layers=self.layers)
        _whole(0, projection=self.projection)
        _at_least(0, dropout=self.dropout)
        if self.dropout >= 1:
            raise SettingError(f"dropout is {self.dropout}; expected below 1.")


@dataclass(frozen=True, kw_only=True)
class ForecastNetwork(Network):
    """A forecaster's network: ``linear`` adds a linear autoregression."""

    linear: bool = True


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the network is fitted."""

    epochs: int = 60
    batch: int = 32  # windows, or parallel streams of text
    learning_rate: float = 2e-3  # Adam's, falling to a twentieth along half a cosine
    clip_norm: float = 1.0  # L2 norm of all gradients together (Pascanu et al. 2013)
    patience: int = 12  # epochs without a better validation loss before stopping early
    minutes: float | None = None  # stop after so long, at the end of a batch
    seed: int = 0
    devices: int = 1
    precision: str = "32-true"  # what Lightning calls it: "bf16-mixed", "64-true", ...

    def __post_init__(self) -> None:
        _whole(1, epochs=self.epochs, batch=self.batch, patience=self.patience)
        _whole(1, MOST_DEVICES, devices=self.devices)
        _check_seed(seed=self.seed)
        if not self.learning_rate > 0 or not self.clip_norm > 0:
            raise SettingError(
                f"learning_rate is {self.learning_rate}, clip_norm {self.clip_norm}; expected "
                "both above 0."
            )
        if self.learning_rate > LARGEST_RATE:
            raise SettingError(
                f"learning_rate is {self.learning_rate:g}; expected {LARGEST_RATE:g} or less."
            )
        if self.minutes is not None and not self.minutes > 0:
            raise SettingError(f"minutes is {self.minutes}; expected above 0.")
        known = ("32-true", "64-true", "bf16-true", "bf16-mixed", "16-mixed", "16-true")
        if self.precision not in known:
            raise SettingError(
                f"precision is {self.precision!r}. {did_you_mean(self.precision, known)}"
            )


@dataclass(frozen=True, kw_only=True)
class ForecastData:
    """What is forecast from what. None is inferred: the season from the step; a horizon of one
    season (12 steps without one); a history of two horizons or seasons, whichever is longer.
    Horizon and season count as 52 at most there."""

    targets: tuple[str, ...]
    time: str | None = None
    only_targets: bool = False
    fill_gaps: bool = False
    horizon: int | None = None
    history: int | None = None
    season: int | None = None
    split: tuple[float, ...] = DEFAULT_SPLIT

    def __post_init__(self) -> None:
        if not self.targets:
            raise SettingError("no target is given: the column to forecast.")
        if len(set(self.targets)) < len(self.targets):
            raise SettingError(f"a target is given twice: {', '.join(self.targets)}.")
        _check_split(self.split, rows=True)
        for name in ("horizon", "history", "season"):
            value = getattr(self, name)
            if value is not None:
                _whole(1, **{name: value})


@dataclass(frozen=True, kw_only=True)
class TextData:
    """How a text is cut up."""

    unit: str = "char"
    chunk: int = 100  # steps of truncated backpropagation through time
    embedding: int = 64
    split: tuple[float, ...] = (0.9, 0.05, 0.05)

    def __post_init__(self) -> None:
        _whole(1, chunk=self.chunk, embedding=self.embedding)
        if self.unit != "char":
            raise SettingError(f"unit is {self.unit!r}; this version knows 'char'.")
        _check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class ForecastSettings:
    """All of a forecasting run."""

    data: ForecastData
    network: ForecastNetwork = ForecastNetwork()
    training: Training = Training()


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """All of a text run."""

    data: TextData = TextData()
    network: Network = Network(hidden=256)
    training: Training = Training(epochs=20, learning_rate=3e-3, patience=3)


@dataclass(frozen=True, kw_only=True)
class MusicSettings:
    """All of a model of music."""

    network: Network = Network()
    training: Training = Training(epochs=100, batch=16, learning_rate=1e-2, patience=10)


@dataclass(frozen=True, kw_only=True)
class ClassicData:
    """A classic task by its name, see ``tasks.classic``. ``steps`` is the task's own if None;
    ``examples`` are sequences to learn from; ``seed`` is what they are drawn by."""

    name: str
    steps: int | None = None
    examples: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        _whole(1, examples=self.examples)
        _check_seed(seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class ClassicSettings:
    """All of a classic task."""

    data: ClassicData
    network: Network = Network()
    training: Training = Training(epochs=30, patience=10)


@dataclass(frozen=True, kw_only=True)
class PixelData:
    """How digits are read: line by line, or in an order drawn by the seed ``order``."""

    order: int | None = None

    def __post_init__(self) -> None:
        if self.order is not None:
            _check_seed(order=self.order)


@dataclass(frozen=True, kw_only=True)
class PixelSettings:
    """All of digits read pixel by pixel."""

    data: PixelData = PixelData()
    network: Network = Network(hidden=128)
    training: Training = Training(epochs=5, batch=128, patience=5)


def to_toml(task: str, settings: Any) -> str:
    """Settings as TOML text, complete."""
    tables: dict[str, Any] = {"task": task}
    for part in fields(settings):
        tables[part.name] = from_record(getattr(settings, part.name))
    return tomli_w.dumps(tables)


def read_toml(path: Path) -> tuple[str, Any]:
    """The task and the settings that ``to_toml`` wrote.

    Raises:
        RunError: there is no such file, or it is no TOML.
        SettingError: a key is unknown or a value is out of its range.
    """
    try:
        tables = tomllib.loads(read_limited(path, MOST_BYTES).decode())
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no such file.") from error
    except (ValueError, OSError, RecursionError) as error:  # a ValueError is TOML's and UTF-8's
        raise RunError(f"{path} is corrupt: {error}. Restore it, or begin a new run.") from error
    task = tables.pop("task", None)
    if not isinstance(task, str) or task not in ENTRIES:
        expected = ", ".join(ENTRIES)
        raise SettingError(f"{path}: task is {shown(task)}; expected one of: {expected}.")
    kind = ENTRIES[task].settings()
    parts = get_type_hints(kind)
    for key in tables:
        if key not in parts:
            known = ("task", *parts)
            raise SettingError(f"{path}: unknown key {shown(key)}. {did_you_mean(key, known)}")
    records = {
        name: to_record(part, tables.get(name, {}), f"{path}, [{name}]")
        for name, part in parts.items()
    }
    return task, kind(**records)
