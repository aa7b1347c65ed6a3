"""The tasks by name: the only list of them. What a task is made of is imported when it is asked
for, so that a command that needs none of it stays quick."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from conveyor.data.records import shown
from conveyor.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from conveyor.tasks.settings import TaskSettings
    from conveyor.tasks.task import Task

# What a task reads that is no file.
FOLDER, NAME = "folder", "name"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A task.

    Args:
        name: on the command line, in TOML and in saved models.
        summary: what it does, a sentence.
        source: what it learns from, as the help of that argument says it, without a full stop.
        reads: the endings of files that it reads (also with ``.gz``), or ``FOLDER``, or
            ``NAME`` where the source is a name; nothing where a task draws all that it needs.
        settings_at, task_at: where its settings and the task itself are: ``module:Class``.
        reading_at: where the options are that evaluating and predicting take; empty for none.
        writing_at: where the options are that generating takes; empty for none.
    """

    name: str
    summary: str
    source: str
    reads: tuple[str, ...]
    settings_at: str
    task_at: str
    reading_at: str = ""
    writing_at: str = ""

    @property
    def settings(self) -> "type[TaskSettings]":
        """The class of its settings, imported now."""
        return cast("type[TaskSettings]", _imported(self.settings_at))

    @property
    def task(self) -> "type[Task[Any]]":
        """The class of the task itself, imported now."""
        return cast("type[Task[Any]]", _imported(self.task_at))

    @property
    def reading(self) -> type[Any] | None:
        """The class of the options of evaluating and predicting, imported now."""
        return _imported(self.reading_at) if self.reading_at else None

    @property
    def writing(self) -> type[Any] | None:
        """The class of the options of generating, imported now."""
        return _imported(self.writing_at) if self.writing_at else None


def _imported(place: str) -> type[Any]:
    module, _, name = place.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


TASKS = (
    Entry(
        name="forecast",
        summary="Forecast columns of a table: quantiles of the next steps, beside naive forecasts.",
        source="a CSV (also .gz) or Parquet file",
        reads=(".csv", ".tsv", ".parquet", ".pq"),
        settings_at="conveyor.tasks.forecast.forecast_settings:ForecastSettings",
        task_at="conveyor.tasks.forecast.forecasting:Forecasting",
        reading_at="conveyor.tasks.forecast.forecast_reading:ForecastReading",
    ),
    Entry(
        name="text",
        summary="Learn to write like a text, by characters, beside counting models.",
        source="a text in UTF-8",
        reads=(".txt",),
        settings_at="conveyor.tasks.text.text_settings:TextSettings",
        task_at="conveyor.tasks.text.language_modelling:LanguageModelling",
        writing_at="conveyor.tasks.text.sampling:Sampling",
    ),
    Entry(
        name="music",
        summary="Learn which notes come next in music, beside how often each key sounds.",
        source="music as JSON: pieces of steps of notes, in three parts",
        reads=(".json",),
        settings_at="conveyor.tasks.music.music_settings:MusicSettings",
        task_at="conveyor.tasks.music.polyphonic_music:PolyphonicMusic",
    ),
    Entry(
        name="pixels",
        summary="Tell digits that are read pixel by pixel, beside the commonest digit.",
        source="a folder with MNIST's files",
        reads=(FOLDER,),
        settings_at="conveyor.tasks.pixels.pixel_settings:PixelSettings",
        task_at="conveyor.tasks.pixels.pixel_by_pixel:PixelByPixel",
    ),
    Entry(
        name="classic",
        summary="Learn a classic task from sequences that are drawn, beside not looking.",
        source="the name of a classic task, as adding, copying or reber",
        reads=(NAME,),
        settings_at="conveyor.tasks.classic.classic_settings:ClassicSettings",
        task_at="conveyor.tasks.classic.classic_task:ClassicTask",
    ),
)


def find(name: object, what: str = "task") -> Entry:
    """Return the task of that name.

    Args:
        what: what has that name, to begin an error with: a file and its key, or an option.

    Raises:
        SettingError: there is none; the nearest are named.
    """
    for each in TASKS:
        if each.name == name:
            return each
    near = did_you_mean(name if isinstance(name, str) else "", [each.name for each in TASKS])
    raise SettingError(f"{what} is {shown(name)}. {near}")
