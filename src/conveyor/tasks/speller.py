"""How texts become the labels of what is spoken, and labels a text again."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conveyor.data.records import fits, shown
from conveyor.errors import RunError
from conveyor.tasks.spoken_units import CHARACTERS, SYLLABLES, WORDS

# Signs inside a word that are spoken with it.
_INSIDE = "'’-"


@dataclass(frozen=True)
class Speller:
    """Writes texts as labels, 1 and up; 0 is the blank of CTC.

    Args:
        unit: ``"char"``, ``"word"`` or ``"syllable"``.
        lower: whether capitals become small letters.
        labels: that there are, in order.
    """

    unit: str
    lower: bool
    labels: tuple[str, ...] = ()

    def normal(self, text: str) -> str:
        """Return a text as it is learned and scored: in normal form C, with letters, digits and
        what stands inside words, one blank between words, none around."""
        text = unicodedata.normalize("NFC", text)
        if self.lower:
            text = text.lower()
        signs = []
        for place, sign in enumerate(text):
            kept = unicodedata.category(sign)[0] in "LMN"
            if sign in _INSIDE and not (sign == "-" and self.unit == SYLLABLES):
                around = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
                kept = all(other.isalnum() for other in around)
            signs.append(sign if kept else " ")
        return " ".join("".join(signs).split())

    def tokens(self, text: str) -> list[str]:
        """Return what a text is written of; none of one that is blank."""
        normal = self.normal(text)
        return list(normal) if self.unit == CHARACTERS else normal.split()

    def of_texts(self, texts: Iterable[str]) -> "Speller":
        """Return the speller that knows all labels of texts."""
        known = {token for text in texts for token in self.tokens(text)}
        return Speller(self.unit, self.lower, tuple(sorted(known)))

    def unknown(self, text: str) -> list[str]:
        """Return what a text is written of and the speller does not know, each once."""
        known = set(self.labels)
        return [token for token in dict.fromkeys(self.tokens(text)) if token not in known]

    def encode(self, text: str) -> list[int]:
        """Return the labels of a text, without what is not known."""
        numbers = {label: number for number, label in enumerate(self.labels, 1)}
        return [numbers[token] for token in self.tokens(text) if token in numbers]

    def decode(self, labels: Sequence[int]) -> str:
        """Return the text of labels."""
        between = "" if self.unit == CHARACTERS else " "
        return " ".join(between.join(self.labels[label - 1] for label in labels).split())

    def description(self) -> dict[str, Any]:
        """Return the speller as JSON holds it."""
        return {"unit": self.unit, "lower": self.lower, "labels": list(self.labels)}

    @staticmethod
    def described(description: Mapping[str, Any], where: str) -> "Speller":
        """Return the speller of a description, from a file that may hold anything.

        Args:
            description: what ``description`` gave.
            where: the file, for errors.

        Raises:
            RunError: the description is none.
        """
        unit, lower, labels = (description[name] for name in ("unit", "lower", "labels"))
        is_right = (
            unit in (CHARACTERS, WORDS, SYLLABLES)
            and isinstance(lower, bool)
            and fits(labels, tuple[str, ...])
            and 0 < len(set(labels)) == len(labels)
        )
        if not is_right:
            raise RunError(
                f"{where}: speller is {shown(dict(description))}; expected a unit, lower and "
                "different labels."
            )
        return Speller(unit, lower, tuple(labels))
