"""The columns of a table of dialogues."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DialogueColumns:
    """The columns of a table; None where they are to be found, or where there is none.

    Attributes:
        said: what was said.
        reply: what was said then; None where each row holds one utterance.
        dialogue: say together which dialogue a row is of.
        turn: which turn of its dialogue a row is.
        part: train, validation or test.
    """

    said: str | None = None
    reply: str | None = None
    dialogue: tuple[str, ...] = ()
    turn: str | None = None
    part: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns that are named."""
        every = (self.said, self.reply, *self.dialogue, self.turn, self.part)
        return [name for name in every if name is not None]
