"""Turns of a dialogue as one text, and that text as tokens."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from conveyor.data.tokens import Tokenizer

# Stands between two turns, in texts and as a token.
TURN = "<turn>"

# What ends a turn in files of dialogues; TURN may stand there, too.
END_OF_TURN = "__eou__"

_BETWEEN = re.compile(f"{TURN}|{END_OF_TURN}")


def joined_turns(turns: Iterable[str]) -> str:
    """Return turns as one text.

    >>> joined_turns(["Hello.", "Hi!"])
    'Hello. <turn> Hi!'
    """
    return f" {TURN} ".join(turns)


def turns_of(text: str) -> list[str]:
    """Return the turns of a text, without blanks around them, of which none is empty.

    >>> turns_of("Hello. __eou__ Hi! __eou__")
    ['Hello.', 'Hi!']
    """
    turns = (" ".join(turn.split()) for turn in _BETWEEN.split(text))
    return [turn for turn in turns if turn]


@dataclass(frozen=True)
class TurnTokenizer(Tokenizer):
    """Cuts the turns of a dialogue into tokens, with ``TURN`` between two turns.

        >>> TurnTokenizer.of(Tokenizer()).tokens("Hello. <turn> Hi!")
        ['Hello', '.', '<turn>', 'Hi', '!']

    Args:
        unit, lower: those of ``inside``.
        inside: cuts each turn.
    """

    inside: Tokenizer = field(default_factory=Tokenizer)

    def __post_init__(self) -> None:
        """Take the unit as it is: the tokenizer inside has checked it."""

    @staticmethod
    def of(inside: Tokenizer) -> "TurnTokenizer":
        """Return the tokenizer whose turns another one cuts."""
        return TurnTokenizer(inside.unit, inside.lower, inside)

    @property
    def every(self) -> tuple[str, ...]:
        """All tokens that are ever known, where the tokenizer inside knows all of its own."""
        return (TURN, *self.inside.every) if self.inside.every else ()

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of turns; none of a text that is blank."""
        tokens: list[str] = []
        for turn in turns_of(text):
            tokens += [TURN] * bool(tokens) + self.inside.tokens(turn)
        return tokens

    def description(self) -> dict[str, Any]:
        """Return the tokenizer as JSON holds it."""
        return {**self.inside.description(), "turns": True}
