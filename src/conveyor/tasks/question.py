"""What a run is asked by people who have not read its docs: on the page of a service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from conveyor.pages.words import Words


@dataclass(frozen=True)
class Question:
    """What a fitted run takes, and an example of it.

    Args:
        kind: ``"lines"``: texts, each of which gets an answer; ``"table"``: a table, which is
            continued or whose rows get answers; ``"prompt"``: the beginning of a text;
            ``"conversation"``: turns, to which there is a reply; ``"file"``: a picture, a video or
            a recording, as a file; ``"speech"``: a text that is spoken.
        label: what is asked for, in words.
        example: lines, a table as CSV, or a prompt; empty if the run answers without any.
        endings: of the names of files that it takes, in small letters, with their points, each
            once.
        hidden: names of options that the run cannot follow, which the page leaves out.
        choices: the values of an option that the page lets choose from, by its name; the first is
            taken where none is chosen.
    """

    kind: Literal["lines", "table", "prompt", "conversation", "file", "speech"]
    label: Words
    example: str = ""
    endings: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
