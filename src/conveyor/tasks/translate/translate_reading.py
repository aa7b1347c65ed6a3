"""The options of translating."""

from dataclasses import dataclass

from conveyor.tasks.pairs.pair_reading import PairReading
from conveyor.tasks.settings import option


@dataclass(frozen=True, kw_only=True)
class TranslateReading(PairReading):
    """How targets are searched for, and what is answered."""

    copy: bool = option(
        False,
        "Write for an unknown word the source's word that was looked at most, or what the training "
        "pairs say that it becomes.",
    )
