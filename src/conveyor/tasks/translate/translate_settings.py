"""The settings of the task ``translate``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.errors import SettingError, named
from conveyor.tasks.pairs.pair_settings import PairData, PairNetwork, PairTraining
from conveyor.tasks.settings import TaskSettings, option

# What a text is read by.
UNITS = ("word", "syllable", "char", "subword")

# So many tokens are known unless a number is given.
_WORDS, _SUBWORDS = 50_000, 4_000


@dataclass(frozen=True, kw_only=True)
class TranslateData(PairData):
    """What is read, what it becomes, and what it is split into.

    Columns that are None are the first of the table, and the next.
    """

    from_: str | None = option(None, "The column of sources; else the first.")
    to: str | None = option(None, "The column of targets; else the next.")
    targets: str | None = option(
        None, "The file of the targets' lines, where the data are a file of the sources' lines."
    )
    unit: str = option("word", "What a text is read by.", choices=UNITS)
    lower: bool = option(False, "Read capitals as small letters.")
    vocabulary: int | None = option(
        None, "Tokens that are known, at most; else 4000 sub-words, or 50000 of each side.", least=1
    )
    part: str | None = option(
        None, "A column that says train, validation or test; else the parts are drawn."
    )

    @property
    def known_tokens(self) -> int:
        """How many tokens are known at most."""
        return self.vocabulary or (_SUBWORDS if self.unit == "subword" else _WORDS)

    @property
    def vocabularies(self) -> tuple[int | None, int | None]:
        """How many tokens of sources and of targets are known, at most."""
        return self.known_tokens, self.known_tokens

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        super().check()
        for name in ("from_", "to"):
            if self.targets is not None and getattr(self, name) is not None:
                raise SettingError(
                    f"{named(name)} is of a table, and {named('targets')} of lines. Give one of "
                    "them."
                )
        if self.part is not None and (self.validation is not None or self.test is not None):
            other = "validation" if self.validation is not None else "test"
            raise SettingError(
                f"{named('part')} and {named(other)} both say what is tested. Give one of them."
            )


@dataclass(frozen=True, kw_only=True)
class TranslateNetwork(PairNetwork):
    """The network that reads one text and writes the other. Dropout is also on the vectors of
    tokens, and before each token that is written."""


@dataclass(frozen=True, kw_only=True)
class TranslateTraining(PairTraining):
    """How the network is fitted. Adam's learning rate rises over the first steps and then falls
    along a line, to 0 after the last epoch."""


@dataclass(frozen=True, kw_only=True)
class TranslateSettings(TaskSettings):
    """All settings of a run of the task ``translate``."""

    task: ClassVar[str] = "translate"

    data: TranslateData = TranslateData()
    network: TranslateNetwork = TranslateNetwork(hidden=256, embedding=192, dropout=0.3)
    training: TranslateTraining = TranslateTraining(batch=64, learning_rate=2e-3, patience=4)
