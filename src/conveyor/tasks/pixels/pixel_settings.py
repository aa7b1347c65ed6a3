"""The settings of the task ``pixels``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.settings import (
    DataSettings,
    NetworkSettings,
    TaskSettings,
    Training,
    seed_option,
)


@dataclass(frozen=True, kw_only=True)
class PixelData(DataSettings):
    """How digits are read."""

    order: int | None = seed_option(
        None, "Pixels in an order drawn by this seed; line by line unless given."
    )


@dataclass(frozen=True, kw_only=True)
class PixelSettings(TaskSettings):
    """All settings of a run of the task ``pixels``."""

    task: ClassVar[str] = "pixels"

    data: PixelData = PixelData()
    network: NetworkSettings = NetworkSettings(hidden=128)
    training: Training = Training(epochs=5, batch=128, patience=5)
