"""How a text is written."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What is written, and how it is drawn."""

    prompt: str = ""
    length: int = 400
    temperature: float = 0.8
    top_p: float = 0.95
    seed: int = 0
