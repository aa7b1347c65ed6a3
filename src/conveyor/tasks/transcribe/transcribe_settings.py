"""The settings of the task ``transcribe``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.errors import SettingError, named
from conveyor.tasks.recording_settings import RecordingData
from conveyor.tasks.settings import (
    NetworkSettings,
    TaskSettings,
    WarmedTraining,
    option,
)

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 1500, 8, 120

# How a decoder looks at what was heard; without one labels are written by CTC.
NONE = "none"
ATTENTIONS = (NONE, "location", "bahdanau")

# Without a word about it a network that hears no end waits so long, in milliseconds.
LOOKAHEAD = 100


@dataclass(frozen=True, kw_only=True)
class TranscribeData(RecordingData):
    """Which recordings there are, how they are heard, and what they are split into."""

    by_speaker: bool = option(False, "Test and validate on people who are not learned from.")


@dataclass(frozen=True, kw_only=True)
class TranscribeNetwork(NetworkSettings):
    """The network of a recogniser. Dropout is also on what the recurrent layers give."""

    bidirectional: bool = option(True, "Read each sequence from its end, too.")
    stack: int = option(3, "Frames of 10 ms that are read as one step.", least=1, most=16)
    lookahead: int | None = option(
        None,
        "Milliseconds that are waited for after a step; else 100 where the end is not read first.",
        least=0,
        most=2000,
    )
    centre: bool = option(
        True, "Hear each recording beside its own mean, where its end is read first."
    )
    augment: float = option(
        1.0, "How much recordings are changed in training; 0 for not at all.", least=0, most=2
    )
    attention: str = option(
        NONE,
        "How a decoder looks at what was heard while it writes; with none CTC writes.",
        choices=ATTENTIONS,
    )
    joint: float = option(
        0.0, "With attention: the share of CTC in the loss, such as 0.3.", least=0, below=1
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if self.bidirectional and self.lookahead:
            raise SettingError(
                f"a network that reads each recording from its end waits for all of it. Leave out "
                f"{named('lookahead')}, or give {named('bidirectional', False)}."
            )
        if self.joint and self.attention == NONE:
            raise SettingError(
                f"{named('joint')} is the share of CTC beside a decoder that looks at what was "
                f"heard. Leave it out, or give {named('attention', 'location')}."
            )


@dataclass(frozen=True, kw_only=True)
class TranscribeTraining(WarmedTraining):
    """How a recogniser is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default as many as 1,500 steps take.",
        least=1,
        changeable=True,
    )

    def with_epochs(self, recordings: int) -> "TranscribeTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            recordings: of the training set.
        """
        return self.with_steps(STEPS, recordings, LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class TranscribeSettings(TaskSettings):
    """All settings of a run of the task ``transcribe``."""

    task: ClassVar[str] = "transcribe"

    data: TranscribeData = TranscribeData()
    network: TranscribeNetwork = TranscribeNetwork(hidden=96, layers=2, dropout=0.2)
    training: TranscribeTraining = TranscribeTraining(batch=32, learning_rate=3e-3, patience=20)
