"""The settings that tasks on pairs of sequences share."""

from dataclasses import dataclass

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import (
    DataSettings,
    NetworkSettings,
    WarmedTraining,
    check_split,
    option,
    seed_option,
    split_option,
)

# How a decoder looks at what the encoder read.
ATTENTIONS = ("general", "dot", "concat", "bahdanau")

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 7000, 6, 40

# A sequence may be cut to so many tokens, and no more.
MOST_TOKENS = 100_000


@dataclass(frozen=True, kw_only=True)
class PairData(DataSettings):
    """What pairs are split into. No source stands in two parts."""

    validation: str | None = option(None, "A file to validate on; else a part of the data.")
    test: str | None = option(None, "A file to test on; else a part of the data.")
    split: tuple[float, ...] = split_option(
        (0.8, 0.1, 0.1), "Training/validation/test: fractions of what is not given in parts."
    )
    split_seed: int = seed_option(0, "The same seed draws the same parts.")
    longest: int = option(
        400, "Tokens of a source that are read, at most.", least=1, most=MOST_TOKENS
    )

    @property
    def vocabularies(self) -> tuple[int | None, int | None]:
        """How many tokens of sources and of targets are known, at most."""
        return None, None

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_split(self.split, rows=False)


@dataclass(frozen=True, kw_only=True)
class PairNetwork(NetworkSettings):
    """The network: an encoder reads the source, a decoder writes the target and looks at what was
    read. Dropout is also on the vectors of tokens, and before each token that is written."""

    dropout: float = option(
        0.0,
        "Probability of dropping what stands for a token, between layers and before writing.",
        least=0,
        below=1,
    )
    embedding: int = option(64, "Numbers that stand for a token.", least=1)
    bidirectional: bool = option(
        True, "Read each source from its end, too; each direction has half of the units."
    )
    attention: str = option(
        "general", "How the decoder looks at what was read.", choices=ATTENTIONS
    )
    feed: bool = option(
        False, "Let the decoder read where it looked before; takes somewhat longer."
    )
    tie: bool = option(True, "Write tokens by the vectors that they are read by.")
    smoothing: float = option(
        0.1, "Share of each target that is spread over all tokens, in training.", least=0, below=1
    )
    unknown: float = option(
        0.5, "Probability of reading a token seen once as unknown, in training.", least=0, below=1
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        if self.feed and self.attention == "bahdanau":
            raise SettingError(
                f"{named('attention', 'bahdanau')} reads where it looks anyway. Leave out "
                f"{named('feed', True)}."
            )
        if self.attention == "dot" and self.bidirectional and self.hidden % 2:
            raise SettingError(
                f"{named('hidden')} is {self.hidden}; {named('attention', 'dot')} compares both "
                "halves of the encoder with it. Give an even number."
            )


@dataclass(frozen=True, kw_only=True)
class PairTraining(WarmedTraining):
    """How the network is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch; weights are not averaged unless asked for."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default 6, more for few examples.",
        least=1,
        changeable=True,
    )
    batch: int = option(
        32, "Sources with their targets in a batch, of all processes together.", least=1
    )
    warmup: int = option(200, "Steps over which the learning rate rises.", least=0)

    def with_epochs(self, examples: int) -> "PairTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            examples: of the training set.
        """
        return self.with_steps(STEPS, examples, LEAST_EPOCHS, MOST_EPOCHS)
