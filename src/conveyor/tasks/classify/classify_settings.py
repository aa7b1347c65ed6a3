"""The settings of the task ``classify``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.data.several_labels import SeveralLabels
from conveyor.data.tokens import UNIT_NAMES, UNITS
from conveyor.errors import SettingError, named
from conveyor.tasks.settings import (
    DataSettings,
    NetworkSettings,
    TaskSettings,
    Training,
    check_split,
    option,
    seed_option,
    split_option,
)

# How the steps of a sequence become one vector; the first is by what is read.
POOLINGS = ("", "max", "mean", "last", "attention")

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 1500, 8, 60

# So many units are known unless the user says: words of some thousand texts, and the pieces that
# are usual for one language (tasks of translation use as many, or twice).
KNOWN_WORDS, KNOWN_SUBWORDS = 50_000, 4_000

# Texts may be cut to so many tokens, and no more.
MOST_TOKENS = 100_000


@dataclass(frozen=True, kw_only=True)
class ClassifyData(DataSettings):
    """What is read, what it is to be called, and what it is split into.

    Columns that are None are inferred: the label from the column with few values, the text from the
    one with words.
    """

    text: str | None = option(None, "The column of texts; inferred where one can be meant.")
    label: str | None = option(None, "The column of labels; inferred where one can be meant.")
    label_separator: str | None = option(
        None, "What parts several labels in a cell, as in 'red;round'; each is learned on its own."
    )
    label_columns: tuple[str, ...] = option(
        (), "Instead, a column of 0 and 1 that says where a label holds; may be repeated."
    )
    by: tuple[str, ...] = option(
        (), "Instead of texts, series of numbers: a column that names them; may be repeated."
    )
    order: str | None = option(
        None, "The column by which the rows of a series are put in order; else as they stand."
    )
    columns: tuple[str, ...] = option(
        (), "A column of numbers that is read; may be repeated; else all that are left."
    )
    unit: str = option("word", "What a text is read by.", choices=UNITS)
    lower: bool = option(False, "Read capitals as small letters.")
    validation: str | None = option(None, "A file to validate on; else a part of the data.")
    test: str | None = option(None, "A file to test on; else a part of the data.")
    part: str | None = option(
        None, "A column that says train, validation or test; else the parts are drawn."
    )
    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1), "Training/validation/test: fractions of what is not given in parts."
    )
    split_seed: int = seed_option(0, "The same seed draws the same parts.")
    dedupe: bool = option(
        False, "Learn from no text that stands in the validation or test set, too."
    )
    vocabulary: int | None = option(
        None, "Units that are known, at most; by default 50000, of sub-words 4000.", least=1
    )
    vectors: str | None = option(
        None, "Begin with vectors of words in this file, of word2vec, GloVe or fastText."
    )
    longest: int = option(
        1_000, "Words or characters of a text that are read, at most.", least=1, most=MOST_TOKENS
    )

    @property
    def forms(self) -> SeveralLabels:
        """How several labels of a text are said."""
        return SeveralLabels(self.label_separator, self.label_columns)

    @property
    def unit_name(self) -> str:
        """What messages call a unit, in the singular."""
        return UNIT_NAMES[self.unit]

    @property
    def known(self) -> int:
        """How many units are known, at most."""
        default = KNOWN_SUBWORDS if self.unit == "subword" else KNOWN_WORDS
        return default if self.vocabulary is None else self.vocabulary

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)
        if self.by and self.text is not None:
            raise SettingError(
                f"{named('text')} is {self.text}, and {named('by')} is {', '.join(self.by)}: "
                "sequences are texts, or series of numbers. Give one of the two."
            )
        self._check_labels()
        if not self.by:
            for name in ("order", "columns"):
                if getattr(self, name):
                    raise SettingError(
                        f"{named(name)} is of series of numbers, which {named('by')} names. Give "
                        f"{named('by')}, too, or leave it out."
                    )
        if self.unit == "subword" and self.vectors is not None:
            raise SettingError(
                f"{named('vectors')} are of words, and {named('unit')} is subword: pieces of words "
                "are not in such a file. Leave one of them out."
            )
        if self.by and self.vectors is not None:
            raise SettingError(
                f"{named('vectors')} are of words, and {named('by')} is of series of numbers. "
                "Leave one of them out."
            )
        if self.part is not None and (self.validation is not None or self.test is not None):
            other = "validation" if self.validation is not None else "test"
            raise SettingError(
                f"{named('part')} and {named(other)} both say what is tested. Give one of them."
            )

    def _check_labels(self) -> None:
        """Check the settings of several labels.

        Raises:
            SettingError: they do not fit each other.
        """
        if self.label_separator == "":
            raise SettingError(f"{named('label_separator')} is empty. Give a sign, as in 'a;b'.")
        asked = [name for name in ("label_separator", "label_columns") if getattr(self, name)]
        if not asked:
            return
        if self.by:
            raise SettingError(
                f"{named(asked[0])} is of texts, and {named('by')} of series, which have one label "
                "each. Leave one of them out."
            )
        if len(asked) > 1 or (self.label_columns and self.label is not None):
            other = "label_separator" if len(asked) > 1 else "label"
            raise SettingError(
                f"{named('label_columns')} and {named(other)} both say where labels are. Give one "
                "of them."
            )
        if len(set(self.label_columns)) < len(self.label_columns):
            raise SettingError(
                f"{named('label_columns')} names a column twice: {', '.join(self.label_columns)}. "
                "Name each once."
            )


@dataclass(frozen=True, kw_only=True)
class ClassifyNetwork(NetworkSettings):
    """The network of a classifier. Dropout is also on the vectors of words, and on what the pooling
    gives."""

    dropout: float = option(
        0.0,
        "Probability of dropping what goes into the network, between layers and out of it.",
        least=0,
        below=1,
    )
    embedding: int = option(
        64,
        "Numbers that stand for a word; those of given vectors are as many as the file has.",
        least=1,
    )
    bidirectional: bool = option(True, "Read each sequence from its end, too.")
    pooling: str = option(
        "",
        "How the steps of a sequence become one; else the max of texts, the mean of numbers.",
        choices=POOLINGS,
    )
    word_dropout: float = option(
        0.2, "Probability of dropping a word, in training.", least=0, below=1
    )
    unknown: float = option(
        0.5, "Probability of reading a word seen once as unknown, in training.", least=0, below=1
    )
    learn_vectors: bool = option(
        False, "Learn the vectors of the given file further; else only those of words without one."
    )
    balance: bool = option(
        False, "Let each class count as much as any other, however rare. Skews probabilities."
    )
    noise: float = option(
        0.3, "Standard deviation of noise on columns of numbers, in training.", least=0
    )


@dataclass(frozen=True, kw_only=True)
class ClassifyTraining(Training):
    """How a classifier is fitted."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default 8, more for few examples.",
        least=1,
        changeable=True,
    )

    batch: int = option(32, "Texts or series in a batch, of all processes together.", least=1)

    def with_epochs(self, examples: int, *, most: bool) -> "ClassifyTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            examples: of the training set.
            most: whether there are ``MOST_EPOCHS``, however many steps that makes.
        """
        return self.with_steps(STEPS, examples, MOST_EPOCHS if most else LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class ClassifySettings(TaskSettings):
    """All settings of a run of the task ``classify``."""

    task: ClassVar[str] = "classify"

    data: ClassifyData = ClassifyData()
    network: ClassifyNetwork = ClassifyNetwork(hidden=100, embedding=200, dropout=0.5)
    training: ClassifyTraining = ClassifyTraining(learning_rate=2e-3, patience=4)
