"""The settings of the task ``chat``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.data.dialogue_columns import DialogueColumns
from conveyor.errors import SettingError, named
from conveyor.tasks.pairs.pair_settings import PairData, PairNetwork, PairTraining
from conveyor.tasks.settings import TaskSettings, option

# What a text is read by.
UNITS = ("word", "syllable", "char", "subword")

# So many tokens are known unless a number is given.
_WORDS, _SUBWORDS = 8_000, 3_000

# Without a number of epochs there are so many that a fit takes this many steps: more than for
# other pairs would only learn replies by heart.
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 4000, 5, 15


@dataclass(frozen=True, kw_only=True)
class ChatData(PairData):
    """Dialogues, and what they are split into. No dialogue stands in two parts, and dialogues that
    begin alike are in one.

    Columns are those of a table; they are guessed by their names.
    """

    turns: int = option(3, "Turns that are read before a reply, at most.", least=1, most=100)
    said: str | None = option(None, "The column of what was said.")
    reply: str | None = option(
        None, "The column of replies; none where each row holds one utterance."
    )
    dialogue: tuple[str, ...] = option(
        (), "A column that says which dialogue a row is of; may be repeated."
    )
    turn: str | None = option(
        None, "The column that numbers the turns of a dialogue; else they are as they stand."
    )
    part: str | None = option(
        None, "A column that says train, validation or test; else the parts are drawn."
    )
    unit: str = option("word", "What a text is read by.", choices=UNITS)
    lower: bool = option(False, "Read capitals as small letters.")
    vocabulary: int | None = option(
        None, "Tokens that are known, at most; else 8000, or 3000 sub-words.", least=1
    )
    longest: int = option(
        120, "Tokens that are read before a reply, at most; the last ones.", least=1, most=100_000
    )

    @property
    def known_tokens(self) -> int:
        """How many tokens are known at most."""
        return self.vocabulary or (_SUBWORDS if self.unit == "subword" else _WORDS)

    @property
    def columns(self) -> DialogueColumns:
        """The columns of a table."""
        return DialogueColumns(
            said=self.said,
            reply=self.reply,
            dialogue=self.dialogue,
            turn=self.turn,
            part=self.part,
        )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        super().check()
        if self.turn is not None and not self.dialogue:
            raise SettingError(
                f"{named('turn', self.turn)} numbers the turns of dialogues. Name their column, "
                f"too: {named('dialogue', 'NAME')}."
            )
        if self.part is not None and (self.validation is not None or self.test is not None):
            other = "validation" if self.validation is not None else "test"
            raise SettingError(
                f"{named('part')} and {named(other)} both say what is tested. Give one of them."
            )


@dataclass(frozen=True, kw_only=True)
class ChatNetwork(PairNetwork):
    """The network that reads the last turns and writes a reply. Dropout is also on the vectors of
    tokens, and before each token that is written."""

    smoothing: float = option(
        0.0, "Share of each token that is spread over all tokens, in training.", least=0, below=1
    )
    blind: float = option(
        0.1,
        "Share of replies that are learned without what was said before, in training.",
        least=0,
        below=1,
    )
    mixture: bool = option(
        True,
        "Let words that were said be said again, as much as makes the validation set likeliest; "
        "scores are shown with counts of replies, too.",
    )


@dataclass(frozen=True, kw_only=True)
class ChatTraining(PairTraining):
    """How the network is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch."""

    def with_epochs(self, examples: int) -> "ChatTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            examples: of the training set.
        """
        return self.with_steps(_STEPS, examples, _LEAST_EPOCHS, _MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class ChatSettings(TaskSettings):
    """All settings of a run of the task ``chat``."""

    task: ClassVar[str] = "chat"

    data: ChatData = ChatData()
    network: ChatNetwork = ChatNetwork(hidden=256, embedding=128, dropout=0.4)
    training: ChatTraining = ChatTraining(batch=32, learning_rate=2e-3, patience=3)
