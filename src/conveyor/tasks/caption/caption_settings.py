"""The settings of the task ``caption``."""

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

# How a decoder looks at a picture, in the words of the command line.
SOFT, HARD, NONE = "soft", "hard", "none"

# What writes: a decoder that looks at what is seen while it writes, or layers that have read it.
LOOKING, READING = "looking", "s2vt"

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 3000, 6, 60


@dataclass(frozen=True, kw_only=True)
class CaptionData(DataSettings):
    """Which pictures there are, how they are read, and what they are split into."""

    image: str | None = option(None, "The column of pictures; else by its name.")
    caption: str | None = option(None, "The column of captions; else by its name.")
    part: str | None = option(None, "The column that says train, validation or test.")
    size: int = option(
        32, "Rows and columns that a picture is read in, a multiple of 4.", least=8, most=256
    )
    frames: int = option(
        16,
        "Frames of a video that are read, at most, evenly apart; with 1 all are pictures.",
        least=1,
        most=1000,
    )
    features: str | None = option(
        None, "A file of numbers for each picture (.npz, .npy), which are read instead."
    )
    lower: bool = option(True, "Write small letters only.")
    min_count: int = option(1, "How often a word must be seen to be written.", least=1)
    longest: int = option(
        60, "Words of a caption that are learned from, at most.", least=1, most=100_000
    )
    skip_broken: bool = option(False, "Leave out pictures that cannot be read, and name them.")
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
        if self.size % 4:
            raise SettingError(f"{named('size')} is {self.size}; expected a multiple of 4.")


@dataclass(frozen=True, kw_only=True)
class CaptionNetwork(NetworkSettings):
    """The network: a small convolutional one that sees, a recurrent one over the frames of videos,
    and a decoder that writes. Dropout is on the vectors of words and before each word that is
    written."""

    decoder: str = option(
        LOOKING,
        "What writes: a decoder that looks while it writes, or S2VT, which has read all frames.",
        choices=(LOOKING, READING),
    )
    attention: str = option(
        SOFT, "How the decoder looks at the picture.", choices=(SOFT, HARD, NONE)
    )
    embedding: int = option(64, "Numbers that stand for a word.", least=1)
    channels: int = option(
        72, "Numbers that stand for a place of a picture, a multiple of 24.", least=24, most=2400
    )
    gate: bool = option(True, "Let the decoder say how much it looks, word by word.")
    deep: bool = option(True, "Write from the word before and from what is seen, too.")
    coverage: float = option(
        0.1,
        "How much it counts in training that every place is looked at once.",
        least=0,
        most=1000,
    )
    coverage_form: str = option(
        "paper",
        "Whose sum that is: the paper's, or the one of the authors' code.",
        choices=("paper", "code"),
    )
    reinforce: float = option(
        0.3, "With hard attention: how much places count that helped.", least=0, most=1000
    )
    explore: float = option(
        0.01, "With hard attention: how much undecided attention counts.", least=0, most=1000
    )
    bag: float = option(
        1.0,
        "How much it counts in training that a caption's words are seen anywhere.",
        least=0,
        most=1000,
    )
    shift: int = option(
        2, "Pixels by which pictures are moved in training, at most.", least=0, most=32
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if self.channels % 24:
            raise SettingError(
                f"{named('channels')} is {self.channels}; expected a multiple of 24."
            )
        if self.decoder == READING and self.attention != SOFT:
            raise SettingError(
                f"{named('attention')} is {self.attention}; S2VT looks at nothing while it writes. "
                f"Leave it out, or {named('decoder', READING)}."
            )


@dataclass(frozen=True, kw_only=True)
class CaptionTraining(WarmedTraining):
    """How the network is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default as many as 3,000 steps take.",
        least=1,
        changeable=True,
    )
    blind_steps: int = option(
        400, "Steps of a network beside it that sees nothing; 0 for none.", least=0, most=100_000
    )

    def with_epochs(self, captions: int) -> "CaptionTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            captions: of the training set.
        """
        return self.with_steps(STEPS, captions, LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class CaptionSettings(TaskSettings):
    """All settings of a run of the task ``caption``."""

    task: ClassVar[str] = "caption"

    data: CaptionData = CaptionData()
    network: CaptionNetwork = CaptionNetwork(hidden=128, dropout=0.2)
    training: CaptionTraining = CaptionTraining(batch=32, learning_rate=2e-3, patience=15)
