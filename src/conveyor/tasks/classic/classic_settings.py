"""The settings of a classic problem."""

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
    """A classic task by its name, see ``classics``. ``steps`` is the task's own if
    None, and 0 where sequences have lengths of their own."""

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
    """All of a classic task."""

    task: ClassVar[str] = "classic"

    data: ClassicData
    training: Training = Training(epochs=30, patience=10)
