"""The options of scoring, and of writing targets."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, check_n_best, option

BEAM = 5


@dataclass(frozen=True, kw_only=True)
class PairReading(OptionRecord):
    """How targets are searched for, and what is answered."""

    beam: int = option(
        BEAM,
        "Answers kept in mind while one is written; 1 is fastest, and a chat draws without it.",
        least=1,
        most=64,
    )
    n_best: int = option(1, "Answers for each source, the best first.", least=1, most=64)
    scores: bool = option(False, "Add the probability of every class, or of what is written.")
    explain: bool = option(False, "Add how much each word counted, or where the network looked.")

    def check(self) -> None:
        """Check that the settings fit each other.

        Raises:
            SettingError: they do not.
        """
        check_n_best(self.n_best, self.beam)
