"""The settings of the task ``text``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.settings import (
    SEEDS,
    DataSettings,
    NetworkSettings,
    TaskSettings,
    Training,
    check_split,
    option,
    split_option,
)


@dataclass(frozen=True, kw_only=True)
class TextData(DataSettings):
    """How a text is split into parts and chunks."""

    unit: str = option("char", "What is predicted: characters.", choices=("char",))
    chunk: int = option(100, "Steps of truncated BPTT.", least=1)
    split: tuple[float, ...] = split_option(
        (0.9, 0.05, 0.05), "Training/validation/test: fractions."
    )
    data_seed: int = option(
        0,
        "The same seed draws the same text, where the source is one's name.",
        least=0,
        below=SEEDS,
    )

    def check(self) -> None:
        """Check the split.

        Raises:
            SettingError: its parts are not fractions that add up to 1.
        """
        check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class TextNetwork(NetworkSettings):
    """The network of a language model."""

    embedding: int = option(
        64, "Numbers that stand for a character.", least=1, formerly="data.embedding"
    )


@dataclass(frozen=True, kw_only=True)
class TextSettings(TaskSettings):
    """All settings of a run of the task ``text``."""

    task: ClassVar[str] = "text"

    data: TextData = TextData()
    network: TextNetwork = TextNetwork(hidden=256)
    training: Training = Training(epochs=20, learning_rate=3e-3, patience=3)
