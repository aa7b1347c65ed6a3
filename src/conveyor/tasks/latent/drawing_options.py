"""The options of drawing sequences."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class DrawingOptions(OptionRecord):
    """How many sequences are drawn, and how long they are."""

    count: int = option(8, "Sequences to draw.", least=1, most=10_000)
    steps: int | None = option(
        None, "Steps of a sequence; else as many as most that were learned from.", least=1
    )
    seed: int = seed_option(0, "The same seed gives the same sequences.")
