"""The settings of the task ``write``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import (
    DataSettings,
    NetworkSettings,
    TaskSettings,
    Training,
    check_split,
    option,
    split_option,
)


@dataclass(frozen=True, kw_only=True)
class WriteData(DataSettings):
    """How strokes are read, and what they are split into."""

    stretch: float = option(
        1.0, "What x is multiplied by, where x and y have other units.", above=0
    )
    thin: int = option(1, "Keep every so many-th point of a stroke, and its end.", least=1)
    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1), "Training/validation/test: fractions of the texts, in their order."
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class WriteNetwork(NetworkSettings):
    """The network of a writer. The first layer is an LSTM that looks at the text; the layers above
    are of the cell."""

    texts: bool = option(True, "Learn to write a given text; else strokes that mean nothing.")
    window: int = option(10, "Bumps of the window on the text.", least=1)
    components: int = option(20, "Gaussians of the mixture of where the pen goes.", least=1)
    narrowest: float = option(
        0.1, "Least deviation of a Gaussian, as a share of the movements'.", above=0, most=1
    )
    noise: float = option(
        0.1, "Noise on the movements that are read, as a share of theirs; 0 for none.", least=0
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if self.texts and self.layers < 2:
            raise SettingError(
                f"{named('layers', self.layers)}: the layer that looks at the text is the first, "
                f"and the cell's stand above it. Give {named('layers', 2)} or more, or "
                f"{named('texts', False)}."
            )


@dataclass(frozen=True, kw_only=True)
class WriteSettings(TaskSettings):
    """All settings of a run of the task ``write``."""

    task: ClassVar[str] = "write"

    data: WriteData = WriteData()
    network: WriteNetwork = WriteNetwork(cell="lstm_peephole", hidden=200, layers=3)
    training: Training = Training(epochs=30, batch=32, learning_rate=2e-3, patience=8)
