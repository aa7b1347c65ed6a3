"""The settings of tasks on whole sequences: music, digits pixel by pixel, and the classic ones."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.settings import (
    REQUIRED,
    DataSettings,
    NetworkSettings,
    TaskSettings,
    Training,
    option,
    seed_option,
)


@dataclass(frozen=True, kw_only=True)
class MusicSettings(TaskSettings):
    """All of a model of music."""

    task: ClassVar[str] = "music"

    data: DataSettings = DataSettings()
    training: Training = Training(epochs=100, batch=16, learning_rate=1e-2, patience=10)


@dataclass(frozen=True, kw_only=True)
class PixelData(DataSettings):
    """How digits are read."""

    order: int | None = seed_option(
        None, "Pixels in an order drawn by this seed; line by line unless given."
    )


@dataclass(frozen=True, kw_only=True)
class PixelSettings(TaskSettings):
    """All of digits read pixel by pixel."""

    task: ClassVar[str] = "pixels"

    data: PixelData = PixelData()
    network: NetworkSettings = NetworkSettings(hidden=128)
    training: Training = Training(epochs=5, batch=128, patience=5)


@dataclass(frozen=True, kw_only=True)
class ClassicData(DataSettings):
    """A classic task by its name, see ``tasks.sequences.classic``. ``steps`` is the task's own if
    None, and 0 where sequences have lengths of their own."""

    name: str = option(REQUIRED, "The name of a classic task.", source=True)
    steps: int | None = option(
        None, "How long a classic task's sequences are; by the task unless given.", least=0
    )
    examples: int = option(5000, "Sequences of a classic task to learn from.", least=1)
    seed: int = seed_option(0, "The same seed draws the same sequences.")


@dataclass(frozen=True, kw_only=True)
class ClassicSettings(TaskSettings):
    """All of a classic task."""

    task: ClassVar[str] = "classic"

    data: ClassicData
    training: Training = Training(epochs=30, patience=10)
