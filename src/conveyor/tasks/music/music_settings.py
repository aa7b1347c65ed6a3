"""The settings of the task ``music``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.settings import (
    DataSettings,
    TaskSettings,
    Training,
)


@dataclass(frozen=True, kw_only=True)
class MusicSettings(TaskSettings):
    """All settings of a run of the task ``music``."""

    task: ClassVar[str] = "music"

    data: DataSettings = DataSettings()
    training: Training = Training(epochs=100, batch=16, learning_rate=1e-2, patience=10)
