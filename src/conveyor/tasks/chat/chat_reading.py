"""The options of replying."""

from dataclasses import dataclass

from conveyor.errors import SettingError, named
from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class ChatReading(OptionRecord):
    """How replies are found, and what is answered.

    Several are drawn, or searched for with a beam. The one with the greatest

        (log P(T|S) - λ log P(T)) / |T|

    is answered, so that what fits everything ("I don't know") does not always win (Li et al. 2016,
    A diversity-promoting objective function for neural conversation models).
    """

    temperature: float = option(0.7, "Below 1 safer, above 1 more varied.", above=0)
    top_p: float = option(0.9, "Draw from the likeliest that hold this.", above=0, most=1)
    seed: int = seed_option(0, "The same seed gives the same replies.")
    drawn: int = option(
        8, "Replies that are drawn, of which the best is answered.", least=1, most=64
    )
    beam: int | None = option(
        None,
        "Answers kept in mind while one is written; 1 is fastest, and a chat draws without it.",
        least=1,
        most=64,
    )
    generic: float = option(
        0.5, "λ: how much is taken off for replies that fit everything.", least=0, most=1
    )
    n_best: int = option(1, "Answers for each source, the best first.", least=1, most=64)
    scores: bool = option(False, "Add the probability of every class, or of what is written.")
    explain: bool = option(False, "Add how much each word counted, or where the network looked.")

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        name = "drawn" if self.beam is None else "beam"
        most = self.drawn if self.beam is None else self.beam
        if self.n_best > most:
            raise SettingError(
                f"{named('n_best')} is {self.n_best}; expected {most} or less, the {named(name)}."
            )
