"""How a text is written."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class Sampling(OptionRecord):
    """What is written, and how it is drawn."""

    prompt: str = option("", "What the text begins with.")
    length: int = option(400, "Characters to write.", least=0)
    temperature: float = option(0.8, "Below 1 safer, above 1 more varied.", above=0)
    top_p: float = option(0.95, "Draw from the likeliest that hold this.", above=0, most=1)
    seed: int = seed_option(0, "The same seed gives the same text.")
