"""What a sequence is called in sentences."""

from typing import NamedTuple

from conveyor.pages.words import Words, counted_words


class Noun(NamedTuple):
    """A noun: its singular, its plural and its Vietnamese."""

    one: str
    many: str
    vi: str

    def counted(self, number: int) -> Words:
        """Return a number with the noun."""
        return counted_words(number, self.one, self.vi, self.many)


TEXT = Noun("text", "texts", "văn bản")
SERIES = Noun("series", "series", "chuỗi")
