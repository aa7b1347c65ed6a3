"""The options of scoring recordings, and of writing what is said."""

from dataclasses import dataclass

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import OptionRecord, check_n_best, option

BEAM = 8


@dataclass(frozen=True, kw_only=True)
class TranscribeReading(OptionRecord):
    """How texts are searched for, and what is answered."""

    beam: int = option(
        BEAM, "Targets that are kept in mind while one is written; 1 is fastest.", least=1, most=64
    )
    n_best: int = option(1, "Answers for each source, the best first.", least=1, most=64)
    text_model: str | None = option(
        None, "A run of text, which says what is likely to be said after what."
    )
    text_weight: float = option(
        0.5, "How much the text model counts beside what is heard.", least=0, most=10
    )
    label_bonus: float = option(
        0.0,
        "What each label adds to a text's score, for a text model likes few.",
        least=-20,
        most=20,
    )
    scores: bool = option(False, "Add the probability of every class, or of what is written.")
    explain: bool = option(False, "Add how much each word counted, or where the network looked.")
    raw: int | None = option(
        None,
        "Samples a second of sound without a head, of 16 bits, that comes through a pipe.",
        least=1000,
        most=384_000,
    )

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_n_best(self.n_best, self.beam)

    def check_pipe(self) -> None:
        """Check that sound of a pipe is answered with one text and no more.

        Raises:
            SettingError: it is not.
        """
        asked = {"n_best": self.n_best > 1, "scores": self.scores, "explain": self.explain}
        names = [
            named(name, self.n_best if name == "n_best" else True)
            for name, is_asked in asked.items()
            if is_asked
        ]
        if names:
            raise SettingError(
                f"{', '.join(names)}: sound that comes through a pipe is answered with one text "
                "alone. Give a file in place of the dash, or leave that out."
            )
