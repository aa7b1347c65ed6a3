"""The tasks by name. Nobody else lists them; each is loaded when it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from conveyor.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from conveyor.tasks.task import Task


@dataclass(frozen=True)
class Entry:
    """A task's place in the library.

    Args:
        name: the command, the TOML key and what ``model.json`` says.
        summary: what it does, in a sentence.
        source: what it learns from, in a sentence.
        endings: of the files that it reads, where a file's name tells its task.
        task_class: where the task is, ``module:Class``.
        settings_class: where its settings are.
        reads_with: where the options are that evaluating and predicting take; empty for none.
        writes_with: where the options are that generating takes; empty for a task that does not.
    """

    name: str
    summary: str
    source: str
    endings: tuple[str, ...]
    task_class: str
    settings_class: str
    reads_with: str = ""
    writes_with: str = ""

    def task(self) -> "type[Task[Any]]":
        """Return the task's class."""
        found: type[Task[Any]] = _loaded(self.task_class)
        return found

    def settings(self) -> type[Any]:
        """Return the class of its settings."""
        found: type[Any] = _loaded(self.settings_class)
        return found

    def reading(self) -> type[Any] | None:
        """Return the class of the options of evaluating and predicting; None for no options."""
        return _loaded(self.reads_with) if self.reads_with else None

    def writing(self) -> type[Any] | None:
        """Return the class of the options of generating; None for no options."""
        return _loaded(self.writes_with) if self.writes_with else None


def _loaded(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


_ALL = (
    Entry(
        "forecast",
        "Forecast columns of a table: quantiles of the next steps, beside naive forecasts.",
        "A CSV (also .gz) or Parquet file.",
        (".csv", ".tsv", ".parquet", ".pq"),
        "conveyor.tasks.forecast.forecasting:Forecasting",
        "conveyor.training.settings:ForecastSettings",
        reads_with="conveyor.tasks.forecast.forecast_reading:ForecastReading",
    ),
    Entry(
        "text",
        "Learn to write like a text, by characters, beside counting models.",
        "A text in UTF-8 (also .gz).",
        (".txt",),
        "conveyor.tasks.text.language_modelling:LanguageModelling",
        "conveyor.training.settings:TextSettings",
        writes_with="conveyor.tasks.text.sampling:Sampling",
    ),
    Entry(
        "music",
        "Learn which keys of a piano sound next, beside counting each key by itself.",
        "Music as JSON (also .gz).",
        (".json",),
        "conveyor.tasks.sequences.sequence_tasks:PolyphonicMusic",
        "conveyor.training.settings:MusicSettings",
    ),
    Entry(
        "pixels",
        "Learn digits read pixel by pixel, beside the commonest digit.",
        "A folder with MNIST's files.",
        (),
        "conveyor.tasks.sequences.sequence_tasks:PixelByPixel",
        "conveyor.training.settings:PixelSettings",
    ),
    Entry(
        "classic",
        "Learn a classic problem of recurrent networks, beside not looking at all.",
        "Its name: adding, copying, reber, ...",
        (),
        "conveyor.tasks.sequences.sequence_tasks:ClassicTask",
        "conveyor.training.settings:ClassicSettings",
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _ALL}


def find(name: str) -> Entry:
    """Return the entry of a task.

    Raises:
        SettingError: no task has that name.
    """
    if name not in ENTRIES:
        raise SettingError(f"there is no task {name!r}. {did_you_mean(name, ENTRIES)}")
    return ENTRIES[name]
