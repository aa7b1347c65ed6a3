"""The options of generating text."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class Sampling(OptionRecord):
    """The prompt and the length of a text, and how its characters are drawn."""

    prompt: str = option("", "What the text begins with.")
    length: int = option(400, "Characters, or what else the unit is, to write.", least=0)
    temperature: float = option(0.8, "Below 1 safer, above 1 more varied.", above=0)
    top_k: int = option(0, "Draw from so many of the likeliest; 0 for all.", least=0)
    top_p: float = option(0.95, "Draw from the likeliest that hold this.", above=0, most=1)
    seed: int = seed_option(0, "The same seed gives the same text.")
