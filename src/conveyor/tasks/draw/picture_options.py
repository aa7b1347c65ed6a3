"""The options of drawing pictures."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class PictureOptions(OptionRecord):
    """How many pictures are drawn."""

    count: int = option(64, "Sequences or pictures to draw.", least=1, most=10_000)
    seed: int = seed_option(0, "The same seed gives the same pictures.")
