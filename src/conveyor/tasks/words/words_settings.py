"""The settings of the task ``words``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.data.tokens import UNITS
from conveyor.errors import SettingError, named
from conveyor.tasks.settings import (
    LARGEST_RATE,
    DataSettings,
    ModelSettings,
    TaskSettings,
    Training,
    check_split,
    option,
    split_option,
)

# Whose vectors are learned; that of a character says little.
WORD_UNITS = tuple(unit for unit in UNITS if unit != "char")

# What is predicted from what: the words around from a word, or a word from those around.
SKIP_GRAM, CBOW = "skip-gram", "cbow"

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 4_000, 5, 100

# Whether anything can be validated is seen in so many stretches.
LEAST_VALIDATED = 256

# A word's window is cut out with others into a block that is computed together.
MOST_WINDOW = 100


@dataclass(frozen=True, kw_only=True)
class WordsData(DataSettings):
    """How a text is cut into words, which of them get a vector, and what it is split into."""

    unit: str = option("word", "What gets a vector.", choices=WORD_UNITS)
    lower: bool = option(True, "Read capitals as small letters.")
    min_count: int = option(
        5, "Occurrences in the training set from which on a word gets a vector.", least=1
    )
    vocabulary: int | None = option(
        None, "Words that get a vector, at most; by default 200,000, of sub-words 4,000.", least=2
    )
    split: tuple[float, ...] = split_option(
        (0.9, 0.05, 0.05), "Training/validation/test: fractions."
    )

    def check(self) -> None:
        """Check the split.

        Raises:
            SettingError: its parts are not fractions that add up to 1.
        """
        check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class WordsNetwork(ModelSettings):
    """The vectors, and what they learn to tell (Mikolov et al. 2013, Distributed representations of
    words and phrases and their compositionality)."""

    model: str = option(
        SKIP_GRAM,
        "What is told from what: neighbours from a word, or a word from its neighbours.",
        choices=(SKIP_GRAM, CBOW),
    )
    dim: int = option(100, "Numbers of a vector.", least=1)
    window: int = option(
        5,
        "Words to either side that may be neighbours; for each word drawn from 1 to this.",
        least=1,
        most=MOST_WINDOW,
    )
    negative: int = option(5, "Noise words for each true one.", least=1)
    subsample: float = option(
        1e-3,
        "t: of a word with share f of the text, keep the share √(t/f) in training; 0 keeps all.",
        least=0,
        most=1,
    )


@dataclass(frozen=True, kw_only=True)
class WordsTraining(Training):
    """How vectors are fitted, by Adagrad: the learning rate falls along a line."""

    # None only until the data are read, see ``with_steps``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default 5, more for short texts.",
        least=1,
        changeable=True,
    )
    batch: int = option(8, "Stretches of 512 words that make a step.", least=1)
    learning_rate: float = option(
        0.05, "Adagrad's learning rate at the start.", above=0, most=LARGEST_RATE
    )

    by_step = True

    def rate_factor(self, done: int, total: int) -> float:
        """Return what the learning rate is multiplied with: down along a line, not quite to 0.

        Args:
            done: steps that are done.
            total: steps of all epochs.
        """
        return max(1 - done / total, 1e-3)

    def check_one_process(self) -> None:
        """Check that one process trains, in full precision: gradients are sparse, which processes
        do not add up, and which have no half precision.

        Raises:
            SettingError: there are several, or numbers of half the precision.
        """
        if self.processes > 1:
            raise SettingError(
                f"vectors of words are learned by one process. Leave out {named('devices')} and "
                f"{named('nodes')}."
            )
        if self.precision not in ("32-true", "64-true"):
            raise SettingError(
                f"{named('precision')} is {self.precision}; vectors of words are learned in "
                "32-true or 64-true, for their gradients are sparse."
            )


@dataclass(frozen=True, kw_only=True)
class WordsSettings(TaskSettings):
    """All settings of a run of the task ``words``, whose model has no cell."""

    task: ClassVar[str] = "words"

    data: WordsData = WordsData()
    network: WordsNetwork = WordsNetwork()  # type: ignore[assignment]  # there is no cell
    training: WordsTraining = WordsTraining(patience=3)
