"""The settings of the task ``speak``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.errors import SettingError, named
from conveyor.tasks.recording_settings import RecordingData
from conveyor.tasks.settings import NetworkSettings, TaskSettings, WarmedTraining, option

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 4000, 8, 400


@dataclass(frozen=True, kw_only=True)
class SpeakData(RecordingData):
    """Which recordings a voice is learned from, and what judges it."""

    recogniser: str | None = option(
        None,
        "A run of transcribe, which writes what it hears of the voice.",
        changeable=True,
    )


@dataclass(frozen=True, kw_only=True)
class SpeakNetwork(NetworkSettings):
    """The network of a voice. The first layer that speaks is an LSTM that looks at the text; those
    above, and the layer that reads the text in both directions, are of the cell."""

    letter_size: int = option(64, "Numbers that stand for a letter.", least=1, formerly="letters")
    speaker_size: int = option(
        16, "Numbers that stand for a speaker.", least=1, formerly="speakers"
    )
    attention: str = option(
        "window",
        "How the voice looks at the text: a window that only moves on, or location.",
        choices=("window", "location"),
    )
    window: int = option(5, "Bumps of the window on the text.", least=1)
    reduction: int = option(3, "Frames that a step speaks.", least=1, most=16)
    prenet: int = option(64, "Numbers that are read of the frame before.", least=1)
    prenet_dropout: float = option(
        0.5,
        "Probability of dropping each of them, also while speaking.",
        least=0,
        most=0.99,
        formerly="forget",
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if self.layers < 2:
            raise SettingError(
                f"{named('layers', self.layers)}: the layer that looks at the text is the first, "
                f"and the cell's stand above it. Give {named('layers', 2)} or more."
            )


@dataclass(frozen=True, kw_only=True)
class SpeakTraining(WarmedTraining):
    """How a voice is fitted. Adam's learning rate rises over the first steps and then falls along a
    line, to 0 after the last epoch."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default as many as 4,000 steps take.",
        least=1,
        changeable=True,
    )

    def with_epochs(self, recordings: int) -> "SpeakTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            recordings: of the training set.
        """
        return self.with_steps(STEPS, recordings, LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class SpeakSettings(TaskSettings):
    """All settings of a run of the task ``speak``."""

    task: ClassVar[str] = "speak"

    data: SpeakData = SpeakData(bands=60)
    network: SpeakNetwork = SpeakNetwork(hidden=128, layers=2)
    training: SpeakTraining = SpeakTraining(batch=32, learning_rate=2e-3, patience=20)
