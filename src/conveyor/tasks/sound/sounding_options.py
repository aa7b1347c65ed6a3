"""The options of generating sound."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class SoundingOptions(OptionRecord):
    """How long a sound is, what it begins with, and how its samples are drawn."""

    seconds: float = option(2.0, "Seconds of sound.", above=0, most=3600)
    prime: str | None = option(
        None, "Go on from what this file holds: strokes.npz, mine.jsonl, hello.wav."
    )
    temperature: float = option(0.8, "Below 1 safer, above 1 more varied.", above=0)
    seed: int = seed_option(0, "The same seed gives the same sound.")
