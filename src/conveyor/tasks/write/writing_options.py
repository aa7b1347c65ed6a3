"""The options of writing with a pen."""

from dataclasses import dataclass

from conveyor.tasks.settings import OptionRecord, option, seed_option


@dataclass(frozen=True, kw_only=True)
class WritingOptions(OptionRecord):
    """What is written, and how."""

    text: str = option("", "What is written by hand, or spoken.")
    bias: float = option(0.0, "0 as varied as the hand that was learned; 1 neat.", least=0, most=20)
    prime: str | None = option(
        None, "Go on from what this file holds: strokes.npz, mine.jsonl, hello.wav."
    )
    prime_row: int = option(1, "Which text of that file, counted from 1.", least=1)
    seed: int = seed_option(0, "The same seed gives the same strokes.")
