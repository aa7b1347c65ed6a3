"""The options of asking for neighbours."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option

NEIGHBOURS = 10


@dataclass(frozen=True, kw_only=True)
class WordsReading(OptionRecord):
    """How many neighbours are told."""

    n_best: int | None = option(
        None,
        "Answers for each source, the best first; 1 unless given, and 10 neighbours of words.",
        least=1,
        most=64,
    )

    @property
    def most(self) -> int:
        """How many neighbours are told."""
        return self.n_best or NEIGHBOURS
