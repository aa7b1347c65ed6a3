"""The settings of classic tasks."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.settings import (
    REQUIRED,
    SEEDS,
    DataSettings,
    TaskSettings,
    Training,
    option,
)


@dataclass(frozen=True, kw_only=True)
class ClassicData(DataSettings):
    """The data that is drawn. ``name`` is one of ``classics.CLASSICS``. ``steps`` is None for the
    task's default, and 0 if the task draws the lengths of its sequences."""

    name: str = option(REQUIRED, "The name of a classic task.", source=True)
    steps: int | None = option(
        None, "How long a classic task's sequences are; by the task unless given.", least=0
    )
    examples: int = option(5000, "Sequences of a classic task to learn from.", least=1)
    data_seed: int = option(
        0, "The same seed draws the same sequences.", least=0, below=SEEDS, formerly="seed"
    )


@dataclass(frozen=True, kw_only=True)
class ClassicSettings(TaskSettings):
    """All settings of a run of a classic task."""

    task: ClassVar[str] = "classic"

    data: ClassicData
    training: Training = Training(epochs=30, patience=10)
