"""The settings of the task ``tag``."""

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
    seed_option,
    split_option,
)

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 1000, 12, 60

# Tags that mark no spans, and those that do.
PLAIN, IOB2 = "plain", "iob2"

# Without a word about syllables they are read where so large a share of words has several.
SEVERAL = 0.01
# So many numbers then stand for a syllable.
SYLLABLES = 50


@dataclass(frozen=True, kw_only=True)
class TagData(DataSettings):
    """What is read, what its tags mean, and what it is split into."""

    tags: str | None = option(
        None, "The column of tags, by name or number; else upos of CoNLL-U, the last of others."
    )
    labels: str | None = option(
        None, "A file with the tags of each line, where the data is a sentence in each line."
    )
    intent: str | None = option(
        None, "With labels, a file that says what each sentence is about, learned together."
    )
    scheme: str = option(
        "", "What tags mark: iob2 spans, as B-x I-x O; else by the tags.", choices=("", PLAIN, IOB2)
    )
    lower: bool = option(False, "Know words in small letters; capitals are seen in the spelling.")
    validation: str | None = option(None, "A file to validate on; else a part of the data.")
    test: str | None = option(None, "A file to test on; else a part of the data.")
    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1), "Training/validation/test: fractions of what is not given in parts."
    )
    split_seed: int = seed_option(0, "The same seed draws the same parts.")
    dedupe: bool = option(
        False, "Learn from no sentence that stands in the validation or test set, too."
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)
        if self.labels is not None and self.tags is not None:
            raise SettingError(
                f"{named('labels')} is a file of tags, and {named('tags')} a column of them. Give "
                "one of the two."
            )
        if self.intent is not None and self.labels is None:
            raise SettingError(
                f"{named('intent')} is of sentences in lines, whose tags another file holds. Give "
                f"{named('labels')}, too, or leave it out."
            )


@dataclass(frozen=True, kw_only=True)
class TagNetwork(NetworkSettings):
    """The network of a tagger. Dropout is also on the vectors of words, and on what the recurrent
    layer gives."""

    dropout: float = option(
        0.0,
        "Probability of dropping what stands for a word, and what the recurrent layers give.",
        least=0,
        below=1,
    )
    words: int = option(100, "Numbers that stand for a word; 0 leaves it out.", least=0)
    syllables: int | None = option(
        None,
        "Numbers for a syllable, whose mean is read, 0 for none; else 50 where words have several.",
        least=0,
    )
    characters: int = option(
        25, "Units that read a word's characters, from each end; 0 leaves them out.", least=0
    )
    bidirectional: bool = option(True, "Read each sequence from its end, too.")
    crf: bool = option(True, "Choose the tags of a sentence together, by a CRF.")
    word_dropout: float = option(
        0.2, "Probability of dropping a word, in training.", least=0, below=1
    )
    unknown: float = option(
        0.5, "Probability of reading a word seen once as unknown, in training.", least=0, below=1
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if not (self.words or self.characters or self.syllables):
            raise SettingError(
                f"{named('words')}, {named('characters')} and {named('syllables')} leave "
                "nothing of a word to read. Give one of them."
            )


@dataclass(frozen=True, kw_only=True)
class TagTraining(Training):
    """How a tagger is fitted."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default 12, more for few sentences.",
        least=1,
        changeable=True,
    )

    batch: int = option(16, "Sentences in a batch, of all processes together.", least=1)

    def with_epochs(self, sentences: int) -> "TagTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            sentences: of the training set.
        """
        return self.with_steps(STEPS, sentences, LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class TagSettings(TaskSettings):
    """All settings of a run of the task ``tag``."""

    task: ClassVar[str] = "tag"

    data: TagData = TagData()
    network: TagNetwork = TagNetwork(hidden=128, dropout=0.5)
    training: TagTraining = TagTraining(learning_rate=3e-3, batch=16, patience=6)
