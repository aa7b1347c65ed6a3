"""The options of scoring recordings, and of writing what is said."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option

BEAM = 8


@dataclass(frozen=True, kw_only=True)
class TranscribeReading(OptionRecord):
    """How texts are searched for, and what is answered."""

    beam: int = option(
        BEAM, "Targets that are kept in mind while one is written; 1 is fastest.", least=1, most=64
    )
    scores: bool = option(False, "Add the probability of every class, or of what is written.")
    raw: int | None = option(
        None,
        "Samples a second of sound without a head, of 16 bits, that comes through a pipe.",
        least=1000,
        most=384_000,
    )
