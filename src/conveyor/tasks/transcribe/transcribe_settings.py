"""The settings of the task ``transcribe``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import (
    DataSettings,
    NetworkSettings,
    TaskSettings,
    WarmedTraining,
    check_split,
    option,
    seed_option,
    split_option,
)

# What is written: letters, or words or syllables as they are between blanks.
CHARACTERS, WORDS, SYLLABLES = "char", "word", "syllable"

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 1500, 8, 120

# Without a word about it a network that hears no end waits so long, in milliseconds.
LOOKAHEAD = 100


@dataclass(frozen=True, kw_only=True)
class TranscribeData(DataSettings):
    """Which recordings there are, how they are heard, and what they are split into."""

    audio: str | None = option(None, "The column of recordings; else by its name.")
    text: str | None = option(None, "The column of texts; else by its name.")
    speaker: str | None = option(None, "The column that says who speaks; else by its name.")
    part: str | None = option(None, "The column that says train, validation or test.")
    unit: str = option(
        CHARACTERS, "What is written one by one.", choices=(CHARACTERS, WORDS, SYLLABLES)
    )
    lower: bool = option(True, "Write small letters only.")
    rate: int | None = option(
        None,
        "Samples a second that are heard; else 8,000 or 16,000, by the recordings.",
        least=1000,
        most=96_000,
    )
    bands: int = option(40, "Bands of frequency that are heard.", least=4, most=256)
    by_speaker: bool = option(False, "Test and validate on people who are not learned from.")
    skip_broken: bool = option(False, "Leave out recordings that cannot be read, and name them.")
    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1), "Training/validation/test: fractions of what is not given in parts."
    )
    split_seed: int = seed_option(0, "The same seed draws the same parts.")

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)


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


@dataclass(frozen=True, kw_only=True)
class TranscribeTraining(WarmedTraining):
    """How a recogniser is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training part, at most; by default as many as 1,500 steps take.",
        least=1,
        changeable=True,
    )

    def with_epochs(self, recordings: int) -> "TranscribeTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            recordings: of the training part.
        """
        return self.with_steps(STEPS, recordings, LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class TranscribeSettings(TaskSettings):
    """All settings of a run of the task ``transcribe``."""

    task: ClassVar[str] = "transcribe"

    data: TranscribeData = TranscribeData()
    network: TranscribeNetwork = TranscribeNetwork(hidden=96, layers=2, dropout=0.2)
    training: TranscribeTraining = TranscribeTraining(batch=32, learning_rate=3e-3, patience=20)
