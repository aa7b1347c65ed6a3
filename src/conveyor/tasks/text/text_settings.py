"""The settings of the task ``text``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.data.tokens import UNITS
from conveyor.errors import SettingError, named
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

# The units, as characters are the default.
TEXT_UNITS = ("char", *sorted(set(UNITS) - {"char"}))


@dataclass(frozen=True, kw_only=True)
class TextData(DataSettings):
    """How a text is split into parts and chunks."""

    unit: str = option("char", "What is predicted, one after the other.", choices=TEXT_UNITS)
    vocabulary: int | None = option(
        None,
        "Words, syllables or sub-words that are known, at most; else 10,000, and 2,000 sub-words.",
        least=1,
    )
    chunk: int = option(100, "Steps of truncated BPTT.", least=1)
    random_chunks: bool = option(
        False, "Draw the steps of each chunk anew in every epoch, about as many."
    )
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
    """The network of a language model. Dropout is also on what it reads and writes."""

    embedding: int = option(
        64, "Numbers that stand for a symbol.", least=1, formerly="data.embedding"
    )
    input_dropout: float | None = option(
        None, "Dropout of what is read; else as between layers.", least=0, below=1
    )
    output_dropout: float | None = option(
        None, "Dropout of what is written; else as between layers.", least=0, below=1
    )
    locked_dropout: bool = option(False, "Drop the same numbers at all steps of a chunk.")
    word_dropout: float = option(
        0.0, "Probability of dropping a symbol at all its places in a chunk.", least=0, below=1
    )
    weight_dropout: float = option(
        0.0, "Probability of dropping a weight of recurrent matrices.", least=0, below=1
    )
    activation_penalty: float = option(
        0.0, "AR: times the mean square of what the last layer writes.", least=0
    )
    change_penalty: float = option(
        0.0, "TAR: times the mean square of its change from step to step.", least=0
    )
    tied: bool = option(False, "Let what is read and what is written share their vectors.")


@dataclass(frozen=True, kw_only=True)
class TextTraining(Training):
    """How the network is fitted: by Adam, whose learning rate falls to a twentieth along half a
    cosine, unless weights are averaged; or by SGD with averages from when the validation set is
    answered no better (NT-ASGD, Merity, Keskar & Socher 2018), at a rate that stays as it is.
    ``clip`` bounds the norm of the gradients (Pascanu et al. 2013)."""

    method: str = option(
        "adam",
        "What changes the weights; nt-asgd is SGD with averages, for a learning rate of 1 to 30 "
        "and hundreds of epochs.",
        choices=("adam", "nt-asgd"),
    )
    trigger: int = option(5, "Epochs that nt-asgd looks back before it begins to average.", least=1)

    @property
    def averages_after(self) -> int | None:
        """See ``Training``."""
        return self.trigger if self.method == "nt-asgd" else None

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if self.average and self.averages_after is not None:
            raise SettingError(
                f"{named('method', 'nt-asgd')} averages the weights when it is time. Leave out "
                f"{named('average', True)}."
            )


@dataclass(frozen=True, kw_only=True)
class TextSettings(TaskSettings):
    """All settings of a run of the task ``text``."""

    task: ClassVar[str] = "text"

    data: TextData = TextData()
    network: TextNetwork = TextNetwork(hidden=256)
    training: TextTraining = TextTraining(epochs=20, learning_rate=3e-3, patience=3)
