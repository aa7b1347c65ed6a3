"""What a run is asked by people who have not read its docs: on the page of a service."""

from dataclasses import dataclass
from typing import Literal

from conveyor.pages.words import Words


@dataclass(frozen=True)
class Question:
    """What a fitted run takes, and an example of it.

    Args:
        kind: ``"lines"``: texts, each of which gets an answer; ``"table"``: a table, which is
            continued or whose rows get answers; ``"prompt"``: the beginning of a text;
            ``"conversation"``: turns, to which there is a reply.
        label: what is asked for, in words.
        example: lines, a table as CSV, or a prompt; empty if the run answers without any.
    """

    kind: Literal["lines", "table", "prompt", "conversation"]
    label: Words
    example: str = ""
